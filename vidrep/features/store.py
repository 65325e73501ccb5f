"""The feature file, format `vidrep-features` version 1: the one place that reads and writes HDF5.

    /features     (N, *frame_shape) float16 | float32 | uint8    every video's frames, one video after the other
    /timestamps   (N,) float64                                   seconds in the source video
    /videos/      one column a field of VideoRow, one row a video
    attributes    format, version, settings (JSON: the extractor), versions (JSON: libraries)

docs/feature-file.md is the full description. N rows are contiguous and uncompressed, so that a window is one
slice of a memory map. A file is written under a temporary name and published whole.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError, OutputError
from ..files import replacing
from .table import COLUMNS, STATUSES, VideoRow, columns_of, rows_of

FORMAT = "vidrep-features"
VERSION = 1
SUFFIXES = frozenset({".h5", ".hdf5"})
DTYPES = ("float16", "float32", "uint8")
_BLOCK_BYTES = 16 << 20

Settings = dict[str, Any]
"""What made the features, JSON-like: equal settings give equal rows for equal sources."""


def settings_json(settings: Mapping[str, Any]) -> str:
    """Write settings as they stand in the file: JSON with sorted keys, so that equal settings are equal bytes."""
    return json.dumps(settings, sort_keys=True, ensure_ascii=False)


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

    Raises ValueError if other than `num_rows` rows were written.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: a feature file holds {', '.join(DTYPES)}")
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
        writer = FeatureWriter(file, (num_rows, *frame_shape), np.dtype(dtype).newbyteorder("<"))
        yield writer
        writer.finish()
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["settings"] = settings_json(settings)
        file.attrs["versions"] = settings_json(versions)


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

    def end_video(self, row: VideoRow) -> None:
        """Close the current video: `row` says all but where its rows are and their checksum."""
        length = self._next - self._start
        self._rows.append(replace(row, start=self._start, length=length, checksum=self._checksum.hexdigest()))
        self._start, self._checksum = self._next, RowsChecksum()

    def finish(self) -> None:
        """Write the table of videos."""
        announced = self._features.shape[0]
        if self._next != announced or self._start != self._next:
            raise ValueError(f"{announced} rows announced, {self._next} written, {self._start} in finished videos")
        for name, column in columns_of(self._rows).items():
            kind = h5py.string_dtype("utf-8", column.dtype.itemsize) if COLUMNS[name] is str else column.dtype
            self._videos.create_dataset(name, data=column.astype(kind))


class RowsChecksum:
    """SHA-256 of a video's features followed by its timestamps, both little-endian, fed in blocks."""

    def __init__(self) -> None:
        self._features, self._timestamps = hashlib.sha256(), list[bytes]()

    def update(self, features: NDArray[np.generic], timestamps: NDArray[np.float64]) -> None:
        """Take the next frames into account."""
        self._features.update(np.ascontiguousarray(features, dtype=features.dtype.newbyteorder("<")).data)
        self._timestamps.append(timestamps.astype("<f8").tobytes())

    def hexdigest(self) -> str:
        """Return the checksum of all frames so far, in hexadecimal."""
        digest = self._features.copy()
        digest.update(b"".join(self._timestamps))
        return digest.hexdigest()


@dataclass(frozen=True)
class _Segment:
    """One HDF5 file of a feature set: its rows as memory maps."""

    path: Path
    features: NDArray[np.generic]
    timestamps: NDArray[np.float64]


