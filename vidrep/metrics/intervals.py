"""How far a share of right predictions may be off: 95 % intervals, for single videos and for groups of them.

Shapes: V videos, G groups, R resamples.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_GROUPS = 5
"""Fewer groups have no interval: what they have in common cannot be distinguished from what all videos have."""

LEAST_TEST_VIDEOS = 3
"""Fewer test videos of a class say little about it, whatever the interval over all classes."""

_QUANTILE = NormalDist().inv_cdf(0.975)
_PERCENTILES = (2.5, 97.5)
_COUNTS_AT_ONCE = 1 << 22


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


def wilson_interval(num_right: int, num: int) -> Interval:
    """Return Wilson's interval of a share: p of n videos that are independent of each other are right.

    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), z the normal quantile of 0.975 (Wilson 1927,
    "Probable inference, the law of succession, and statistical inference"). It has a width even where all are right.
    """
    share, of_square = num_right / num, _QUANTILE**2 / num
    center = share + of_square / 2
    half = _QUANTILE * math.sqrt(share * (1 - share) / num + of_square / (4 * num))
    return Interval(max(0.0, (center - half) / (1 + of_square)), min(1.0, (center + half) / (1 + of_square)))


def share_interval(is_right: ArrayLike, groups: Sequence[str]) -> Interval | None:
    """Return the interval of the share of right ones, (V,), in groups, (V,); None for fewer than LEAST_GROUPS.

    It is Wilson's where each is a group of its own, and otherwise a bootstrap over groups. Where all are right, or
    none, all resamples are alike: then it is Wilson's, of as many as there are groups.
    """
    right = np.asarray(is_right, dtype=bool)
    num_groups, num_right = len(set(groups)), int(right.sum())
    if num_groups < LEAST_GROUPS:
        return None
    if num_groups == len(right):
        return wilson_interval(num_right, num_groups)
    if num_right in (0, len(right)):
        return wilson_interval(num_groups if num_right else 0, num_groups)
    return bootstrap_interval(right, groups)


def bootstrap_interval(
    values: ArrayLike, groups: Sequence[str], *, seed: int = 0, num_resamples: int = 2000
) -> Interval | None:
    """Return the interval of the mean of values, (V,), in groups, (V,); None for fewer than LEAST_GROUPS.

    Groups are drawn whole, with replacement, as many as there are: videos of one group are not independent. The
    interval lies between the 2.5th and the 97.5th percentile of the resamples (Efron and Tibshirani 1993, "An
    introduction to the bootstrap", chapter 13).
    """
    group_of = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(group_of, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)
    if len(sums) < LEAST_GROUPS:
        return None
    sizes = np.bincount(group_of).astype(np.int64)
    low, high = np.percentile(_resampled(sums, sizes, seed, num_resamples), _PERCENTILES)
    return Interval(float(low), float(high))


def ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    groups: Sequence[str],
    *,
    seed: int = 0,
    num_resamples: int = 2000,
) -> Interval | None:
    """Return the interval of a ratio of sums over videos, or of the mean of several; None for fewer than LEAST_GROUPS.

    numerators, denominators: (V,), or (V, K) for the mean of K ratios, such as the F1 of K classes. groups: (V,), drawn
    as `bootstrap_interval` draws them. A ratio that has a denominator of 0 in a draw is left out of that draw's mean.
    None, too, where no draw has a ratio.
    """
    group_of = np.unique(groups, return_inverse=True)[1]
    num_groups = int(group_of.max(initial=-1)) + 1
    if num_groups < LEAST_GROUPS:
        return None
    above, below = (
        _sums(np.asarray(one, dtype=np.float64), group_of, num_groups) for one in (numerators, denominators)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = _resampled(above, below, seed, num_resamples)
    is_defined = ~np.isnan(ratios)
    ratios, counts = np.where(is_defined, ratios, 0.0), is_defined.sum(axis=1)
    means = ratios.sum(axis=1)[counts > 0] / counts[counts > 0]
    return Interval(*map(float, np.percentile(means, _PERCENTILES))) if len(means) else None


def ratio_difference_interval(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    groups: Sequence[str],
    *,
    seed: int = 0,
    num_resamples: int = 2000,
) -> Interval | None:
    """Return the interval of a ratio of sums over videos minus another one, both of the same videos.

    first, second: numerators and denominators, (V,) each. groups: (V,), drawn as `bootstrap_interval` draws them, the
    same for both. None for fewer than LEAST_GROUPS, and where no draw has both ratios.
    """
    group_of = np.unique(groups, return_inverse=True)[1]
    num_groups = int(group_of.max(initial=-1)) + 1
    if num_groups < LEAST_GROUPS:
        return None
    ratios = []
    for pair in (first, second):
        above, below = (_sums(np.asarray(one, dtype=np.float64), group_of, num_groups) for one in pair)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(_resampled(above, below, seed, num_resamples)[:, 0])
    differences = ratios[0] - ratios[1]
    defined = differences[~np.isnan(differences)]
    return Interval(*map(float, np.percentile(defined, _PERCENTILES))) if len(defined) else None


def _sums(values: NDArray[np.float64], group_of: NDArray[np.int64], num_groups: int) -> NDArray[np.float64]:
    """Return the sums over the videos of each group, (G, K), of values (V,) or (V, K)."""
    sums = np.zeros((num_groups, values[0].size))
    np.add.at(sums, group_of, values.reshape(len(values), -1))
    return sums


def _resampled(
    sums: NDArray[np.float64], sizes: NDArray[np.int64] | NDArray[np.float64], seed: int, num_resamples: int
) -> NDArray[np.float64]:
    """Return the ratio of both sums in each of R draws of groups: (R,) or (R, K) of sums and sizes (G,) or (G, K)."""
    rng, num_groups = np.random.default_rng(seed), len(sums)
    at_once = max(1, _COUNTS_AT_ONCE // sums.size)
    ratios = []
    for start in range(0, num_resamples, at_once):
        drawn = rng.integers(num_groups, size=(min(at_once, num_resamples - start), num_groups))
        ratios.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(ratios)
