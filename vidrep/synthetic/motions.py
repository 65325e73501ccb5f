"""Eight motions of a random shape, drawn as clips in which only the order of the frames gives the motion away.

One textured shape moves over a still background in one of eight motions. Its pose has three channels (x, y and scale)
and in every class all three always move, each over a range drawn from the same distribution; the classes differ in the
order in which a channel visits its range. A clip played backwards is exactly a clip of the opposite motion.

Coordinates are in units of the frame's side, x to the right, y downwards, the origin in the upper left corner.
Shapes: T frames, H = W = frame_size pixels, N pixels that the shape may touch.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOTIONS: tuple[str, ...] = ("clockwise", "counter-clockwise", "down", "growing", "left", "right", "shrinking", "up")

# The channel (0 x, 1 y, 2 scale) that drifts through its range, and which way; y points down.
_DRIFTS = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1), "shrinking": (2, -1), "growing": (2, 1)}

# The difficulty of the sample, fixed before any model saw it: not to be tuned to a result.
_TRAVEL = (0.28, 0.5)
_MIDDLE_RADIUS = (0.11, 0.16)
_SCALE_RATIO = (1.5, 2.2)
_LARGEST_TURN = math.pi / 2
_PIXEL_NOISE = (0.01, 0.02)
_TEXTURE_GRID, _BACKGROUND_GRID = 6, 5
_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])  # Rec. 601, which untagged small video is taken for


class Shape(NamedTuple):
    """A star in units of its radius: so many tips, at distance `tip`, with notches at distance `notch` between them."""

    num_tips: int
    tip: float
    notch: float


def _polygon(num_corners: int, corner: float) -> Shape:
    """Return a regular polygon, which is a star whose notches lie in the middle of its straight sides."""
    return Shape(num_corners, corner, corner * math.cos(math.pi / num_corners))


# Sizes give all four an area of 2.5 to 3.2 squared radii; 64 corners are a disc to within 0.2 % of its radius.
SHAPES = {
    "disc": _polygon(64, 1.0),
    "square": _polygon(4, 1.2),
    "triangle": _polygon(3, 1.4),
    "star": Shape(5, 1.4, 0.68),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """The shape's pose in every frame: center x and y and radius in frame sides, angle in radians; each (T,)."""

    x: Floats
    y: Floats
    radius: Floats
    angle: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Appearance:
    """What does not change in a clip.

    shape: the outline.
    colors: (2, 3) RGB in [0, 1], between which the texture blends.
    texture: (G, G) blends in [0, 1] on a grid over the shape, moving with it.
    background: (H, W, 3) RGB in [0, 1].
    pixel_noise: standard deviation of what is added to every value.
    """

    shape: Shape
    colors: Floats
    texture: Floats
    background: Floats
    pixel_noise: float


def render_clip(motion: str, rng: np.random.Generator, *, num_frames: int, frame_size: int) -> NDArray[np.uint8]:
    """Draw one clip of `motion`, (T, H, W, 3) RGB; `rng` decides everything else."""
    appearance = draw_appearance(rng, frame_size=frame_size)
    trajectory = draw_trajectory(motion, rng, num_frames=num_frames, reach=appearance.shape.tip)
    return _render(trajectory, appearance, rng)


def draw_trajectory(motion: str, rng: np.random.Generator, *, num_frames: int, reach: float = 1.0) -> Trajectory:
    """Draw the poses of one clip of `motion`, for a shape that reaches so many radii from its center."""
    if motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}; it must be one of {', '.join(MOTIONS)}")
    course_x, course_y, course_scale = _draw_courses(motion, rng, num_frames=num_frames)
    half_x, half_y = rng.uniform(*_TRAVEL, size=2) / 2
    if motion not in _DRIFTS:
        half_y = half_x  # a circle
    half_log_ratio = math.log(rng.uniform(*_SCALE_RATIO)) / 2
    middle_radius = rng.uniform(*_MIDDLE_RADIUS)
    largest_reach = reach * middle_radius * math.exp(half_log_ratio)
    turn = rng.uniform(-_LARGEST_TURN, _LARGEST_TURN)
    return Trajectory(
        x=_draw_middle(rng, half_x + largest_reach) + half_x * course_x,
        y=_draw_middle(rng, half_y + largest_reach) + half_y * course_y,
        radius=middle_radius * np.exp(half_log_ratio * course_scale),
        angle=rng.uniform(0, 2 * math.pi) + turn * np.linspace(0, 1, num_frames),
    )


def _draw_courses(motion: str, rng: np.random.Generator, *, num_frames: int) -> Floats:
    """Draw when x, y and scale are where in their ranges: (3, T) in [-1, 1]."""
    if motion not in _DRIFTS:
        # With y pointing down, a growing angle turns clockwise for the viewer.
        sense = 1 if motion == "clockwise" else -1
        angle = 2 * math.pi * (sense * np.arange(num_frames) / num_frames + rng.random())
        return np.stack([np.cos(angle), np.sin(angle), _draw_sway(rng, 2, num_frames=num_frames)])
    drifting, sign = _DRIFTS[motion]
    # One sways once and the other twice: x and y swaying equally often could make a circle.
    sways = [_draw_sway(rng, num_periods, num_frames=num_frames) for num_periods in rng.permutation([1, 2])]
    sways.insert(drifting, sign * np.linspace(-1, 1, num_frames))
    return np.stack(sways)


