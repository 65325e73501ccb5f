"""Near duplicates: pairs of videos that are nearer to each other than neighbors by chance are.

The test. In a small neighborhood of even density and m dimensions, (d1 / dk) ** m, of the distances to the nearest and
to the k-th nearest of independent points, is distributed as Beta(1, k - 1), whatever the density (k = 2: Facco et al.
2017, Scientific Reports 7, 12140, who estimate m by it). So

    p = P(Beta(1, k - 1) <= (d1 / dk) ** m)

is a p-value of "the nearest one is no copy", where m is such that half of the videos have one above one half. Pairs are
named by the procedure of Benjamini and Hochberg 1995, which bounds the expected share of false ones among them,
FALSE_SHARE, if the model holds. k = 2 finds single copies, k = 5 also those of which there are up to four. Points are
groups: of one, the nearest video counts.

Shapes: S videos, Q of them that are compared with others, G groups, E values of a signature.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALSE_SHARE = 0.05
"""Of the named pairs, the share that may be false, if the model holds."""

_NEIGHBORS = (2, 5)
_ROWS_AT_ONCE = 256
_SMALLEST = 1e-12


@dataclass(frozen=True)
class NearPair:
    """Two videos, by their numbers, and how much nearer they are than the second nearest: d1 / d2."""

    video: int
    other: int
    ratio: float


@dataclass(frozen=True)
class _Nearest:
    """Of each compared video: which it is, its nearest one in another group, and its distances to the 5 nearest groups.

    videos, others: (Q,); distances: (Q, 5), infinite where there are fewer groups.
    """

    videos: NDArray[np.int64]
    others: NDArray[np.int64]
    distances: NDArray[np.float64]


def near_duplicates(
    signatures: NDArray[np.float64], groups: Sequence[str], splits: Sequence[str] | None
) -> list[NearPair]:
    """Return the pairs of videos of different groups that are taken for copies, the nearest first.

    signatures: (S, E). splits: compare videos of different splits alone, and those without one with none; None: compare
    all.
    """
    codes = np.unique(np.array(groups), return_inverse=True)[1]
    parts = list(_compared(signatures, codes, splits))
    if not parts:
        return []
    nearest = _Nearest(
        *(np.concatenate([getattr(one, name) for one in parts]) for name in ("videos", "others", "distances"))
    )
    is_near = np.zeros(len(nearest.videos), dtype=bool)
    for k in _NEIGHBORS:
        is_near |= _named(_p_values(nearest.distances, k), FALSE_SHARE / len(_NEIGHBORS))
    ratios = nearest.distances[:, 0] / nearest.distances[:, 1].clip(min=_SMALLEST)
    pairs: dict[tuple[int, int], float] = {}
    for number in np.flatnonzero(is_near):
        pair = sorted((int(nearest.videos[number]), int(nearest.others[number])))
        pairs[pair[0], pair[1]] = min(float(ratios[number]), pairs.get((pair[0], pair[1]), np.inf))
    return sorted((NearPair(*pair, ratio) for pair, ratio in pairs.items()), key=lambda one: one.ratio)


def _named(p_values: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected so that at most a share of these is true (Benjamini and Hochberg 1995)."""
    ranked = np.sort(p_values)
    passing = ranked[ranked <= share * np.arange(1, len(ranked) + 1) / len(ranked)]
    return p_values <= (passing[-1] if len(passing) else -1.0)


def _p_values(distances: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return how probable a nearest neighbor is that is as near, beside the k-th nearest, or nearer: (Q,)."""
    p_values = np.ones(len(distances))
    has_k = np.isfinite(distances[:, k - 1])
    logs = np.log(distances[has_k, 0].clip(min=_SMALLEST) / distances[has_k, k - 1].clip(min=_SMALLEST))
    median = float(np.median(logs)) if has_k.any() else 0.0
    if median < 0:
        dimension = np.log(1 - 0.5 ** (1 / (k - 1))) / median
        p_values[has_k] = 1 - (1 - np.exp(dimension * logs)) ** (k - 1)
    return p_values


def _compared(
    signatures: NDArray[np.float64], codes: NDArray[np.int64], splits: Sequence[str] | None
) -> Iterator[_Nearest]:
    if splits is None:
        everything = np.arange(len(signatures))
        yield from _nearest(signatures, codes, everything, everything)
        return
    names = np.array(splits)
    for name in sorted(set(splits) - {""}):
        yield from _nearest(
            signatures, codes, np.flatnonzero(names == name), np.flatnonzero((names != name) & (names != ""))
        )


def _nearest(
    signatures: NDArray[np.float64],
    codes: NDArray[np.int64],
    queries: NDArray[np.int64],
    candidates: NDArray[np.int64],
) -> Iterator[_Nearest]:
    """Yield what is nearest to some videos among others of other groups, a few hundred rows of distances at a time."""
    candidates = candidates[np.argsort(codes[candidates], kind="stable")]
    there, starts = np.unique(codes[candidates], return_index=True)
    if len(there) < 2:
        return
    for first in range(0, len(queries), _ROWS_AT_ONCE):
        rows = queries[first : first + _ROWS_AT_ONCE]
        distances = _distances(signatures[rows], signatures[candidates])
        distances[codes[rows][:, None] == codes[candidates]] = np.inf
        of_groups = np.minimum.reduceat(distances, starts, axis=1)
        most = min(_NEIGHBORS[-1], of_groups.shape[1])
        nearest = np.full((len(rows), _NEIGHBORS[-1]), np.inf)
        nearest[:, :most] = np.sort(np.partition(of_groups, most - 1, axis=1)[:, :most], axis=1)
        has_any = np.isfinite(nearest[:, 0])
        others = candidates[distances.argmin(axis=1)]
        yield _Nearest(rows[has_any], others[has_any], nearest[has_any])


def _distances(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * rows @ others.T
    distances: NDArray[np.float64] = np.sqrt(squares.clip(min=0))
    return distances


def nearest_shares_group(
    signatures: NDArray[np.float64], labels: Sequence[str], groups: Sequence[str]
) -> tuple[float, float]:
    """Return for how many videos the nearest one of their label is of their group, and how many it would be by chance.

    Both are shares of the videos whose label has one more video of their group, and one of another; NaN if there are
    none.
    """
    hits, chances = [], []
    names, codes = np.array(labels), np.unique(np.array(groups), return_inverse=True)[1]
    for name in sorted(set(labels)):
        members = np.flatnonzero(names == name)
        for first in range(0, len(members), _ROWS_AT_ONCE):
            rows = members[first : first + _ROWS_AT_ONCE]
            distances = _distances(signatures[rows], signatures[members])
            distances[np.arange(len(rows)), first + np.arange(len(rows))] = np.inf
            same = codes[rows][:, None] == codes[members]
            num_same = same.sum(axis=1) - 1
            asked = (num_same > 0) & (num_same < len(members) - 1)
            hits.append(same[np.arange(len(rows)), distances.argmin(axis=1)][asked])
            chances.append((num_same / max(len(members) - 1, 1))[asked])
    found, expected = np.concatenate(hits), np.concatenate(chances)
    return (float(found.mean()), float(expected.mean())) if len(found) else (float("nan"), float("nan"))
