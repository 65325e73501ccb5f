"""Eight motions of a shape, of which only the order of the frames gives away which one it is.

A shape's pose has three channels (x, y and scale) and in every class all three always move, each over a range drawn
from the same distribution; the classes differ in the order in which a channel visits its range. A clip played backwards
is exactly a clip of the opposite motion.

Coordinates are in units of the frame's side, x to the right, y downwards, the origin in the upper left corner.
Shapes: T frames.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOTIONS: tuple[str, ...] = ("clockwise", "counter-clockwise", "down", "growing", "left", "right", "shrinking", "up")

# The channel (0 x, 1 y, 2 scale) that drifts through its range, and which way; y points down.
_DRIFTS = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1), "shrinking": (2, -1), "growing": (2, 1)}


@dataclass(frozen=True, kw_only=True)
class MotionRanges:
    """What the size of a motion is drawn from, evenly between a least and a largest value; none depends on the motion.

    The defaults are the difficulty of the sample, fixed before any model saw it: they are not to be tuned to a result.
    """

    travel: tuple[float, float] = (0.28, 0.5)
    """How far the center goes in x, and in y, in frame sides."""
    middle_radius: tuple[float, float] = (0.11, 0.16)
    """The geometric mean of the smallest and the largest radius, in frame sides."""
    scale_ratio: tuple[float, float] = (1.5, 2.2)
    """The largest radius over the smallest."""
    largest_turn: float = math.pi / 2
    """How far the shape turns during a clip at most, one way or the other, in radians."""
    place_x: tuple[float, float] = (0.0, 1.0)
    """Where the middle of the way is, from the leftmost to the rightmost place that keeps the shape in the frame."""
    place_y: tuple[float, float] = (0.0, 1.0)
    """The same from top to bottom."""
    sway: float = 1.0
    """The part of their ranges that the channels go there and back which a motion does not drift in; 0: they rest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """The shape's pose in every frame: center x and y and radius in frame sides, angle in radians; each (T,)."""

    x: Floats
    y: Floats
    radius: Floats
    angle: Floats

    def __getitem__(self, frames: slice) -> "Trajectory":
        """Return the poses in some frames."""
        return Trajectory(x=self.x[frames], y=self.y[frames], radius=self.radius[frames], angle=self.angle[frames])


def draw_trajectory(
    motion: str, rng: np.random.Generator, ranges: MotionRanges, *, num_frames: int, reach: float = 1.0
) -> Trajectory:
    """Draw the poses of one clip of `motion`, for a shape that reaches so many radii from its center."""
    if motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}; it must be one of {', '.join(MOTIONS)}")
    course_x, course_y, course_scale = _draw_courses(motion, rng, ranges.sway, num_frames=num_frames)
    half_x, half_y = rng.uniform(*ranges.travel, size=2) / 2
    if motion not in _DRIFTS:
        half_y = half_x  # a circle
    half_log_ratio = math.log(rng.uniform(*ranges.scale_ratio)) / 2
    middle_radius = rng.uniform(*ranges.middle_radius)
    largest_reach = reach * middle_radius * math.exp(half_log_ratio)
    turn = rng.uniform(-ranges.largest_turn, ranges.largest_turn)
    return Trajectory(
        x=_draw_middle(rng, half_x + largest_reach, ranges.place_x) + half_x * course_x,
        y=_draw_middle(rng, half_y + largest_reach, ranges.place_y) + half_y * course_y,
        radius=middle_radius * np.exp(half_log_ratio * course_scale),
        angle=rng.uniform(0, 2 * math.pi) + turn * np.linspace(0, 1, num_frames),
    )


def _draw_courses(motion: str, rng: np.random.Generator, sway: float, *, num_frames: int) -> Floats:
    """Draw when x, y and scale are where in their ranges: (3, T) in [-1, 1]."""
    if motion not in _DRIFTS:
        # With y pointing down, a growing angle turns clockwise for the viewer.
        sense = 1 if motion == "clockwise" else -1
        angle = 2 * math.pi * (sense * np.arange(num_frames) / num_frames + rng.random())
        return np.stack([np.cos(angle), np.sin(angle), sway * _draw_sway(rng, 2, num_frames=num_frames)])
    drifting, sign = _DRIFTS[motion]
    # One sways once and the other twice: x and y swaying equally often could make a circle.
    sways = [sway * _draw_sway(rng, periods, num_frames=num_frames) for periods in rng.permutation([1, 2])]
    sways.insert(drifting, sign * np.linspace(-1, 1, num_frames))
    return np.stack(sways)


def _draw_sway(rng: np.random.Generator, num_periods: int, *, num_frames: int) -> Floats:
    """Draw a triangle wave, (T,) in [-1, 1]: as even over its range as a drift, but back at its start in frame T."""
    periods = num_periods * np.arange(num_frames) / num_frames + rng.random()
    return 4 * np.abs(periods % 1 - 0.5) - 1


def _draw_middle(rng: np.random.Generator, margin: float, places: tuple[float, float]) -> float:
    """Draw the middle of a range that keeps the shape in the frame, or the frame's middle if it does not quite fit."""
    margin = min(margin, 0.5)
    return margin + (1 - margin - margin) * rng.uniform(*places)
