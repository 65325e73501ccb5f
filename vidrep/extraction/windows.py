"""Windows of successive frames of one video, for extractors whose features take several frames."""

from collections import deque

import numpy as np

from .preparation import Pixels


class WindowedFrames:
    """The last W kept frames of one video: every S frames they are a window.

    frame_shape: of a prepared frame, (crops, *crop_shape).
    shape: of a window, (crops, W, *crop_shape). num_frames: added so far.
    """

    def __init__(self, frame_shape: tuple[int, ...], *, frames_per_feature: int, stride: int) -> None:
        self._length, self._stride = frames_per_feature, stride
        self._frames = np.empty((frames_per_feature, *frame_shape), dtype=np.uint8)
        self.shape = (frame_shape[0], frames_per_feature, *frame_shape[1:])
        self._seconds: deque[float] = deque(maxlen=frames_per_feature)
        self.num_frames = 0

    def add(self, prepared: Pixels, seconds: float) -> bool:
        """Add the next frame, shown at `seconds`; return whether a window is complete with it."""
        self._frames[self.num_frames % self._length] = prepared
        self._seconds.append(seconds)
        self.num_frames += 1
        return self.num_frames >= self._length and (self.num_frames - self._length) % self._stride == 0

    def copy_to(self, place: Pixels) -> float:
        """Copy the window, first frame first, into an array of `shape`; return the seconds of its first frame."""
        order = np.arange(self.num_frames, self.num_frames + self._length) % self._length
        place[...] = self._frames[order].swapaxes(0, 1)
        return self._seconds[0]
