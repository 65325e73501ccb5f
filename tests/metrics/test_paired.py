"""Paired differences: exact, and with intervals that are wide where groups are few."""

import numpy as np
import pytest

from vidrep.metrics.crossed import crossed_interval
from vidrep.metrics.paired import PairedDifference, paired_difference, paired_difference_over_draws


def test_the_difference_is_exact_and_the_interval_that_of_scipys_formula_for_many_videos() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(2000) < 0.7, rng.random(2000) < 0.6
    found = paired_difference(a, b, [str(number) for number in range(2000)], seed=1)
    assert found.low is not None and found.high is not None
    assert found.difference == pytest.approx(a.mean() - b.mean())
    deviation = (a.astype(float) - b).std() / np.sqrt(2000)
    assert found.low == pytest.approx(found.difference - 1.96 * deviation, abs=0.15 * deviation)
    assert found.high == pytest.approx(found.difference + 1.96 * deviation, abs=0.15 * deviation)


def test_groups_are_drawn_whole() -> None:
    """The one group of five that differs is in 6 % of the resamples three times or more, in 0.7 % four times."""
    wide = paired_difference([1] * 10 + [0] * 40, [0] * 50, [str(number // 10) for number in range(50)])
    assert (wide.difference, wide.low) == (0.2, 0.0)
    assert wide.high == pytest.approx(0.6)
    narrow = paired_difference([1] * 10 + [0] * 10, [0] * 20, [str(number) for number in range(20)])
    assert narrow.low is not None and narrow.high is not None
    assert 0.2 < narrow.low < 0.5 < narrow.high < 0.8


def test_the_seed_decides_and_equal_classifiers_do_not_differ() -> None:
    rng = np.random.default_rng(0)
    a, b, groups = rng.random(40) < 0.5, rng.random(40) < 0.5, [str(number // 3) for number in range(40)]
    assert paired_difference(a, b, groups, seed=3) == paired_difference(a, b, groups, seed=3)
    assert paired_difference(a, b, groups, seed=3) != paired_difference(a, b, groups, seed=4)
    assert paired_difference(a, a, groups) == PairedDifference(difference=0.0, low=0.0, high=0.0)


def test_fewer_than_five_groups_have_no_interval_and_what_does_not_fit_is_refused() -> None:
    assert paired_difference([1, 1], [0, 1], ["x", "x"]) == PairedDifference(difference=0.5, low=None, high=None)
    four, five = ([str(number % count) for number in range(20)] for count in (4, 5))
    a = [number % 2 for number in range(20)]
    assert paired_difference(a, [0] * 20, four) == PairedDifference(difference=0.5, low=None, high=None)
    assert paired_difference(a, [0] * 20, five).low is not None
    for a, b, groups in (([], [], []), ([1], [1, 0], ["x"]), ([1], [1], [])):
        with pytest.raises(ValueError, match="give as many of each, and one or more"):
            paired_difference(a, b, groups)


def test_over_draws_the_difference_and_its_interval_are_of_both_classifiers_together() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, size=(2, 3, 12)).astype(np.float64)
    groups = [str(number // 2) for number in range(12)]
    found = paired_difference_over_draws(a, b, groups)
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-15)
    assert (found.low, found.high) == crossed_interval(a - b, groups)
    same = paired_difference_over_draws(a, a, groups)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)


def test_over_draws_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="12"):
        paired_difference_over_draws(np.ones((3, 12)), np.ones((3, 11)), ["a"] * 12)
    with pytest.raises(ValueError, match="in 11 groups"):
        paired_difference_over_draws(np.ones((3, 12)), np.ones((3, 12)), ["a"] * 11)
