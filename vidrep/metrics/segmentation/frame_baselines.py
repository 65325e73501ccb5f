"""What a network that labels every frame is measured against: classifiers of a frame, or of the mean frame around it.

Shapes: T frames of a video, D values of a frame, K labels, N frames that are fitted to.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import LabelError
from ...models.inputs import to_original_units
from ...models.logistic_regression import LinearClassifier
from ..cross_validation import RowClassifier, VideoRows, evenly_spread
from ..row_classifiers import FittedClassifier, LabeledVideos, fit_best, refit
from ..video_features import row_limit
from .bouts import UNKNOWN, Floats
from .frame_stream import Block, Window, windows

_log = logging.getLogger(__name__)

MAJORITY, SINGLE_FRAME, WINDOW_MEAN = "majority", "single frame", "mean of a window"
"""The baselines by the names that tables show."""

WINDOW_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""The lengths among which validation chooses that of the window."""

_FOLDS_SEED = 0
_FRAMES_AT_ONCE, _VALUES_AT_ONCE = 2048, 1 << 22
# Neighboring frames tell the same: of more frames the fit takes longer, and comes to the same.
_MOST_FRAMES = 3600


@dataclass(frozen=True, kw_only=True, eq=False)
class LabeledFrames:
    """A video of which some frames have known labels.

    frames: (T, ...) as a feature file stores them. targets: of each frame, (T,) its one label, 0 to K - 1, or UNKNOWN;
    or (T, K) whether each of several labels holds, 1 or 0, or UNKNOWN. group: what folds keep together.
    """

    frames: NDArray[np.generic]
    targets: NDArray[np.integer]
    group: str

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.targets):
            raise ValueError(f"{len(self.frames)} frames with {len(self.targets)} targets")

    @property
    def known(self) -> NDArray[np.int64]:
        """Which frames have a label that is known, ascending."""
        is_known = self.targets.reshape(len(self.targets), -1) != UNKNOWN
        return np.flatnonzero(is_known.any(axis=1))


class FrameClassifier(Protocol):
    """A fitted classifier of every frame."""

    @property
    def frames_ahead(self) -> int:
        """Frames after one that its probabilities depend on, at most; with 0, later ones do not change a bit of it."""

    def probabilities(self, blocks: Iterable[Block]) -> Iterator[NDArray[np.floating]]:
        """Classify the frames of a video, which come in blocks as they are stored, (n, ...) each; yield (n', K).

        Those of one label a frame sum to 1; of several labels, each has a probability of its own.
        """


