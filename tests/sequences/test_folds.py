"""Folds: whole groups, even in size and labels, as many as there can be."""

import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrep.errors import LabelError
from vidrep.sequences.folds import grouped_folds, require_groups


def test_folds_of_single_videos_have_every_label_evenly() -> None:
    labels = [label for label in "abcdefg" for _ in range(7)]
    folds = grouped_folds(labels, [str(number) for number in range(49)], 5, seed=0)
    assert len(folds) == 5
    assert sorted(video for fold in folds for video in fold.validation) == list(range(49))
    for fold in folds:
        assert fold.train == sorted(set(range(49)) - set(fold.validation))
        counts = Counter(labels[video] for video in fold.validation)
        assert set(counts.values()) <= {1, 2} and len(counts) == 7
        assert len(fold.validation) in (9, 10)


def test_uneven_groups_of_several_labels_are_spread() -> None:
    rng = np.random.default_rng(0)
    groups = [f"person{number}" for number in range(25) for _ in range(3 + number % 7)]
    labels = [str(number) for number in rng.integers(0, 4, len(groups))]
    folds = grouped_folds(labels, groups, 5, seed=1)
    totals = Counter(labels)
    for fold in folds:
        assert not {groups[video] for video in fold.train} & {groups[video] for video in fold.validation}
        assert abs(len(fold.validation) / len(labels) - 0.2) < 0.03
        for label, count in Counter(labels[video] for video in fold.validation).items():
            assert abs(count / totals[label] - 0.2) < 0.1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("vwxyz")), min_size=1, max_size=25), st.integers(2, 6)
)
def test_what_holds_for_all_folds(videos: list[tuple[str, str]], num_folds: int) -> None:
    labels, groups = [label for label, _ in videos], [group for _, group in videos]
    groups_of = {label: {group for one, group in videos if one == label} for label in labels}
    try:
        folds = grouped_folds(labels, groups, num_folds, seed=3)
    except LabelError as error:
        assert "\n" not in str(error)
        assert len(groups_of) == 1 or max(map(len, groups_of.values())) == 1 or len(set(groups)) <= 2
        return
    validated = [video for fold in folds for video in fold.validation]
    assert len(folds) <= min(num_folds, len(set(groups)))
    assert len(validated) == len(set(validated))
    for fold in folds:
        assert fold.validation and len({labels[video] for video in fold.train}) > 1
        assert not {groups[video] for video in fold.train} & {groups[video] for video in fold.validation}
        assert {labels[video] for video in fold.validation} <= {labels[video] for video in fold.train}


def test_a_label_in_two_groups_is_never_in_one_fold_alone() -> None:
    labels = ["rare", "rare"] + ["usual"] * 40
    for seed in range(10):
        for fold in grouped_folds(labels, [str(number) for number in range(42)], 2, seed):
            assert "rare" in {labels[video] for video in fold.train}


def test_seed_and_names_decide_and_not_the_order() -> None:
    labels = list("ab" * 20)
    groups = [f"g{number // 2}" for number in range(40)]

    def named(reverse: bool, seed: int) -> list[set[str]]:
        step = -1 if reverse else 1
        return [
            {groups[::step][video] for video in fold.validation}
            for fold in grouped_folds(labels[::step], groups[::step], 4, seed)
        ]

    assert named(False, 0) == named(True, 0)
    assert named(False, 0) != named(False, 1)


def test_fewer_groups_give_fewer_folds_and_what_cannot_be_validated_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        folds = grouped_folds(["a", "b", "a", "b", "c"], ["x", "x", "y", "y", "y"], 5, seed=0)
    assert sorted(folds) == [([0, 1], [2, 3]), ([2, 3, 4], [0, 1])]
    assert "cannot validate, being in one group each: c" in caplog.text


@pytest.mark.parametrize(
    ("labels", "groups"), [("ab", "xx"), ("ab", "xy"), ("aa", "xy"), ("abab", "xyxy")], ids=lambda value: value
)
def test_no_fold_at_all_is_one_line(labels: str, groups: str) -> None:
    with pytest.raises(LabelError, match=r"groups cannot be cross-validated: .* give more labeled groups") as caught:
        grouped_folds(list(labels), list(groups), 5, seed=0)
    assert "\n" not in str(caught.value)


def test_labels_in_fewer_groups_than_folds_are_named_with_the_folds_that_can_be() -> None:
    labels, groups = list("aaabbbccc"), list("123456123")
    require_groups(labels, groups, 3)
    with pytest.raises(LabelError) as caught:
        require_groups([*labels, "d", "d", "d"], [*groups, "1", "1", "2"], 4)
    assert str(caught.value) == (
        "4 folds, but labels are in fewer groups than that: a in 3, b in 3, c in 3, d in 2; give 2 folds at most, or "
        "more groups of these labels"
    )
    with pytest.raises(LabelError, match=r": d in 1; give more groups of these labels$"):
        require_groups([*labels, "d", "d"], [*groups, "1", "1"], 2)
