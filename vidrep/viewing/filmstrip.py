"""Rows of frames as one picture: what is true above what a model makes of it.

Shapes: T frames of a row, H x W pixels, C channels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import OutputError
from ..files import replacing

_SMALLEST_SIDE = 64  # pixels that a frame's longer side has at least, once enlarged
_LINE, _STRIP_GAP = 1, 8  # pixels between frames, and between strips
_BACKGROUND, _LINES, _BOUNDARY = (255, 255, 255), (128, 128, 128), (220, 50, 32)
_BOUNDARY_WIDTH = 5


@dataclass(frozen=True)
class FilmRow:
    """Frames one beside the other, (T, H, W) or (T, H, W, C) uint8; the first stands in the column `start`."""

    frames: NDArray[np.uint8]
    start: int = 0


def can_be_shown(frame_shape: tuple[int, ...], dtype: str) -> bool:
    """Whether frames are pictures: uint8 (H, W), or (H, W, C) with one channel or three."""
    return dtype == "uint8" and (len(frame_shape) == 2 or (len(frame_shape) == 3 and frame_shape[2] in (1, 3)))


def require_picture_name(path: Path) -> None:
    """Raise OutputError unless a file of this name may become a picture."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: pictures are PNG files; give a name that ends in .png")


def write_filmstrip(path: Path, strips: Sequence[Sequence[FilmRow]], *, num_context: int) -> None:
    """Publish strips, each of rows one above the other, as one PNG; a picture that is there is replaced.

    Small frames are enlarged by a whole factor. num_context: columns before the red line that parts what was seen from
    what comes.

    Raises ValueError for frames that cannot be shown or differ in shape.
    """
    require_picture_name(path)
    rows = [row for strip in strips for row in strip]
    shapes = {(row.frames.shape[1:], row.frames.dtype.name) for row in rows}
    if len(shapes) != 1 or not can_be_shown(*next(iter(shapes))):
        raise ValueError(f"frames of {shapes or 'no row'}; all must be uint8 (H, W) or (H, W, C) with 1 or 3 channels")
    grid = _Grid.of(rows, num_context)
    pixels = np.concatenate([grid.draw(strip) for strip in strips])[_STRIP_GAP:]
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


@dataclass(frozen=True)
class _Grid:
    """Where frames stand: every column is as wide as a frame, with a line to its left, but for the first."""

    height: int
    width: int
    factor: int
    num_columns: int
    num_context: int

    @classmethod
    def of(cls, rows: Sequence[FilmRow], num_context: int) -> "_Grid":
        height, width = rows[0].frames.shape[1:3]
        factor = math.ceil(_SMALLEST_SIDE / max(height, width))
        num_columns = max(row.start + len(row.frames) for row in rows)
        return cls(height * factor, width * factor, factor, num_columns, num_context)

    def draw(self, strip: Sequence[FilmRow]) -> NDArray[np.uint8]:
        """Draw a strip's rows, with the gap to the strip above: (pixels, pixels, 3)."""
        right = self._left(self.num_columns - 1) + self.width
        bottom = _STRIP_GAP + len(strip) * (self.height + _LINE) - _LINE
        canvas = np.full((bottom, right, 3), _BACKGROUND, np.uint8)
        canvas[_STRIP_GAP:] = _LINES
        for number, row in enumerate(strip):
            top = _STRIP_GAP + number * (self.height + _LINE)
            for column in range(self.num_columns):
                left = self._left(column)
                there = canvas[top : top + self.height, left : left + self.width]
                in_row = 0 <= column - row.start < len(row.frames)
                there[:] = self._enlarged(row.frames[column - row.start]) if in_row else _BACKGROUND
        if 0 < self.num_context < self.num_columns:
            left = self._left(self.num_context)
            canvas[_STRIP_GAP:, left - _BOUNDARY_WIDTH : left] = _BOUNDARY
        return canvas

    def _left(self, column: int) -> int:
        boundary = _BOUNDARY_WIDTH - _LINE if 0 < self.num_context <= column else 0
        return column * (self.width + _LINE) + boundary

    def _enlarged(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = frame.reshape(*frame.shape[:2], -1)  # one channel of gray, or three
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).repeat(self.factor, axis=0).repeat(self.factor, axis=1)
