"""Batches of windows on the device that trains: copied there, or gathered from rows that are there already.

Shapes: T time, B batch, D values of a frame, W windows, N rows.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..devices import to_device
from .windows import VideoWindows, Windows, WindowSet

# Rows may take this share of a GPU's free memory; the rest is for the training.
_SHARE_OF_FREE_MEMORY = 0.25


class DeviceWindows(Protocol):
    """Windows whose batches are tensors on one device."""

    def gather(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the windows at `indices` (B,) as (T, B, D), in the features' dtype, zero where a video is padded."""


def windows_on(windows: VideoWindows, device: torch.device) -> DeviceWindows:
    """Return windows on a device: with all of their rows there if it is a GPU with the memory, else copied in batches.

    Clips, whose frames are made on the CPU, are copied in batches too.

    A CPU needs no copy of the rows: training reads the memory map once before it begins, and its pages stay in memory
    as long as that suffices.
    """
    if device.type == "cuda" and isinstance(windows, Windows):
        features, videos = windows.features, np.unique(windows.videos).tolist()
        row_bytes = features.frame_size * np.dtype(features.dtype).itemsize
        free, _ = torch.cuda.mem_get_info(device)
        if row_bytes * sum(features.videos[video].length for video in videos) <= _SHARE_OF_FREE_MEMORY * free:
            return ResidentWindows(windows, device)
    return CopiedWindows(windows, device)


class CopiedWindows:
    """Windows that are copied to a device batch by batch."""

    def __init__(self, windows: WindowSet, device: torch.device) -> None:
        self._windows, self._device = windows, device

    def gather(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the windows at `indices` (B,) as (T, B, D)."""
        return to_device(self._windows.gather(indices), self._device)


class ResidentWindows:
    """The windows of a `Windows`, with the rows of their videos on a device.

    rows: (N + 1, D) on the device, in the features' dtype: each video's frames once, and a last row of zeros, which
    pads short windows.
    """

    def __init__(self, windows: Windows, device: torch.device) -> None:
        """Copy the rows of all videos that have a window to `device`.

        Raises torch.OutOfMemoryError if they do not fit there.
        """
        features = windows.features
        videos, video_of_window = np.unique(windows.videos, return_inverse=True)
        lengths = np.array([features.videos[video].length for video in videos], dtype=np.int64)
        ends = np.cumsum(lengths)
        num_rows = int(lengths.sum())
        dtype = getattr(torch, features.dtype)
        self.rows = torch.zeros((num_rows + 1, features.frame_size), dtype=dtype, device=device)
        position = 0
        for video in videos.tolist():
            for block, _ in features.blocks(video):
                # A copy: torch warns of a read-only memory map.
                copied = torch.from_numpy(np.array(block).reshape(len(block), -1))
                self.rows[position : position + len(block)] = copied.to(device)
                position += len(block)
        first_rows = (ends - lengths)[video_of_window] + windows.starts
        self._first_rows = torch.from_numpy(first_rows).to(device)
        self._lengths = torch.from_numpy(windows.lengths).to(device)
        self._times = torch.arange(windows.length, device=device)[:, None]

    def gather(self, indices: NDArray[np.int64] | Tensor) -> Tensor:
        """Return the windows at `indices` (B,) as (T, B, D) on the device: bit for bit what `Windows.gather` returns.

        With `indices` on the device, nothing waits for the host.
        """
        chosen = torch.as_tensor(indices, device=self.rows.device)
        numbers = self._first_rows[chosen] + self._times
        numbers = torch.where(self._times < self._lengths[chosen], numbers, len(self.rows) - 1)
        return self.rows[numbers]
