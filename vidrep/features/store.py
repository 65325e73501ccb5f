"""The feature file, format `vidrep-features` version 2, as it is read; `writer` writes it.

    /features     (N, *frame_shape) float16 | float32 | uint8    every video's frames, one video after the other
    /timestamps   (N,) float64                                   seconds in the source video
    /videos/      a column for each field of VideoRow, one row a video
    attributes    format, version, settings (JSON: the extractor), versions (JSON: libraries)

docs/feature-file.md is the full description. N rows are contiguous and uncompressed, so that a window is one
slice of a memory map. A file is written under a temporary name and published whole.
"""

import copy
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError
from ..names import keys_of_places
from .checksum import RowsChecksum
from .parts_folder import parts_of
from .rows import LoadedRows, Rows, RowsFile, release_pages
from .settings import Settings, settings_difference
from .table import COLUMNS, REQUIRED_COLUMNS, STATUSES, VideoRow, is_column_dtype, rows_of
from .untrusted import ArrayLayout, UnfitError, UntrustedFile, open_untrusted
from .version_1 import OLD_COLUMNS, current_settings

FORMAT = "vidrep-features"
VERSION = 2
SUFFIXES = frozenset({".h5", ".hdf5"})
DTYPES = ("float16", "float32", "uint8")
_BLOCK_BYTES = 4 << 20
# Every map and every open file takes a file descriptor; a process has 1024 of them, on a Mac 256.
_MAX_OPEN_FILES = 128
_LARGEST_FRAME_BYTES = 1 << 30
_DEEPEST_SETTINGS = 16


@dataclass(frozen=True, kw_only=True)
class FileContent:
    """What one file holds: its rows of features, its table of videos and its attributes."""

    rows: RowsFile
    table: list[VideoRow]
    settings: Settings
    versions: dict[str, str]
    format_version: int


