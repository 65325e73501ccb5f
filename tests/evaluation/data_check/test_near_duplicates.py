"""Near duplicates are named where planted, with few false ones, and never within a group or a split."""

import numpy as np
import pytest

from vidrep.evaluation.data_check import near_duplicates as module
from vidrep.evaluation.data_check.near_duplicates import near_duplicates, nearest_shares_group


def points(num: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num, size))


def with_copies(num: int, num_copies: int, *, noise: float) -> np.ndarray:
    first = points(num, 8)
    return np.concatenate([first, first[:num_copies] + noise * points(num_copies, 8, seed=1)])


@pytest.mark.parametrize("rows_at_once", [7, 256])
def test_copies_in_the_other_split_are_named(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", rows_at_once)
    found = near_duplicates(
        with_copies(200, 10, noise=0.02), list(map(str, range(210))), ["train"] * 200 + ["test"] * 10
    )
    assert {(one.video, one.other) for one in found} >= {(number, 200 + number) for number in range(10)}
    assert len(found) <= 11
    assert all(0 <= one.ratio < 0.5 for one in found)


def test_of_independent_points_few_data_sets_have_a_pair() -> None:
    # Benjamini and Hochberg: where nothing is a copy, about one data set in twenty has a pair.
    num = sum(bool(near_duplicates(points(60, 5, seed), list(map(str, range(60))), None)) for seed in range(100))
    assert num <= 15


def test_neither_a_split_nor_a_group_is_compared_with_itself() -> None:
    described, names = with_copies(200, 10, noise=0.02), list(map(str, range(210)))
    assert near_duplicates(described, names, ["train"] * 150 + [""] * 50 + ["train"] * 10) == []
    grouped = [*names[:200], *names[:10]]
    copies = {(number, 200 + number) for number in range(10)}
    assert not copies & {(one.video, one.other) for one in near_duplicates(described, grouped, None)}
    assert copies <= {(one.video, one.other) for one in near_duplicates(described, names, None)}


def test_several_copies_of_one_video_are_found() -> None:
    first = points(200, 8)
    copies = first[0] + 0.02 * points(3, 8, seed=1)
    splits = ["train"] * 200 + ["test"] * 3
    found = near_duplicates(np.concatenate([first, copies]), list(map(str, range(203))), splits)
    assert {(one.video, one.other) for one in found} >= {(0, 200), (0, 201), (0, 202)}


def test_the_nearest_of_a_label_shares_its_group_more_often_than_by_chance() -> None:
    centers = np.repeat(points(20, 6), 5, axis=0)
    described = centers + 0.01 * points(100, 6, seed=2)
    groups = [str(number // 5) for number in range(100)]
    found, by_chance = nearest_shares_group(described, ["a"] * 50 + ["b"] * 50, groups)
    assert found == 1.0 and by_chance == pytest.approx(4 / 49)
    assert np.isnan(nearest_shares_group(described, ["a"] * 100, list(map(str, range(100))))[0])