def _draw_sway(rng: np.random.Generator, num_periods: int, *, num_frames: int) -> Floats:
    """Draw a triangle wave, (T,) in [-1, 1]: as even over its range as a drift, but back at its start in frame T."""
    periods = num_periods * np.arange(num_frames) / num_frames + rng.random()
    return 4 * np.abs(periods % 1 - 0.5) - 1


def _draw_middle(rng: np.random.Generator, margin: float) -> float:
    """Draw the middle of a range that keeps the shape in the frame, or the frame's middle if it does not quite fit."""
    margin = min(margin, 0.5)
    return float(rng.uniform(margin, 1 - margin))


def draw_appearance(rng: np.random.Generator, *, frame_size: int) -> Appearance:
    """Draw outline, texture and background, none of which depends on the motion; the shape is the brighter one."""
    shape = SHAPES[str(rng.choice(list(SHAPES)))]
    mean_luma, contrast = rng.uniform(0.67, 0.83), rng.uniform(0.07, 0.14)
    colors = _draw_colors(rng, np.array([mean_luma - contrast, mean_luma + contrast]))
    nodes = _draw_colors(rng, rng.uniform(0.1, 0.45, size=(_BACKGROUND_GRID, _BACKGROUND_GRID)))
    columns = np.linspace(0, _BACKGROUND_GRID - 1, frame_size)
    return Appearance(
        shape=shape,
        colors=colors,
        texture=rng.random((_TEXTURE_GRID, _TEXTURE_GRID)),
        background=_interpolate(nodes, columns[:, None], columns[None, :]),
        pixel_noise=rng.uniform(*_PIXEL_NOISE),
    )


def _draw_colors(rng: np.random.Generator, luma: Floats) -> Floats:
    """Draw a color of each `luma`, (...): (..., 3) RGB in [0, 1]."""
    tint = rng.uniform(-1, 1, size=(*luma.shape, 3))
    tint -= (tint @ _LUMA_WEIGHTS)[..., None]
    # As much of the tint as keeps every channel within [0, 1].
    room = np.where(tint > 0, 1 - luma[..., None], luma[..., None]) / np.abs(tint)
    strength: Floats = np.min(room, axis=-1, keepdims=True, initial=1)
    return luma[..., None] + strength * tint


def _interpolate(grid: Floats, rows: Floats, columns: Floats) -> Floats:
    """Interpolate `grid`, (G, G) or (G, G, C), bilinearly at fractional `rows` and `columns` of a common shape."""
    top = np.minimum(rows.astype(np.intp), len(grid) - 2)
    left = np.minimum(columns.astype(np.intp), len(grid) - 2)
    trailing = (1,) * (grid.ndim - 2)
    down, right = (rows - top).reshape(*rows.shape, *trailing), (columns - left).reshape(*columns.shape, *trailing)
    upper = grid[top, left] + right * (grid[top, left + 1] - grid[top, left])
    lower = grid[top + 1, left] + right * (grid[top + 1, left + 1] - grid[top + 1, left])
    interpolated: Floats = upper + down * (lower - upper)
    return interpolated


def _render(trajectory: Trajectory, appearance: Appearance, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint the moving shape over the background: (T, H, W, 3)."""
    frame_size, shape = len(appearance.background), appearance.shape
    pixel_centers = (np.arange(frame_size) + 0.5) / frame_size
    from_x, from_y = pixel_centers - trajectory.x[:, None], pixel_centers - trajectory.y[:, None]
    # Only the pixels within the shape's reach are worth an arctangent: about a tenth of them.
    reach = shape.tip * trajectory.radius + 1 / frame_size
    frame, row, column = np.nonzero(from_y[:, :, None] ** 2 + from_x[:, None, :] ** 2 < reach[:, None, None] ** 2)
    along = (from_x[frame, column] + 1j * from_y[frame, row]) * np.exp(-1j * trajectory.angle)[frame]
    own = along / trajectory.radius[frame]  # (N,) in the shape's own coordinates, in radii

    pixels_per_radius = trajectory.radius[frame] * frame_size
    coverage = np.clip(0.5 - _signed_distance(own, shape) * pixels_per_radius, 0, 1)[:, None]
    # The grid spans the shape from tip to tip; of the pixels on its edge, the centers may lie outside.
    on_grid = (np.clip(np.stack([own.imag, own.real]) / shape.tip, -1, 1) + 1) / 2 * (_TEXTURE_GRID - 1)
    blend = _interpolate(appearance.texture, on_grid[0], on_grid[1])[:, None]
    color = appearance.colors[0] + blend * (appearance.colors[1] - appearance.colors[0])

    clip = np.repeat(appearance.background[None].astype(np.float32), len(trajectory.x), axis=0)
    clip[frame, row, column] += (coverage * (color - appearance.background[row, column])).astype(np.float32)
    clip += appearance.pixel_noise * rng.standard_normal(clip.shape, dtype=np.float32)
    return (np.clip(clip, 0, 1) * 255 + 0.5).astype(np.uint8)


def _signed_distance(points: NDArray[np.complexfloating], shape: Shape) -> Floats:
    """Return how far `points`, (N,) x + iy in radii, lie outside the nearest edge of `shape`; inside is negative."""
    half_tip = math.pi / shape.num_tips
    # Fold the plane onto half a tip: the edge from (tip, 0) to the notch is then the only one.
    angle = np.abs((np.angle(points) + half_tip) % (2 * half_tip) - half_tip)
    edge = shape.notch * np.exp(1j * half_tip) - shape.tip
    folded = np.abs(points) * np.exp(1j * angle) - shape.tip
    distance: Floats = -(np.conj(edge) * folded).imag / np.abs(edge)
    return distance
