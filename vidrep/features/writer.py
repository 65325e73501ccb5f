"""Writing feature files: whole under a temporary name, then published, so that no reader ever opens half of one."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError, OutputError
from ..files import NewFile, writing_file
from .checksum import RowsChecksum
from .layout import Layout
from .settings import Settings
from .store import DTYPES, FORMAT, SUFFIXES, VERSION, Features
from .table import COLUMNS, VideoRow, columns_of

_SECONDS = np.dtype("<f8")
_LARGEST_ATTRIBUTE_BYTES = 64_000


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
    """Yield the writer of a feature file of a known number of rows; publish the file if the block ends without error.

    with writing_features(path, settings=..., ...) as writer:
        writer.append(features, timestamps)    # (n, *frame_shape), (n,) seconds, as often as wanted
        writer.end_video(row)                  # `start`, `length` and `checksum` are filled in

    Raises ValueError if other than `num_rows` rows were written or `settings` take more than 64 kB as JSON, OutputError
    if the file cannot be written.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: a feature file holds {', '.join(DTYPES)}")
    shape, stored_as = (num_rows, *frame_shape), np.dtype(dtype).newbyteorder("<")
    texts = {"format": FORMAT.encode(), "settings": _json(settings), "versions": _json(versions)}
    num_bytes = int(np.prod(shape, dtype=np.int64)) * stored_as.itemsize + num_rows * _SECONDS.itemsize
    with writing_file(path, num_bytes=num_bytes) as file:
        layout = Layout()
        with h5py.File(layout, "w", libver=("earliest", "v110")) as described:
            writer = FeatureWriter(described, file, shape, stored_as)
            file.reserve(num_bytes)
            yield writer
            writer.finish()
            described.attrs["version"] = VERSION
            for name, text in texts.items():
                described.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))
        for offset, piece in layout.pieces():
            file.write_at(piece, offset)
        file.resize(layout.num_bytes)


def _bytes_of(array: NDArray[np.generic]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _json(values: Mapping[str, Any]) -> bytes:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False).encode()
    if len(text) > _LARGEST_ATTRIBUTE_BYTES:
        raise ValueError(
            f"{len(text)} bytes of JSON; HDF5 stores {_LARGEST_ATTRIBUTE_BYTES} in an attribute: record a hash of what "
            "is large"
        )
    return text


def place_rows(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Create a contiguous array without writing its values; return the offset in the file where it begins."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    offset = file.create_dataset(name, shape=shape, dtype=dtype, dcpl=plan).id.get_offset()
    return offset or 0  # an empty array has no place


class FeatureWriter:
    """Writes an open feature file video after video; see `writing_features`."""

    def __init__(self, described: h5py.File, file: NewFile, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._shape, self._dtype = file, shape, dtype
        self._videos = described.create_group("videos")
        self._features_offset = place_rows(described, "features", shape, dtype)
        self._seconds_offset = place_rows(described, "timestamps", shape[:1], _SECONDS)
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        self._rows: list[VideoRow] = []
        self._start = self._next = 0
        self._checksum = RowsChecksum()

    def append(self, features: NDArray[np.generic], timestamps: NDArray[np.float64]) -> None:
        """Append the next frames of the current video: (n, *frame_shape) of the file's dtype, (n,) seconds."""
        if features.shape != (len(timestamps), *self._shape[1:]) or self._next + len(features) > self._shape[0]:
            raise ValueError(
                f"features {features.shape} and timestamps {timestamps.shape} after row {self._next}; "
                f"the file was declared as {self._shape}"
            )
        rows, seconds = np.ascontiguousarray(features, dtype=self._dtype), np.ascontiguousarray(timestamps, _SECONDS)
        self._file.write_at(_bytes_of(rows), self._features_offset + self._next * self._row_bytes)
        self._file.write_at(_bytes_of(seconds), self._seconds_offset + self._next * _SECONDS.itemsize)
        self._checksum.update(rows, seconds)
        self._next += len(rows)

    def end_video(self, row: VideoRow) -> VideoRow:
        """End the current video; return its row with `start`, `length` and `checksum` filled in."""
        length = self._next - self._start
        written = replace(row, start=self._start, length=length, checksum=self._checksum.hexdigest())
        self._rows.append(written)
        self._start, self._checksum = self._next, RowsChecksum()
        return written

    def finish(self) -> None:
        """Write the table of videos."""
        declared = self._shape[0]
        if self._next != declared or self._start != self._next:
            raise ValueError(f"{declared} rows declared, {self._next} written, {self._start} in finished videos")
        for name, column in columns_of(self._rows).items():
            kind = h5py.string_dtype("utf-8", column.dtype.itemsize) if COLUMNS[name] is str else column.dtype
            self._videos.create_dataset(name, data=column.astype(kind))


def write_merged(
    path: Path,
    parts: Sequence[Features],
    *,
    settings: Settings | None = None,
    edit: Callable[[VideoRow], VideoRow | None],
    check_stop: Callable[[], None] = lambda: None,
) -> None:
    """Publish one file that holds the videos of all `parts`, sorted by root and path.

    parts: opened as stored. They must agree in settings, shape and type.
    settings: to record; None: those of the last part.
    edit: returns the row to write for a video, such as one with another label; None leaves the video out. Of those that
        it puts into one place, that of the last part is taken.
    check_stop: called now and then while rows are copied; if it raises, `path` stays as it was.

    Raises FeatureFileError, naming the video, if its rows no longer have their checksum.
    """
    edited = [(part, index, edit(row)) for part in parts for index, row in enumerate(part.videos)]
    located = {row.place: (part, index, row) for part, index, row in edited if row is not None}
    chosen = [located[place] for place in sorted(located)]
    with writing_features(
        path,
        settings=parts[-1].settings if settings is None else settings,
        versions=parts[-1].versions,
        num_rows=sum(row.length for _, _, row in chosen),
        frame_shape=parts[-1].frame_shape,
        dtype=parts[-1].dtype,
    ) as writer:
        for part, index, row in chosen:
            for features, timestamps in part.blocks(index):
                check_stop()
                writer.append(features, timestamps)
            if writer.end_video(row).checksum != row.checksum:
                raise FeatureFileError(
                    f"{part.path}: the rows of video {row.path!r} are damaged; remove that file, or give --overwrite, "
                    "and extract again"
                )
