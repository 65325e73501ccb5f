"""Intervals of a share: Wilson's where videos are independent, over groups otherwise, none where those are few."""

from math import comb

import numpy as np
import pytest

from vidrep.metrics.intervals import LEAST_GROUPS, Interval, bootstrap_interval, share_interval, wilson_interval


def test_wilsons_interval_is_that_of_tables_and_solves_its_equation() -> None:
    """At either end p of the interval the observed share is z standard errors of p away."""
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775328), abs=1e-7)
    assert wilson_interval(5, 10) == pytest.approx((0.2365931, 0.7634069), abs=1e-7)
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-7)
    assert wilson_interval(10, 10) == pytest.approx((0.7224672, 1), abs=1e-7)
    for right, num in ((1, 5), (45, 91), (371, 371), (999, 1000)):
        share, square = right / num, 1.959963984540054**2 / num  # (share - p)^2 = square p (1 - p)
        ends = sorted(np.roots([1 + square, -2 * share - square, share**2]).real)
        assert wilson_interval(right, num) == pytest.approx(ends, abs=1e-9)


def test_single_videos_have_wilsons_interval() -> None:
    assert share_interval([True] * 6 + [False] * 2, list("abcdefgh")) == wilson_interval(6, 8)


def test_fewer_than_five_groups_have_none() -> None:
    assert share_interval([True] * 4, list("abcd")) is None
    assert share_interval([True, False] * 20, ["a", "b", "c", "d"] * 10) is None
    assert bootstrap_interval([1.0, 0.0] * 20, ["a", "b", "c", "d"] * 10) is None
    assert share_interval([True, False] * 20, [str(number % LEAST_GROUPS) for number in range(40)]) is not None


def test_over_groups_it_is_that_of_the_groups_that_are_drawn() -> None:
    """One group of eight is right, so the share is binomial: the quantiles are known, but for the noise of draws."""
    right, groups = [True] * 3 + [False] * 21, [str(number // 3) for number in range(24)]
    below = np.cumsum([comb(8, count) * (1 / 8) ** count * (7 / 8) ** (8 - count) for count in range(9)])
    quantiles = (int(np.argmax(below >= level)) / 8 for level in (0.025, 0.975))
    assert share_interval(right, groups) == Interval(*quantiles)
    wide, narrow = share_interval(right, groups), wilson_interval(3, 24)
    assert wide is not None and wide.high > narrow.high


def test_where_all_are_right_the_interval_has_a_width_that_groups_decide() -> None:
    groups = [str(number // 10) for number in range(50)]
    assert share_interval([True] * 50, groups) == wilson_interval(5, 5)
    assert share_interval([False] * 50, groups) == wilson_interval(0, 5)
