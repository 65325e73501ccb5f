"""Annotations under the keys of their videos, and what lies outside."""

import pytest

from vidrep.errors import LabelError
from vidrep.segments.matching import match_videos
from vidrep.segments.segment import Annotations, Segment, Span

LENGTHS = {"run/a.mp4": 10.0, "run/b.mp4": 5.0, "jump/b.mp4": 5.0}


def of(video: str, start: float, end: float) -> Annotations:
    return Annotations.of([Segment(video, start, end, "x", place="'a.csv', line 7")], {video: [Span(0, 60)]})


def test_videos_get_their_keys_and_ends_are_cut_off() -> None:
    asked = Annotations.of(
        [Segment("C:\\clips\\run\\a.mp4", 1, 10.4, "x"), Segment("jump/b", 5, 5, "y")],
        {"C:\\clips\\run\\a.mp4": [Span(0, 10.2)], "jump/b": [Span(7, 8)]},
        {"jump/b": "test"},
        ["never"],
    )
    found = match_videos(asked, LENGTHS)
    assert found.segments == (Segment("jump/b.mp4", 5, 5, "y"), Segment("run/a.mp4", 1, 10, "x"))
    assert found.watched == {"jump/b.mp4": (), "run/a.mp4": (Span(0, 10),)}
    assert found.splits == {"jump/b.mp4": "test"}
    assert found.labels == ("never", "x", "y")


def test_videos_that_are_not_there() -> None:
    with pytest.raises(
        LabelError, match=r"'a.csv', line 7: 'run/c.mp4' is not one of the 3 videos; did you mean 'run/"
    ):
        match_videos(of("run/c.mp4", 0, 1), LENGTHS)
    with pytest.raises(LabelError, match=r"line 7: 'b.mp4' could be 'run/b.mp4', 'jump/b.mp4'; write the whole key"):
        match_videos(of("b.mp4", 0, 1), LENGTHS)
    assert match_videos(of("c", 0, 1), LENGTHS, leave_out=True) == Annotations(labels=("x",))


@pytest.mark.parametrize(("start", "end"), [(10.1, 10.2), (9, 10.6), (10, 10.1)])
def test_segments_outside_their_videos(start: float, end: float) -> None:
    message = rf"'a.csv', line 7: {start:g} s to {end:g} s lies outside 'run/a.mp4', which ends at 10.000 s; correct"
    with pytest.raises(LabelError, match=message):
        match_videos(of("a.mp4", start, end), LENGTHS)
