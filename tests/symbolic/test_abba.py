"""Compression, groups and the way back, against slow references that follow the papers word by word."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidrep.symbolic.abba import Floats, aggregate, compress, series_of_pieces, whole_lengths

SERIES = arrays(np.float64, st.integers(2, 40), elements=st.floats(-3, 3, width=32))


def squared_error(values: Floats) -> float:
    """Of a straight line from the first value to the last."""
    last = len(values) - 1
    return sum(float(values[0] + (values[-1] - values[0]) * i / last - values[i]) ** 2 for i in range(last + 1))


def slow_pieces(values: Floats, tolerance: float) -> list[tuple[int, float]]:
    pieces, start, end = [], 0, 1
    while end < len(values):
        while end + 1 < len(values) and squared_error(values[start : end + 2]) <= (end - start) * tolerance**2:
            end += 1
        pieces.append((end - start, values[end] - values[start]))
        start, end = end, end + 1
    return pieces


@pytest.mark.parametrize("tolerance", [0.05, 0.3, 1.0])
def test_pieces_are_those_of_the_definition(tolerance: float) -> None:
    values = np.random.default_rng(0).standard_normal(200).cumsum() / 2
    pieces = compress(values, tolerance)
    assert len(pieces) > 3
    np.testing.assert_allclose(pieces, slow_pieces(values, tolerance), rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(values=SERIES, tolerance=st.floats(0.01, 2))
def test_the_polygon_meets_the_bound_and_the_breaks(values: Floats, tolerance: float) -> None:
    pieces = compress(values, tolerance)
    polygon = series_of_pieces(pieces, float(values[0]))
    assert len(polygon) == len(values)
    breaks = np.concatenate([[0], np.cumsum(pieces[:, 0])]).astype(int)
    np.testing.assert_allclose(polygon[breaks], values[breaks], atol=1e-9)
    for start, end in pairwise(breaks):
        error = np.square(polygon[start : end + 1] - values[start : end + 1]).sum()
        assert error <= (end - start - 1) * tolerance**2 + 1e-9
    assert np.sqrt(np.mean(np.square(polygon - values))) <= tolerance + 1e-9


@pytest.mark.parametrize(
    ("values", "pieces"),
    [([], []), ([1], []), ([1, 3], [(1, 2)]), ([2] * 5, [(4, 0)]), ([0, 1, 2, 0], [(2, 2), (1, -2)])],
)
def test_short_and_straight_series(values: list[float], pieces: list[Any]) -> None:
    found = compress(np.array(values, dtype=np.float64), 0.1)
    assert found.shape == (len(pieces), 2)
    assert found.tolist() == [list(map(float, piece)) for piece in pieces]


def slow_groups(points: Floats, alpha: float) -> list[int]:
    groups: dict[int, int] = {}
    order = sorted(range(len(points)), key=lambda index: math.hypot(*points[index]))
    for first in order:
        if first in groups:
            continue
        number = len(set(groups.values()))
        for other in order:
            if other not in groups and math.hypot(*(points[other] - points[first])) <= alpha:
                groups[other] = number
    return [groups[index] for index in range(len(points))]


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.5])
def test_groups_are_those_of_the_algorithm(alpha: float) -> None:
    points = np.random.default_rng(1).standard_normal((60, 2))
    groups = aggregate(points, alpha, most=60)
    assert groups is not None
    assert groups.tolist() == slow_groups(points, alpha)
    assert aggregate(points, alpha, most=int(groups.max()) + 1) is not None
    assert aggregate(points, alpha, most=int(groups.max())) is None


def test_rounding_errors_of_lengths_are_passed_on() -> None:
    pieces = np.array([[1.4, 1.0], [1.4, -1.0], [1.4, 0.5], [0.2, 2.0]])
    assert whole_lengths(pieces).tolist() == [[1.0, 1.0], [2.0, -1.0], [1.0, 0.5], [1.0, 2.0]]
    assert pieces[0, 0] == 1.4
    many = np.full((50, 2), 2.3)
    assert whole_lengths(many)[:, 0].sum() == 115


def test_pieces_make_a_polygon() -> None:
    assert series_of_pieces(np.array([[2.0, 1.0], [1.0, -3.0]]), 5.0).tolist() == [5.0, 5.5, 6.0, 3.0]
    assert series_of_pieces(np.zeros((0, 2)), 5.0).tolist() == [5.0]
