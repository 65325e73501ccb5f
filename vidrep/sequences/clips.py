"""Clips: whole videos, or stretches of long ones, resampled in time to one number of frames.

Shapes: T frames of a clip after resampling, B batch, D values of a frame, W clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..features.store import Features
from .windows import window_starts


@dataclass(frozen=True)
class Clips:
    """Stretches of videos whose frames are interpolated linearly at T points in time; a VideoWindows.

    length: T. videos: (W,) indices into `features.videos`; starts, num_stored: (W,) the first stored frame of each clip
    and how many there are. Frames come in float32 and original units, uint8 divided by 255, as a mean of two stored
    frames is none of their values.
    """

    features: Features
    length: int
    videos: NDArray[np.int64]
    starts: NDArray[np.int64]
    num_stored: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(W,) frames that are no padding: T, of every clip."""
        return np.full(len(self.videos), self.length, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.videos)

    def chosen(self, indices: NDArray[np.int64]) -> Self:
        """Return some of the clips, (B,)."""
        columns = {name: getattr(self, name)[indices] for name in ("videos", "starts", "num_stored")}
        return replace(self, **columns)

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some clips from their first to their last frame, (T, B, D)."""
        return self.gather_crops(indices, np.tile([0.0, 1.0], (len(indices), 1)))

    def gather_crops(
        self, indices: NDArray[np.int64], crops: NDArray[np.float64], shifts: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Return crops in time of some clips, (T, B, D).

        crops: (B, 2), where each begins and ends, from 0, the clip's first frame, to 1, its last. shifts: (B, T), by
        how much each point in time is moved, in distances between two, but not out of the clip; None moves none.
        """
        features = self.features
        out = np.empty((self.length, len(indices), features.frame_size), dtype=np.float32)
        for column, (index, (begin, end)) in enumerate(zip(indices.tolist(), crops.tolist(), strict=True)):
            start, last = int(self.starts[index]), int(self.num_stored[index]) - 1
            times = np.linspace(begin * last, end * last, self.length)
            if shifts is not None:
                distance = (end - begin) * last / max(1, self.length - 1)
                times = (times + distance * shifts[column]).clip(0, last)
            before = np.minimum(times.astype(np.int64), last)
            after = np.minimum(before + 1, last)
            stored = features.rows(int(self.videos[index]), start, start + last + 1)
            lower, upper = (stored[some].reshape(self.length, -1).astype(np.float32) for some in (before, after))
            out[:, column] = lower + (times - before).astype(np.float32)[:, np.newaxis] * (upper - lower)
        return out / np.float32(255) if features.dtype == "uint8" else out


def clips_of(features: Features, videos: Sequence[int], *, length: int, clip_seconds: float) -> Clips:
    """Cut videos, given by their indices, into clips of `clip_seconds` at most, each of which has `length` frames.

    A longer video gives several that overlap by half; the last one ends with the video. A video without a frame gives
    none.
    """
    cut: list[tuple[int, int, int]] = []
    for video in videos:
        num_frames = features.videos[video].length
        if num_frames:
            size = min(num_frames, frames_in(features, video, clip_seconds))
            starts = window_starts(num_frames, length=size, stride=max(1, size // 2))
            cut += [(video, start, size) for start in starts]
    columns = np.array(cut, dtype=np.int64).reshape(-1, 3).T
    return Clips(features, length, *columns)


def frames_in(features: Features, video: int, seconds: float) -> int:
    """Return how many stored frames of a video span so many seconds, by its timestamps, at least 1.

    A video whose timestamps do not advance is taken as shorter than that.
    """
    times = features.timestamps(video)
    span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    if not span > 0:
        return len(times)
    return max(1, round(seconds * (len(times) - 1) / span))
