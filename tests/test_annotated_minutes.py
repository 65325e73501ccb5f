"""What is annotated in few minutes of long videos, for the benchmarks: nested, and cut where pieces end."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.synthetic.long_videos import LongVideoConfig

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("annotated_minutes")


@pytest.fixture(scope="module")
def whole() -> Annotations:
    clips = LongVideoConfig(num_videos=8, minutes=1.5).clips()
    every = [clip.annotations for clip in clips]
    return Annotations.of(
        [one for some in every for one in some.segments],
        {video: spans for some in every for video, spans in some.watched.items()},
        {video: split for some in every for video, split in some.splits.items()},
    )


def test_pieces_are_of_every_training_video_in_turn(minutes: ModuleType, whole: Annotations) -> None:
    pieces = list(minutes.drawn_pieces(whole, 0))
    train = {video for video in whole.videos if whole.splits[video] == "train"}
    assert len(train) == 6
    assert len(pieces) == len(set(pieces)) == 6 * 4
    for first in range(0, 24, 6):
        assert {video for video, _ in pieces[first : first + 6]} == train
    assert {piece for _, piece in pieces} == {Span(start, start + 20) for start in (0, 20, 40, 60)}
    assert pieces == list(minutes.drawn_pieces(whole, 0))
    assert pieces != list(minutes.drawn_pieces(whole, 1))


def test_fewer_minutes_are_part_of_more(minutes: ModuleType, whole: Annotations) -> None:
    pieces = list(minutes.drawn_pieces(whole, 2))
    less, more = (minutes.annotated(whole, minutes.first_minutes(pieces, some)) for some in (1, 3))
    assert sum(end - start for spans in less.watched.values() for start, end in spans) == pytest.approx(60)
    assert sum(end - start for spans in more.watched.values() for start, end in spans) == pytest.approx(180)
    for video, spans in less.watched.items():
        assert all(
            any(far.start <= near.start and near.end <= far.end for far in more.watched[video]) for near in spans
        )
    assert set(less.splits.values()) == {"train"}
    assert less.labels == whole.labels


def test_segments_are_cut_where_a_piece_ends(minutes: ModuleType) -> None:
    whole = Annotations.of(
        [Segment("a", 5.0, 19.0, "left"), Segment("a", 19.5, 22.0, "up"), Segment("a", 30.0, 31.0, "down")],
        {"a": [Span(0, 40)]},
        {"a": "train"},
    )
    found = minutes.annotated(whole, [("a", Span(0.0, 20.0))])
    assert found.segments == (Segment("a", 5.0, 19.0, "left"), Segment("a", 19.5, 20.0, "up"))
    assert found.watched == {"a": (Span(0.0, 20.0),)}
    assert found.labels == ("down", "left", "up")
