"""What the cells of a study come to, on cells whose figures are counted by hand; and its sentence."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.evaluation.study.cells import Cell
from vidrep.evaluation.study.draws import Shots
from vidrep.evaluation.study.summary import StudyEntry, summarize
from vidrep.evaluation.study.verdict import study_verdict
from vidrep.metrics.crossed import crossed_interval
from vidrep.metrics.paired import PairedDifference

METHODS = ("mean feature", "ordered bins", "LSTM from scratch", "contrast")
TRUE = np.array([0, 1, 0, 1, 0, 1, 0, 1])
GROUPS = ["a", "a", "b", "c", "d", "e", "f", "g"]


def planned() -> list[Cell]:
    return [
        Cell(method, shots, draw, seed)
        for draw in range(3)
        for shots in (1, "all")
        if shots == 1 or draw == 0
        for method in METHODS
        for seed in range(2 if method == METHODS[2] else 1)
    ]


def predicted(cells: list[Cell]) -> dict[Cell, NDArray[np.int64]]:
    """Make each cell wrong in as many of the first videos as its place says."""
    return {cell: np.where(np.arange(8) < number % 5, 1 - TRUE, TRUE) for number, cell in enumerate(cells)}


def entry(entries: list[StudyEntry], method: str, shots: Shots) -> StudyEntry:
    return next(one for one in entries if (one.method, one.shots) == (method, shots))


def summary(cells: list[Cell], found: dict[Cell, NDArray[np.int64]]) -> list[StudyEntry]:
    labeled = {(cell.shots, cell.draw): 2 + cell.draw for cell in cells}
    return summarize(cells, found, true=TRUE, groups=GROUPS, num_labeled=labeled)


def test_accuracies_deviations_and_differences_are_over_draws_of_means_over_seeds() -> None:
    cells = planned()
    found = predicted(cells)
    entries = summary(cells, found)
    assert [(one.method, one.shots) for one in entries] == [(name, k) for k in (1, "all") for name in METHODS]
    right = {cell: found[cell] == TRUE for cell in cells}
    scratch = np.stack(
        [np.mean([right[Cell(METHODS[2], 1, draw, seed)] for seed in (0, 1)], axis=0) for draw in range(3)]
    )
    contrast = np.stack([right[Cell("contrast", 1, draw, 0)] for draw in range(3)]).astype(float)
    one = entry(entries, "contrast", 1)
    assert (one.num_draws, one.num_labeled) == (3, 3.0)
    assert one.accuracy == contrast.mean()
    assert one.deviation == pytest.approx(contrast.mean(axis=1).std(ddof=1))
    assert one.better is not None
    assert one.better.difference == pytest.approx((contrast - scratch).mean())
    assert (one.better.low, one.better.high) == crossed_interval(contrast - scratch, GROUPS)
    accuracies = {name: entry(entries, name, 1).accuracy for name in METHODS[:2]}
    assert one.baseline == max(accuracies, key=lambda name: accuracies[name])
    assert one.better_than_baseline is not None
    assert one.better_than_baseline.difference == pytest.approx(one.accuracy - max(accuracies.values()))
    assert entry(entries, METHODS[2], 1).better is None
    assert entry(entries, one.baseline, 1).better_than_baseline is None


def test_of_all_labels_there_is_one_draw_and_chance_is_in_the_seeds() -> None:
    cells = planned()
    found = predicted(cells)
    entries = summary(cells, found)
    scratch = np.stack([found[Cell(METHODS[2], "all", 0, seed)] == TRUE for seed in (0, 1)]).astype(float)
    contrast = np.stack([found[Cell("contrast", "all", 0, 0)] == TRUE] * 2).astype(float)
    one = entry(entries, METHODS[2], "all")
    assert one.num_draws == 1
    assert one.deviation == pytest.approx(scratch.mean(axis=1).std(ddof=1))
    better = entry(entries, "contrast", "all").better
    assert better is not None
    assert (better.low, better.high) == crossed_interval(contrast - scratch, GROUPS)


def test_only_draws_that_all_methods_have_finished_count() -> None:
    cells = planned()
    found = predicted(cells)
    del found[Cell("contrast", 1, 1, 0)], found[Cell("LSTM from scratch", "all", 0, 1)]
    entries = summary(cells, found)
    assert {one.shots for one in entries} == {1}
    assert {one.num_draws for one in entries} == {2}
    assert entry(entries, "contrast", 1).num_labeled == 3.0  # of draws 0 and 2
    assert summary(cells, {}) == []


def made(method: str, shots: Shots, scratch: PairedDifference | None, baseline: PairedDifference | None) -> StudyEntry:
    return StudyEntry(
        method=method,
        shots=shots,
        num_draws=3,
        num_labeled=3.0,
        accuracy=0.5,
        deviation=0.1,
        low=0.4,
        high=0.6,
        baseline="ordered bins",
        better=scratch,
        better_than_baseline=baseline,
    )


def test_the_sentence_names_the_k_of_each_claim() -> None:
    better = PairedDifference(difference=0.07, low=0.03, high=0.1)
    worse = PairedDifference(difference=-0.2, low=-0.3, high=-0.1)
    unclear = PairedDifference(difference=0.01, low=-0.1, high=0.12)
    without = PairedDifference(difference=0.5, low=None, high=None)
    entries = [
        made("LSTM from scratch", 1, None, better),
        made("contrast", 1, better, unclear),
        made("contrast", 2, PairedDifference(difference=0.05, low=0.01, high=0.1), worse),
        made("contrast", "all", unclear, without),
    ]
    assert study_verdict(entries, "groups") == (
        "By accuracy with k labeled groups of each class, contrast is better than the LSTM from scratch at k = 1 and 2 "
        "(differences of +0.050 to +0.070), not shown to differ from it at k = all, and worse than the best linear "
        "baseline at k = 2 (-0.200, 95 % interval -0.300 to -0.100), not shown to differ from it at k = 1 and all"
    )
    assert study_verdict(entries[:1], "videos") == (
        "By accuracy with k labeled videos of each class, the LSTM from scratch is better than the best linear "
        "baseline at k = 1 (+0.070, 95 % interval +0.030 to +0.100)"
    )
    assert study_verdict([], "videos") == "No draw is finished for all methods yet"