class Features:
    """The features of many videos, read from one file or from a folder of parts, memory-mapped.

    videos: one VideoRow a video, sorted by root and path; `start` counts rows within the video's own file. `path` is
        the key: "a.mp4", or with the root in front, "clips/a.mp4", where several roots have that path. A video that
        is in several parts is read from the last: the newest.
    missing: rows of videos whose source is gone, or that are not to be used, as they are stored.
    file_numbers: (V,) which file each video is in; first_rows: (V,) its first row there.
    format_version: the oldest version of its files; below VERSION, the next extraction rewrites them.

    Files are mapped when they are first read, 128 at most at a time; views stay valid as long as they are referenced. A
    Features can be pickled: the other process maps the files itself.
    """

    def __init__(self, path: Path, files: Sequence[FileContent], *, as_stored: bool = False) -> None:
        """See `open_features`."""
        self.path = path
        self.settings, self.versions = files[-1].settings, files[-1].versions
        self.format_version = min(file.format_version for file in files)
        layout = files[0].rows.layouts["features"]
        self.frame_shape: tuple[int, ...] = layout.shape[1:]
        self.dtype = layout.dtype.name
        located = {row.place: (row, number) for number, file in enumerate(files) for row in file.table}
        stored = [located[place] for place in sorted(located)]
        there = [one for one in stored if as_stored or not one[0].missing]
        self.missing = [row for row, _ in stored if row.missing and not as_stored]
        self.videos = [row for row, _ in there] if as_stored else _with_keys([row for row, _ in there])
        self.file_numbers = np.array([number for _, number in there], dtype=np.int64)
        self.first_rows = np.array([row.start for row in self.videos], dtype=np.int64)
        self._index = {row.path: index for index, row in enumerate(self.videos)}
        self._use([file.rows for file in files])

    def _use(self, files: Sequence[RowsFile] | Sequence[LoadedRows]) -> None:
        self._files = files
        self._open = lru_cache(_MAX_OPEN_FILES)(lambda number: files[number].open())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_open"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._use(self._files)

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        shape = (self.num_frames, *self.frame_shape)
        return f"Features({str(self.path)!r}, {len(self)} videos, {shape} {self.dtype})"

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def __getitem__(self, video: str | int) -> NDArray[np.generic]:
        """Return all frames of a video by its key or its position, (length, *frame_shape), as `rows` does.

        Raises KeyError or IndexError for one that is not there.
        """
        return self.rows(self.index(video) if isinstance(video, str) else range(len(self))[video])

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        """Yield the frames of each video, in the order of `paths`."""
        return (self.rows(video) for video in range(len(self)))

    @property
    def paths(self) -> list[str]:
        """The key of each video, in their order."""
        return [row.path for row in self.videos]

    @property
    def labels(self) -> list[str]:
        """The label of each video, '' for none."""
        return [row.label for row in self.videos]

    @property
    def groups(self) -> list[str]:
        """The group of each video, '' for none."""
        return [row.group for row in self.videos]

    def to_numpy(self, pool: Literal["mean", "max", "last"] = "mean") -> tuple[NDArray[np.float32], NDArray[np.str_]]:
        """Return X, (V, D), each video's frames pooled over time, NaN without a frame, and y, (V,), the labels."""
        pooled = np.full((len(self), self.frame_size), np.nan, dtype=np.float32)
        for video, frames in enumerate(self):
            if len(frames):
                values = np.asarray(frames).reshape(len(frames), -1).astype(np.float32)
                pooled[video] = values[-1] if pool == "last" else values.max(0) if pool == "max" else values.mean(0)
        return pooled, np.array(self.labels, dtype=np.str_)

    @property
    def num_frames(self) -> int:
        """Frames of all videos together."""
        return sum(row.length for row in self.videos)

    @property
    def frame_size(self) -> int:
        """D: the number of values of a frame."""
        return int(np.prod(self.frame_shape, dtype=np.int64))

    @cached_property
    def source_videos(self) -> NDArray[np.int64]:
        """The index of each video's source, (V,), counted in the order of the keys: crops of one video share theirs."""
        numbers: dict[tuple[str, str], int] = {}
        sources = [(row.source_key, row.source_sha256) for row in self.videos]
        return np.array([numbers.setdefault(source, len(numbers)) for source in sources], dtype=np.int64)

    def index(self, key: str) -> int:
        """Return the position of a video in `videos`; KeyError if it is not there."""
        return self._index[key]

    def file_rows(self, number: int) -> Rows:
        """Return all rows of a file, sliceable: (rows, *frame_shape), a view of its memory map if it is not in chunks.

        This and all other reading of rows raises FeatureFileError if the file is gone or not the one that was opened.
        """
        return self._open(number)["features"]

    def rows(self, video: int, start: int = 0, stop: int | None = None) -> NDArray[np.generic]:
        """Return frames start .. stop of a video, (n, *frame_shape): a view of the memory map, copied when used."""
        length, first = self.videos[video].length, int(self.first_rows[video])
        stop = length if stop is None else min(stop, length)
        return self.file_rows(int(self.file_numbers[video]))[first + start : first + stop]

    def timestamps(self, video: int) -> NDArray[np.float64]:
        """Return the time of each of a video's frames in its source, (length,) seconds."""
        first = int(self.first_rows[video])
        return self._open(int(self.file_numbers[video]))["timestamps"][first : first + self.videos[video].length]

    def blocks(self, video: int) -> Iterator[tuple[NDArray[np.generic], NDArray[np.float64]]]:
        """Yield a video's (features, timestamps) in blocks of bounded size, to copy or to check.

        A block's memory is released when the next one is taken.
        """
        row_bytes = max(1, self.frame_size * np.dtype(self.dtype).itemsize)
        size = max(1, _BLOCK_BYTES // row_bytes)
        times = self.timestamps(video)
        for start in range(0, self.videos[video].length, size):
            features = self.rows(video, start, start + size)
            yield features, times[start : start + size]
            release_pages(features)

    def damaged(self) -> Iterator[str]:
        """Yield the keys of the videos whose rows no longer have their checksum."""
        for index, row in enumerate(self.videos):
            checksum = RowsChecksum()
            for features, timestamps in self.blocks(index):
                checksum.update(features, timestamps)
            if checksum.hexdigest() != row.checksum:
                yield row.path

    def file_of(self, video: int) -> Path:
        """Return the file that a video is read from: in a folder of parts, its part."""
        return self._files[int(self.file_numbers[video])].path

    def preload(self) -> "Features":
        """Return the same features with all rows in memory, one video after the other.

        Raises FeatureFileError if there is not enough memory.
        """
        try:
            rows = np.empty((self.num_frames, *self.frame_shape), dtype=self.dtype)
        except MemoryError as error:
            raise FeatureFileError(f"{self.path}: does not fit into memory; read it from the file") from error
        times, end = np.empty(len(rows)), 0
        for video in range(len(self)):
            for features, timestamps in self.blocks(video):
                start, end = end, end + len(features)
                rows[start:end], times[start:end] = features, timestamps
        loaded = copy.copy(self)
        loaded._use([LoadedRows(self.path, {"features": rows, "timestamps": times})])
        lengths = np.array([row.length for row in self.videos], dtype=np.int64)
        loaded.file_numbers, loaded.first_rows = np.zeros_like(lengths), np.cumsum(lengths) - lengths
        return loaded


def opened(features: Features | Path | str) -> Features:
    """Return features as they are, or open the feature file at a path; raises as `open_features`."""
    return features if isinstance(features, Features) else open_features(features)


def open_features(path: Path | str, *, as_stored: bool = False) -> Features:
    """Open a feature file, or a folder of parts as if it were one; rows are not read yet.

    as_stored: with the videos that are missing, and with paths within their roots instead of keys, as extraction needs.

    Raises FeatureFileError, naming the file, if it is missing, damaged, not ours or of an unknown version.
    """
    path = Path(path)
    if path.is_dir():
        paths = parts_of(path)
    elif path.is_file():
        paths = [path]
    else:
        raise FeatureFileError(
            f"{path}: no such file; give a feature file that `vidrep extract` or `vidrep import` made"
        )
    files = [_open_file(path) for path in paths]
    for file in files:
        if _kind_of_frame(file.rows) != _kind_of_frame(files[0].rows):
            raise FeatureFileError(f"{file.rows.path}: frames of another shape or type than those of {paths[0]}")
        difference = settings_difference(file.settings, files[0].settings)
        if difference:
            raise FeatureFileError(
                f"{file.rows.path} and {paths[0]} were made with different settings: {difference}; "
                "keep them in separate folders"
            )
    return Features(path, files, as_stored=as_stored)


def _with_keys(rows: Sequence[VideoRow]) -> list[VideoRow]:
    """Return rows with their keys as paths: the root is in front where several have one path."""
    keys = keys_of_places([row.place for row in rows])
    return [row if row.path == key else replace(row, path=key) for row, key in zip(rows, keys, strict=True)]


def _kind_of_frame(file: RowsFile) -> tuple[tuple[int, ...], np.dtype[Any]]:
    layout = file.layouts["features"]
    return layout.shape[1:], layout.dtype


def _open_file(path: Path) -> FileContent:
    advice = "give one that `vidrep extract` or `vidrep import` made, or make it again"
    with open_untrusted(path, what="feature file", advice=advice) as file:
        version = _format_version(path, file)
        layouts = {name: file.array(name).layout for name in ("features", "timestamps")}
        _check_layouts(**layouts)
        settings = _read_json(file, "settings")
        table = _read_table(file, OLD_COLUMNS if version == 1 else {}, decoding_version=_decoding_version(settings))
        _check_table(table, num_features=layouts["features"].shape[0])
        return FileContent(
            rows=RowsFile(path, file.state, layouts),
            table=table,
            settings=current_settings(settings) if version == 1 else settings,
            versions=_read_json(file, "versions"),
            format_version=version,
        )


def _format_version(path: Path, file: UntrustedFile) -> int:
    found = file.attribute("format")
    if found != FORMAT:
        raise FeatureFileError(
            f"{path}: an HDF5 file, but not of format {FORMAT}; `vidrep import` turns other files into one"
        )
    version = file.attribute("version")
    if not isinstance(version, int) or version not in (1, VERSION):
        raise FeatureFileError(f"{path}: version {version} of {FORMAT}; this vidrep reads versions 1 and {VERSION}")
    return version


def _check_layouts(features: ArrayLayout, timestamps: ArrayLayout) -> None:
    if not features.shape or features.dtype not in [np.dtype(name).newbyteorder("<") for name in DTYPES]:
        raise UnfitError(
            f"features of shape {features.shape} and type {features.dtype}; wanted are (rows, ...) of "
            f"{', '.join(DTYPES)}, little-endian"
        )
    frame_bytes = math.prod(features.shape[1:]) * features.dtype.itemsize
    if frame_bytes > _LARGEST_FRAME_BYTES:
        raise UnfitError(f"features of shape {features.shape}: a frame has at most {_LARGEST_FRAME_BYTES} bytes")
    if timestamps.shape != features.shape[:1] or timestamps.dtype != np.dtype("<f8"):
        raise UnfitError(f"{features.shape[0]} features but timestamps {timestamps.shape} of {timestamps.dtype}")


def _decoding_version(settings: Settings) -> int:
    """Return with what version all videos of a file were decoded that does not record it of each."""
    return settings.get("decoding_version", 1) if settings.get("decoder") == "pyav" else 0


def _read_table(file: UntrustedFile, old_names: Mapping[str, str], *, decoding_version: int) -> list[VideoRow]:
    columns = {}
    for name, kind in COLUMNS.items():
        try:
            array = file.array(f"videos/{old_names.get(name, name)}")
        except KeyError:
            if name in REQUIRED_COLUMNS:
                raise
            continue
        if not is_column_dtype(array.layout.dtype, kind):
            raise UnfitError(f"/videos/{name} is of type {array.layout.dtype}, which its column cannot be")
        columns[name] = array.column()
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise UnfitError(f"the columns of /videos have different lengths: {', '.join(map(str, sorted(lengths)))}")
    rows = rows_of(columns)
    if "decoding_version" in columns:
        return rows
    return [replace(row, decoding_version=decoding_version) for row in rows]


def _check_table(rows: Sequence[VideoRow], *, num_features: int) -> None:
    for (_, path), count in Counter(row.place for row in rows).items():
        if count > 1:
            raise UnfitError(f"video {path!r} is in its table twice, in one Unicode normalization or two")
    end_before = 0
    for row in sorted(rows, key=lambda row: row.start):
        is_inside = row.start >= 0 and row.length >= 0 and row.start + row.length <= num_features
        if not is_inside or row.status not in STATUSES:
            raise UnfitError(f"the table's entry for video {row.path!r} does not fit the file")
        if row.length and row.start < end_before:
            raise UnfitError(f"the rows of video {row.path!r} overlap another's")
        end_before = max(end_before, row.start + row.length)


def _read_json(file: UntrustedFile, name: str) -> dict[str, Any]:
    text = file.attribute(name)
    values = json.loads(text) if isinstance(text, str) else None
    if not isinstance(values, dict) or _depth(values) > _DEEPEST_SETTINGS:
        raise UnfitError(f"attribute {name} is no JSON object, or nested deeper than {_DEEPEST_SETTINGS}")
    return values


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