class Features:
    """The features of many videos, read from one file or from a folder of parts, memory-mapped, sorted by key.

    videos: one VideoRow a video, in the order of their keys; `start` counts rows within the video's own file.
        A video that is in several parts is read from the last: the newest.
    """

    def __init__(
        self,
        path: Path,
        segments: Sequence[_Segment],
        tables: Sequence[Sequence[VideoRow]],
        settings: Settings,
        versions: dict[str, str],
    ) -> None:
        self.path = path
        self.settings = settings
        self.versions = versions
        self.frame_shape: tuple[int, ...] = segments[0].features.shape[1:]
        self.dtype = segments[0].features.dtype.name
        located = {row.path: (row, segment) for segment, table in zip(segments, tables, strict=True) for row in table}
        self.videos = [located[key][0] for key in sorted(located)]
        self._segments = [located[key][1] for key in sorted(located)]
        self._index = {row.path: index for index, row in enumerate(self.videos)}

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        shape = (self.num_frames, *self.frame_shape)
        return f"Features({str(self.path)!r}, {len(self)} videos, {shape} {self.dtype})"

    def __contains__(self, key: str) -> bool:
        return key in self._index

    @property
    def num_frames(self) -> int:
        """Frames of all videos together."""
        return sum(row.length for row in self.videos)

    @property
    def frame_size(self) -> int:
        """D: the number of values of a frame."""
        return int(np.prod(self.frame_shape, dtype=np.int64))

    def index(self, key: str) -> int:
        """Return the position of a video in `videos`; KeyError if it is not there."""
        return self._index[key]

    def rows(self, video: int, start: int = 0, stop: int | None = None) -> NDArray[np.generic]:
        """Return frames start .. stop of a video, (n, *frame_shape): a view of the memory map, copied when used."""
        row = self.videos[video]
        stop = row.length if stop is None else min(stop, row.length)
        return self._segments[video].features[row.start + start : row.start + stop]

    def timestamps(self, video: int) -> NDArray[np.float64]:
        """Return the seconds of a video's frames in its source, (length,)."""
        row = self.videos[video]
        return self._segments[video].timestamps[row.start : row.start + row.length]

    def blocks(self, video: int) -> Iterator[tuple[NDArray[np.generic], NDArray[np.float64]]]:
        """Yield a video's (features, timestamps) in blocks of bounded size, to copy or to check."""
        row_bytes = max(1, self.frame_size * np.dtype(self.dtype).itemsize)
        size = max(1, _BLOCK_BYTES // row_bytes)
        times = self.timestamps(video)
        for start in range(0, self.videos[video].length, size):
            yield self.rows(video, start, start + size), times[start : start + size]

    def damaged(self) -> Iterator[str]:
        """Yield the keys of the videos whose rows do not have their checksum any more."""
        for index, row in enumerate(self.videos):
            checksum = RowsChecksum()
            for features, timestamps in self.blocks(index):
                checksum.update(features, timestamps)
            if checksum.hexdigest() != row.checksum:
                yield row.path


def open_features(path: Path | str) -> Features:
    """Open a feature file, or a folder of parts that reads like one.

    Raises FeatureFileError, naming the file, if it is missing, damaged, not ours or of an unknown version.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))
        if not files:
            raise FeatureFileError(f"{path}: no feature file in this folder; give a file that `vidrep extract` made")
    elif path.exists():
        files = [path]
    else:
        raise FeatureFileError(
            f"{path}: no such file; give a feature file that `vidrep extract` or `vidrep import` made"
        )
    opened = [_open_file(file) for file in files]
    segments, tables, settings, versions = zip(*opened, strict=True)
    for file, one in zip(files, segments, strict=True):
        if one.features.shape[1:] != segments[0].features.shape[1:] or one.features.dtype != segments[0].features.dtype:
            raise FeatureFileError(f"{file}: frames of another shape or type than those of {files[0]}")
    for file, other in zip(files, settings, strict=True):
        require_same_settings(file, other, settings[0])
    return Features(path, segments, tables, settings[0], versions[0])


def _open_file(path: Path) -> tuple[_Segment, list[VideoRow], Settings, dict[str, str]]:
    try:
        with h5py.File(path, "r") as file:
            found = (file.attrs.get("format"), file.attrs.get("version"))
            if found[0] != FORMAT:
                raise FeatureFileError(
                    f"{path}: an HDF5 file, but not of format {FORMAT}; `vidrep import` turns other files into one"
                )
            if found[1] != VERSION:
                raise FeatureFileError(f"{path}: version {found[1]} of {FORMAT}; this vidrep reads version {VERSION}")
            features = _map(path, file["features"])
            if features.dtype.name not in DTYPES:
                raise FeatureFileError(f"{path}: features of type {features.dtype}; allowed are {', '.join(DTYPES)}")
            segment = _Segment(path, features, _map(path, file["timestamps"]))
            rows = rows_of({name: file["videos"][name][:] for name in COLUMNS})
            settings, versions = json.loads(file.attrs["settings"]), json.loads(file.attrs["versions"])
    except (OSError, KeyError, UnicodeDecodeError, json.JSONDecodeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeatureFileError(f"{path}: not a readable feature file ({reason})") from error
    _check_rows(path, rows, len(segment.features), len(segment.timestamps))
    return segment, rows, settings, versions


def _map(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """Memory-map a contiguous dataset; what is not contiguous (chunks, compression) or is empty is read instead."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:
        return np.asarray(dataset[:])
    if offset + dataset.nbytes > path.stat().st_size:
        raise FeatureFileError(
            f"{path}: cut short: {dataset.name} needs {offset + dataset.nbytes} bytes; extract it again"
        )
    return np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape)


def _check_rows(path: Path, rows: Sequence[VideoRow], num_features: int, num_timestamps: int) -> None:
    if num_features != num_timestamps:
        raise FeatureFileError(f"{path}: {num_features} features but {num_timestamps} timestamps")
    if len({row.path for row in rows}) != len(rows):
        raise FeatureFileError(f"{path}: a video is in its table twice")
    for row in rows:
        if row.start < 0 or row.length < 0 or row.start + row.length > num_features or row.status not in STATUSES:
            raise FeatureFileError(f"{path}: the table's entry for video {row.path!r} does not fit the file")


def require_same_settings(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise OutputError with the first difference if two settings would not give the same features.

    Where a weights file lies does not count: its hash does.
    """
    difference = _first_difference(found, wanted)
    if difference:
        name, got, want = difference
        raise OutputError(
            f"{path} was made with other settings: {name} is {got!r} there, {want!r} here; "
            "use the same settings, another output, or --overwrite"
        )


def _first_difference(found: Any, wanted: Any, name: str = "settings") -> tuple[str, Any, Any] | None:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(found.keys() | wanted.keys()):
            if key == "weights_file":
                continue
            difference = _first_difference(
                found.get(key), wanted.get(key), f"{name}.{key}" if name != "settings" else key
            )
            if difference:
                return difference
        return None
    return None if found == wanted else (name, found, wanted)


def write_merged(
    path: Path,
    parts: Sequence[Features],
    *,
    versions: Mapping[str, str],
    relabel: Callable[[VideoRow], VideoRow] = lambda row: row,
) -> None:
    """Publish one file that holds the videos of all `parts`, in the order of their keys.

    A video that is in several parts is taken from the last. The parts must agree in settings, shape and type.
    relabel: gives the row to write in the place of a video's row.
    """
    located = {row.path: (part, index) for part in parts for index, row in enumerate(part.videos)}
    chosen = [located[key] for key in sorted(located)]
    with writing_features(
        path,
        settings=parts[0].settings,
        versions=versions,
        num_rows=sum(part.videos[index].length for part, index in chosen),
        frame_shape=parts[0].frame_shape,
        dtype=parts[0].dtype,
    ) as writer:
        for part, index in chosen:
            for features, timestamps in part.blocks(index):
                writer.append(features, timestamps)
            writer.end_video(relabel(part.videos[index]))
