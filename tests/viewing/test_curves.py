"""Curves stand where their shares are, with intervals, in their colors."""

from pathlib import Path

import numpy as np
from PIL import Image

from vidrep.viewing.curves import Curve, CurvePoint, write_curves

BLACK, BLUE = (0, 0, 0), (0, 114, 178)
TOP, BOTTOM = 70, 610  # rows of the shares 1 and 0


def test_points_and_ends_of_intervals_are_at_their_heights(tmp_path: Path) -> None:
    curves = [
        Curve("a", [CurvePoint(0, 0.5, 0.25, 0.75)]),
        Curve("b", [CurvePoint(0, 1.0), CurvePoint(1, 0.0)]),
    ]
    write_curves(tmp_path / "curves.png", curves, places=["k = 1", "all"], title="title", below="k")
    with Image.open(tmp_path / "curves.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (700 + 2 * 34, 1200, 3)
    above_legend = pixels[: BOTTOM + 8]
    black = np.argwhere((above_legend == BLACK).all(axis=2))[:, 0]
    assert abs(black.min() - (BOTTOM - 0.75 * (BOTTOM - TOP))) <= 2
    assert abs(black.max() - (BOTTOM - 0.25 * (BOTTOM - TOP))) <= 2
    blue = np.argwhere((above_legend == BLUE).all(axis=2))
    assert abs(blue[:, 0].min() - (TOP - 7)) <= 1 and abs(blue[:, 0].max() - (BOTTOM + 7)) <= 1
    legend = pixels[690:]
    assert (legend == BLACK).all(axis=2).any() and (legend == BLUE).all(axis=2).any()


def test_the_same_curves_are_the_same_bytes_and_none_are_a_picture_too(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_curves(tmp_path / name, [], places=[], title="", below="")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
