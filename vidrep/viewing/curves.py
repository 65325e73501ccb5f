"""Curves of shares over a few places, with intervals, as one PNG.

Places are words at equal distances, such as numbers of labels; the vertical axis is a share, 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..files import replacing

# Colors that people who do not see red and green apart distinguish too (Okabe and Ito 2008, "Color universal design").
_COLORS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8A00")
_WIDTH, _HEIGHT, _LEGEND_LINE = 1200, 700, 34  # pixels
_LEFT, _TOP, _RIGHT, _BELOW = 90, 70, 30, 90
_FONT, _MARK, _CAP, _LINE = 22, 7, 6, 3
_SPREAD = 14  # pixels between the points of two curves at one place, so that their intervals stay apart
_GRID, _INK = "#D8D8D8", "#303030"


@dataclass(frozen=True)
class CurvePoint:
    """A share at a place, counted from 0, with the ends of its interval if it has one."""

    place: int
    share: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """Points in the order of their places."""

    name: str
    points: Sequence[CurvePoint]


def write_curves(path: Path, curves: Sequence[Curve], *, places: Sequence[str], title: str, below: str) -> None:
    """Publish a picture of curves with a legend; one that is there is replaced.

    places: what stands below each place. Raises OutputError if it cannot be written.
    """
    height = _HEIGHT + _LEGEND_LINE * len(curves)
    picture = Image.new("RGB", (_WIDTH, height), "white")
    draw = ImageDraw.Draw(picture)
    _draw_axes(draw, places, title, below)
    for number, curve in enumerate(curves):
        offset = _SPREAD * (number - (len(curves) - 1) / 2)
        _draw_curve(draw, curve, _COLORS[number % len(_COLORS)], offset, len(places))
        _draw_legend(draw, curve.name, _COLORS[number % len(_COLORS)], _HEIGHT + _LEGEND_LINE * number)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def _x(place: int, num_places: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (place + 0.5) / max(1, num_places)


def _y(share: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BELOW) * (1 - share)


def _draw_axes(draw: ImageDraw.ImageDraw, places: Sequence[str], title: str, below: str) -> None:
    font = ImageFont.load_default(_FONT)
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        draw.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], fill=_GRID, width=1)
        draw.text((_LEFT - 12, y), f"{tenth / 10:.1f}", fill=_INK, font=font, anchor="rm")
    for number, name in enumerate(places):
        draw.text((_x(number, len(places)), _y(0) + 12), name, fill=_INK, font=font, anchor="ma")
    draw.text((_LEFT, _TOP / 2), title, fill=_INK, font=font, anchor="lm")
    draw.text(((_LEFT + _WIDTH - _RIGHT) / 2, _y(0) + 46), below, fill=_INK, font=font, anchor="ma")


def _draw_curve(draw: ImageDraw.ImageDraw, curve: Curve, color: str, offset: float, num_places: int) -> None:
    spots = [(_x(point.place, num_places) + offset, _y(point.share)) for point in curve.points]
    if len(spots) > 1:
        draw.line(spots, fill=color, width=_LINE)
    for point, (x, y) in zip(curve.points, spots, strict=True):
        draw.ellipse([(x - _MARK, y - _MARK), (x + _MARK, y + _MARK)], fill=color)
        if point.low is not None and point.high is not None:
            low, high = _y(point.low), _y(point.high)
            draw.line([(x, low), (x, high)], fill=color, width=_LINE - 1)
            for end in (low, high):
                draw.line([(x - _CAP, end), (x + _CAP, end)], fill=color, width=_LINE - 1)


def _draw_legend(draw: ImageDraw.ImageDraw, name: str, color: str, y: float) -> None:
    draw.line([(_LEFT, y), (_LEFT + 40, y)], fill=color, width=_LINE)
    draw.ellipse([(_LEFT + 20 - _MARK, y - _MARK), (_LEFT + 20 + _MARK, y + _MARK)], fill=color)
    draw.text((_LEFT + 54, y), name, fill=_INK, font=ImageFont.load_default(_FONT), anchor="lm")
