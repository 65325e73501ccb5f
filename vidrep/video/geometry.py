"""How a stored frame is shown: its size in square pixels, and which way up."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

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


def is_mirrored(matrix: Sequence[int]) -> bool:
    """Return whether a display matrix turns the picture over, as the front cameras of telephones do."""
    across, across_down, _, down_across, down = matrix[:5]
    return across * down - across_down * down_across < 0


def upright(rgb: NDArray[np.uint8], matrix: Sequence[int]) -> NDArray[np.uint8]:
    """Turn and mirror a stored frame, (H, W, 3), as its container's display matrix asks, by quarter turns.

    matrix: its nine numbers a, b, u, c, d, v, x, y, w, by which the stored point (p, q) is shown at (a p + c q + x,
        b p + d q + y), as in ISO/IEC 14496-12, 6.2.2. Other angles are rounded to quarter turns.
    """
    across, across_down = matrix[0], matrix[1]
    sideways = abs(across_down) > abs(across)
    # Where the stored rows run to the right, and the stored columns down, nothing is to be done. The determinant
    # tells the direction of the columns from that of the rows.
    if sideways:
        rgb = rgb.swapaxes(0, 1)
        flip_down, flip_across = across_down < 0, (across_down > 0) != is_mirrored(matrix)
    else:
        flip_across, flip_down = across < 0, (across < 0) != is_mirrored(matrix)
    return np.ascontiguousarray(rgb[:: -1 if flip_down else 1, :: -1 if flip_across else 1])
