"""Windows of consecutive frames, gathered from the feature file time step by time step.

Shapes: T time, B batch, D values of a frame, W windows.
"""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..features.store import Features

# Rows from this size on are copied faster window by window, each of them in one stretch, than time step by time step.
_LARGE_ROW_BYTES = 4096


def window_starts(num_frames: int, *, length: int, stride: int, to_the_end: bool = True) -> list[int]:
    """Return where the windows of a video start: every `stride` frames and, `to_the_end`, one that ends with the last.

    A video shorter than a window gives none.
    """
    if num_frames < length:
        return []
    last = num_frames - length
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last or not to_the_end else [*starts, last]


class WindowSet(Protocol):
    """W windows of T frames that can be gathered in any order."""

    @property
    def length(self) -> int:
        """T, frames of a window."""

    def __len__(self) -> int:
        """Return W."""

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.generic]:
        """Return some windows, (T, B, D)."""


class VideoWindows(WindowSet, Protocol):
    """W windows of the videos of some features.

    videos: (W,) indices into `features.videos`. lengths: (W,) frames of each window that are no padding.
    """

    @property
    def features(self) -> Features:
        """The features."""

    @property
    def videos(self) -> NDArray[np.int64]:
        """(W,)."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(W,)."""

    def chosen(self, indices: NDArray[np.int64]) -> Self:
        """Return some of the windows, (B,)."""


def batches_of(windows: Sized, size: int, *, equal: bool = False) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of all windows in order, at most `size` at a time.

    equal: leave a smaller last batch out, unless it is the only one: a loss of a batch as a whole depends on its size.
    """
    num_windows = len(windows)
    if equal and num_windows > size:
        num_windows -= num_windows % size
    for start in range(0, num_windows, size):
        yield np.arange(start, min(start + size, num_windows))


@dataclass(frozen=True)
class Windows:
    """Windows of T consecutive frames of some videos; a VideoWindows.

    videos: (W,) indices into `features.videos`; starts: (W,) first frames; lengths: (W,) frames that are there, T or,
    for a video shorter than a window, fewer: the rest is padding.

    Raises ValueError for a window that is not within its video.
    """

    features: Features
    length: int
    videos: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __post_init__(self) -> None:
        num_frames = np.array([row.length for row in self.features.videos], dtype=np.int64)[self.videos]
        if (np.minimum(self.starts, self.lengths) < 0).any() or (self.starts + self.lengths > num_frames).any():
            raise ValueError("windows beyond the frames of their videos")

    def __len__(self) -> int:
        return len(self.videos)

    def chosen(self, indices: NDArray[np.int64]) -> Self:
        """Return some of the windows, (B,)."""
        columns = {name: getattr(self, name)[indices] for name in ("videos", "starts", "lengths")}
        return replace(self, **columns)

    @cached_property
    def _files_and_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(W,) the file that each window is in, and (W,) its first row there."""
        features = self.features
        return features.file_numbers[self.videos], features.first_rows[self.videos] + self.starts

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.generic]:
        """Return some windows, (T, B, D), of the features' own type, zero where a short video is padded."""
        files, first_rows = (column[indices] for column in self._files_and_rows)
        lengths = self.lengths[indices]
        out = np.empty((self.length, len(indices), *self.features.frame_shape), dtype=self.features.dtype)
        row_bytes = self.features.frame_size * out.itemsize
        is_even = len(indices) and (files == files[0]).all() and (lengths == self.length).all()
        if is_even and row_bytes < _LARGE_ROW_BYTES:
            rows = self.features.file_rows(int(files[0]))
            if isinstance(rows, np.ndarray):
                numbers = first_rows + np.arange(self.length)[:, np.newaxis]
                # `Windows` has checked all rows; with mode "raise" numpy would copy them once more.
                np.take(rows, numbers, axis=0, out=out, mode="clip")
                return out.reshape(*out.shape[:2], self.features.frame_size)
        places = zip(files.tolist(), first_rows.tolist(), lengths.tolist(), strict=True)
        for column, (file, first_row, length) in enumerate(places):
            out[:length, column] = self.features.file_rows(file)[first_row : first_row + length]
            out[length:, column] = 0
        return out.reshape(*out.shape[:2], self.features.frame_size)


def empty_windows(features: Features, videos: Sequence[int]) -> Windows:
    """Return a window without a frame of each video that has frames, for a model that reads no windows."""
    chosen = np.array([video for video in videos if features.videos[video].length], dtype=np.int64)
    return Windows(features, 0, chosen, np.zeros_like(chosen), np.zeros_like(chosen))


def sliding_windows(
    features: Features,
    videos: Sequence[int],
    *,
    length: int,
    stride: int,
    keep_short: bool = False,
    to_the_end: bool = True,
) -> Windows:
    """Cut windows of `length` frames out of some videos, given by their indices, one video after the other.

    keep_short: a video shorter than a window gives one padded window; otherwise it gives none. to_the_end: see
    `window_starts`.
    """
    cut: list[tuple[int, int, int]] = []
    for video in videos:
        num_frames = features.videos[video].length
        if keep_short and 0 < num_frames < length:
            cut.append((video, 0, num_frames))
        starts = window_starts(num_frames, length=length, stride=stride, to_the_end=to_the_end)
        cut += [(video, start, length) for start in starts]
    columns = np.array(cut, dtype=np.int64).reshape(-1, 3).T
    return Windows(features, length, *columns)
