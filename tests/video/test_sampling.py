"""Which frames are kept, by their times and by their number."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from vidrep.errors import ConfigError
from vidrep.features.settings import settings_difference
from vidrep.video.sampling import FrameChooser, Sampling


def kept(times: Iterable[float], **settings: Any) -> list[int]:
    chooser = FrameChooser(Sampling(**settings))
    numbers = []
    for number, seconds in enumerate(times):
        if chooser.keeps(seconds):
            numbers.append(number)
        if chooser.is_full:
            break
    return numbers


def at_rate(fps: float, num_frames: int, start: float = 0.0) -> list[float]:
    return [start + number / fps for number in range(num_frames)]


def test_all_frames_are_kept_by_default() -> None:
    assert kept(at_rate(30, 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("start", [0.0, 0.1, 17.0333, -0.08])
def test_the_first_frame_of_each_cell_is_kept_wherever_time_begins(start: float) -> None:
    assert kept(at_rate(25, 25, start), fps=10) == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]
    assert kept(at_rate(30, 30, start), fps=10) == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]
    assert kept(at_rate(30000 / 1001, 12, start), fps=10) == [0, 3, 6, 9]


@pytest.mark.parametrize(("source", "wanted", "step"), [(24, 12, 2), (30, 10, 3), (60, 15, 4), (24, 8, 3), (60, 20, 3)])
def test_times_rounded_to_milliseconds_keep_as_evenly(source: int, wanted: int, step: int) -> None:
    times = [round(seconds, 3) for seconds in at_rate(source, 240)]
    assert kept(times, fps=wanted) == list(range(0, 240, step))


def test_a_rate_above_the_source_doubles_nothing() -> None:
    assert kept(at_rate(10, 6), fps=25) == list(range(6))
    assert kept(at_rate(10, 6), fps=10) == list(range(6))


def test_a_variable_frame_rate_is_followed_by_time() -> None:
    dense_then_sparse = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 1.0, 2.0, 2.01, 2.5]
    assert kept(dense_then_sparse, fps=2) == [0, 6, 7, 9]
    assert kept(dense_then_sparse, fps=10) == [0, 2, 4, 6, 7, 9]


def test_times_that_go_back_keep_nothing_twice() -> None:
    assert kept([0.0, 1.0, 0.5, 0.9, 2.0, 1.5], fps=1) == [0, 1, 4]


def test_one_in_so_many() -> None:
    assert kept(at_rate(30, 10), every=4) == [0, 4, 8]


def test_a_limit_counts_kept_frames() -> None:
    assert kept(at_rate(30, 100), max_frames=3) == [0, 1, 2]
    assert kept(at_rate(30, 100), every=10, max_frames=3) == [0, 10, 20]
    assert kept(at_rate(30, 100), fps=10, max_frames=2) == [0, 3]


def test_a_span_begins_at_its_start_and_stops_before_its_end() -> None:
    times = at_rate(10, 30)
    assert kept(times, start=0.5, end=1.0) == [5, 6, 7, 8, 9]
    assert kept(times, start=2.8) == [28, 29]
    assert kept(times, end=0.2) == [0, 1]
    assert kept(times, start=0.55, end=1.25, every=3) == [6, 9, 12]  # the first of the span is the first of all
    assert kept(times, start=0.55, fps=5) == list(range(6, 30, 2))
    assert kept(times, start=0.5, max_frames=2) == [5, 6]


def test_a_frame_at_the_end_of_the_span_is_the_last_one_looked_at() -> None:
    chooser = FrameChooser(Sampling(end=0.2))
    for seconds, is_full in [(0.0, False), (0.1, False), (0.2, True)]:
        chooser.keeps(seconds)
        assert chooser.is_full is is_full


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ({"start": 5}, "no frame lies from 5 s on; the last frame is shown at 0.4 s"),
        ({"start": 0.11, "end": 0.19}, "no frame lies from 0.11 s on and before 0.19 s; the last frame is shown"),
        ({"end": 1}, ""),
        ({}, ""),
    ],
)
def test_why_no_frame_was_kept(span: dict[str, Any], reason: str) -> None:
    chooser = FrameChooser(Sampling(**span))
    assert chooser.why_none == ""  # no frame at all is another matter
    for seconds in at_rate(10, 5):
        chooser.keeps(seconds)
    assert chooser.why_none.startswith(reason) and bool(chooser.why_none) is bool(reason)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fps": 0}, "fps 0: give a number of frames a second above 0"),
        ({"fps": -1.0}, "fps -1.0"),
        ({"fps": np.nan}, "fps nan"),
        ({"fps": np.inf}, "fps inf"),
        ({"every": 0}, "every 0: give 1 for all frames"),
        ({"fps": 5, "every": 2}, "fps 5 and every 2: give one of the two"),
        ({"max_frames": 0}, "max_frames 0: give at least 1"),
        ({"start": -0.1}, "start -0.1: give seconds from 0 on"),
        ({"start": np.nan}, "start nan"),
        ({"start": np.inf}, "start inf"),
        ({"end": 0}, "end 0: give seconds above 0"),
        ({"end": np.inf}, "end inf"),
        ({"start": 2.5, "end": 2.5}, "end 2.5: give seconds above the start, 2.5"),
        ({"start": 3, "end": 2}, "end 2: give seconds above the start, 3"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**settings)


def test_settings_recorded_before_there_were_spans_mean_the_same() -> None:
    recorded: dict[str, Any] = {"fps": 2.0, "every": 1, "max_frames": 4}
    assert Sampling(**recorded) == Sampling(fps=2.0, max_frames=4, start=None, end=None)
    assert settings_difference({"sampling": recorded}, {"sampling": asdict(Sampling(**recorded))}) == ""
    spanned = asdict(Sampling(**recorded, start=1.0))
    assert settings_difference({"sampling": recorded}, {"sampling": spanned}) == "sampling.start is None, not 1.0"
