"""How often and how long things happen in a video: over all of it, and in bins of time.

Shapes: B bins, N bouts of a label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..metrics.segmentation.bouts import Bouts, Floats
from ..segments.segment import Span, joined
from .smoothing import TOLERANCE

_MOST_BINS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LabelSummary:
    """How often and how long a label holds in a video.

    count: its bouts. total, mean: their durations in seconds, mean None without a bout. latency: seconds from the
    beginning of watched time to the first bout, None without one. share: of watched time, None if there is none.
    """

    video: str
    label: str
    count: int
    total: float
    mean: float | None
    latency: float | None
    share: float | None


@dataclass(frozen=True, kw_only=True)
class BinSummary:
    """How often and how long a label holds in a bin.

    start, end: of the bin, seconds. count: bouts that start in it. total: seconds of bouts, cut at its edges. share: of
    the bin's watched time, None if there is none.
    """

    video: str
    label: str
    start: float
    end: float
    count: int
    total: float
    share: float | None


def summarize(video: str, bouts: Bouts, labels: Sequence[str], watched: Sequence[Span]) -> list[LabelSummary]:
    """Return a summary of each label, K names, in a video, of which spans were watched: bouts are cut where they end.

    bouts: those of one label do not overlap.
    """
    spans = joined(watched)
    seconds = sum(end - start for start, end in spans)
    inside = bouts.within(spans)
    found = []
    for number, label in enumerate(labels):
        own = inside.chosen(inside.labels == number)
        count, total = len(own), float((own.ends - own.starts).sum())
        summary = LabelSummary(
            video=video,
            label=label,
            count=count,
            total=total,
            mean=total / count if count else None,
            latency=float(own.starts[0]) - spans[0].start if count else None,
            share=total / seconds if spans else None,
        )
        found.append(summary)
    return found


def summarize_bins(
    video: str, bouts: Bouts, labels: Sequence[str], watched: Sequence[Span], *, seconds: float
) -> list[BinSummary]:
    """Return a summary of each bin and label; see `summarize`.

    The first bin begins where watched time does; the last one ends where that ends, and may be shorter.

    Raises ConfigError for bins of no time, or for very many.
    """
    spans = joined(watched)
    edges = _edges_of_bins(spans, seconds)
    inside = bouts.within(spans)
    in_time = Bouts.of([span.start for span in spans], [span.end for span in spans], [0] * len(spans))
    watched_seconds = _seconds_within(in_time, edges).tolist()
    found = []
    for number, label in enumerate(labels):
        own = inside.chosen(inside.labels == number)
        bins = np.searchsorted(edges, own.starts + TOLERANCE, side="right") - 1
        counts = np.bincount(bins, minlength=len(watched_seconds)).tolist()
        totals = _seconds_within(own, edges).tolist()
        found += [
            BinSummary(
                video=video,
                label=label,
                start=float(edges[one]),
                end=float(edges[one + 1]),
                count=counts[one],
                total=totals[one],
                share=totals[one] / time if time > TOLERANCE else None,
            )
            for one, time in enumerate(watched_seconds)
        ]
    return found


def _edges_of_bins(spans: Sequence[Span], seconds: float) -> Floats:
    """Return the edges of all bins, (B + 1,)."""
    if not 0 < seconds < math.inf:
        raise ConfigError(f"bins of {seconds} s: give seconds, above 0")
    if not spans:
        return np.zeros(1)
    start, end = spans[0].start, spans[-1].end
    count = math.ceil((end - start - TOLERANCE) / seconds)
    if count > _MOST_BINS:
        raise ConfigError(f"bins of {seconds} s: {end - start:.1f} s would have {count}, at most {_MOST_BINS} are made")
    return np.append(start + seconds * np.arange(max(count, 1)), end)


def _seconds_within(bouts: Bouts, edges: Floats) -> Floats:
    """Return how many seconds of bouts that do not overlap lie in each bin, (B,)."""
    times = np.stack([bouts.starts, bouts.ends], axis=1).ravel()
    if not len(times):
        return np.zeros(len(edges) - 1)
    until = np.cumsum(bouts.ends - bouts.starts)
    before = np.stack([np.append(0, until[:-1]), until], axis=1).ravel()
    return np.asarray(np.diff(np.interp(edges, times, before)).clip(0), dtype=np.float64)
