"""Frame by frame: accuracy and F1 of one label a frame, and of several at once.

Shapes: T frames of a video, K labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..intervals import ratio_interval
from .bouts import UNKNOWN
from .estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class FrameLabel:
    """How well one label is predicted frame by frame; precision, recall and f1 are None where they divide by 0.

    support: frames in which it is true. predictions: frames for which it is predicted.
    """

    name: str
    support: int
    predictions: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class FrameMetrics:
    """Metrics over all frames of which the label is known.

    accuracy: the share of right frames; of several labels at once, that of right decisions on a label in a frame.
    macro_f1: the mean F1 of the labels that are true or predicted anywhere, the background among them if it is a label.
    Intervals are bootstraps over groups.
    """

    accuracy: Estimate
    macro_f1: Estimate
    by_label: tuple[FrameLabel, ...]
    num_frames: int


def frame_metrics(
    true: Sequence[NDArray[np.integer]],
    predicted: Sequence[NDArray[np.integer]],
    labels: Sequence[str],
    groups: Sequence[str],
) -> FrameMetrics:
    """Compare one label a frame, (T,) of each video, 0 to K - 1; a frame that is truly UNKNOWN is left out.

    predicted: UNKNOWN, where a predictor is unsure, is wrong. labels: K names. groups: that of each video.
    """
    counts, right = [], []
    for target, found in zip(true, predicted, strict=True):
        stated, answered = _of_one_shape(target, found)
        known = stated != UNKNOWN
        stated, answered = stated[known], answered[known]
        hits = stated[stated == answered]
        of = [np.bincount(one[one != UNKNOWN], minlength=len(labels)) for one in (hits, answered, stated)]
        counts.append(np.stack(of, axis=1))
        right.append((len(hits), len(stated)))
    return _metrics(np.array(counts), np.array(right), labels, groups, num_frames=sum(num for _, num in right))


def several_labels_metrics(
    true: Sequence[NDArray[np.integer]],
    predicted: Sequence[NDArray[np.bool_]],
    labels: Sequence[str],
    groups: Sequence[str],
) -> FrameMetrics:
    """Compare every label apart, (T, K) of each video: 1, 0, or UNKNOWN where nobody said whether that label holds."""
    counts, right, num_frames = [], [], 0
    for target, found in zip(true, predicted, strict=True):
        stated, decided = _of_one_shape(target, found)
        known = stated != UNKNOWN
        on, is_true = (decided == 1) & known, stated == 1
        counts.append(np.stack([(on & is_true).sum(axis=0), on.sum(axis=0), is_true.sum(axis=0)], axis=1))
        right.append((int(((on == is_true) & known).sum()), int(known.sum())))
        num_frames += int(known.any(axis=1).sum())
    return _metrics(np.array(counts), np.array(right), labels, groups, num_frames=num_frames)


def _of_one_shape(
    true: NDArray[np.generic], predicted: NDArray[np.generic]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if true.shape != predicted.shape:
        raise ValueError(f"labels of {true.shape} frames, and predictions of {predicted.shape}")
    return true.astype(np.int64), predicted.astype(np.int64)


def _metrics(
    counts: NDArray[np.int64],
    right: NDArray[np.int64],
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    num_frames: int,
) -> FrameMetrics:
    """counts: (V, K, 3) hits, predictions and support; right: (V, 2) right decisions and all of them."""
    hits, predictions, support = counts.sum(axis=0).T.tolist()
    by_label = tuple(
        FrameLabel(
            name=name,
            support=support[k],
            predictions=predictions[k],
            precision=_share(hits[k], predictions[k]),
            recall=_share(hits[k], support[k]),
            f1=_share(2 * hits[k], predictions[k] + support[k]),
        )
        for k, name in enumerate(labels)
    )
    defined = [one.f1 for one in by_label if one.f1 is not None]
    of_f1 = ratio_interval(2 * counts[..., 0], counts[..., 1] + counts[..., 2], groups)
    accuracy = _share(*right.sum(axis=0).tolist())
    return FrameMetrics(
        accuracy=Estimate.of(accuracy, ratio_interval(right[:, 0], right[:, 1], groups)),
        macro_f1=Estimate.of(float(np.mean(defined)) if defined else None, of_f1),
        by_label=by_label,
        num_frames=num_frames,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
