"""All frames of the features read once, in blocks: what each dimension varies by, and which videos are not finite.

Shapes: N frames, D values of a frame.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import some_names
from .data_set import DataSet
from .findings import Finding


@dataclass(frozen=True, kw_only=True)
class FrameValues:
    """What the frames of all videos are like.

    mean, scale: (D,) of each dimension, the scale its standard deviation, 1 for a constant one. is_constant, is_zero:
    (D,). not_finite: the numbers of the videos with NaN or infinite values.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    is_constant: NDArray[np.bool_]
    is_zero: NDArray[np.bool_]
    not_finite: list[int]


def read_frames(data: DataSet, on_video: Callable[[int], None]) -> FrameValues:
    """Read all frames, a few MB at a time; on_video is called with the number of videos that are done."""
    size = data.features.frame_size
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    sums, squares, count = np.zeros(size), np.zeros(size), 0
    shift: NDArray[np.float64] | None = None  # of about the mean, so that squares lose no digits
    not_finite = []
    for number in range(len(data)):
        for block in blocks_of(data, number):
            if not np.isfinite(block).all():
                not_finite.append(number)
                break
            shift = block[0] if shift is None else shift
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
            block = block - shift
            sums, squares, count = sums + block.sum(axis=0), squares + np.square(block).sum(axis=0), count + len(block)
        on_video(number + 1)
    mean = sums / max(count, 1)
    is_constant = low == high
    scale = np.sqrt(np.maximum(squares / max(count, 1) - np.square(mean), 0))
    return FrameValues(
        mean=mean + (0 if shift is None else shift),
        scale=np.where(is_constant | (scale == 0), 1, scale),
        is_constant=is_constant,
        is_zero=is_constant & (low == 0),
        not_finite=not_finite,
    )


def blocks_of(data: DataSet, number: int) -> Iterator[NDArray[np.float64]]:
    """Yield the frames of a video and all of its crops in blocks, (n, D)."""
    for row in data.crops(number):
        for block, _ in data.features.blocks(row):
            if len(block):
                yield np.asarray(block, dtype=np.float64).reshape(len(block), -1)


def value_findings(data: DataSet, values: FrameValues) -> Iterator[Finding]:
    """Yield what is wrong with the values themselves."""
    if values.not_finite:
        yield Finding(
            kind="values that are not finite",
            is_problem=True,
            what=f"{len(values.not_finite)} videos have NaN or infinite features",
            remedy="training refuses them: make their features again, or leave these videos out",
            videos=data.all_flagged(values.not_finite),
        )
    num_constant, size = int(values.is_constant.sum()), len(values.is_constant)
    if num_constant == size:
        yield Finding(
            kind="constant features",
            is_problem=True,
            what="all frames of all videos are equal",
            remedy="make the features again: there is nothing to learn",
        )
    elif num_constant:
        where = some_names(map(str, np.flatnonzero(values.is_constant).tolist()))
        yield Finding(
            kind="constant dimensions",
            is_problem=False,
            what=f"{num_constant} of {size} feature dimensions never change ({int(values.is_zero.sum())} are always "
            f"zero): {where}",
            remedy="harmless: standardizing leaves them out; if they are many, another layer may say more",
        )
