"""Segmental F1 of many videos at once: the counts of `vidrep.metrics.segmentation`, found without comparing all bouts.

Bouts of one label and video do not overlap, so that each is compared with its neighbors in time alone.

Shapes: N predicted bouts, M true bouts, P pairs of bouts, H overlaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics.segmentation.bouts import Bouts, Floats
from ..metrics.segmentation.matching import TOLERANCE
from ..segments.segment import Span, joined

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Times of several lanes, sorted by lane and start; those of one lane do not overlap. Each is (N,)."""

    lanes: Indices
    starts: Floats
    ends: Floats

    @classmethod
    def of(cls, lanes: Indices, starts: Floats, ends: Floats) -> "Intervals":
        """Return times in the order that the class promises."""
        order = np.lexsort((starts, lanes))
        return cls(lanes[order], starts[order], ends[order])

    def __len__(self) -> int:
        return len(self.lanes)


def lanes_of_videos(videos: Sequence[Bouts], num_labels: int) -> Intervals:
    """Return the bouts of several videos, a lane for each label of each; those of a label that overlap are joined."""
    every = [one.joined() for one in videos]
    return Intervals.of(
        np.concatenate([video * num_labels + one.labels for video, one in enumerate(every)]),
        np.concatenate([one.starts for one in every]),
        np.concatenate([one.ends for one in every]),
    )


def lanes_of_spans(watched: Sequence[Sequence[Span]], num_labels: int) -> Intervals:
    """Return what was watched of several videos, once for each label."""
    lanes = np.repeat(
        np.arange(len(watched) * num_labels), [len(joined(one)) for one in watched for _ in range(num_labels)]
    )
    times = np.array([span for one in watched for _ in range(num_labels) for span in joined(one)]).reshape(-1, 2)
    return Intervals.of(lanes, *times.T)


def within(some: Intervals, watched: Intervals) -> Intervals:
    """Return what of some times lies in what was watched: cut where it leaves that."""
    own, spans = _overlapping(some, watched)
    starts = np.maximum(some.starts[own], watched.starts[spans])
    return Intervals(some.lanes[own], starts, np.minimum(some.ends[own], watched.ends[spans]))


def _overlapping(first: Intervals, second: Intervals) -> tuple[Indices, Indices]:
    """Return the indices of all pairs of one lane that share time, (P,) each, by the first index, then the second."""
    length = 1 + max((float(one.ends.max()) for one in (first, second) if len(one)), default=0.0)
    (starts, ends), (other_starts, other_ends) = (
        (one.lanes * length + one.starts, one.lanes * length + one.ends) for one in (first, second)
    )
    # Sums with the lane are rounded: neighbors that only seem to share time are left out below.
    low, high = np.searchsorted(other_ends, starts), np.searchsorted(other_starts, ends, side="right")
    counts = (high - low).clip(0)
    own = np.repeat(np.arange(len(first)), counts)
    other = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + low[own]
    share = np.minimum(first.ends[own], second.ends[other]) > np.maximum(first.starts[own], second.starts[other])
    share &= first.lanes[own] == second.lanes[other]
    return own[share], other[share]


def num_matches(true: Intervals, predicted: Intervals, overlaps: Sequence[float]) -> list[int]:
    """Return how many bouts are matched at each tIoU, (H,), as by `greedy_matches` in each lane."""
    own, target = _overlapping(predicted, true)
    shared = np.minimum(predicted.ends[own], true.ends[target]) - np.maximum(predicted.starts[own], true.starts[target])
    either = (predicted.ends - predicted.starts)[own] + (true.ends - true.starts)[target] - shared
    tiou = shared / either
    order = np.lexsort((target, -tiou, own))
    is_best = np.append(True, own[order][1:] != own[order][:-1])[: len(own)]
    best = order[is_best]
    return [len(np.unique(target[best][tiou[best] >= overlap - TOLERANCE])) for overlap in overlaps]


def f1_scores(true: Intervals, predicted: Intervals, overlaps: Sequence[float]) -> list[float]:
    """Return segmental F1 at each tIoU, (H,): 2 TP / (2 TP + FP + FN), counts summed; 0 where there is nothing."""
    total = len(true) + len(predicted)
    return [2 * count / total if total else 0.0 for count in num_matches(true, predicted, overlaps)]
