"""What the cells of a study come to: accuracies, and paired differences with intervals over draws and test groups.

Shapes: R draws, S source videos of split "test".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...metrics.crossed import crossed_interval
from ...metrics.paired import PairedDifference, paired_difference_over_draws
from .cells import Cell
from .draws import Shots
from .methods import BASELINES, SCRATCH

Right = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class StudyEntry:
    """A method at one k.

    accuracy: per test video, the mean over draws, and over seeds within them; deviation: between draws, None for one.
    low, high: of the accuracy, its 95 % interval over draws and test groups, None for too few groups. Of a single draw,
    as for "all", deviation and intervals are over seeds in the place of draws. num_draws: that are finished for all
    methods. num_labeled: videos, the mean over draws. better: its accuracy minus that of the LSTM from scratch,
    better_than_baseline: minus that of `baseline`, the most accurate linear baseline at this k; None for these
    themselves.
    """

    method: str
    shots: Shots
    num_draws: int
    num_labeled: float
    accuracy: float
    deviation: float | None
    low: float | None
    high: float | None
    baseline: str
    better: PairedDifference | None
    better_than_baseline: PairedDifference | None


def summarize(
    cells: Sequence[Cell],
    predicted: Mapping[Cell, NDArray[np.int64]],
    *,
    true: NDArray[np.int64],
    groups: Sequence[str],
    num_labeled: Mapping[tuple[Shots, int], int],
) -> list[StudyEntry]:
    """Summarize the draws that are finished for all methods, by k and method.

    cells: all that are planned. predicted: {finished cell: (S,)}. true, groups: (S,). num_labeled: {(k, draw): videos}.
    """
    entries = []
    for shots in dict.fromkeys(cell.shots for cell in cells):
        of_shots = [cell for cell in cells if cell.shots == shots]
        unfinished = {cell.draw for cell in of_shots if cell not in predicted}
        draws = [draw for draw in dict.fromkeys(cell.draw for cell in of_shots) if draw not in unfinished]
        if draws:
            kept = [cell for cell in of_shots if cell.draw in draws]
            labeled = float(np.mean([num_labeled[shots, draw] for draw in draws]))
            entries += _entries(shots, _right(kept, predicted, true), groups, len(draws), labeled)
    return entries


def _right(
    cells: Sequence[Cell], predicted: Mapping[Cell, NDArray[np.int64]], true: NDArray[np.int64]
) -> dict[str, Right]:
    """Return how often each method is right, {method: (R, S)}: draws, each the mean over its seeds.

    Of a single draw, the seeds are what there is of chance: then R counts them, and a method without seeds repeats.
    """
    by_method: dict[str, dict[int, list[Right]]] = {}
    for cell in cells:
        of_draw = by_method.setdefault(cell.method, {}).setdefault(cell.draw, [])
        of_draw.append((predicted[cell] == true).astype(np.float64))
    if len({cell.draw for cell in cells}) > 1:
        return {name: np.stack([np.mean(one, axis=0) for one in draws.values()]) for name, draws in by_method.items()}
    of_seeds = {name: next(iter(draws.values())) for name, draws in by_method.items()}
    most = max(map(len, of_seeds.values()))
    return {name: np.stack(some * (most // len(some))) for name, some in of_seeds.items()}


def _entries(
    shots: Shots, right: Mapping[str, Right], groups: Sequence[str], num_draws: int, num_labeled: float
) -> list[StudyEntry]:
    baseline = max(BASELINES, key=lambda name: float(right[name].mean()))

    def better(method: str, other: str) -> PairedDifference | None:
        return None if method == other else paired_difference_over_draws(right[method], right[other], groups)

    entries = []
    for method, of_method in right.items():
        of_draws = of_method.mean(axis=1)
        interval = crossed_interval(of_method, groups)
        entries.append(
            StudyEntry(
                method=method,
                shots=shots,
                num_draws=num_draws,
                num_labeled=num_labeled,
                accuracy=float(of_draws.mean()),
                deviation=float(of_draws.std(ddof=1)) if len(of_draws) > 1 else None,
                low=None if interval is None else max(0.0, interval.low),
                high=None if interval is None else min(1.0, interval.high),
                baseline=baseline,
                better=better(method, SCRATCH),
                better_than_baseline=better(method, baseline),
            )
        )
    return entries