@dataclass(frozen=True, eq=False)
class Majority:
    """Says the same of every frame: how frequent each label was where it was known, (K,)."""

    shares: Floats

    @property
    def frames_ahead(self) -> int:
        """See FrameClassifier."""
        return 0

    def probabilities(self, blocks: Iterable[Block]) -> Iterator[Floats]:
        """See FrameClassifier."""
        for block in blocks:
            yield np.tile(self.shares, (len(block), 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowClassifier:
    """Logistic regression on the mean of the frames around each frame.

    parts: one classifier of K labels; or, where several hold at once, K classifiers of whether each holds.
    lengths: the window of each part, in frames; 1 for the single frame.
    """

    parts: tuple[FittedClassifier, ...]
    lengths: tuple[int, ...]
    several_labels: bool

    @property
    def frame_size(self) -> int:
        """D."""
        classifier = self.parts[0].classifier
        assert isinstance(classifier, LinearClassifier)
        return int(classifier.weight.shape[1])

    @property
    def frames_ahead(self) -> int:
        """See FrameClassifier."""
        return max(self.lengths) // 2

    def probabilities(self, blocks: Iterable[Block]) -> Iterator[Floats]:
        """See FrameClassifier."""
        reach, at_once = max(self.lengths) // 2, _frames_at_once(self.frame_size)
        for window in windows(blocks, at_once, reach, reach):
            means = {length: window_means(window, length) for length in set(self.lengths)}
            found = [
                _classified(part.classifier, means[length], at_once + reach)
                for part, length in zip(self.parts, self.lengths, strict=True)
            ]
            yield np.stack([one[:, 1] for one in found], axis=1) if self.several_labels else found[0]


def _frames_at_once(frame_size: int) -> int:
    """Return how many frames are read at once: always so many of one size, on which the bits depend."""
    return max(64, min(_FRAMES_AT_ONCE, _VALUES_AT_ONCE // frame_size))


def _classified(classifier: RowClassifier, rows: NDArray[np.float32], shape: int) -> Floats:
    """Classify rows in products of one shape: with other ones the bits of a row depend on how many rows there are."""
    padded = np.zeros((shape, rows.shape[1]), dtype=np.float32)
    padded[: len(rows)] = rows
    return classifier.probabilities(padded)[: len(rows)]


def window_means(window: Window, length: int) -> NDArray[np.float32]:
    """Return the mean of the `length` frames around each frame of a window's core, an odd number, in original units.

    (n, D), for n frames of the core. The window has as many frames around these, fewer at the ends of the video alone,
    where means are of fewer.
    """
    values = to_original_units(torch.from_numpy(np.array(window.frames).reshape(len(window.frames), -1))).numpy()
    if length == 1:
        return values[window.first : window.stop]
    reach, positions = length // 2, np.arange(window.first, window.stop)
    sums = np.pad(np.cumsum(values, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    begins, ends = np.maximum(positions - reach, 0), np.minimum(positions + reach + 1, len(values))
    means: NDArray[np.float32] = ((sums[ends] - sums[begins]) / (ends - begins)[:, None]).astype(np.float32)
    return means


def fit_frame_baselines(
    videos: Sequence[LabeledFrames], num_labels: int, *, frames_per_second: float
) -> dict[str, FrameClassifier]:
    """Fit the baselines to the frames of videos whose labels are known, K labels.

    C and the length of the window are chosen by cross-validation over whole groups: the accuracy of frames decides,
    then their log loss. Of many frames some are fitted to, evenly spread, and a line in the log says so.

    Raises LabelError if no frame is known, or, where several labels may hold, none is for one of them.
    """
    several_labels = videos[0].targets.ndim == 2
    shares = _shares([video.targets for video in videos], num_labels)
    lengths = dict.fromkeys(2 * round(seconds * frames_per_second / 2) + 1 for seconds in WINDOW_SECONDS)
    sample = _FrameSample.of(videos, _most_frames(videos, len(lengths)))
    targets = sample.targets if several_labels else sample.targets[:, None]
    single, mean = (
        _window_classifier(sample, targets, some, shares, several_labels=several_labels) for some in ([1], [*lengths])
    )
    return {MAJORITY: Majority(shares), SINGLE_FRAME: single, WINDOW_MEAN: mean}


def refitted(
    classifiers: Mapping[str, FrameClassifier], videos: Sequence[LabeledFrames], num_labels: int
) -> dict[str, FrameClassifier]:
    """Fit baselines to other videos with the C and the windows that were chosen before."""
    shares = _shares([video.targets for video in videos], num_labels)
    lengths = {length for one in classifiers.values() if isinstance(one, WindowClassifier) for length in one.lengths}
    sample = _FrameSample.of(videos, _most_frames(videos, len(lengths)))
    rows = {length: sample.rows(length) for length in lengths}
    found: dict[str, FrameClassifier] = {}
    for name, one in classifiers.items():
        if not isinstance(one, WindowClassifier):
            found[name] = Majority(shares)
            continue
        targets, parts = sample.targets if one.several_labels else sample.targets[:, None], []
        for part, length, column in zip(one.parts, one.lengths, targets.T, strict=True):
            known = np.flatnonzero(column != UNKNOWN)
            # One that chose nothing, or of which no frame here tells, stays as it is.
            is_fitted = part.setting > 0 and len(known)
            num_classes = 2 if one.several_labels else num_labels
            parts.append(refit(part, rows[length][known], column[known], num_classes) if is_fitted else part)
        found[name] = replace(one, parts=tuple(parts))
    return found


def _most_frames(videos: Sequence[LabeledFrames], num_lengths: int) -> int:
    """Return how many frames are fitted to at most; so many windows of each are in memory at once."""
    return min(_MOST_FRAMES, row_limit(_frame_size(videos) * max(num_lengths, 1)))


def _frame_size(videos: Sequence[LabeledFrames]) -> int:
    return int(np.prod(videos[0].frames.shape[1:], dtype=np.int64))


def _shares(targets: Sequence[NDArray[np.integer]], num_labels: int) -> Floats:
    """Return how frequent each label is among frames of which it is known, (K,)."""
    every = np.concatenate(targets)
    several_labels = every.ndim == 2
    holds = every == 1 if several_labels else every[:, None] == np.arange(num_labels)
    num_known = (every != UNKNOWN).sum(axis=0)
    if not np.all(num_known):
        missing = f"label {int(np.argmin(num_known))} is known" if several_labels else "the label is known"
        raise LabelError(f"in none of {len(every)} frames of {len(targets)} videos {missing}; annotate some")
    return np.asarray(holds.sum(axis=0) / num_known, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _FrameSample:
    """The frames that are fitted to: of each video which ones, and of all together targets (N, ...) and groups (N,)."""

    videos: Sequence[LabeledFrames]
    positions: Sequence[NDArray[np.int64]]
    targets: NDArray[np.int64]
    groups: list[str]

    @classmethod
    def of(cls, videos: Sequence[LabeledFrames], most: int) -> "_FrameSample":
        """Take at most so many of the known frames, evenly spread."""
        known = [video.known for video in videos]
        ends = np.cumsum([len(some) for some in known])
        if ends[-1] > most:
            _log.info("baselines of frames: fitted to %d of %d known frames, evenly spread", most, ends[-1])
        kept = evenly_spread(int(ends[-1]), most)
        owners = np.searchsorted(ends, kept, side="right")
        starts = ends - [len(some) for some in known]
        positions = [some[kept[owners == number] - starts[number]] for number, some in enumerate(known)]
        targets = [video.targets[some].astype(np.int64) for video, some in zip(videos, positions, strict=True)]
        groups = [video.group for video, some in zip(videos, positions, strict=True) for _ in some]
        return cls(videos=videos, positions=positions, targets=np.concatenate(targets), groups=groups)

    def rows(self, length: int) -> NDArray[np.float32]:
        """Return the mean of the window around each frame, (N, D)."""
        found, reach = [], length // 2
        for video, positions in zip(self.videos, self.positions, strict=True):
            start, at_once = 0, _frames_at_once(_frame_size([video]))
            for window in windows([video.frames], at_once, reach, reach):
                means = window_means(window, length)
                inside = positions[(positions >= start) & (positions < start + len(means))]
                found.append(means[inside - start])
                start += len(means)
        return np.concatenate(found)


def _window_classifier(
    sample: _FrameSample,
    targets: NDArray[np.int64],
    lengths: Sequence[int],
    shares: Floats,
    *,
    several_labels: bool,
) -> WindowClassifier:
    """targets: (N, 1) of one label a frame, (N, K) of several, of which each has a classifier of its own.

    shares: (K,), how frequent each label is, which is all that is said of one that no frame of the sample tells of.
    """
    candidates = {f"{length} frames": sample.rows(length) for length in lengths}
    parts = []
    for column, share in zip(targets.T, shares, strict=several_labels):
        known = np.flatnonzero(column != UNKNOWN)
        if not len(known):
            name, rows_of_first = next(iter(candidates.items()))
            parts.append(_constant(name, rows_of_first.shape[1], share))
            continue
        # A frame counts as a video of one row.
        rows = {name: VideoRows(every[known], np.arange(len(known)), len(known)) for name, every in candidates.items()}
        groups = [sample.groups[number] for number in known]
        num_classes = 2 if several_labels else len(shares)
        parts.append(fit_best("linear", rows, LabeledVideos.of(column[known], groups, num_classes, seed=_FOLDS_SEED)))
    chosen = [lengths[list(candidates).index(part.reads)] for part in parts]
    return WindowClassifier(parts=tuple(parts), lengths=tuple(chosen), several_labels=several_labels)


def _constant(reads: str, frame_size: int, share: float) -> FittedClassifier:
    """Return what gives one of several labels the same probability in every frame."""
    with np.errstate(divide="ignore"):
        bias = np.log([1 - share, share]).astype(np.float32)
    classifier = LinearClassifier(np.zeros((2, frame_size), dtype=np.float32), bias)
    return FittedClassifier(kind="linear", reads=reads, setting=0.0, validation_accuracy=None, classifier=classifier)
