"""A reliability plot: the accuracy of predictions of each confidence, before and after calibration."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from ..files import replacing
from ..metrics.calibration import Calibration, ConfidenceBin, Reliability

_SIDE, _MARGIN, _HEAD = 360, 56, 44  # pixels: of a diagram, around it, and of its title
_WHITE, _BLACK, _GRAY, _BAR, _GAP = (255, 255, 255), (0, 0, 0), (160, 160, 160), (66, 116, 178), (240, 176, 170)
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def write_reliability(path: Path, calibration: Calibration) -> None:
    """Publish a PNG of two diagrams, before and after the temperature; a picture that is there is replaced.

    A bar is as high as the accuracy of a bin of confidence; the gap to what its confidence promises is red, and the
    dashed diagonal is perfect calibration. The number in a bar is that of its predictions.
    """
    parts = {"before": calibration.before, "after": calibration.after} if calibration.is_fitted else {}
    shown = parts or {"no temperature was fitted": calibration.after}
    width, height = len(shown) * (_SIDE + _MARGIN) + _MARGIN, _HEAD + _SIDE + _MARGIN
    image = Image.new("RGB", (width, height), _WHITE)
    draw = ImageDraw.Draw(image)
    for number, (title, reliability) in enumerate(shown.items()):
        _diagram(draw, _MARGIN + number * (_SIDE + _MARGIN), title, reliability)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG")


def _diagram(draw: ImageDraw.ImageDraw, left: int, title: str, reliability: Reliability) -> None:
    bottom = _HEAD + _SIDE
    draw.text((left, 12), f"{title}: error {reliability.expected_calibration_error:.3f}", fill=_BLACK, font_size=16)
    _bars(draw, left, reliability.bins)
    for step in range(0, _SIDE, 12):
        draw.line([(left + step, bottom - step), (left + step + 6, bottom - step - 6)], fill=_GRAY, width=2)
    draw.rectangle([left, _HEAD, left + _SIDE, bottom], outline=_BLACK)
    for tick in _TICKS:
        draw.text((left + tick * _SIDE, bottom + 4), f"{tick:g}", fill=_BLACK, font_size=12, anchor="ma")
        draw.text((left - 6, bottom - tick * _SIDE), f"{tick:g}", fill=_BLACK, font_size=12, anchor="rm")
    draw.text((left + _SIDE / 2, bottom + 22), "confidence (bars: accuracy)", fill=_BLACK, font_size=14, anchor="ma")


def _bars(draw: ImageDraw.ImageDraw, left: int, bins: Sequence[ConfidenceBin]) -> None:
    bottom = _HEAD + _SIDE
    for one in bins:
        if not one.count:
            continue
        sides = left + one.low * _SIDE + 1, left + one.high * _SIDE - 1
        of_accuracy, of_confidence = (bottom - value * _SIDE for value in (one.accuracy, one.confidence))
        draw.rectangle([sides[0], of_accuracy, sides[1], bottom], fill=_BAR)
        draw.rectangle([sides[0], *_ordered(of_accuracy, of_confidence, sides[1])], fill=_GAP)
        draw.line([(sides[0], of_accuracy), (sides[1], of_accuracy)], fill=_BLACK, width=2)
        draw.text((sum(sides) / 2, bottom - 3), str(one.count), fill=_WHITE, font_size=10, anchor="md")


def _ordered(first: float, second: float, right: float) -> tuple[float, float, float]:
    return min(first, second), right, max(first, second)
