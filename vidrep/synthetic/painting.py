"""Painting a textured shape along a trajectory, and what a camera makes of the picture.

Shapes: T frames, H = W pixels along a side, N pixels that the shape may touch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motions import Trajectory
from .outlines import Floats, Shape, signed_distance

_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])  # Rec. 601, which untagged small video is taken for


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """What moves.

    shape: the outline.
    colors: (2, 3) RGB in [0, 1], between which the texture blends.
    texture: (G, G) blends in [0, 1] on a grid over the shape, moving with it.
    """

    shape: Shape
    colors: Floats
    texture: Floats


def paint(figure: Figure, trajectory: Trajectory, backdrop: NDArray[np.floating]) -> NDArray[np.float32]:
    """Paint a figure in its pose in every frame over `backdrop`, (T, H, W, 3) RGB in [0, 1]: as much again."""
    frame_size, shape = backdrop.shape[1], figure.shape
    pixel_centers = (np.arange(frame_size) + 0.5) / frame_size
    from_x, from_y = pixel_centers - trajectory.x[:, None], pixel_centers - trajectory.y[:, None]
    # Only the pixels within the shape's reach are worth an arctangent: about a tenth of them.
    reach = shape.tip * trajectory.radius + 1 / frame_size
    frame, row, column = np.nonzero(from_y[:, :, None] ** 2 + from_x[:, None, :] ** 2 < reach[:, None, None] ** 2)
    along = (from_x[frame, column] + 1j * from_y[frame, row]) * np.exp(-1j * trajectory.angle)[frame]
    own = along / trajectory.radius[frame]  # (N,) in the shape's own coordinates, in radii

    pixels_per_radius = trajectory.radius[frame] * frame_size
    coverage = np.clip(0.5 - signed_distance(own, shape) * pixels_per_radius, 0, 1)[:, None]
    # The grid spans the shape from tip to tip; of the pixels on its edge, the centers may lie outside.
    on_grid = (np.clip(np.stack([own.imag, own.real]) / shape.tip, -1, 1) + 1) / 2 * (len(figure.texture) - 1)
    blend = interpolate(figure.texture, on_grid[0], on_grid[1])[:, None]
    color = figure.colors[0] + blend * (figure.colors[1] - figure.colors[0])

    clip = backdrop.astype(np.float32, order="C")  # a backdrop may be one picture, broadcast
    clip[frame, row, column] += (coverage * (color - backdrop[frame, row, column])).astype(np.float32)
    return clip


def expose(clip: NDArray[np.float32], rng: np.random.Generator, *, pixel_noise: float) -> NDArray[np.uint8]:
    """Turn a picture in [0, 1] into a camera's, with noise of that standard deviation added to every value."""
    noisy = clip + pixel_noise * rng.standard_normal(clip.shape, dtype=np.float32)
    return (np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_colors(rng: np.random.Generator, luma: Floats) -> Floats:
    """Draw a color of each `luma`, (...): (..., 3) RGB in [0, 1]."""
    tint = rng.uniform(-1, 1, size=(*luma.shape, 3))
    tint -= (tint @ _LUMA_WEIGHTS)[..., None]
    # As much of the tint as keeps every channel within [0, 1].
    room = np.where(tint > 0, 1 - luma[..., None], luma[..., None]) / np.abs(tint)
    strength: Floats = np.min(room, axis=-1, keepdims=True, initial=1)
    return luma[..., None] + strength * tint


def interpolate(grid: Floats, rows: Floats, columns: Floats) -> Floats:
    """Interpolate `grid`, (G, G) or (G, G, C), bilinearly at fractional `rows` and `columns` of a common shape."""
    top = np.minimum(rows.astype(np.intp), len(grid) - 2)
    left = np.minimum(columns.astype(np.intp), len(grid) - 2)
    trailing = (1,) * (grid.ndim - 2)
    down, right = (rows - top).reshape(*rows.shape, *trailing), (columns - left).reshape(*columns.shape, *trailing)
    upper = grid[top, left] + right * (grid[top, left + 1] - grid[top, left])
    lower = grid[top + 1, left] + right * (grid[top + 1, left + 1] - grid[top + 1, left])
    interpolated: Floats = upper + down * (lower - upper)
    return interpolated
