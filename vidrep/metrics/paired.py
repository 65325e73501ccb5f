"""The difference of two classifiers on the same videos, with an interval that respects groups.

Shapes: V videos, G groups, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_COUNTS_AT_ONCE = 1 << 22


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """How much more often the first of two classifiers is right: a share of videos, -1 to 1.

    low, high: its 95 % interval; None for videos of one group, which tell nothing of others.
    """

    difference: float
    low: float | None
    high: float | None


def paired_difference(
    correct_a: ArrayLike, correct_b: ArrayLike, groups: Sequence[str], *, seed: int = 0, num_resamples: int = 2000
) -> PairedDifference:
    """Return the accuracy of a minus that of b on the same videos, with its 95 % bootstrap interval over groups.

    correct_a, correct_b: (V,) whether each classifier is right. groups: (V,) of the videos, which are drawn whole, with
    replacement, as many as there are: videos of one group are not independent. The interval lies between the 2.5th
    and the 97.5th percentile of the resamples (Efron and Tibshirani 1993, "An introduction to the bootstrap",
    chapter 13).

    Raises ValueError for no videos, and for numbers of them that differ.
    """
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if not 0 < len(a) == len(b) == len(groups):
        raise ValueError(f"{len(a)} and {len(b)} videos in {len(groups)} groups; give as many of each, and one or more")
    group_of = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(group_of, weights=a - b).astype(np.float64)
    sizes = np.bincount(group_of).astype(np.int64)
    difference = float((a - b).mean())
    if len(sums) == 1:
        return PairedDifference(difference=difference, low=None, high=None)
    low, high = np.percentile(_resampled(sums, sizes, seed, num_resamples), [2.5, 97.5])
    return PairedDifference(difference=difference, low=float(low), high=float(high))


def _resampled(
    sums: NDArray[np.float64], sizes: NDArray[np.int64], seed: int, num_resamples: int
) -> NDArray[np.float64]:
    """Return the mean over videos, (R,), in each of R draws of groups with sums and sizes (G,)."""
    rng, num_groups = np.random.default_rng(seed), len(sums)
    at_once = max(1, _COUNTS_AT_ONCE // num_groups)
    means = []
    for start in range(0, num_resamples, at_once):
        drawn = rng.integers(num_groups, size=(min(at_once, num_resamples - start), num_groups))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)
