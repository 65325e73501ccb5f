"""Runs of frames of one label, and how they are joined.

A lane holds runs that do not overlap: that of a label where several may hold at once, else the one of all labels.

Shapes: T frames, K labels, L lanes, N runs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .smoothing import TOLERANCE, SmoothedFrames

RUN = np.dtype(
    [
        *[(name, np.int64) for name in ("lane", "label", "num_before", "num_after", "sum_before", "sum_after")],
        *[(name, np.float64) for name in ("start", "end", "peak")],
    ]
)
"""num_before, num_after: how many frames the video has before the run's start and before its end; sum_before,
sum_after: what these have in probabilities of the label, see `SmoothedFrames`; start, end: seconds; peak: the label's
largest averaged probability."""

Runs = NDArray[Any]
NO_LABEL = -1


def likeliest_labels(
    probabilities: NDArray[np.float64], leave: NDArray[np.float64], *, several_labels: bool
) -> NDArray[np.int64]:
    """Return the label of each frame in each lane, (L, T), or NO_LABEL.

    probabilities: (T, K). leave: (K,), what a label must have to hold.
    several_labels: every label that has it holds, in its lane; else the likeliest of them, the first of equals.
    """
    holds = probabilities >= leave
    if several_labels:
        return np.where(holds.T, np.arange(len(leave))[:, None], NO_LABEL)
    likeliest = np.where(holds, probabilities, -1.0).argmax(axis=1)
    return np.where(holds.any(axis=1), likeliest, NO_LABEL)[None]


def runs_of(labels: NDArray[np.int64], frames: SmoothedFrames, *, num_before: int = 0) -> Runs:
    """Return the runs of frames of one label, by lane and time; labels: (L, T).

    num_before: how many frames the video has before these.
    """
    padded = np.pad(labels, ((0, 0), (1, 1)), constant_values=NO_LABEL)
    (lanes, firsts), (_, lasts) = (
        np.nonzero((labels != others) & (labels != NO_LABEL)) for others in (padded[:, :-2], padded[:, 2:])
    )
    runs = np.zeros(len(lanes), dtype=RUN)
    label = labels[lanes, firsts]
    runs["lane"], runs["label"] = lanes, label
    for side, edges in (("before", firsts), ("after", lasts + 1)):
        runs[f"num_{side}"] = num_before + edges
        runs[f"sum_{side}"] = frames.sums[edges, label]
    runs["start"], runs["end"] = frames.edges[firsts], frames.edges[lasts + 1]
    if len(runs):
        own = np.take_along_axis(frames.probabilities.T, labels.clip(0), axis=0)
        runs["peak"] = np.maximum.reduceat(
            np.where(labels == NO_LABEL, 0, own).ravel(), lanes * labels.shape[1] + firsts
        )
    return runs


def join(runs: Runs, largest_gap: float) -> Runs:
    """Join runs that follow each other in a lane, have one label, and are at most so many seconds apart.

    runs: by lane and time.
    """
    if not len(runs):
        return runs
    before, after = runs[:-1], runs[1:]
    is_one = (before["lane"] == after["lane"]) & (before["label"] == after["label"])
    is_one &= after["start"] - before["end"] <= largest_gap + TOLERANCE
    firsts = np.flatnonzero(np.append(True, ~is_one))
    lasts = np.append(firsts[1:], len(runs)) - 1
    joined = runs[firsts]
    for name in ("end", "num_after", "sum_after"):
        joined[name] = runs[name][lasts]
    joined["peak"] = np.maximum.reduceat(runs["peak"], firsts)
    return joined


def long_enough(runs: Runs, minimum_duration: float) -> Runs:
    """Return the runs that last at least so many seconds."""
    return np.compress(runs["end"] - runs["start"] >= minimum_duration - TOLERANCE, runs)


class Joiner:
    """Joins runs that come chunk by chunk, see `join`; of each lane at most one run is kept."""

    def __init__(self, largest_gap: float) -> None:
        self._largest_gap = largest_gap
        self._kept: Runs = np.zeros(0, dtype=RUN)

    def add(self, runs: Runs, until: NDArray[np.float64]) -> tuple[Runs, NDArray[np.float64]]:
        """Take the next runs; return those that nothing can be joined to any more, and when later ones begin.

        until: (L,) seconds before which no later run of a lane begins; infinity if there is none.
        """
        runs = np.concatenate([self._kept, runs])
        joined = join(runs[np.argsort(runs["lane"], kind="stable")], self._largest_gap)
        is_open = np.append(joined["lane"][:-1] != joined["lane"][1:], True)[: len(joined)]
        is_open &= until[joined["lane"]] - joined["end"] <= self._largest_gap + TOLERANCE
        self._kept = joined[is_open]
        until = until.copy()
        until[self._kept["lane"]] = self._kept["start"]
        return joined[~is_open], until
