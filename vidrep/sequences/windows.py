"""Windows of consecutive frames, gathered from the feature file time step by time step.

Shapes: T time, B batch, D values of a frame, W windows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..features.store import Features


def window_starts(num_frames: int, *, length: int, stride: int) -> list[int]:
    """Return where the windows of a video start: every `stride` frames, and one that ends with the last frame.

    A video shorter than a window gives none.
    """
    if num_frames < length:
        return []
    last = num_frames - length
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


@dataclass(frozen=True)
class Windows:
    """Windows of T frames of some videos.

    videos: (W,) indices into `features.videos`; starts: (W,) first frames; lengths: (W,) frames that are there, T or,
    for a video shorter than a window, fewer: the rest is padding.
    """

    features: Features
    length: int
    videos: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.videos)

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.generic]:
        """Return some windows, (T, B, D), of the features' own type, zero where a short video is padded."""
        out = np.zeros((self.length, len(indices), *self.features.frame_shape), dtype=self.features.dtype)
        for column, index in enumerate(indices):
            start, length = self.starts[index], self.lengths[index]
            out[:length, column] = self.features.rows(self.videos[index], start, start + length)
        return out.reshape(self.length, len(indices), -1)

    def batches(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of all windows in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))


def cut_windows(
    features: Features, videos: Sequence[int], *, length: int, stride: int, keep_short: bool = False
) -> Windows:
    """Cut windows of `length` frames out of some videos, given by their indices.

    keep_short: a video shorter than a window gives one padded window; otherwise it gives none.
    """
    cut: list[tuple[int, int, int]] = []
    for video in videos:
        num_frames = features.videos[video].length
        if keep_short and 0 < num_frames < length:
            cut.append((video, 0, num_frames))
        cut += [(video, start, length) for start in window_starts(num_frames, length=length, stride=stride)]
    columns = np.array(cut, dtype=np.int64).reshape(-1, 3).T
    return Windows(features, length, *columns)
