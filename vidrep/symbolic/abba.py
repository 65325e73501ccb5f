"""ABBA, adaptive Brownian bridge-based aggregation: series to pieces, pieces to groups, and pieces back to a series.

Sources: Elsworth & Guettel 2020, arXiv 2003.12469, Data Mining and Knowledge Discovery 34:1175 (compression, and the
way back); Chen & Guettel 2022, ACM Transactions on Knowledge Discovery from Data 17(1) (fABBA, the groups).

Shapes: n values of a series, P pieces. A piece is (length, increment): so many time steps, and what a value gains.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def compress(values: Floats, tolerance: float) -> Floats:
    """Return the pieces of a series, (n,) -> (P, 2), whose polygon stays near it; none for fewer than 2 values.

    A polygon joins values t[i_0] .. t[i_P] of the series by straight lines. Each line is as near as

        sum over i from i_{j-1} to i_j of (line(i) - t[i])^2 <= (i_j - i_{j-1} - 1) tolerance^2

    (2020, compression), so that the root mean square of all differences is below the tolerance. A piece grows until the
    next value would break the bound, as in the authors' code; a longer piece that meets it again is not searched for.
    """
    points = values.tolist()
    ends, start, squares, products = [0], 0, 0.0, 0.0
    for end in range(1, len(points)):
        length, gain = end - start, points[end] - points[start]
        squares, products = squares + gain * gain, products + length * gain
        slope = gain / length
        error = squares - 2 * slope * products + slope * slope * length * (length + 1) * (2 * length + 1) / 6
        if length > 1 and error > (length - 1) * tolerance**2:
            start = end - 1
            ends.append(start)
            squares, products = (points[end] - points[start]) ** 2, points[end] - points[start]
    if len(points) > 1:
        ends.append(len(points) - 1)
    return np.stack([np.diff(ends).astype(np.float64), np.diff(values[ends])], axis=1) if len(points) else _NONE


_NONE = np.zeros((0, 2))


def aggregate(points: Floats, alpha: float, *, most: int) -> NDArray[np.int64] | None:
    """Return the group of each point, (P, 2) -> (P,), counted from 0; None if there are more than `most`.

    The first point in the order of the distance from the origin that has no group starts one, and takes in all points
    without a group that are within `alpha` of it (2022, aggregation, sorted by the 2-norm).
    """
    order = np.argsort(np.linalg.norm(points, axis=1), kind="stable")
    groups = np.full(len(points), -1, dtype=np.int64)
    number = 0
    while len(order):
        if number == most:
            return None
        is_near = np.linalg.norm(points[order] - points[order[0]], axis=1) <= alpha
        groups[order[is_near]] = number
        order, number = order[~is_near], number + 1
    return groups


def whole_lengths(pieces: Floats) -> Floats:
    """Round the lengths of pieces, (P, 2), to whole time steps, at least 1; each rounding error goes to the next piece
    (2020, quantization)."""
    rounded, error = pieces.copy(), 0.0
    for piece in rounded:
        wanted = piece[0] + error
        piece[0] = max(1.0, np.floor(wanted + 0.5))
        error = wanted - piece[0]
    return rounded


def series_of_pieces(pieces: Floats, start: float) -> Floats:
    """Return the polygon of pieces of whole lengths, (P, 2), from a first value on: 1 value more than time steps."""
    knots = np.concatenate([[0.0], np.cumsum(pieces[:, 0])])
    heights = start + np.concatenate([[0.0], np.cumsum(pieces[:, 1])])
    series: Floats = np.interp(np.arange(knots[-1] + 1), knots, heights)
    return series
