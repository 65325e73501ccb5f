"""Splits: whole videos and whole groups, by label, by key, never in two splits at once."""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from vidrep.errors import InputError
from vidrep.sequences.split import VideoSplit, split_videos


def divide(
    keys: list[str],
    labels: list[str],
    splits: list[str] | None = None,
    *,
    groups: list[str] | None = None,
    validation: float = 0.2,
    test: float = 0.25,
    seed: int = 0,
) -> VideoSplit:
    return split_videos(
        keys,
        labels,
        splits or [""] * len(keys),
        groups=groups,
        validation_fraction=validation,
        test_fraction=test,
        seed=seed,
    )


def many(num_per_label: int, labels: str = "abc") -> tuple[list[str], list[str]]:
    keys = [f"{label}/{number}" for label in labels for number in range(num_per_label)]
    return keys, [key[0] for key in keys]


def names(keys: Sequence[str], videos: list[int]) -> set[str]:
    return {keys[index] for index in videos}


def test_every_video_is_in_one_split_and_every_label_in_every_split() -> None:
    keys, labels = many(20)
    split = divide(keys, labels)
    assert sorted(split.train + split.validation + split.test) == list(range(60))
    for videos, count in ((split.test, 5), (split.validation, 3), (split.train, 12)):
        assert videos == sorted(videos)
        assert Counter(labels[index] for index in videos) == dict.fromkeys("abc", count)


def test_the_order_of_the_videos_does_not_matter_and_the_seed_does() -> None:
    keys, labels = many(20)
    split, backwards = divide(keys, labels), divide(keys[::-1], labels[::-1])
    assert names(keys, split.test) == names(keys[::-1], backwards.test)
    assert names(keys, split.validation) == names(keys[::-1], backwards.validation)
    assert names(keys, split.test) != names(keys, divide(keys, labels, seed=1).test)


def test_adding_a_video_moves_none_of_another_label_and_at_most_one_of_its_own() -> None:
    keys, labels = many(11)
    split = divide(keys, labels, validation=0.5)
    moved = 0
    for number in range(30):
        more = [*keys, f"b/new{number}"]
        after = divide(more, [*labels, "b"], validation=0.5)
        change = names(keys, split.test) ^ (names(more, after.test) - {more[-1]})
        assert all(key.startswith("b/") for key in change)
        assert len(change) <= 1
        moved += len(change)
    assert 0 < moved < 30


@pytest.mark.parametrize("num_videos", [1, 2, 3])
def test_the_last_video_of_a_label_stays_in_training(num_videos: int) -> None:
    keys, labels = many(num_videos)
    split = divide(keys, labels, validation=0.9, test=0.9)
    assert Counter(labels[index] for index in split.train) == dict.fromkeys("abc", 1)
    assert len(split.test) == 3 * (num_videos - 1)


def test_of_two_videos_one_is_held_out_however_small_the_fraction() -> None:
    keys, labels = many(2)
    split = divide(keys, labels, validation=0.01, test=0.0)
    assert (len(split.train), len(split.validation), len(split.test)) == (3, 3, 0)


def test_named_splits_are_kept_and_others_left_out(caplog: pytest.LogCaptureFixture) -> None:
    keys, labels = many(4, "a")
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        split = divide(keys, labels, ["train", "validation", "test", ""])
    assert split == VideoSplit(train=[0], validation=[1], test=[2])
    assert "1 videos have no split and are left out" in caplog.text


def test_without_a_validation_split_some_training_videos_are_held_out() -> None:
    keys, labels = many(10, "a")
    split = divide(keys, labels, ["train"] * 6 + ["test"] * 4, validation=0.5)
    assert split.test == [6, 7, 8, 9]
    assert len(split.validation) == 3
    assert sorted(split.train + split.validation) == [0, 1, 2, 3, 4, 5]


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="none has the split 'train'"):
        divide(["a", "b"], ["x", "x"], ["test", ""])


# ---- groups


def test_groups_of_one_label_stay_together() -> None:
    keys, labels = many(20)
    crops = [f"{key}#crop-{number}" for key in keys for number in range(3)]
    split = divide(crops, [one for one in labels for _ in range(3)], groups=[key for key in keys for _ in range(3)])
    sources = [
        {crops[index].partition("#")[0] for index in videos} for videos in (split.train, split.validation, split.test)
    ]
    assert [len(videos) for videos in sources] == [36, 9, 15]
    assert len(set.union(*sources)) == 60
    assert sorted(split.train + split.validation + split.test) == list(range(180))


def actions(num_persons: int, num_actions: int = 12) -> tuple[list[str], list[str], list[str]]:
    """Return keys, labels and groups of persons who perform every action."""
    pairs = [(f"p{person:02}", f"a{action:02}") for person in range(num_persons) for action in range(num_actions)]
    return (
        [f"{action}/{person}.mp4" for person, action in pairs],
        [pair[1] for pair in pairs],
        [pair[0] for pair in pairs],
    )


