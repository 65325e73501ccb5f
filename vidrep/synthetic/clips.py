"""Clips of which everything is drawn anew: the shape, its way and what is behind it.

One textured shape moves over a still background. Shapes: T frames, H = W = frame_size pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motions import MotionRanges, draw_trajectory
from .outlines import SHAPES, Floats, Shape
from .painting import Figure, draw_colors, expose, interpolate, paint

# The difficulty of the sample, with the default ranges of its motions: fixed before any model saw it, not to be tuned
# to a result.
_PIXEL_NOISE = (0.01, 0.02)
_TEXTURE_GRID, _BACKGROUND_GRID = 6, 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Appearance:
    """What does not change in a clip.

    figure: what moves.
    background: (H, W, 3) RGB in [0, 1].
    pixel_noise: standard deviation of what is added to every value.
    """

    figure: Figure
    background: Floats
    pixel_noise: float


def render_clip(motion: str, rng: np.random.Generator, *, num_frames: int, frame_size: int) -> NDArray[np.uint8]:
    """Draw one clip of `motion`, (T, H, W, 3) RGB; `rng` decides everything else."""
    appearance = draw_appearance(rng, frame_size=frame_size)
    figure = appearance.figure
    trajectory = draw_trajectory(motion, rng, MotionRanges(), num_frames=num_frames, reach=figure.shape.tip)
    backdrop = np.broadcast_to(appearance.background, (num_frames, *appearance.background.shape))
    return expose(paint(figure, trajectory, backdrop), rng, pixel_noise=appearance.pixel_noise)


def draw_appearance(rng: np.random.Generator, *, frame_size: int, shapes: Mapping[str, Shape] = SHAPES) -> Appearance:
    """Draw outline, texture and background, none of which depends on the motion; the shape is the brighter one."""
    shape = shapes[str(rng.choice(list(shapes)))]
    mean_luma, contrast = rng.uniform(0.67, 0.83), rng.uniform(0.07, 0.14)
    colors = draw_colors(rng, np.array([mean_luma - contrast, mean_luma + contrast]))
    nodes = draw_colors(rng, rng.uniform(0.1, 0.45, size=(_BACKGROUND_GRID, _BACKGROUND_GRID)))
    columns = np.linspace(0, _BACKGROUND_GRID - 1, frame_size)
    return Appearance(
        figure=Figure(shape=shape, colors=colors, texture=rng.random((_TEXTURE_GRID, _TEXTURE_GRID))),
        background=interpolate(nodes, columns[:, None], columns[None, :]),
        pixel_noise=rng.uniform(*_PIXEL_NOISE),
    )
