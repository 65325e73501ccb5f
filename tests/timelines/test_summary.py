"""Counts, durations and shares: against a slow count of thousandths of a second, and at the edges of bins."""

import numpy as np
import pytest

from vidrep.errors import ConfigError
from vidrep.metrics.segmentation.bouts import Bouts
from vidrep.segments.segment import Span
from vidrep.timelines.summary import BinSummary, LabelSummary, summarize, summarize_bins

LABELS = ("dig", "groom")


def test_a_video_is_summarized() -> None:
    bouts = Bouts.of([2, 5, 4], [3, 8, 6], [0, 0, 1])
    found = summarize("a.mp4", bouts, (*LABELS, "rear"), [Span(1, 11)])
    assert found == [
        LabelSummary(video="a.mp4", label="dig", count=2, total=4.0, mean=2.0, latency=1.0, share=0.4),
        LabelSummary(video="a.mp4", label="groom", count=1, total=2.0, mean=2.0, latency=3.0, share=0.2),
        LabelSummary(video="a.mp4", label="rear", count=0, total=0.0, mean=None, latency=None, share=0.0),
    ]


def test_only_watched_time_counts() -> None:
    bouts = Bouts.of([0, 4], [3, 9], [0, 0])
    (found,) = summarize("a.mp4", bouts, ["dig"], [Span(2, 5), Span(8, 10), Span(5, 5)])
    assert found == LabelSummary(video="a.mp4", label="dig", count=3, total=3.0, mean=1.0, latency=0.0, share=0.6)
    (nothing,) = summarize("a.mp4", bouts, ["dig"], [])
    assert nothing == LabelSummary(video="a.mp4", label="dig", count=0, total=0.0, mean=None, latency=None, share=None)


def test_bouts_are_cut_at_the_edges_of_bins_and_counted_where_they_start() -> None:
    bouts = Bouts.of([1, 10, 19.5], [2, 12, 31], [0, 0, 0])
    found = summarize_bins("a.mp4", bouts, ["dig"], [Span(0, 35)], seconds=10)
    assert found == [
        BinSummary(video="a.mp4", label="dig", start=0, end=10, count=1, total=1, share=0.1),
        BinSummary(video="a.mp4", label="dig", start=10, end=20, count=2, total=2.5, share=0.25),
        BinSummary(video="a.mp4", label="dig", start=20, end=30, count=0, total=10, share=1),
        BinSummary(video="a.mp4", label="dig", start=30, end=35, count=0, total=1, share=0.2),
    ]


def test_bins_equal_a_slow_count_on_300_cases() -> None:
    rng, num_bouts = np.random.default_rng(0), 0
    for _ in range(300):
        labels = np.repeat(rng.integers(-1, 2, 30), rng.integers(1, 30, 30))
        edges = np.arange(len(labels) + 1) / 25 + 3
        watched = np.repeat(rng.random(10) < 0.8, len(labels) // 10 + 1)[: len(labels)]
        if not watched.any():
            continue
        spans = Bouts.of_active(watched[:, None], edges)
        found = summarize_bins(
            "a.mp4",
            Bouts.of_frames(labels, edges),
            LABELS,
            list(map(Span, spans.starts.tolist(), spans.ends.tolist())),
            seconds=float(rng.choice([0.4, 1.0, 4.0])),
        )
        first, last = np.flatnonzero(watched)[[0, -1]]
        for one in found:
            size = round((found[0].end - found[0].start) * 25) if one.end < edges[last + 1] else 0
            begin = round((one.start - 3) * 25)
            end = round((one.end - 3) * 25)
            assert end - begin == size or one.end == edges[last + 1]
            own = (labels == LABELS.index(one.label)) & watched
            is_start = own & ~np.append(False, own[:-1])
            assert one.count == is_start[begin:end].sum()
            assert one.total == pytest.approx(own[begin:end].sum() / 25, abs=1e-9)
            time = watched[begin:end].sum()
            assert one.share == (pytest.approx(own[begin:end].sum() / time, abs=1e-9) if time else None)
            num_bouts += one.count
        assert found[0].start == edges[first]
    assert num_bouts > 1000


def test_bins_of_no_time_and_of_nothing() -> None:
    none = Bouts.of([], [], [])
    with pytest.raises(ConfigError, match="bins of 0 s: give seconds, above 0"):
        summarize_bins("a.mp4", none, LABELS, [Span(0, 1)], seconds=0)
    with pytest.raises(ConfigError, match=r"bins of 1e-06 s: 60.0 s would have 60000000, at most 1000000 are made"):
        summarize_bins("a.mp4", none, LABELS, [Span(0, 60)], seconds=1e-6)
    assert summarize_bins("a.mp4", none, LABELS, [], seconds=1) == []
    assert len(summarize_bins("a.mp4", none, LABELS, [Span(0, 60)], seconds=60)) == 2
