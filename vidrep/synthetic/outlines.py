"""Outlines of the shapes that are painted, and how far a point lies from one.

N points; lengths are in radii of the shape.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Shape(NamedTuple):
    """A star in units of its radius: so many tips, at distance `tip`, with notches at distance `notch` between them."""

    num_tips: int
    tip: float
    notch: float


def polygon(num_corners: int, corner: float) -> Shape:
    """Return a regular polygon, which is a star whose notches lie in the middle of its straight sides."""
    return Shape(num_corners, corner, corner * math.cos(math.pi / num_corners))


# Sizes give all four an area of 2.5 to 3.2 squared radii; 64 corners are a disc to within 0.2 % of its radius.
SHAPES = {
    "disc": polygon(64, 1.0),
    "square": polygon(4, 1.2),
    "triangle": polygon(3, 1.4),
    "star": Shape(5, 1.4, 0.68),
}

OTHER_SHAPES = {
    "hexagon": polygon(6, 1.05),
    "trefoil": Shape(3, 1.6, 0.68),
    "cross": Shape(4, 1.4, 0.7),
    "gear": Shape(8, 1.2, 0.8),
}
"""As large as SHAPES and none of them, for test videos that are to show what no training video does."""


def signed_distance(points: NDArray[np.complexfloating], shape: Shape) -> Floats:
    """Return how far `points`, (N,) x + iy in radii, lie outside the nearest edge of `shape`; inside is negative."""
    half_tip = math.pi / shape.num_tips
    # Fold the plane onto half a tip: the edge from (tip, 0) to the notch is then the only one.
    angle = np.abs((np.angle(points) + half_tip) % (2 * half_tip) - half_tip)
    edge = shape.notch * np.exp(1j * half_tip) - shape.tip
    folded = np.abs(points) * np.exp(1j * angle) - shape.tip
    distance: Floats = -(np.conj(edge) * folded).imag / np.abs(edge)
    return distance
