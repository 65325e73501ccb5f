"""Features of other programs turned into a feature file; foreign/ finds and reads them."""

import logging
import math
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, FeatureFileError, InputError, VideoError, some_names
from ..files import sha256_of_file
from ..progress import Progress, ProgressListener, ignore_progress
from .annotations import Annotation, merge
from .failures import Failure, failures_path, write_failures
from .foreign import idx
from .foreign.folder import videos_of_folder
from .foreign.formats import open_tree
from .foreign.layouts import sequences_of, videos_of
from .foreign.tree import ForeignFrames, ForeignVideo
from .store import Features, open_features
from .table import VideoRow
from .untrusted import reason_of
from .versions import library_versions
from .writer import require_new_file, writing_features

_log = logging.getLogger(__name__)

# As of a path on Linux. The table of a feature file pads all keys to the longest.
_LONGEST_KEY = 4096
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


def import_features(
    source: Path | str,
    output: Path | str,
    *,
    array: str = "",
    fps: float = 0.0,
    annotations: Mapping[str, Annotation] | None = None,
    follow_links: bool = False,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
) -> ImportSummary:
    """Write features of other programs as a feature file, one row a frame; float64 is stored as float32.

    source: a folder with a file a video, class folders as labels; or a file of many videos: an array or a group each,
        or one array (V, T, ...); or the .npy file of Moving MNIST's test sequences, uint8 (T, V, H, W), time first; or
        a folder of IDX files as MNIST's, whose images become sequences of pixels.
        docs/feature-file.md lists the formats and layouts.
    array: the array to take where a video has several; see foreign.layouts.videos_of and foreign.folder.
    fps: frames a second of the features, for the timestamps, instead of rates and times in the source. Where neither
        is known, frames count as seconds.
    annotations: take precedence over the labels, splits and groups of the source.
    follow_links: take symbolic links in a folder to files and folders anywhere.

    Leading axes of 1 are dropped. An array that cannot be read, holds values that are not finite, or is of another
    shape or type than most becomes a failure. What was taken, and what was not, is logged.
    Raises InputError if nothing can be imported, OutputError if the output exists.
    """
    source, output = Path(source), Path(output)
    if not 0 <= fps < math.inf:
        raise ConfigError(f"fps {fps}: give the frames a second of the features, 0 if they are not known")
    require_new_file(output, overwrite=overwrite)
    videos = _videos(source, array=array, follow_links=follow_links, output=output)
    shapes, failures = _survey(videos)
    kept = [video for video in videos if video.key in shapes]
    wanted = merge([v.key for v in kept], [v.label for v in kept], [v.split for v in kept], annotations or {})
    wanted.log()
    frame_shape, dtype = next(iter(shapes.values())).frame
    _report(source, shapes, fps)
    with writing_features(
        output,
        settings={"kind": "import", "source": source.name} | ({"array": array} if array else {}),
        versions=library_versions("numpy"),
        num_rows=sum(shape.length for shape in shapes.values()),
        frame_shape=frame_shape,
        dtype=_STORED_AS[dtype],
    ) as writer:
        for index, video in enumerate(kept):
            shape, loaded = shapes[video.key], video.load()
            size, sha256 = (video.file.stat().st_size, sha256_of_file(video.file)) if video.file else (0, "")
            row = VideoRow(
                video.key,
                label=wanted.labels[index],
                split=wanted.splits[index],
                group=wanted.groups[index] if index in wanted.decided["group"] else video.group,
                fps=fps or loaded.fps,
                source_size=size,
                source_sha256=sha256,
            )
            writer.append(_stored(loaded.features).reshape(shape.length, *frame_shape), _seconds(loaded, shape, fps))
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


def _videos(source: Path, *, array: str, follow_links: bool, output: Path) -> list[ForeignVideo]:
    """Find the videos of a source, sorted by key, and log how they lie in it."""
    if source.is_dir() and idx.image_files(source):
        videos = idx.videos_of(source)
        _log.info("%s: %d images of IDX files, each a video of its pixels, row by row", source, len(videos))
        if others := idx.other_files(source):
            _log.warning("%s: %d other files are left out: %s", source, len(others), some_names(others))
    elif source.is_dir():
        videos = videos_of_folder(source, array=array, follow_links=follow_links, without=output)
    elif not source.exists():
        raise InputError(f"{source}: no such folder or file; give a folder with a file a video, or a file of many")
    else:
        tree = open_tree(source)
        if list(tree.arrays) == [""] and not array:
            videos = sequences_of(tree)
        else:
            found = videos_of(tree, array=array)
            videos = found.videos
            _log.info("%s: %d videos, %s: %s", source, len(videos), found.layout, some_names(v.key for v in videos))
            _report_left_out(source, found.left_out)
    if longest := max((len(video.key) for video in videos if len(video.key) > _LONGEST_KEY), default=0):
        raise FeatureFileError(f"{source}: a video has a name of {longest} characters; at most {_LONGEST_KEY} are read")
    named = [replace(video, key=_composed(video.key), label=_composed(video.label)) for video in videos]
    if twice := [key for key, count in Counter(video.key for video in named).items() if count > 1]:
        raise FeatureFileError(f"{source}: two videos have the same name: {some_names(twice)}; names must differ")
    return sorted(named, key=lambda video: video.key)


