"""Writing feature files: whole under a temporary name, then published, so that no reader ever sees half of one."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError, OutputError
from ..files import replacing
from .checksum import RowsChecksum
from .store import DTYPES, FORMAT, SUFFIXES, VERSION, Features
from .table import COLUMNS, VideoRow, columns_of

_MEGABYTE = 1e6


def require_new_file(output: Path, *, overwrite: bool) -> None:
    """Raise OutputError unless `output` can be the name of a new feature file."""
    if output.suffix not in SUFFIXES:
        raise OutputError(f"{output}: the name of a feature file ends in .h5")
    if output.is_dir():
        raise OutputError(f"{output} is a folder; give the name of a new feature file")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; give a new name or --overwrite")


@contextmanager
def writing_features(
    path: Path,
    *,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    num_rows: int,
    frame_shape: tuple[int, ...],
    dtype: str,
) -> Iterator["FeatureWriter"]:
    """Give a writer of a feature file of a known number of rows, and publish the file when the block ends well.

    with writing_features(path, settings=..., ...) as writer:
        writer.append(features, timestamps)    # (n, *frame_shape), (n,) seconds, as often as wanted
        writer.end_video(row)                  # `start`, `length` and `checksum` are filled in

    Raises ValueError if other than `num_rows` rows were written, OutputError if the file cannot be written.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: a feature file holds {', '.join(DTYPES)}")
    shape, stored_as = (num_rows, *frame_shape), np.dtype(dtype).newbyteorder("<")
    with replacing(path) as temporary:
        _require_space(path, int(np.prod(shape, dtype=np.int64)) * stored_as.itemsize)
        with _naming_failure(path), h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
            writer = FeatureWriter(file, shape, stored_as)
            yield writer
            writer.finish()
            file.attrs["format"] = FORMAT
            file.attrs["version"] = VERSION
            file.attrs["settings"] = _json(settings)
            file.attrs["versions"] = _json(versions)


def _require_space(path: Path, num_bytes: int) -> None:
    total, _, free = shutil.disk_usage(path.parent)
    if total and num_bytes > free:  # some network disks tell nothing
        raise OutputError(
            f"{path}: needs {num_bytes / _MEGABYTE:.0f} MB and the disk has {free / _MEGABYTE:.0f} MB left; "
            "free some space or choose another place"
        )


@contextmanager
def _naming_failure(path: Path) -> Iterator[None]:
    """Turn what HDF5 raises for a full disk, in whatever words, into OutputError with `path`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        reason = os.strerror(int(number[1])) if number else " ".join(str(error).split())
        raise OutputError(
            f"{path}: cannot be written ({reason}); free some space; what was there is as it was"
        ) from error


def _json(values: Mapping[str, Any]) -> str:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


class FeatureWriter:
    """Writes an open feature file video after video; see `writing_features`."""

    def __init__(self, file: h5py.File, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._videos = file.create_group("videos")
        self._features = file.create_dataset("features", shape=shape, dtype=dtype)
        self._times = file.create_dataset("timestamps", shape=shape[:1], dtype="<f8")
        self._rows: list[VideoRow] = []
        self._start = self._next = 0
        self._checksum = RowsChecksum()

    def append(self, features: NDArray[np.generic], timestamps: NDArray[np.float64]) -> None:
        """Append the next frames of the current video: (n, *frame_shape) of the file's dtype, (n,) seconds."""
        end = self._next + len(features)
        self._features[self._next : end] = features
        self._times[self._next : end] = timestamps
        self._checksum.update(features, timestamps)
        self._next = end

    def end_video(self, row: VideoRow) -> VideoRow:
        """Close the current video: `row` says all but where its rows are and their checksum. Return it complete."""
        length = self._next - self._start
        written = replace(row, start=self._start, length=length, checksum=self._checksum.hexdigest())
        self._rows.append(written)
        self._start, self._checksum = self._next, RowsChecksum()
        return written

    def finish(self) -> None:
        """Write the table of videos."""
        announced = self._features.shape[0]
        if self._next != announced or self._start != self._next:
            raise ValueError(f"{announced} rows announced, {self._next} written, {self._start} in finished videos")
        for name, column in columns_of(self._rows).items():
            kind = h5py.string_dtype("utf-8", column.dtype.itemsize) if COLUMNS[name] is str else column.dtype
            self._videos.create_dataset(name, data=column.astype(kind))


def write_merged(path: Path, parts: Sequence[Features], *, rename: Callable[[VideoRow], VideoRow]) -> None:
    """Publish one file that holds the videos of all `parts`, in the order of their keys.

    A video that is in several parts is taken from the last. The parts must agree in settings, shape and type.
    rename: gives the row to write in the place of a video's row, with another label or split.

    Raises FeatureFileError, naming the video, if its rows do not have their checksum any more.
    """
    located = {row.path: (part, index) for part in parts for index, row in enumerate(part.videos)}
    chosen = [(part, index, rename(part.videos[index])) for _, (part, index) in sorted(located.items())]
    with writing_features(
        path,
        settings=parts[-1].settings,
        versions=parts[-1].versions,
        num_rows=sum(row.length for _, _, row in chosen),
        frame_shape=parts[-1].frame_shape,
        dtype=parts[-1].dtype,
    ) as writer:
        for part, index, row in chosen:
            for features, timestamps in part.blocks(index):
                writer.append(features, timestamps)
            if writer.end_video(row).checksum != row.checksum:
                raise FeatureFileError(f"{part.path}: the rows of video {row.path!r} are damaged; extract them again")
