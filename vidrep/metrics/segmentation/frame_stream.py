"""The frames of one video, which come in blocks of any sizes, cut anew.

Shapes: n frames of a block, D values of a frame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Window:
    """Frames that are read at once, (n, D), of which those from `first` until before `stop` are its core."""

    frames: Block
    first: int
    stop: int


def windows(blocks: Iterable[Block], core: int, before: int, after: int) -> Iterator[Window]:
    """Yield windows one after the other, whose cores follow each other without a gap.

    before, after: frames of a window around its core, as far as the video has them. The last core is larger by up to
        `after`, which no margin follows.
    """
    kept: Block | None = None  # from the beginning of the next window on
    first = 0  # of the next core within them
    for block in blocks:
        kept = block if kept is None else np.concatenate([kept, block])
        while len(kept) > first + core + after:  # so that the last window is never without a core
            yield Window(kept[: first + core + after], first, first + core)
            start = max(0, first + core - before)
            first, kept = first + core - start, kept[start:]
    if kept is not None and len(kept) > first:
        yield Window(kept, first, len(kept))


def pieces(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """Yield pieces of one size, (size, D), but for the last."""
    kept: Block | None = None
    for block in blocks:
        kept = block if kept is None else np.concatenate([kept, block])
        while len(kept) >= size:
            yield kept[:size]
            kept = kept[size:]
    if kept is not None and len(kept):
        yield kept