def _composed(name: str) -> str:
    """Return a name in composed form (NFC), in which names are compared everywhere."""
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class _Shape:
    """What the first reading of a video found.

    whole: the shape of its array. length: T, without leading axes of 1. frame: the shape and the type of a frame.
    has_times: whether the source has times that can be taken, one a frame; None if it has none at all. left_out: the
    other arrays of its file.
    """

    whole: tuple[int, ...]
    length: int
    frame: tuple[tuple[int, ...], str]
    has_times: bool | None
    left_out: Sequence[str]


def _survey(videos: Sequence[ForeignVideo]) -> tuple[dict[str, _Shape], list[Failure]]:
    """Read every array: return the shapes of those that agree with most others, by key, and failures for the rest."""
    read: dict[str, tuple[ForeignVideo, tuple[int, ...], str, int | None, Sequence[str]]] = {}
    failures: list[Failure] = []
    for video in videos:
        try:
            loaded = video.load()
            _require_features(loaded.features)
            whole, dtype = loaded.features.shape, loaded.features.dtype.name
            read[video.key] = (video, whole, dtype, _num_times(loaded), loaded.left_out)
        except (InputError, MemoryError) as error:
            reason = reason_of(error).removeprefix(f"{video.source}: ")
            failures.append(Failure(path=video.key, status="failed", reason=reason, source=video.source))
    if not read:
        raise InputError(f"none of the {len(videos)} arrays can be imported; {failures[0].path}: {failures[0].reason}")
    frames = {(whole[1:], dtype) for _, whole, dtype, *_ in read.values() if len(whole) == 2 or whole[0] > 1}
    shapes = {}
    for key, (_, whole, dtype, num_times, left_out) in read.items():
        length, *frame = _without_leading_axes(whole, dtype, frames)
        has_times = None if num_times is None else num_times == length
        shapes[key] = _Shape(whole, length, (tuple(frame), dtype), has_times, left_out)
    kinds = Counter(shape.frame for shape in shapes.values())
    usual = max(kinds, key=lambda kind: kinds[kind])
    for key, (video, *_) in read.items():
        if (got := shapes[key].frame) != usual:
            del shapes[key]
            reason = f"frames of {got[0]} {got[1]}, where most videos have {usual[0]} {usual[1]}"
            failures.append(Failure(path=key, status="failed", reason=reason, source=video.source))
    return shapes, failures


def _require_features(features: NDArray[Any]) -> None:
    if features.ndim < 2 or not features.size or features.dtype.name not in _STORED_AS:
        raise VideoError(
            f"an array of shape {features.shape} and type {features.dtype}; wanted is (frames, values) of "
            + ", ".join(_STORED_AS)
        )
    if not np.isfinite(_stored(features)).all():
        raise VideoError(f"values that are not finite (NaN, or too large for {_STORED_AS[features.dtype.name]})")


def _num_times(loaded: ForeignFrames) -> int | None:
    """Count the times of a video; -1 if they step back or are not finite, None if there are none."""
    seconds = loaded.seconds
    if seconds is None:
        return None
    return len(seconds) if np.isfinite(seconds).all() and (np.diff(seconds) >= 0).all() else -1


def _without_leading_axes(
    whole: tuple[int, ...], dtype: str, frames: Collection[tuple[tuple[int, ...], str]]
) -> tuple[int, ...]:
    """Drop leading axes of 1, as in (1, T, D), unless what follows is the shape of a frame of other videos."""
    while len(whole) > 2 and whole[0] == 1 and (whole[1:], dtype) not in frames:
        whole = whole[1:]
    return whole


def _stored(features: NDArray[Any]) -> NDArray[Any]:
    """Convert to the type that a feature file holds; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return features.astype(_STORED_AS[features.dtype.name])


def _seconds(loaded: ForeignFrames, shape: _Shape, fps: float) -> NDArray[np.float64]:
    """Return the times of a video's frames: by the rate that was given, from the source, by the rate of the source."""
    if loaded.seconds is not None and shape.has_times and not fps:
        return loaded.seconds
    return np.arange(shape.length) / (fps or loaded.fps or 1.0)


def _report_left_out(source: Path, paths: Sequence[str]) -> None:
    if paths:
        names = some_names(dict.fromkeys(path.rpartition("/")[2] for path in paths))
        _log.warning("%s: %d other arrays are left out: %s", source, len(paths), names)


def _report(source: Path, shapes: Mapping[str, _Shape], fps: float) -> None:
    """Log what was changed in the features, or not taken from the source."""
    _report_left_out(source, [path for shape in shapes.values() for path in shape.left_out])
    squeezed = [key for key, shape in shapes.items() if len(shape.whole) > 1 + len(shape.frame[0])]
    if squeezed:
        example = f"of shape {shapes[squeezed[0]].whole}: {some_names(squeezed)}"
        _log.info("%s: leading axes of 1 are dropped from %d arrays %s", source, len(squeezed), example)
    timed = [key for key, shape in shapes.items() if shape.has_times]
    if timed:
        _log.info("%s: the times of %d videos are %s", source, len(timed), f"by --fps {fps:g}" if fps else "its own")
    wrong = [key for key, shape in shapes.items() if shape.has_times is False]
    if wrong and not fps:
        _log.warning(
            "%s: times of %d videos are not taken, as they step back, are not finite, or are not one a frame: %s",
            source, len(wrong), some_names(wrong),
        )  # fmt: skip
