"""Probabilities averaged over time, chunk by chunk: the same bits however frames are divided into chunks.

Shapes: T frames of a chunk, K labels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .timeline import Timeline, require_frames

TOLERANCE = 1e-6
"""Seconds: times that differ by less are equal, for containers and rates round them."""

WHOLE = 1 << 32
"""A probability of 1 in sums: those of whole numbers are exact, whatever they begin with."""


class SmoothedFrames(NamedTuple):
    """Frames that are averaged.

    edges: (T + 1,) seconds. probabilities: (T, K), averaged. sums: (T + 1, K), what the frames before each edge, from
    the video's first one on, have in probabilities that are not averaged, times WHOLE.
    """

    edges: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    sums: NDArray[np.int64]


class Smoother:
    """Averages each label's probability over the frames whose middles are within half a window of a frame's middle.

    At both ends of a video windows are shorter. Kept are the frames of one window.
    """

    def __init__(self, seconds: float, num_labels: int) -> None:
        self._reach = seconds / 2 + TOLERANCE
        self._edges = np.zeros(0)
        self._sums = np.zeros((1, num_labels), dtype=np.int64)
        self._next = 0

    def add(
        self, edges: NDArray[np.float64], probabilities: NDArray[np.float32], *, is_last: bool = False
    ) -> SmoothedFrames:
        """Take the next frames, see `Timeline`; return those whose window is complete, all of them after the last.

        Raises ValueError for chunks that do not follow each other.
        """
        require_frames(edges, probabilities, self._sums.shape[1])
        if len(self._edges) and edges[0] != self._edges[-1]:
            raise ValueError(f"frames from {edges[0]} s follow frames until {self._edges[-1]} s")
        edges = np.concatenate([self._edges[:-1], edges])
        sums = self._with(probabilities)
        middles = (edges[:-1] + edges[1:]) / 2
        ends = np.searchsorted(middles, middles + self._reach, side="right")
        done = len(middles) if is_last else int(np.searchsorted(ends, len(middles)))
        which = slice(self._next, done)
        begins, ends = np.searchsorted(middles, middles[which] - self._reach), ends[which]
        averaged = (sums[ends] - sums[begins]) / ((ends - begins) * WHOLE)[:, None]
        found = SmoothedFrames(edges[self._next : done + 1], averaged, sums[self._next : done + 1])
        kept = int(np.searchsorted(middles, middles[done] - self._reach)) if done < len(middles) else done
        self._edges, self._sums, self._next = edges[kept:], sums[kept:], done - kept
        return found

    def _with(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the sums before all edges that are kept and before those of the next frames."""
        whole = np.rint(probabilities.astype(np.float64) * WHOLE).astype(np.int64)
        return np.concatenate([self._sums, self._sums[-1] + np.cumsum(whole, axis=0)])


def smoothed(timeline: Timeline, seconds: float) -> SmoothedFrames:
    """Return all frames of a video, averaged over a window of so many seconds; see `Smoother`."""
    return Smoother(seconds, len(timeline.labels)).add(timeline.edges, timeline.probabilities, is_last=True)
