"""Which predicted bout is which true one: temporal intersection over union (tIoU), and the greedy match of MS-TCN.

Shapes: N predicted bouts, M true bouts of one video.
"""

import numpy as np
from numpy.typing import NDArray

from .bouts import Bouts, Floats

TOLERANCE = 1e-9
"""A tIoU that reaches a threshold but for so much reaches it: seconds are rounded, numbers of frames were not."""
_AT_ONCE = 1 << 20


def tiou(predicted: Bouts, true: Bouts) -> Floats:
    """Return the seconds that two bouts share over those that either has, (N, M), whatever their labels."""
    begin = np.maximum(predicted.starts[:, None], true.starts)
    shared = (np.minimum(predicted.ends[:, None], true.ends) - begin).clip(0)
    lengths = (predicted.ends - predicted.starts)[:, None] + (true.ends - true.starts)
    return np.asarray(shared / (lengths - shared), dtype=np.float64)


def greedy_matches(true: Bouts, predicted: Bouts, overlap: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of true bouts and of the predicted ones that match them, (P,) each.

    Each predicted bout, in order of time, takes the true bout of its label with the largest tIoU, the first of equals,
    if that is at least `overlap` and nobody took it before; it is not given the second best (Lea et al. 2017, "Temporal
    convolutional networks for action segmentation and detection"; Farha and Gall 2019, "MS-TCN").
    """
    found_true, found_predicted = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for label in np.intersect1d(true.labels, predicted.labels):
        of_true, of_predicted = np.flatnonzero(true.labels == label), np.flatnonzero(predicted.labels == label)
        best, reached = _best(predicted.chosen(predicted.labels == label), true.chosen(true.labels == label))
        enough = np.flatnonzero(reached >= overlap - TOLERANCE)
        taken, first = np.unique(best[enough], return_index=True)
        found_true.append(of_true[taken])
        found_predicted.append(of_predicted[enough[first]])
    return np.concatenate(found_true), np.concatenate(found_predicted)


def _best(predicted: Bouts, true: Bouts) -> tuple[NDArray[np.int64], Floats]:
    """Return the true bout with the largest tIoU for each predicted one, and that tIoU, (N,) each."""
    best, reached = np.zeros(len(predicted), dtype=np.int64), np.zeros(len(predicted))
    size = max(1, _AT_ONCE // len(true))
    rows = np.arange(len(predicted))
    for start in range(0, len(predicted), size):
        some = slice(start, start + size)
        overlaps = tiou(predicted.chosen((rows >= start) & (rows < start + size)), true)
        best[some], reached[some] = overlaps.argmax(axis=1), overlaps.max(axis=1)
    return best, reached
