"""How large a stored frame is shown: with square pixels, upright, and at the size that was asked for."""

from fractions import Fraction

from .reading import Resize

# A pixel that is longer than this against its width, or the other way round, is a mistake in a header.
_LONGEST_PIXEL = 8


def pixel_aspect(told: Fraction | float | None) -> float:
    """Return the width of a stored pixel over its height: what the file tells, or 1.0 if that is nothing or absurd."""
    if told is None or not 1 / _LONGEST_PIXEL <= told <= _LONGEST_PIXEL:
        return 1.0
    return float(told)


def size_before_turning(
    height: int, width: int, *, aspect: float, quarter_turns: int, resize: Resize | None
) -> tuple[int, int]:
    """Return the (height, width) to scale a stored frame of `height` and `width` to, before it is turned upright.

    aspect: the width of a stored pixel over its height. As in every player the width is scaled by it, so that pixels
        become square, and the height stays.
    quarter_turns: how often the frame is turned by 90 degrees after that.
    resize: the size wanted of the upright frame.
    """
    square = height, max(1, round(width * aspect))
    if resize is None:
        return square
    if quarter_turns % 2 == 0:
        return resize(*square)
    upright_height, upright_width = resize(square[1], square[0])
    return upright_width, upright_height
