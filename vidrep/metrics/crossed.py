"""How far a mean over draws of labeled videos and over groups of test videos may be off.

Draws and groups are crossed: every draw is measured on the same groups. Both are samples, of the draws that could have
been and of the groups that could have been tested.

Shapes: R draws, V test videos, G groups.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from .intervals import LEAST_GROUPS, Interval

_LEVEL = 0.975


class CrossedVariance(NamedTuple):
    """The variance of a mean over draws and groups, in two parts, and the degrees of freedom of their sum."""

    mean: float
    of_draws: float
    of_groups: float
    degrees: float


def crossed_interval(values: ArrayLike, groups: Sequence[str]) -> Interval | None:
    """Return the 95 % interval of the mean of values, (R, V), over draws and groups, (V,) names.

    mean -+ t sqrt(v), v = s_r^2 / R + s_g^2 / G: s_r the deviation of the means of draws, s_g that of what groups add
    to the mean over videos, of which larger groups add more. Each part holds the variance of draws within groups once,
    so that v is rather too large than too small; a bootstrap over draws and groups has the same v but for factors of
    (R - 1) / R and (G - 1) / G (Owen 2007, "The pigeonhole bootstrap"), and so is too narrow for few draws. t is
    Student's quantile for the degrees of freedom of such a sum (Satterthwaite 1946, "An approximate distribution of
    estimates of variance components"). benchmarks/interval_coverage.py measures how often it holds the true mean.

    One draw has no deviation: the interval is over groups alone then. None for fewer than LEAST_GROUPS groups.
    """
    if len(set(groups)) < LEAST_GROUPS:
        return None
    mean, of_draws, of_groups, degrees = crossed_variance(np.asarray(values, dtype=np.float64), groups)
    half = float(stdtrit(degrees, _LEVEL)) * math.sqrt(of_draws + of_groups) if of_draws + of_groups > 0 else 0.0
    return Interval(mean - half, mean + half)


def crossed_variance(values: NDArray[np.float64], groups: Sequence[str]) -> CrossedVariance:
    """Return the parts of `crossed_interval` of values (R, V) in two or more groups (V,); degrees 0 for no variance."""
    num_draws, num_videos = values.shape
    group_of = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(group_of)
    of_draws = values.mean(axis=1)
    mean = float(of_draws.mean())
    # A mean over videos is a ratio, of sums and sizes of groups: its deviation is that of its linear terms.
    sums = np.bincount(group_of, weights=values.mean(axis=0))
    terms = (sums - sizes * mean) * len(sizes) / num_videos
    by_groups = float(np.square(terms).sum()) / (len(sizes) * (len(sizes) - 1))
    by_draws = float(of_draws.var(ddof=1)) / num_draws if num_draws > 1 else 0.0
    squares = by_groups**2 / (len(sizes) - 1) + (by_draws**2 / (num_draws - 1) if num_draws > 1 else 0.0)
    return CrossedVariance(mean, by_draws, by_groups, (by_draws + by_groups) ** 2 / squares if squares > 0 else 0.0)
