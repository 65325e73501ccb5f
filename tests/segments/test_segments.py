"""Segments in memory: their order, joined spans, unions, and which share time."""

from collections.abc import Iterable

import numpy as np
import pytest

from vidrep.errors import LabelError
from vidrep.segments.segment import Annotations, Segment, Span, combined, find_overlaps, joined, watched_until, without


def test_spans_are_joined_where_they_overlap_or_touch() -> None:
    spans = [Span(5, 6), Span(0, 2), Span(2, 3), Span(1, 1.5), Span(4, 4), Span(5.5, 7)]
    assert joined(spans) == (Span(0, 3), Span(5, 7))
    assert joined([]) == ()


def test_annotations_are_sorted_and_name_every_video_and_label() -> None:
    later, earlier = Segment("b.mp4", 3, 4, "rear"), Segment("b.mp4", 1, 2, "groom", "anna")
    found = Annotations.of([later, earlier], {"a.mp4": [Span(0, 9)]}, labels=["never"])
    assert found.segments == (earlier, later)
    assert found.videos == ["a.mp4", "b.mp4"]
    assert found.watched == {"a.mp4": (Span(0, 9),), "b.mp4": ()}
    assert found.labels == ("groom", "never", "rear")
    assert found.by_video == {"a.mp4": (), "b.mp4": (earlier, later)}
    assert found.of_video("a.mp4") == Annotations((), {"a.mp4": (Span(0, 9),)}, {}, found.labels)


def test_the_union_of_files_joins_what_was_watched() -> None:
    one = Annotations.of([Segment("a", 0, 1, "x")], {"a": [Span(0, 5)]}, {"a": "train"})
    other = Annotations.of([Segment("a", 4, 6, "y")], {"a": [Span(4, 8)]})
    both = combined([one, other])
    assert both.watched == {"a": (Span(0, 8),)}
    assert both.splits == {"a": "train"}
    assert [segment.label for segment in both.segments] == ["x", "y"]
    with pytest.raises(LabelError, match=r"'a' is in the splits 'train' and 'test'; keep one of them"):
        combined([one, Annotations.of([], {"a": []}, {"a": "test"})])


def test_watched_until() -> None:
    assert watched_until((Span(0, 7),)) == 7
    assert watched_until((Span(1, 7),)) is None
    assert watched_until((Span(0, 1), Span(2, 7))) is None
    assert watched_until(()) is None


def test_overlaps_are_of_one_video_and_share_time() -> None:
    long, inside, touching = Segment("a", 0, 10, "x"), Segment("a", 2, 3, "y"), Segment("a", 10, 12, "x")
    late = Segment("a", 4, 5, "z")
    elsewhere = Segment("b", 0, 10, "y")
    found = find_overlaps(Annotations.of([long, inside, touching, late, elsewhere]))
    assert found == [(long, inside), (long, late)]


def test_points_overlap_what_they_lie_in() -> None:
    bout = Segment("a", 1, 2, "x")
    first, within, end = (Segment("a", time, time, "bite") for time in (1.0, 1.5, 2.0))
    found = find_overlaps(Annotations.of([bout, first, within, end]))
    assert {tuple(sorted(pair)) for pair in found} == {(first, bout), (bout, within)}
    assert find_overlaps(Annotations.of([end, Segment("a", 2, 2, "lick")]))


def test_what_lies_outside_of_taken_time() -> None:
    spans, taken = [Span(0, 4), Span(6, 9)], [Span(7, 7.5), Span(1, 2), Span(3, 7), Span(9, 9)]
    assert without(spans, taken) == (Span(0, 1), Span(2, 3), Span(7.5, 9))
    assert without(spans, []) == tuple(spans)
    assert without(spans, [Span(-1, 20)]) == ()
    rng = np.random.default_rng(0)
    for _ in range(100):
        several = [[Span(*sorted(pair)) for pair in rng.integers(0, 30, (4, 2)).tolist()] for _ in range(2)]
        of_spans, of_taken, left = map(seconds_of, (*several, without(*several)))
        assert left == of_spans - of_taken


def seconds_of(spans: Iterable[Span]) -> set[int]:
    return {second for start, end in spans for second in range(int(start), int(end))}
