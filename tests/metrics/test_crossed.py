"""Intervals over draws and groups, against NumPy loops in float64 and scipy's distribution."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from vidrep.metrics.crossed import crossed_interval


def values_of(num_draws: int) -> tuple[NDArray[np.float64], list[str]]:
    """Draws of 31 videos in 7 groups of 1 to 7, whose order is not that of their names."""
    rng = np.random.default_rng(3)
    groups = [f"group{(5 * number) % 7}" for number in range(7) for _ in range(number + 1)][: 31 - 3] + ["group1"] * 3
    of_groups = {name: rng.normal() for name in sorted(set(groups))}
    of_draws = rng.normal(size=(num_draws, 1))
    noise = rng.normal(size=(num_draws, len(groups)))
    return of_draws + np.array([of_groups[name] for name in groups]) + noise, groups


@pytest.mark.parametrize("num_draws", [2, 5])
def test_interval_is_student_t_with_the_variances_of_draws_and_groups(num_draws: int) -> None:
    values, groups = values_of(num_draws)
    names, num_videos = sorted(set(groups)), len(groups)
    mean = sum(values[draw, video] for draw in range(num_draws) for video in range(num_videos)) / values.size
    of_draws = [sum(values[draw]) / num_videos for draw in range(num_draws)]
    by_draws = sum((one - mean) ** 2 for one in of_draws) / (num_draws - 1) / num_draws
    by_groups = 0.0
    for name in names:
        members = [video for video in range(num_videos) if groups[video] == name]
        total = sum(values[draw, video] for draw in range(num_draws) for video in members) / num_draws
        by_groups += ((total - len(members) * mean) * len(names) / num_videos) ** 2
    by_groups /= len(names) * (len(names) - 1)
    degrees = (by_draws + by_groups) ** 2 / (by_draws**2 / (num_draws - 1) + by_groups**2 / (len(names) - 1))
    half = stats.t.ppf(0.975, degrees) * math.sqrt(by_draws + by_groups)
    interval = crossed_interval(values, groups)
    assert interval is not None
    np.testing.assert_allclose(interval, (mean - half, mean + half), rtol=1e-12)


def test_groups_of_one_video_and_one_draw_are_the_usual_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=(1, 20))
    interval = crossed_interval(values, [str(number) for number in range(20)])
    assert interval is not None
    expected = stats.t.interval(0.95, 19, loc=values.mean(), scale=stats.sem(values[0]))
    np.testing.assert_allclose(interval, expected, rtol=1e-12)


def test_where_nothing_differs_there_is_no_width_and_few_groups_have_no_interval() -> None:
    groups = [str(number) for number in range(5)]
    assert crossed_interval(np.ones((3, 5)), groups) == (1.0, 1.0)
    assert crossed_interval(np.eye(4), groups[:4]) is None


def test_draws_alone_may_differ() -> None:
    values = np.repeat([[0.0], [1.0], [2.0]], 6, axis=1)
    interval = crossed_interval(values, [str(number) for number in range(6)])
    assert interval is not None
    np.testing.assert_allclose(interval, stats.t.interval(0.95, 2, loc=1, scale=1 / math.sqrt(3)), rtol=1e-12)
