"""Bouts from probabilities, at once or chunk by chunk: the same bits either way.

1. Probabilities are averaged over time.
2. Runs of frames of one label are those where it has at least the probability `leave`; where one label holds at a time,
   the likeliest of such labels does.
3. Runs in which the label nowhere has the probability `enter` are dropped.
4. Gaps between runs of one label are filled that are short and in which no other label holds.
5. Short runs are dropped, and the gaps filled that they leave.

The background is no bout. A bout's score is the mean probability, not averaged before, of its label over its frames,
those of filled gaps among them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..metrics.segmentation.bouts import UNKNOWN, Bouts
from .runs import Joiner, Runs, likeliest_labels, long_enough, runs_of
from .settings import BoutSettings
from .smoothing import TOLERANCE, WHOLE, Smoother
from .timeline import Timeline

UNSURE = "unsure"
"""The label of stretches in which no label is sure, where they are listed beside bouts: after all K labels."""

# So many values fit a processor's cache.
_VALUES_AT_ONCE = 1 << 18


class BoutFinder:
    """Finds bouts in the frames of one video, which come in chunks; it keeps little, however long the video is.

    A bout comes as soon as no later frame can change it: after half a window and the largest gap, if no label holds.
    """

    def __init__(
        self, settings: BoutSettings, labels: Sequence[str], *, background: str | None, several_labels: bool
    ) -> None:
        self._settings, self._several_labels = settings, several_labels
        self._enter, self._leave = settings.thresholds(labels, background)
        self._smoother = Smoother(settings.smoothing, len(labels))
        self._joiners = [Joiner(gap) for gap in (0.0, settings.largest_gap, settings.largest_gap)]
        self._num_frames = 0

    def add(self, edges: NDArray[np.float64], probabilities: NDArray[np.float32], *, is_last: bool = False) -> Bouts:
        """Take the next frames, (T + 1,) seconds and (T, K); return the bouts that cannot change any more.

        is_last: the video ends here. Raises ValueError for chunks that do not follow each other.
        """
        frames = self._smoother.add(edges, probabilities, is_last=is_last)
        labels = likeliest_labels(frames.probabilities, self._leave, several_labels=self._several_labels)
        until = np.full(len(labels), np.inf if is_last else frames.edges[-1])
        runs, until = self._joiners[0].add(runs_of(labels, frames, num_before=self._num_frames), until)
        self._num_frames += len(frames.probabilities)
        runs, until = self._joiners[1].add(runs[runs["peak"] >= self._enter[runs["label"]]], until)
        runs, _ = self._joiners[2].add(long_enough(runs, self._settings.minimum_duration), until)
        return bouts_of(runs)


def bouts_of(runs: Runs) -> Bouts:
    """Return runs as bouts."""
    frames = runs["num_after"] - runs["num_before"]
    scores = (runs["sum_after"] - runs["sum_before"]) / (frames * WHOLE)
    return Bouts.of(runs["start"], runs["end"], runs["label"], scores)


def find_bouts(timeline: Timeline, settings: BoutSettings) -> Bouts:
    """Return the bouts of a video, labels numbered as in the timeline; where one label holds at a time, none overlap.

    Raises ConfigError for labels that the settings lack.
    """
    finder = BoutFinder(
        settings, timeline.labels, background=timeline.background, several_labels=timeline.several_labels
    )
    return concatenated([finder.add(edges, some, is_last=is_last) for edges, some, is_last in _chunks(timeline)])


def _chunks(timeline: Timeline) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32], bool]]:
    """Yield edges, (T' + 1,), and probabilities, (T', K), of pieces of a timeline, and whether each is the last."""
    size = _VALUES_AT_ONCE // len(timeline.labels) + 1
    for start in range(0, max(len(timeline), 1), size):
        stop = start + size
        yield timeline.edges[start : stop + 1], timeline.probabilities[start:stop], stop >= len(timeline)


def concatenated(several: Sequence[Bouts]) -> Bouts:
    """Return the bouts that a finder gave, one time after the other, as those of the whole video."""
    columns = (
        np.concatenate([getattr(one, name) for one in several]) for name in ("starts", "ends", "labels", "scores")
    )
    return Bouts.of(*columns)


def find_unsure(timeline: Timeline, settings: BoutSettings, bouts: Bouts) -> Bouts:
    """Return the stretches of a timeline of one label at a time in which no label is sure, numbered K.

    bouts: those of `find_bouts`, outside of which they lie. In them no label, nor the background, has the probability
    `unsure`, averaged; shorter ones than a bout may be are dropped. Their score is 0.
    """
    smoother = Smoother(settings.smoothing, len(timeline.labels))
    averaged = (smoother.add(edges, some, is_last=is_last) for edges, some, is_last in _chunks(timeline))
    highest = np.concatenate([one.probabilities.max(axis=1, initial=0) for one in averaged])
    of_any = Bouts.of(bouts.starts, bouts.ends, np.zeros(len(bouts), dtype=np.int64))
    is_unsure = (highest < settings.unsure) & (of_any.on_frames(timeline.edges, 1, [timeline.span])[:, 0] != 1)
    found = Bouts.of_active(is_unsure[:, None], timeline.edges)
    long = found.chosen(found.ends - found.starts >= settings.minimum_duration - TOLERANCE)
    return Bouts.of(long.starts, long.ends, long.labels + len(timeline.labels), 0.0)


def frame_labels(timeline: Timeline, bouts: Bouts, unsure: Bouts) -> NDArray[np.int64]:
    """Return the label of each frame, (T,), of a timeline of one label at a time: that of the bout that it lies in.

    bouts: those of `find_bouts`; outside of them a frame has the background, or UNKNOWN if there is none.
    unsure: those of `find_unsure`, in which it has UNKNOWN.
    """
    background = UNKNOWN if timeline.background is None else timeline.labels.index(timeline.background)
    labels = bouts.label_of_frames(timeline.edges, [timeline.span], background=background)
    is_unsure = unsure.label_of_frames(timeline.edges, [timeline.span], background=UNKNOWN) != UNKNOWN
    return np.where(is_unsure, UNKNOWN, labels)


def frame_activity(timeline: Timeline, bouts: Bouts) -> NDArray[np.bool_]:
    """Return which labels hold at each frame, (T, K): those of the bouts that it lies in, of `find_bouts`."""
    return np.equal(bouts.on_frames(timeline.edges, len(timeline.labels), [timeline.span]), 1)
