"""Bout by bout: segmental F1, edit score, errors of boundaries.

Shapes: K labels, N and M labels of two sequences, E boundaries.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...segments.segment import Span
from .bouts import Bouts, Floats
from .matching import greedy_matches

OVERLAPS = (0.1, 0.25, 0.5)
"""The tIoU at which segmental F1 is given."""

BOUNDARY_OVERLAP = 0.5
"""The tIoU from which on the boundaries of two bouts are compared."""


def match_counts(true: Bouts, predicted: Bouts, overlap: float, num_labels: int) -> NDArray[np.int64]:
    """Return how many bouts of each label of one video are matched, predicted alone, and true alone, (K, 3)."""
    matched = np.bincount(true.labels[greedy_matches(true, predicted, overlap)[0]], minlength=num_labels)
    num_true = np.bincount(true.labels, minlength=num_labels)
    num_predictions = np.bincount(predicted.labels, minlength=num_labels)
    return np.stack([matched, num_predictions - matched, num_true - matched], axis=1).astype(np.int64)


def f1_of(counts: NDArray[np.int64]) -> float | None:
    """Return 2 TP / (2 TP + FP + FN) of counts (..., 3), summed; None where there is neither a true nor a predicted."""
    tp, fp, fn = counts.reshape(-1, 3).sum(axis=0).tolist()
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def edit_score(true: ArrayLike, predicted: ArrayLike) -> float:
    """Return 1 - d / max(N, M), d the Levenshtein distance of two sequences of labels; 1 if both are empty.

    The sequences are those of bouts in order of time, without background; how long bouts are does not count.
    """
    first, second = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    longest = max(len(first), len(second))
    return 1 - edit_distance(first, second) / longest if longest else 1.0


def edit_distance(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Return the least number of insertions, deletions and substitutions from (N,) to (M,) labels; a row at a time."""
    steps = np.arange(len(second) + 1)
    row = steps
    for number, label in enumerate(first, start=1):
        other = np.minimum(row[1:] + 1, row[:-1] + (second != label))
        # An insertion adds 1 to the column before: a running minimum of what is left without these.
        row = np.minimum.accumulate(np.concatenate([[number], other]) - steps) + steps
    return int(row[-1])


def boundary_errors(true: Bouts, predicted: Bouts, watched: Sequence[Span]) -> Floats:
    """Return how far starts and ends of predicted bouts are from those of the true bouts that they match, (E,) seconds.

    Matches are those of segmental F1 at BOUNDARY_OVERLAP. A true boundary where watched time begins or ends is left
    out: the bout may go on where nobody watched.
    """
    of_true, of_predicted = greedy_matches(true, predicted, BOUNDARY_OVERLAP)
    targets = np.concatenate([true.starts[of_true], true.ends[of_true]])
    found = np.concatenate([predicted.starts[of_predicted], predicted.ends[of_predicted]])
    is_own = ~np.isin(targets, np.array(watched, dtype=np.float64))
    return np.asarray(np.abs(found - targets)[is_own], dtype=np.float64)
