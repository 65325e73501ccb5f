"""How large a stored frame is in square pixels, as every player shows it."""

from fractions import Fraction

# A pixel that is longer than this against its width, or the other way round, is a mistake in a header.
_LONGEST_PIXEL = 8


def pixel_aspect(stored: Fraction | float | None) -> float:
    """Return the width of a stored pixel over its height: the file's own, or 1.0 if that is missing or absurd."""
    if stored is None or not 1 / _LONGEST_PIXEL <= stored <= _LONGEST_PIXEL:
        return 1.0
    return float(stored)


def square_pixel_size(height: int, width: int, *, aspect: float) -> tuple[int, int]:
    """Return the (height, width) in square pixels of a stored frame, one that is not turned upright yet.

    aspect: the width of a stored pixel over its height; the width is scaled by it and the height stays.
    """
    return height, max(1, round(width * aspect))
