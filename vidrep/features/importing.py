"""Features of other programs turned into a feature file: a folder of arrays, an HDF5 array, Moving MNIST's .npy."""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, FeatureFileError, InputError, VideoError, some_names
from ..files import sha256_of_file
from ..progress import Progress, ProgressListener, ignore_progress
from .annotations import Annotation, merge
from .failures import Failure, failures_path, write_failures
from .foreign import read_video_array
from .rows import Rows
from .store import SUFFIXES, Features, open_features
from .table import VideoRow
from .untrusted import reason_of
from .versions import library_versions
from .writer import require_new_file, writing_features

ARRAY_SUFFIXES = (".npy", ".npz")
# What numpy raises for files that are damaged, hold pickled objects or are no arrays at all.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
_STORED_AS = {"float16": "float16", "float32": "float32", "float64": "float32", "uint8": "uint8"}


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What an import did: the features in the output, and arrays that could not be read (in `failures_file` too).

    missing: annotated names that match no video. unlisted: videos without an annotation.
    """

    features: Features
    failures: list[Failure]
    failures_file: Path
    missing: list[str]
    unlisted: list[str]


class _Item(Protocol):
    """One video's features before they are imported."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def source(self) -> str: ...

    def read(self) -> NDArray[np.generic]:
        """Return the frames, (T, ...); raises VideoError if they cannot be read."""

    def fingerprint(self) -> tuple[int, str]:
        """Return the size and SHA-256 of the source file, (0, "") if the video has none of its own."""


def import_features(
    source: Path | str,
    output: Path | str,
    *,
    fps: float = 0.0,
    annotations: Mapping[str, Annotation] | None = None,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
) -> ImportSummary:
    """Write features of other programs as a feature file, one row a frame; float64 is stored as float32.

    source: a folder with one .npy or .npz array (T, ...) a video, class folders as labels; or an .h5 file with an array
        (V, T, ...) and, if it has them, labels, splits, groups and names (docs/feature-file.md gives their names); or
        the .npy file of Moving MNIST's test sequences, uint8 (T, V, H, W), time first: they get the split "test".
    fps: frames a second of the features, for the timestamps; unknown if 0, which counts frames as seconds.
    annotations: take precedence over the labels, splits and groups of the source.

    An array that cannot be read, holds values that are not finite, or is of another shape or type than most becomes a
    failure.
    Raises InputError if nothing can be imported, OutputError if the output exists.
    """
    source, output = Path(source), Path(output)
    if not 0 <= fps < math.inf:
        raise ConfigError(f"fps {fps}: give the frames a second of the features, 0 if they are not known")
    require_new_file(output, overwrite=overwrite)
    items = _items(source)
    shapes, failures = _survey(items)
    kept = [item for item in items if item.key in shapes]
    wanted = merge([i.key for i in kept], [i.label for i in kept], [i.split for i in kept], annotations or {})
    frame_shape, dtype = next(iter(shapes.values()))[1:]
    with writing_features(
        output,
        settings={"kind": "import", "source": source.name},
        versions=library_versions("numpy"),
        num_rows=sum(length for length, _, _ in shapes.values()),
        frame_shape=frame_shape,
        dtype=_STORED_AS[dtype],
    ) as writer:
        for index, item in enumerate(kept):
            frames = _stored(item.read())
            size, sha256 = item.fingerprint()
            row = VideoRow(
                item.key,
                label=wanted.labels[index],
                split=wanted.splits[index],
                group=wanted.groups[index] or item.group,
                fps=fps,
                source_size=size,
                source_sha256=sha256,
            )
            writer.append(frames, np.arange(len(frames)) / (fps or 1.0))
            writer.end_video(row)
            on_progress(Progress(done=index + 1, total=len(kept), unit="videos"))
    write_failures(failures_path(output), failures)
    return ImportSummary(
        features=open_features(output),
        failures=failures,
        failures_file=failures_path(output),
        missing=wanted.missing,
        unlisted=wanted.unlisted,
    )


_Shape = tuple[int, tuple[int, ...], str]
"""Frames, shape of a frame, dtype."""


def _survey(items: Sequence[_Item]) -> tuple[dict[str, _Shape], list[Failure]]:
    """Read every array: return the shapes of those that agree with most others, by key, and failures for the rest."""
    shapes: dict[str, _Shape] = {}
    failures: list[Failure] = []
    for item in items:
        try:
            frames = item.read()
            if frames.ndim < 2 or not frames.size or frames.dtype.name not in _STORED_AS:
                raise VideoError(
                    f"an array of shape {frames.shape} and type {frames.dtype}; wanted is (frames, values) of "
                    + ", ".join(_STORED_AS)
                )
            if not np.isfinite(_stored(frames)).all():
                raise VideoError(f"values that are not finite (NaN, or too large for {_STORED_AS[frames.dtype.name]})")
            shapes[item.key] = (len(frames), frames.shape[1:], frames.dtype.name)
        except VideoError as error:
            failures.append(Failure(path=item.key, status="failed", reason=str(error), source=item.source))
    kinds = [shape[1:] for shape in shapes.values()]
    if not kinds:
        raise InputError(f"none of the {len(items)} arrays can be imported; {failures[0].path}: {failures[0].reason}")
    usual = max(dict.fromkeys(kinds), key=kinds.count)
    for item in items:
        if item.key in shapes and shapes[item.key][1:] != usual:
            got = shapes.pop(item.key)[1:]
            reason = f"frames of {got[0]} {got[1]}, where most videos have {usual[0]} {usual[1]}"
            failures.append(Failure(path=item.key, status="failed", reason=reason, source=item.source))
    return shapes, failures


