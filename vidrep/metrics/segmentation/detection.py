"""Bouts as detections: average precision at thresholds of tIoU, interpolated, as ActivityNet and THUMOS have it.

Shapes: V videos, H thresholds, N detections of one label, sorted by score.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .bouts import Bouts, Floats
from .matching import TOLERANCE, tiou

ACTIVITYNET = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.5:0.05:0.95, over which ActivityNet's figure is the mean."""

THUMOS = tuple(percent / 100 for percent in range(30, 80, 10))
"""0.3:0.1:0.7, over which THUMOS' figure is the mean."""


def average_precision(
    true: Sequence[Bouts], predicted: Sequence[Bouts], label: int, thresholds: Sequence[float]
) -> Floats | None:
    """Return the average precision of one label at each threshold, (H,), over all videos; None if it is never true.

    Detections are taken by falling score; of equal scores, by video, then by start. Each takes the true bout of its
    video with the largest tIoU among those that nobody took before, the first of equals, and is right if that is at
    least the threshold. Precision is interpolated: at each recall the largest one at that recall or above (Everingham
    et al. 2010, "The Pascal visual object classes challenge", as of 2011; Caba Heilbron et al. 2015, "ActivityNet").
    """
    truths = [one.chosen(one.labels == label) for one in true]
    found = [one.chosen(one.labels == label) for one in predicted]
    num_true = sum(map(len, truths))
    if not num_true:
        return None
    scores = np.concatenate([one.scores for one in found])
    is_right = np.concatenate(
        [_right(video, detections, thresholds) for video, detections in zip(truths, found, strict=True)]
    )
    ranked = is_right[np.argsort(-scores, kind="stable")]
    return _interpolated(ranked, num_true)


def _right(true: Bouts, predicted: Bouts, thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Return which detections of one video are right at each threshold, (N, H)."""
    least = np.array(thresholds)[:, None] - TOLERANCE
    right = np.zeros((len(predicted), len(thresholds)), dtype=bool)
    if not len(true):
        return right
    is_free = np.ones((len(thresholds), len(true)), dtype=bool)
    rows = np.arange(len(thresholds))
    overlaps = tiou(predicted, true)
    for index in np.argsort(-predicted.scores, kind="stable"):
        free = np.where(is_free & (overlaps[index] >= least), overlaps[index], -1.0)
        best = free.argmax(axis=1)
        right[index] = free[rows, best] >= 0
        is_free[rows, best] &= ~right[index]
    return right


def _interpolated(is_right: NDArray[np.bool_], num_true: int) -> Floats:
    """Return the area under precision over recall, (H,), of ranked detections (N, H)."""
    hits = np.cumsum(is_right, axis=0)
    precision = hits / np.arange(1, len(hits) + 1)[:, None]
    best_from_here = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.asarray((best_from_here * is_right).sum(axis=0) / num_true, dtype=np.float64)
