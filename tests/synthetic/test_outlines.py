import numpy as np
import pytest

from vidrep.synthetic.outlines import OTHER_SHAPES, SHAPES, polygon, signed_distance


def test_shapes_have_comparable_areas() -> None:
    every = {**SHAPES, **OTHER_SHAPES}
    areas = {n: s.num_tips * s.tip * s.notch * np.sin(np.pi / s.num_tips) for n, s in every.items()}
    assert sorted(areas) == ["cross", "disc", "gear", "hexagon", "square", "star", "trefoil", "triangle"]
    assert not set(SHAPES.values()) & set(OTHER_SHAPES.values())
    assert max(areas.values()) / min(areas.values()) < 1.3


def test_distance_to_a_square() -> None:
    # Corners at distance sqrt(2) on the axes: the edges are x + y = sqrt(2) and its mirror images.
    square = polygon(4, np.sqrt(2))
    points = np.array([0, 0.5, 1 + 1j, -1 - 1j, 0.25j])
    assert signed_distance(points, square) == pytest.approx(
        [-1, 0.5**1.5 - 1, np.sqrt(2) - 1, np.sqrt(2) - 1, 0.25 * 0.5**0.5 - 1]
    )
