"""What every frame of a video is to be taken for, cut into the windows that a training reads.

Shapes: T time, B batch, K labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .windows import Windows

UNKNOWN = -1
"""The target of a frame that is not learned from."""


@dataclass(frozen=True, eq=False)
class FrameTargets:
    """Targets of some videos' frames.

    of_videos: by index of the video, (T,) int64, the number of the label that holds, or (T, K), 1 and 0 of each label;
    UNKNOWN where nobody said it. before, after: frames at the beginning and the end of a window that are read and not
    learned from, unless the video begins or ends there.
    """

    of_videos: Mapping[int, NDArray[np.int64]]
    before: int
    after: int

    def of(self, windows: Windows, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the targets of some windows, (T, B) or (T, B, K), UNKNOWN in padding."""
        width = next(iter(self.of_videos.values())).shape[1:]
        targets = np.full((windows.length, len(indices), *width), UNKNOWN, dtype=np.int64)
        columns = zip(*(of[indices].tolist() for of in (windows.videos, windows.starts, windows.lengths)), strict=True)
        for column, (video, start, length) in enumerate(columns):
            of_video = self.of_videos[video]
            first = self.before if start else 0
            last = length - (self.after if start + length < len(of_video) else 0)
            targets[first:last, column] = of_video[start + first : start + last]
        return targets

    def num_known(self, windows: Windows, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many targets of each of some windows are known, (B,); of several labels each counts."""
        known = self.of(windows, indices) != UNKNOWN
        counts: NDArray[np.int64] = known.sum(axis=tuple({0, *range(2, known.ndim)}))
        return counts
