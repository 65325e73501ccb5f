"""All metrics of bouts of several videos, over watched time alone."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import LabelError, some_names
from ...segments.segment import Span, joined
from ..intervals import ratio_difference_interval, ratio_interval
from ..paired import PairedDifference
from .bouts import Bouts
from .detection import ACTIVITYNET, THUMOS, average_precision
from .estimate import Estimate
from .segmental import OVERLAPS, boundary_errors, edit_score, f1_of, match_counts

_log = logging.getLogger(__name__)
_ROUNDING = 1e-6  # seconds
_THRESHOLDS = tuple(sorted({*ACTIVITYNET, *THUMOS}))


@dataclass(frozen=True, kw_only=True)
class PredictedVideo:
    """What is true of a video and what is predicted.

    true, predicted: without background. watched: outside of these spans nothing is scored. group: see `ratio_interval`.
    """

    name: str
    true: Bouts
    predicted: Bouts
    watched: Sequence[Span]
    group: str

    def cut(self) -> "PredictedVideo":
        """Return the video as it is scored: bouts cut at the ends of watched time, spans sorted and apart."""
        spans = joined(self.watched)
        true, predicted = self.true.within(spans), self.predicted.within(spans)
        return PredictedVideo(name=self.name, true=true, predicted=predicted, watched=spans, group=self.group)


@dataclass(frozen=True, kw_only=True)
class LabelBouts:
    """Metrics of one label alone; None where there is nothing to measure.

    f1, average_precision: by tIoU.
    """

    name: str
    num_true: int
    num_predictions: int
    f1: Mapping[float, float | None]
    average_precision: Mapping[float, float | None]


@dataclass(frozen=True, kw_only=True)
class BoutMetrics:
    """Metrics of bouts, 0 to 1 but for the boundary error, in seconds.

    f1: segmental F1 by tIoU, of counts summed over videos and labels. edit: the mean over videos; where several labels
    may hold at once, over labels and videos. boundary_error: the mean over boundaries. Their intervals are bootstraps
    over groups. mean_average_precision: by tIoU, over the labels that are true somewhere; activitynet, thumos: its
    means over 0.5:0.05:0.95 and 0.3:0.1:0.7. num_true, num_predictions: bouts. seconds: watched.
    """

    f1: Mapping[float, Estimate]
    edit: Estimate
    boundary_error: Estimate
    mean_average_precision: Mapping[float, float | None]
    activitynet: float | None
    thumos: float | None
    by_label: tuple[LabelBouts, ...]
    num_true: int
    num_predictions: int
    num_videos: int
    seconds: float


def bout_metrics(
    videos: Sequence[PredictedVideo], labels: Sequence[str], *, several_labels: bool = False
) -> BoutMetrics:
    """Measure predicted bouts of labels, K names, against true ones.

    Bouts of one label that overlap or touch count as one, but for average precision, whose detections may overlap.

    Raises LabelError if nothing was watched. Single videos without watched time, and true bouts outside of it, are left
    out, with a warning.
    """
    scored = [video.cut() for video in videos]
    if without := [video.name for video in scored if not video.watched]:
        _log.warning("%d videos without watched time are not scored: %s", len(without), some_names(without))
    _warn_of_unwatched(videos, scored)
    scored = [video for video in scored if video.watched]
    if not scored:
        raise LabelError(
            f"nothing to score: none of {len(videos)} videos has watched time; say what was watched, or --background"
        )
    groups = [video.group for video in scored]
    pairs = [(video.true.joined(), video.predicted.joined()) for video in scored]
    counts = {overlap: np.array([match_counts(*pair, overlap, len(labels)) for pair in pairs]) for overlap in OVERLAPS}
    precisions = [
        average_precision([one.true for one in scored], [one.predicted for one in scored], label, _THRESHOLDS)
        for label in range(len(labels))
    ]
    totals = counts[OVERLAPS[0]].sum(axis=0)
    by_label = tuple(
        LabelBouts(
            name=name,
            num_true=int(totals[k, 0] + totals[k, 2]),
            num_predictions=int(totals[k, 0] + totals[k, 1]),
            f1={overlap: f1_of(of_videos[:, k]) for overlap, of_videos in counts.items()},
            average_precision=_by_threshold(precisions[k]),
        )
        for k, name in enumerate(labels)
    )
    defined = [one for one in precisions if one is not None]
    means = _by_threshold(np.mean(defined, axis=0) if defined else None)
    return BoutMetrics(
        f1={overlap: _f1(of_videos, groups) for overlap, of_videos in counts.items()},
        edit=_edit(pairs, len(labels) if several_labels else None, groups),
        boundary_error=_boundary_error(pairs, scored, groups),
        mean_average_precision=means,
        activitynet=_mean(means, ACTIVITYNET),
        thumos=_mean(means, THUMOS),
        by_label=by_label,
        num_true=sum(one.num_true for one in by_label),
        num_predictions=sum(one.num_predictions for one in by_label),
        num_videos=len(scored),
        seconds=sum(span.end - span.start for video in scored for span in video.watched),
    )


def video_f1(video: PredictedVideo, num_labels: int, *, overlap: float = 0.5) -> float:
    """Return the segmental F1 of one video; 1 where nothing is true and nothing is predicted."""
    scored = video.cut()
    f1 = f1_of(match_counts(scored.true.joined(), scored.predicted.joined(), overlap, num_labels))
    return 1.0 if f1 is None else f1


def f1_difference(
    first: Sequence[PredictedVideo], second: Sequence[PredictedVideo], num_labels: int, *, overlap: float = 0.5
) -> PairedDifference:
    """Return the segmental F1 of a first prediction of videos minus that of a second one, paired over groups.

    Without a bout, true or predicted, an F1 counts as 0.
    """
    ratios = []
    for videos in (first, second):
        pairs = [(one.true.joined(), one.predicted.joined()) for one in (video.cut() for video in videos)]
        counts = np.array([match_counts(*pair, overlap, num_labels) for pair in pairs])
        tp, fp, fn = counts.sum(axis=1).T
        ratios.append((2 * tp, 2 * tp + fp + fn))
    low, high = ratio_difference_interval(ratios[0], ratios[1], [video.group for video in first]) or (None, None)
    values = [above.sum() / below.sum() if below.sum() else 0.0 for above, below in ratios]
    return PairedDifference(difference=float(values[0] - values[1]), low=low, high=high)


def _warn_of_unwatched(videos: Sequence[PredictedVideo], scored: Sequence[PredictedVideo]) -> None:
    """Say how much of what is true is not scored, for nobody said that its surroundings were watched."""
    lost = [_seconds(before.true) - _seconds(after.true) for before, after in zip(videos, scored, strict=True)]
    names = [video.name for video, seconds in zip(videos, lost, strict=True) if seconds > _ROUNDING]
    if names:
        _log.warning(
            "%.1f s of true bouts lie outside watched time and are not scored: %s", sum(lost), some_names(names)
        )


def _seconds(bouts: Bouts) -> float:
    return float((bouts.ends - bouts.starts).sum())


def _f1(counts: NDArray[np.int64], groups: Sequence[str]) -> Estimate:
    """counts: (V, K, 3)."""
    tp, fp, fn = counts.sum(axis=1).T
    return Estimate.of(f1_of(counts), ratio_interval(2 * tp, 2 * tp + fp + fn, groups))


def _edit(pairs: Sequence[tuple[Bouts, Bouts]], num_apart: int | None, groups: Sequence[str]) -> Estimate:
    """num_apart: labels whose bouts are sequences of their own; None for one sequence of all labels."""
    of_videos = []
    for true, predicted in pairs:
        if num_apart is None:
            of_videos.append(edit_score(true.labels, predicted.labels))
        else:
            apart = [
                edit_score(true.labels[true.labels == k], predicted.labels[predicted.labels == k])
                for k in range(num_apart)
            ]
            of_videos.append(float(np.mean(apart)))
    return Estimate.of(float(np.mean(of_videos)), ratio_interval(of_videos, np.ones(len(pairs)), groups))


def _boundary_error(
    pairs: Sequence[tuple[Bouts, Bouts]], videos: Sequence[PredictedVideo], groups: Sequence[str]
) -> Estimate:
    errors = [boundary_errors(*pair, video.watched) for pair, video in zip(pairs, videos, strict=True)]
    sums, counts = np.array([one.sum() for one in errors]), np.array([len(one) for one in errors])
    if not counts.sum():
        return Estimate(None)
    return Estimate.of(float(sums.sum() / counts.sum()), ratio_interval(sums, counts, groups))


def _by_threshold(values: NDArray[np.float64] | None) -> dict[float, float | None]:
    return {one: None if values is None else float(values[number]) for number, one in enumerate(_THRESHOLDS)}


def _mean(values: Mapping[float, float | None], thresholds: Sequence[float]) -> float | None:
    found = [value for one in thresholds if (value := values[one]) is not None]
    return float(np.mean(found)) if found else None
