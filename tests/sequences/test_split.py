"""Parts: whole videos, by label, by key, never two parts at once."""

import logging
from collections import Counter

import pytest

from vidrep.errors import InputError
from vidrep.sequences.split import VideoSplit, split_videos


def divide(
    keys: list[str],
    labels: list[str],
    splits: list[str] | None = None,
    *,
    validation: float = 0.2,
    test: float = 0.25,
    seed: int = 0,
) -> VideoSplit:
    return split_videos(
        keys, labels, splits or [""] * len(keys), validation_fraction=validation, test_fraction=test, seed=seed
    )


def many(num_per_label: int, labels: str = "abc") -> tuple[list[str], list[str]]:
    keys = [f"{label}/{number}" for label in labels for number in range(num_per_label)]
    return keys, [key[0] for key in keys]


def names(keys: list[str], part: list[int]) -> set[str]:
    return {keys[index] for index in part}


def test_every_video_is_in_one_part_and_every_label_in_every_part() -> None:
    keys, labels = many(20)
    parts = divide(keys, labels)
    assert sorted(parts.train + parts.validation + parts.test) == list(range(60))
    for part, count in ((parts.test, 5), (parts.validation, 3), (parts.train, 12)):
        assert part == sorted(part)
        assert Counter(labels[index] for index in part) == dict.fromkeys("abc", count)


def test_the_order_of_the_videos_does_not_matter_and_the_seed_does() -> None:
    keys, labels = many(20)
    parts, backwards = divide(keys, labels), divide(keys[::-1], labels[::-1])
    assert names(keys, parts.test) == names(keys[::-1], backwards.test)
    assert names(keys, parts.validation) == names(keys[::-1], backwards.validation)
    assert names(keys, parts.test) != names(keys, divide(keys, labels, seed=1).test)


def test_adding_a_video_moves_none_of_another_label_and_at_most_one_of_its_own() -> None:
    keys, labels = many(11)
    parts = divide(keys, labels, validation=0.5)
    moved = 0
    for number in range(30):
        more = [*keys, f"b/new{number}"]
        after = divide(more, [*labels, "b"], validation=0.5)
        change = names(keys, parts.test) ^ (names(more, after.test) - {more[-1]})
        assert all(key.startswith("b/") for key in change)
        assert len(change) <= 1
        moved += len(change)
    assert 0 < moved < 30


@pytest.mark.parametrize("num_videos", [1, 2, 3])
def test_the_last_video_of_a_label_stays_in_training(num_videos: int) -> None:
    keys, labels = many(num_videos)
    parts = divide(keys, labels, validation=0.9, test=0.9)
    assert Counter(labels[index] for index in parts.train) == dict.fromkeys("abc", 1)
    assert len(parts.test) == 3 * (num_videos - 1)


def test_of_two_videos_one_is_held_out_however_small_the_part() -> None:
    keys, labels = many(2)
    parts = divide(keys, labels, validation=0.01, test=0.0)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (3, 3, 0)


def test_named_splits_are_kept_and_others_left_out(caplog: pytest.LogCaptureFixture) -> None:
    keys, labels = many(4, "a")
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        parts = divide(keys, labels, ["train", "validation", "test", ""])
    assert parts == VideoSplit(train=[0], validation=[1], test=[2])
    assert "1 videos have no split and are left out" in caplog.text


def test_without_a_validation_split_a_part_of_the_training_split_is_held_out() -> None:
    keys, labels = many(10, "a")
    parts = divide(keys, labels, ["train"] * 6 + ["test"] * 4, validation=0.5)
    assert parts.test == [6, 7, 8, 9]
    assert len(parts.validation) == 3
    assert sorted(parts.train + parts.validation) == [0, 1, 2, 3, 4, 5]


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="none has the split 'train'"):
        divide(["a", "b"], ["x", "x"], ["test", ""])


def test_what_belongs_together_stays_together() -> None:
    keys, labels = many(20)
    crops = [f"{key}#crop-{number}" for key in keys for number in range(3)]
    parts = split_videos(
        crops,
        [label for label in labels for _ in range(3)],
        [""] * len(crops),
        groups=[key for key in keys for _ in range(3)],
        validation_fraction=0.2,
        test_fraction=0.25,
        seed=0,
    )
    sources = [
        {crops[index].partition("#")[0] for index in part} for part in (parts.train, parts.validation, parts.test)
    ]
    assert [len(part) for part in sources] == [36, 9, 15]
    assert len(set.union(*sources)) == 60
    assert sorted(parts.train + parts.validation + parts.test) == list(range(180))