def test_a_person_who_performs_every_action_is_in_one_split() -> None:
    keys, labels, persons = actions(25)
    split = divide(keys, labels, groups=persons, validation=0.2, test=0.2)
    of_split = [names(persons, videos) for videos in (split.train, split.validation, split.test)]
    assert [len(one) for one in of_split] == [16, 4, 5]
    assert len(set.union(*of_split)) == 25
    assert set(Counter(labels[index] for index in split.test).values()) == {5}
    chosen = {frozenset(names(persons, divide(keys, labels, groups=persons, seed=seed).test)) for seed in range(10)}
    assert len(chosen) == 10


def test_one_group_is_held_out_however_small_the_fraction() -> None:
    keys, labels, persons = actions(3)
    split = divide(keys, labels, groups=persons, validation=0.01, test=0.0)
    assert [len(names(persons, videos)) for videos in (split.train, split.validation, split.test)] == [2, 1, 0]


def test_a_group_with_the_last_video_of_a_label_stays_in_training() -> None:
    labels, groups = ["a", "b", "a", "c", "a", "b"], ["p1", "p1", "p2", "p2", "p3", "p3"]
    keys = [f"{number}.mp4" for number in range(6)]
    for seed in range(10):
        split = divide(keys, labels, groups=groups, validation=0.0, test=0.5, seed=seed)
        assert names(groups, split.test) in ({"p1"}, {"p3"})
    split = divide(["1", "2", "3"], ["a", "b", "c"], groups=["p1", "p1", "p2"])
    assert (split.train, split.validation, split.test) == ([0, 1, 2], [], [])


Videos = list[tuple[str, str]]
"""(label, group) of each video; its key is made of its place."""


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(
    videos=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("123456789")), min_size=1, max_size=60),
    fractions=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_no_group_is_divided_and_the_order_of_the_videos_does_not_matter(
    videos: Videos, fractions: tuple[float, float], seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(videos))))

    def splits_of(numbers: Sequence[int]) -> dict[str, str]:
        split = divide(
            [f"{number}.mp4" for number in numbers],
            [videos[number][0] for number in numbers],
            groups=[videos[number][1] for number in numbers],
            validation=fractions[0],
            test=fractions[1],
            seed=seed,
        )
        return {f"{numbers[index]}.mp4": split for split, chosen in asdict(split).items() for index in chosen}

    splits = splits_of(range(len(videos)))
    assert splits == splits_of(order)
    assert len(splits) == len(videos)
    of_group, of_label = defaultdict(set), defaultdict(set)
    for number, (label, group) in enumerate(videos):
        of_group[group].add(splits[f"{number}.mp4"])
        of_label[label].add(splits[f"{number}.mp4"])
    assert all(len(found) == 1 for found in of_group.values())
    assert all("train" in found for found in of_label.values())


@settings(derandomize=True, deadline=None, database=None, max_examples=50)
@given(num_persons=st.integers(2, 40), fraction=st.floats(0.01, 0.7), seed=st.integers(0, 100))
def test_equal_groups_meet_the_fraction_to_the_nearest_group(num_persons: int, fraction: float, seed: int) -> None:
    keys, labels, persons = actions(num_persons, 3)
    split = divide(keys, labels, groups=persons, validation=0.0, test=fraction, seed=seed)
    num_held_out = len(names(persons, split.test))
    assert abs(num_held_out - fraction * num_persons) <= 0.5 + 1e-9 or num_held_out == 1


def test_unequal_groups_are_balanced_no_worse_than_by_scikit_learn() -> None:
    ours: list[float] = []
    theirs: list[float] = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 15, size=20)
        groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
        labels = [f"l{label}" for size in sizes for label in rng.choice(4, size, p=rng.dirichlet(np.ones(4)))]
        keys = [f"{number}.mp4" for number in range(len(groups))]
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(keys, labels, groups)
        for held_out, deviations in (
            (divide(keys, labels, groups=groups, test=0.2, seed=seed).test, ours),
            (next(folds)[1].tolist(), theirs),
        ):
            shares = [np.isin(np.flatnonzero(np.array(labels) == one), held_out).mean() for one in set(labels)]
            deviations.append(np.abs(np.array(shares) - 0.2).mean())
    assert np.mean(ours) < 0.05
    assert np.mean(ours) < np.mean(theirs)


def test_named_splits_that_divide_a_group_are_kept_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    keys, labels = [f"{number}.mp4" for number in range(6)], ["a", "b"] * 3
    groups = ["p00", "p01", "p01", "p02", "p02", "p02"]
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        split = divide(keys, labels, ["train", "train", "test", "validation", "", "test"], groups=groups)
    assert split == VideoSplit(train=[0, 1], validation=[3], test=[2, 5])
    warnings = [record.getMessage() for record in caplog.records if "divide" in record.getMessage()]
    assert warnings == [
        "the given splits divide 2 groups, and are kept: group 'p01' is in train (1.mp4) and test (2.mp4)"
    ]
