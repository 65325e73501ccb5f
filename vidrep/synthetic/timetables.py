"""What a shape does in a long video: motions in changing order with pauses between them, and its pose in every frame.

Shapes: T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .motions import MOTIONS, MotionRanges, Trajectory, draw_trajectory
from .outlines import Floats


class Bout(NamedTuple):
    """A motion from frame `start` until before frame `stop`."""

    motion: str
    start: int
    stop: int

    def shares_time(self, other: "Bout") -> bool:
        """Whether some frame shows both."""
        return self.start < other.stop and other.start < self.stop


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long things last, drawn evenly between a least and a largest number of seconds."""

    motion: tuple[float, float] = (1.5, 3.0)
    pause: tuple[float, float] = (0.5, 1.5)

    @property
    def shortest_video(self) -> float:
        """Seconds in which one motion fits between two pauses, however they are drawn."""
        return self.motion[1] + 2 * self.pause[1]


# Of a shape that rests, in frame sides, the standard deviation in every frame: the slowest drift takes thrice that.
_TREMBLE = 0.003


def draw_timetable(
    rng: np.random.Generator,
    *,
    num_frames: int,
    frames_per_second: int,
    pace: Pace,
    beside: Sequence[Bout] = (),
) -> list[Bout]:
    """Draw what a shape does in a video: pause, motion, pause, ... until the last one that ends before a pause.

    The eight motions come in rounds, each in an order of its own, so that they are about equally frequent everywhere.
    beside: what another shape does; at no time do both do the same, and a motion that would is left out of its round.
    """

    def draw(seconds: tuple[float, float]) -> int:
        return max(2, round(rng.uniform(*seconds) * frames_per_second))

    bouts: list[Bout] = []
    end = 0
    while True:
        for motion in rng.permutation(MOTIONS):
            start = end + draw(pace.pause)
            bout = Bout(str(motion), start, start + draw(pace.motion))
            if bout.stop + round(pace.pause[0] * frames_per_second) > num_frames:
                return bouts
            if not any(bout.motion == other.motion and bout.shares_time(other) for other in beside):
                bouts.append(bout)
                end = bout.stop


def draw_poses(
    bouts: Sequence[Bout], rng: np.random.Generator, ranges: MotionRanges, *, num_frames: int, reach: float
) -> Trajectory:
    """Draw the pose in each of T frames of a shape that reaches so many radii from its center.

    In a pause it trembles where the last motion ended, and, from the middle of the pause on, where the next one begins.
    """
    poses = np.empty((4, num_frames))  # x, y, radius and angle
    rest = 0
    for number, bout in enumerate(bouts):
        one = draw_trajectory(bout.motion, rng, ranges, num_frames=bout.stop - bout.start, reach=reach)
        poses[:, bout.start : bout.stop] = one.x, one.y, one.radius, one.angle
        jump = (rest + bout.start) // 2 if number else 0
        poses[:, rest:jump] = poses[:, rest - 1 : rest]
        poses[:, jump : bout.start] = poses[:, bout.start, None]
        rest = bout.stop
    poses[:, rest:] = poses[:, rest - 1 : rest]
    poses[:2] += np.where(_moves(bouts, num_frames), 0.0, _TREMBLE) * rng.standard_normal((2, num_frames))
    x, y, radius, angle = poses
    return Trajectory(x=x, y=y, radius=radius, angle=angle)


def _moves(bouts: Sequence[Bout], num_frames: int) -> Floats:
    """Return 1 in the frames of motions and 0 in pauses, (T,)."""
    moves = np.zeros(num_frames)
    for bout in bouts:
        moves[bout.start : bout.stop] = 1
    return moves
