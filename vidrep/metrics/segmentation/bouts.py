"""Bouts of one video as arrays: what the metrics read, made of segments or of frames, and put back onto frames.

Shapes: N bouts, T frames, K labels. Times are seconds; a frame lasts from one edge to the next.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...segments.segment import Segment, Span, joined
from ...sequences.frame_targets import UNKNOWN as UNKNOWN  # of a frame of which nobody said what it shows

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bouts:
    """Bouts of one video, sorted by start, end and label; none without a duration.

    starts, ends: (N,) seconds. labels: (N,) 0 to K - 1. scores: (N,) how sure each is, 1 where nothing says that.
    """

    starts: Floats
    ends: Floats
    labels: NDArray[np.int64]
    scores: Floats

    @classmethod
    def of(
        cls, starts: ArrayLike, ends: ArrayLike, labels: ArrayLike, scores: float | ArrayLike | None = None
    ) -> "Bouts":
        """Return bouts in the order that the class promises; those without a duration are left out."""
        begin, end = np.asarray(starts, dtype=np.float64), np.asarray(ends, dtype=np.float64)
        label = np.asarray(labels, dtype=np.int64)
        score = np.broadcast_to(np.asarray(1.0 if scores is None else scores, dtype=np.float64), begin.shape)
        order = np.lexsort((label, end, begin))
        order = order[(end > begin)[order]]
        return cls(begin[order], end[order], label[order], score[order])

    @classmethod
    def of_segments(
        cls, segments: Sequence[Segment], labels: Sequence[str], scores: float | ArrayLike | None = None
    ) -> "Bouts":
        """Return the segments of one video that have a duration; labels: (K,) names. KeyError for another label.

        Points are counted in a warning.
        """
        if points := [one for one in segments if one.is_point]:
            _log.warning("%s: %d events without a duration are no bouts, and not scored", points[0].video, len(points))
        numbers = {name: number for number, name in enumerate(labels)}
        return cls.of(
            [one.start for one in segments],
            [one.end for one in segments],
            [numbers[one.label] for one in segments],
            scores,
        )

    @classmethod
    def of_frames(
        cls, labels: ArrayLike, edges: ArrayLike, *, probabilities: Floats | None = None, background: int | None = None
    ) -> "Bouts":
        """Return the runs of frames of one label; labels: (T,), UNKNOWN and the background being no bouts.

        edges: (T + 1,) seconds. probabilities: (T, K), of which a bout's score is the mean over its frames.
        """
        label = np.asarray(labels, dtype=np.int64)
        num_labels = max(int(label.max(initial=-1)) + 1, 0 if probabilities is None else probabilities.shape[1])
        active = label[:, None] == np.arange(num_labels)
        if background is not None and background < num_labels:
            active[:, background] = False
        return cls.of_active(active, edges, probabilities=probabilities)

    @classmethod
    def of_active(cls, active: ArrayLike, edges: ArrayLike, *, probabilities: Floats | None = None) -> "Bouts":
        """Return the runs of frames in which each label is active, (T, K) bool, several at once; see `of_frames`."""
        on = np.asarray(active, dtype=bool)
        times = np.asarray(edges, dtype=np.float64)
        if len(times) != len(on) + 1:
            raise ValueError(f"{len(on)} frames need {len(on) + 1} edges, got {len(times)}")
        changes = np.diff(np.pad(on.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # (K, T + 1)
        (labels, first), (_, last) = np.nonzero(changes == 1), np.nonzero(changes == -1)
        scores = None
        if probabilities is not None:
            sums = np.pad(np.cumsum(probabilities, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
            scores = (sums[last, labels] - sums[first, labels]) / (last - first)
        return cls.of(times[first], times[last], labels, scores)

    def __len__(self) -> int:
        return len(self.starts)

    def chosen(self, which: NDArray[np.bool_]) -> "Bouts":
        """Return some of the bouts, which: (N,)."""
        return Bouts(self.starts[which], self.ends[which], self.labels[which], self.scores[which])

    def within(self, spans: Sequence[Span]) -> "Bouts":
        """Return what lies in spans that are apart: a bout that leaves one is cut there, one in several is several."""
        starts, ends = np.array(spans, dtype=np.float64).reshape(-1, 2).T
        begin = np.maximum(self.starts, starts[:, None]).ravel()
        end = np.minimum(self.ends, ends[:, None]).ravel()
        return Bouts.of(begin, end, np.tile(self.labels, len(spans)), np.tile(self.scores, len(spans)))

    def joined(self) -> "Bouts":
        """Return bouts with those of one label joined that overlap or touch: frames cannot tell them apart.

        A joined bout's score is the mean of theirs, weighted by their durations.
        """
        parts: list[tuple[float, float, int, float]] = []
        for label in np.unique(self.labels).tolist():
            of_label = self.chosen(self.labels == label)
            spans = joined(map(Span, of_label.starts.tolist(), of_label.ends.tolist()))
            firsts = np.searchsorted(of_label.starts, [span.start for span in spans])
            seconds = of_label.ends - of_label.starts
            scores = np.add.reduceat(seconds * of_label.scores, firsts) / np.add.reduceat(seconds, firsts)
            parts += [(*span, label, score) for span, score in zip(spans, scores.tolist(), strict=True)]
        return Bouts.of(*np.array(parts, dtype=np.float64).reshape(-1, 4).T)

    def on_frames(self, edges: ArrayLike, num_labels: int, watched: Sequence[Span]) -> NDArray[np.int8]:
        """Return which labels hold at the middle of each frame, (T, K): 1, or 0, or UNKNOWN where it is not watched."""
        middles = _middles(edges)
        changes = np.zeros((len(middles) + 1, num_labels), dtype=np.int64)
        np.add.at(changes, (np.searchsorted(middles, self.starts), self.labels), 1)
        np.add.at(changes, (np.searchsorted(middles, self.ends), self.labels), -1)
        on = (np.cumsum(changes, axis=0)[:-1] > 0).astype(np.int8)
        on[~_is_within(middles, watched)] = UNKNOWN
        return on

    def label_of_frames(self, edges: ArrayLike, watched: Sequence[Span], *, background: int) -> NDArray[np.int64]:
        """Return the one label of the middle of each frame, (T,): the background where none holds, or UNKNOWN.

        Raises ValueError where two labels hold.
        """
        on = self.on_frames(edges, max(background, int(self.labels.max(initial=0))) + 1, watched)
        if (np.count_nonzero(on == 1, axis=1) > 1).any():
            raise ValueError("two labels at one time; measure each label apart")
        labels = np.where((on == 1).any(axis=1), on.argmax(axis=1), background)
        return np.where(on[:, 0] == UNKNOWN, UNKNOWN, labels)


def _middles(edges: ArrayLike) -> Floats:
    times = np.asarray(edges, dtype=np.float64)
    return (times[:-1] + times[1:]) / 2


def _is_within(times: Floats, spans: Sequence[Span]) -> NDArray[np.bool_]:
    """Return which times lie in spans, from their start until before their end."""
    starts, ends = np.array(joined(spans), dtype=np.float64).reshape(-1, 2).T
    return np.searchsorted(starts, times, side="right") > np.searchsorted(ends, times, side="right")