def _stored(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """Convert to the type that a feature file holds; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return frames.astype(_STORED_AS[frames.dtype.name])


def _items(source: Path) -> list[_Item]:
    if source.is_dir():
        found: list[_Item] = [
            _ArrayFile(source, path)
            for path in sorted(source.rglob("*"))
            if path.suffix in ARRAY_SUFFIXES
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(source).parts)
        ]
        if not found:
            raise InputError(f"{source}: no .npy or .npz file in this folder; there must be one a video")
        return sorted(found, key=lambda item: item.key)
    if not source.exists():
        raise InputError(f"{source}: no such folder or file; give a folder of .npy files or an .h5 file")
    if source.suffix in ARRAY_SUFFIXES:
        return list(_sequences(source))
    if source.suffix not in SUFFIXES:
        raise InputError(f"{source}: neither a folder of .npy or .npz files nor an .h5 file")
    return list(_array_rows(source))


class _ArrayFile:
    """A video's features in an .npy file, or an .npz file with one array."""

    split = group = ""

    def __init__(self, root: Path, path: Path) -> None:
        self._path = path
        relative = path.relative_to(root)
        self.key = relative.as_posix()
        self.label = relative.parent.name
        self.source = str(path)

    def read(self) -> NDArray[np.generic]:
        """Return the frames; an .npy file is memory-mapped. Pickled objects are never loaded."""
        try:
            # Opened here: numpy leaves a file open that begins like a zip archive and is none.
            with self._path.open("rb") as file:
                magic = file.read(6)
                if magic == b"\x93NUMPY":
                    mapped: NDArray[np.generic] = np.load(self._path, mmap_mode="r", allow_pickle=False)
                    return mapped
                if magic[:2] != b"PK":
                    raise VideoError("neither an .npy nor an .npz file")
                file.seek(0)
                arrays = np.load(file, allow_pickle=False)
                if len(arrays.files) != 1:
                    raise VideoError(f"{len(arrays.files)} arrays ({some_names(arrays.files)}); there must be one")
                array: NDArray[np.generic] = arrays[arrays.files[0]]
                return array
        except _UNREADABLE as error:
            raise VideoError(f"not an array that can be read ({reason_of(error)})") from error

    def fingerprint(self) -> tuple[int, str]:
        """Return the file's size and SHA-256."""
        return self._path.stat().st_size, sha256_of_file(self._path)


@dataclass(frozen=True)
class _Sequence:
    """A sequence of an array whose first dimension is time, (T, V, H, W)."""

    key: str
    source: str
    array: NDArray[np.generic]
    number: int
    label = group = ""
    split = "test"

    def read(self) -> NDArray[np.generic]:
        """Return the frames, (T, H, W), from the memory map."""
        return self.array[:, self.number]

    def fingerprint(self) -> tuple[int, str]:
        """Return (0, ""): the sequence has no file of its own."""
        return 0, ""


def _sequences(source: Path) -> Iterator[_Sequence]:
    """Yield the sequences of a file such as mnist_test_seq.npy, under the keys that generated ones have."""
    try:
        array = _ArrayFile(source.parent, source).read()
    except VideoError as error:
        raise InputError(f"{source}: {error}") from error
    if array.ndim != 4 or array.dtype != np.uint8 or not array.size:
        raise InputError(
            f"{source}: an array of shape {array.shape} and type {array.dtype}; a file by itself must hold sequences "
            "like Moving MNIST's, (frames, sequences, height, width) of uint8; for other features give the folder, "
            "with one file a video"
        )
    for number in range(array.shape[1]):
        yield _Sequence(f"{number:08d}", str(source), array, number)


@dataclass(frozen=True)
class _ArrayRow:
    """A video's features as one row of a big array."""

    key: str
    label: str
    split: str
    group: str
    source: str
    array: Rows
    number: int

    def read(self) -> NDArray[np.generic]:
        """Return the frames; those that are not in chunks are memory-mapped."""
        try:
            frames: NDArray[np.generic] = self.array[self.number : self.number + 1][0]
        except (FeatureFileError, MemoryError) as error:
            raise VideoError(f"not an array that can be read ({reason_of(error)})") from error
        return frames

    def fingerprint(self) -> tuple[int, str]:
        """Return (0, ""): the video has no file of its own."""
        return 0, ""


def _array_rows(source: Path) -> Iterator[_ArrayRow]:
    array = read_video_array(source)
    blank = [""] * array.num_videos
    names = array.names or [f"{number:06d}" for number in range(array.num_videos)]
    labels, splits, groups = array.labels or blank, array.splits or blank, array.groups or blank
    if len(set(names)) != len(names):
        raise FeatureFileError(f"{source}: two videos have the same name; names must differ")
    for index in sorted(range(len(names)), key=lambda index: names[index]):
        yield _ArrayRow(names[index], labels[index], splits[index], groups[index], str(source), array.features, index)
