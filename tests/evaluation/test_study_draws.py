"""Which videos a draw labels: whole units, k of each class, the same ones for larger k."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from vidrep.errors import LabelError
from vidrep.evaluation.study.draws import Shots, Units, possible_shots


def units_of(names: Sequence[str], classes: Sequence[int]) -> Units:
    """Units of videos 10, 11, ..."""
    return Units("groups", range(10, 10 + len(names)), names, np.array(classes, dtype=np.int64))


PERSONS = units_of([f"p{number // 6}" for number in range(36)], [number % 3 for number in range(36)])
"""6 persons, each with two videos of each of 3 classes."""
CLIPS = units_of([f"clip{number}" for number in range(30)], [number % 3 for number in range(30)])
MIXED = units_of(["a", "a", "b", "c", "c", "d", "e", "e"], [0, 1, 0, 1, 2, 2, 0, 2])


def classes_of(units: Units, videos: Sequence[int]) -> Counter[int]:
    return Counter(int(units.classes[video - 10]) for video in videos)


def test_persons_are_labeled_whole_and_of_clips_k_a_class() -> None:
    for draw in range(5):
        persons = PERSONS.drawn(2, draw)
        assert classes_of(PERSONS, persons) == {0: 4, 1: 4, 2: 4}
        assert len({PERSONS.names[video - 10] for video in persons}) == 2
        assert classes_of(CLIPS, CLIPS.drawn(4, draw)) == {0: 4, 1: 4, 2: 4}


@pytest.mark.parametrize("units", [PERSONS, CLIPS, MIXED])
def test_larger_k_label_the_same_videos_and_more(units: Units) -> None:
    for draw in range(20):
        every = [set(units.drawn(shots, draw)) for shots in (1, 2, 3)]
        assert every[0] <= every[1] <= every[2] <= set(units.drawn("all", draw))
        for shots, videos in enumerate(every, start=1):
            of_class = {
                number: len({units.names[one - 10] for one in videos if units.classes[one - 10] == number})
                for number in range(3)
            }
            there = units.counts(3)
            assert all(count >= min(shots, there[number]) for number, count in of_class.items())


def test_draws_differ_are_repeated_and_depend_on_names_alone() -> None:
    assert len({tuple(CLIPS.drawn(2, draw)) for draw in range(10)}) == 10
    assert CLIPS.drawn(2, 3) == CLIPS.drawn(2, 3)
    backwards = Units("groups", CLIPS.videos[::-1], CLIPS.names[::-1], CLIPS.classes[::-1])
    assert backwards.drawn(2, 3) == CLIPS.drawn(2, 3)


def test_every_draw_is_as_likely() -> None:
    """Of 10 clips a class one is drawn: over 600 draws each about 60 times, six deviations are 44."""
    counts = Counter(video for draw in range(600) for video in CLIPS.drawn(1, draw))
    assert len(counts) == 30
    assert max(counts.values()) < 60 + 44 and min(counts.values()) > 60 - 44


def test_k_that_a_class_is_too_small_for_is_left_out_with_class_and_count(caplog: pytest.LogCaptureFixture) -> None:
    wanted: list[Shots] = [4, 1, 3, "all", 1]
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        kept = possible_shots(MIXED, wanted, ["run", "jump", "wave"])
    assert kept == [1, "all"]
    assert [record.getMessage() for record in caplog.records] == [
        "k = 3 is left out: class 'jump' has 2 groups",
        "k = 4 is left out: class 'jump' has 2 groups",
    ]
    with pytest.raises(LabelError, match="no k of 3 is possible: class 'jump' has 2 groups to be labeled"):
        possible_shots(MIXED, [3], ["run", "jump", "wave"])


def test_k_that_labels_everything_is_all(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        assert possible_shots(CLIPS, [10, "all"], ["a", "b", "c"]) == ["all"]
    assert "k = 10 is left out: it labels everything, as all does" in caplog.text
    assert possible_shots(CLIPS, [10], ["a", "b", "c"]) == [10]
