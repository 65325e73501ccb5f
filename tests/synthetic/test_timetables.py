import math

import numpy as np
import pytest

from vidrep.synthetic.motions import MOTIONS, MotionRanges
from vidrep.synthetic.timetables import Bout, Pace, draw_poses, draw_timetable

NUM_FRAMES, RATE = 6000, 10


def timetable(seed: int, beside: list[Bout] | None = None) -> list[Bout]:
    rng = np.random.default_rng(seed)
    return draw_timetable(rng, num_frames=NUM_FRAMES, frames_per_second=RATE, pace=Pace(), beside=beside or ())


def test_motions_come_in_rounds_of_all_eight_with_pauses_between() -> None:
    bouts = timetable(0)
    motions = [bout.motion for bout in bouts]
    rounds = [motions[first : first + 8] for first in range(0, len(motions) - 7, 8)]
    assert len(rounds) > 20
    assert all(sorted(one) == sorted(MOTIONS) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 20
    lengths = [bout.stop - bout.start for bout in bouts]
    assert (min(lengths), max(lengths)) == (15, 30)
    stops = [0, *(bout.stop for bout in bouts)]
    pauses = [bout.start - stop for bout, stop in zip(bouts, stops[:-1], strict=True)]
    assert (min(pauses), max(pauses)) == (5, 15)
    assert 5 <= NUM_FRAMES - stops[-1] <= 15 + 30 + 5


def test_a_second_shape_never_does_what_the_first_one_does() -> None:
    first = timetable(0)
    second = timetable(1, first)
    both = [(one, other) for one in first for other in second if one.start < other.stop and other.start < one.stop]
    assert len(both) > 150
    assert all(one.motion != other.motion for one, other in both)
    assert any(one.motion == other.motion for one in first for other in timetable(1) if one.shares_time(other))


def test_the_shape_moves_in_its_bouts_alone() -> None:
    bouts = timetable(2)
    ranges = MotionRanges(sway=0.5)
    poses = draw_poses(bouts, np.random.default_rng(3), ranges, num_frames=NUM_FRAMES, reach=1.0)
    assert [len(one) for one in (poses.x, poses.y, poses.radius, poses.angle)] == [NUM_FRAMES] * 4
    changes = np.diff(poses.angle) != 0  # between a frame and the next one
    is_expected = np.zeros(NUM_FRAMES - 1, dtype=bool)
    for bout, after in zip(bouts, [*bouts[1:], None], strict=True):
        is_expected[bout.start : bout.stop - 1] = True
        if after is not None:  # in the middle of a pause it goes where it next begins
            is_expected[(bout.stop + after.start) // 2 - 1] = True
    np.testing.assert_array_equal(changes, is_expected)
    first = bouts[0]
    trembling = poses.x[: first.start]
    assert 0 < trembling.std() < 0.01
    assert trembling.mean() == pytest.approx(poses.x[first.start], abs=0.01)


def test_a_motion_is_the_one_that_its_bout_names() -> None:
    bouts = [Bout(motion, 40 * number + 10, 40 * number + 35) for number, motion in enumerate(MOTIONS)]
    poses = draw_poses(bouts, np.random.default_rng(0), MotionRanges(sway=0.0), num_frames=330, reach=1.0)
    went = {
        bout.motion: [one[bout.stop - 1] - one[bout.start] for one in (poses.x, poses.y, np.log(poses.radius))]
        for bout in bouts
    }
    for motion, channel, sign in (
        *(("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)),
        *(("shrinking", 2, -1), ("growing", 2, 1)),
    ):
        assert sign * went[motion].pop(channel) > 0.25
        assert went[motion] == pytest.approx([0, 0], abs=1e-12)  # without sway, the others rest
    for bout in bouts[:2]:
        frames = slice(bout.start, bout.stop)
        x, y = poses.x[frames], poses.y[frames]
        area = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
        circle = math.pi * (np.ptp(x) / 2) ** 2
        assert area == pytest.approx(circle if bout.motion == "clockwise" else -circle, rel=0.03)
