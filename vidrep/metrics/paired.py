"""The difference of two classifiers on the same videos, with an interval that respects groups.

Shapes: R draws, V videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .crossed import crossed_interval
from .intervals import bootstrap_interval


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """How much more often the first of two classifiers is right: a share of videos, -1 to 1.

    low, high: its 95 % interval; None for fewer than `intervals.LEAST_GROUPS` groups, which tell too little of others.
    """

    difference: float
    low: float | None
    high: float | None


def paired_difference(
    correct_a: ArrayLike, correct_b: ArrayLike, groups: Sequence[str], *, seed: int = 0, num_resamples: int = 2000
) -> PairedDifference:
    """Return the accuracy of a minus that of b on the same videos, with its 95 % bootstrap interval over groups.

    correct_a, correct_b: (V,) whether each classifier is right. groups: (V,) of the videos; see `bootstrap_interval`.

    Raises ValueError for no videos, and for numbers of them that differ.
    """
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if not 0 < len(a) == len(b) == len(groups):
        raise ValueError(f"{len(a)} and {len(b)} videos in {len(groups)} groups; give as many of each, and one or more")
    interval = bootstrap_interval(a - b, groups, seed=seed, num_resamples=num_resamples)
    low, high = interval or (None, None)
    return PairedDifference(difference=float((a - b).mean()), low=low, high=high)


def paired_difference_over_draws(correct_a: ArrayLike, correct_b: ArrayLike, groups: Sequence[str]) -> PairedDifference:
    """Return the accuracy of a minus that of b over the same draws and videos, with its 95 % interval over both.

    correct_a, correct_b: (R, V) whether each classifier is right, or how often. groups: (V,) of the videos; see
    `crossed_interval`.

    Raises ValueError for no draws or videos, and for shapes that differ.
    """
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.size == 0 or a.shape[1] != len(groups):
        raise ValueError(f"{a.shape} and {b.shape} draws and videos in {len(groups)} groups; give (R, V) twice, and V")
    low, high = crossed_interval(a - b, groups) or (None, None)
    return PairedDifference(difference=float((a - b).mean()), low=low, high=high)
