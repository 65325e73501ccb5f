"""The feature file, format `vidrep-features` version 1, as it is read; `writer` writes it.

    /features     (N, *frame_shape) float16 | float32 | uint8    every video's frames, one video after the other
    /timestamps   (N,) float64                                   seconds in the source video
    /videos/      one column a field of VideoRow, one row a video
    attributes    format, version, settings (JSON: the extractor), versions (JSON: libraries)

docs/feature-file.md is the full description. N rows are contiguous and uncompressed, so that a window is one
slice of a memory map. A file is written under a temporary name and published whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError, OutputError
from .checksum import RowsChecksum
from .table import COLUMNS, STATUSES, VideoRow, rows_of

FORMAT = "vidrep-features"
VERSION = 1
SUFFIXES = frozenset({".h5", ".hdf5"})
DTYPES = ("float16", "float32", "uint8")
_BLOCK_BYTES = 16 << 20
# Deflate, the tightest of HDF5's own filters, makes one byte of 1032 at most.
_LARGEST_COMPRESSION = 1100

Settings = dict[str, Any]
"""What made the features, JSON-like: equal settings give equal rows for equal sources."""


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
    elif path.is_file():
        files = [path]
    else:
        raise FeatureFileError(
            f"{path}: no such file; give a feature file that `vidrep extract` or `vidrep import` made"
        )
    opened = [_open_file(file) for file in files]
    segments, tables, settings, versions = zip(*opened, strict=True)
    for file, one, its_settings in zip(files, segments, settings, strict=True):
        if one.features.shape[1:] != segments[0].features.shape[1:] or one.features.dtype != segments[0].features.dtype:
            raise FeatureFileError(f"{file}: frames of another shape or type than those of {files[0]}")
        difference = settings_difference(its_settings, settings[0])
        if difference:
            raise FeatureFileError(
                f"{file} and {files[0]} were made with different settings: {difference}; keep them in separate folders"
            )
    return Features(path, segments, tables, settings[-1], versions[-1])


def _open_file(path: Path) -> tuple[_Segment, list[VideoRow], Settings, dict[str, str]]:
    try:
        with h5py.File(path, "r") as file:
            _require_format(path, file.attrs)
            arrays, columns = plain_datasets(path, file), plain_datasets(path, file["videos"])
            segment = _Segment(path, _map(path, arrays["features"]), _map(path, arrays["timestamps"]))
            rows = rows_of({name: columns[name][:] for name in COLUMNS})
            settings, versions = dict(json.loads(file.attrs["settings"])), dict(json.loads(file.attrs["versions"]))
    except UNREADABLE as error:
        raise FeatureFileError(
            f"{path}: not a readable feature file ({why_unreadable(error)}); give one that `vidrep extract` or "
            "`vidrep import` made, or make it again"
        ) from error
    _check_arrays(segment)
    _check_rows(path, rows, len(segment.features))
    return segment, rows, settings, versions


UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)
"""What h5py raises, one or the other, for files that are damaged or laid out otherwise than expected."""


def why_unreadable(error: Exception) -> str:
    """Say in one line what is wrong with a file, from one of UNREADABLE."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"it lacks {reason}" if isinstance(error, KeyError) else reason


def _require_format(path: Path, attributes: Mapping[str, Any]) -> None:
    if attributes.get("format") != FORMAT:
        raise FeatureFileError(
            f"{path}: an HDF5 file, but not of format {FORMAT}; `vidrep import` turns other files into one"
        )
    if attributes.get("version") != VERSION:
        version = attributes.get("version")
        raise FeatureFileError(f"{path}: version {version} of {FORMAT}; this vidrep reads version {VERSION}")


def plain_datasets(path: Path, group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return the arrays of a group that lie in this very file; links to elsewhere are left out.

    Raises FeatureFileError for an array that declares far more than the file holds, which would fill the memory.
    """
    plain = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
            continue
        if item.size and item.nbytes > _LARGEST_COMPRESSION * item.id.get_storage_size():
            raise FeatureFileError(f"{path}: {item.name} declares {item.nbytes} bytes that are not in the file")
        plain[name] = item
    return plain


def _map(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """Memory-map a contiguous dataset; what is not contiguous (chunks, compression) or is empty is read instead."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:
        return np.asarray(dataset[()])
    if offset + dataset.nbytes > path.stat().st_size:
        raise FeatureFileError(
            f"{path}: cut short: {dataset.name} needs {offset + dataset.nbytes} bytes; extract it again"
        )
    return np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape)


def _check_arrays(segment: _Segment) -> None:
    features, timestamps = segment.features, segment.timestamps
    if features.ndim < 1 or features.dtype.name not in DTYPES:
        raise FeatureFileError(
            f"{segment.path}: features of shape {features.shape} and type {features.dtype}; "
            f"wanted are (rows, ...) of {', '.join(DTYPES)}"
        )
    if timestamps.shape != features.shape[:1] or timestamps.dtype != np.float64:
        raise FeatureFileError(
            f"{segment.path}: {len(features)} features but timestamps {timestamps.shape} of {timestamps.dtype}"
        )


def _check_rows(path: Path, rows: Sequence[VideoRow], num_features: int) -> None:
    if len({row.path for row in rows}) != len(rows):
        raise FeatureFileError(f"{path}: a video is in its table twice")
    for row in rows:
        if row.start < 0 or row.length < 0 or row.start + row.length > num_features or row.status not in STATUSES:
            raise FeatureFileError(f"{path}: the table's entry for video {row.path!r} does not fit the file")


def settings_difference(found: Mapping[str, Any], wanted: Mapping[str, Any], *, prefix: str = "") -> str:
    """Say what first differs between settings that would not give the same features: "size is 32, not 16"; or ''.

    Where a weights file lies does not count: its hash does.
    """
    for key in sorted((found.keys() | wanted.keys()) - {"weights_file"}):
        one, other = found.get(key), wanted.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            difference = settings_difference(one, other, prefix=f"{prefix}{key}.")
            if difference:
                return difference
        elif one != other:
            return f"{prefix}{key} is {one!r}, not {other!r}"
    return ""


def require_same_settings(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise OutputError with the first difference if two settings would not give the same features."""
    difference = settings_difference(found, wanted)
    if difference:
        raise OutputError(
            f"{path} was made with other settings: {difference}; use the same settings, another output, or --overwrite"
        )
