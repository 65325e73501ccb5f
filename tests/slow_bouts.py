"""Bouts from probabilities in plain loops, whole numbers and exact fractions, frame by frame.

Probabilities and times are whole numbers of some unit; a lane is a list of one label a frame, None where none holds.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Lane = list[int | None]


class Rules(NamedTuple):
    smoothing: int
    enter: Sequence[int]
    leave: Sequence[int]
    minimum_duration: int
    largest_gap: int


def averaged(edges: Sequence[int], probabilities: Sequence[Sequence[int]], window: int) -> list[list[Fraction]]:
    twice_middles = [edges[i] + edges[i + 1] for i in range(len(probabilities))]
    found = []
    for middle in twice_middles:
        near = [row for row, other in zip(probabilities, twice_middles, strict=True) if abs(other - middle) <= window]
        found.append([Fraction(sum(column), len(near)) for column in zip(*near, strict=True)])
    return found


def runs(lane: Lane) -> list[tuple[int, int, int]]:
    """First frame, frame after the last one, label."""
    found = []
    frame = 0
    while frame < len(lane):
        end = frame
        while end < len(lane) and lane[end] == lane[frame]:
            end += 1
        if (label := lane[frame]) is not None:
            found.append((frame, end, label))
        frame = end
    return found


def filled(lane: Lane, edges: Sequence[int], largest_gap: int) -> Lane:
    """Each gap on its own: what borders on it in the lane as it was decides."""
    result = list(lane)
    for frame, label in enumerate(lane):
        if label is not None:
            continue
        first, after = frame, frame
        while first > 0 and lane[first - 1] is None:
            first -= 1
        while after < len(lane) and lane[after] is None:
            after += 1
        is_between = first > 0 and after < len(lane) and lane[first - 1] == lane[after]
        if is_between and edges[after] - edges[first] <= largest_gap:
            result[frame] = lane[after]
    return result


def bouts(
    edges: Sequence[int],
    probabilities: Sequence[Sequence[int]],
    rules: Rules,
    *,
    num_labels: int,
    background: int | None,
    several_labels: bool,
) -> list[tuple[int, int, int, Fraction]]:
    """First frame, frame after the last one, label, score: by start, end, label."""
    smooth = averaged(edges, probabilities, rules.smoothing)
    own = [k for k in range(num_labels) if k != background]
    lanes: list[Lane] = []
    if several_labels:
        lanes = [[k if row[k] >= rules.leave[k] else None for row in smooth] for k in own]
    else:
        lane: Lane = []
        for row in smooth:
            candidates = [k for k in own if row[k] >= rules.leave[k]]
            lane.append(max(candidates, key=lambda k: (row[k], -k)) if candidates else None)
        lanes = [lane]
    found = []
    for lane in lanes:
        for first, after, label in runs(lane):
            if max(row[label] for row in smooth[first:after]) < rules.enter[label]:
                lane[first:after] = [None] * (after - first)
        lane = filled(lane, edges, rules.largest_gap)
        for first, after, _ in runs(lane):
            if edges[after] - edges[first] < rules.minimum_duration:
                lane[first:after] = [None] * (after - first)
        lane = filled(lane, edges, rules.largest_gap)
        for first, after, label in runs(lane):
            score = Fraction(sum(row[label] for row in probabilities[first:after]), after - first)
            found.append((first, after, label, score))
    return sorted(found, key=lambda one: one[:3])
