"""Which frames of a video are kept."""

import math
from dataclasses import dataclass

from ..errors import ConfigError

# Matroska and WebM round times to 1/1000 s: the first frame's and another's together may be that much too close.
_ROUNDING_SECONDS = 1e-3


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which frames of a video are kept.

    fps: at most so many frames a second, by the frames' own times: time is cut into cells of 1/fps seconds, counted
        from the first frame, and the first frame of each cell is kept. Frames are never doubled. None: all.
    every: keep one frame in so many, the first one first.
    max_frames: stop after so many kept frames. None: no limit.
    start, end: keep only frames with start <= seconds < end, in the video's own time. None: from its beginning, to its
        end. Frames before `start` do not count: for `fps` and `every` the first frame of the span is the first one.

    A span is reached by decoding from the beginning of the video, never by seeking: into the middle of a group of
    pictures, a seek makes decoders report damage where there is none.

    Raises ConfigError for values that cannot be.
    """

    fps: float | None = None
    every: int = 1
    max_frames: int | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not (0 < self.fps < math.inf):
            raise ConfigError(f"fps {self.fps}: give a number of frames a second above 0")
        if self.every < 1:
            raise ConfigError(f"every {self.every}: give 1 for all frames, 2 for every second one, and so on")
        if self.fps is not None and self.every != 1:
            raise ConfigError(f"fps {self.fps} and every {self.every}: give one of the two")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"max_frames {self.max_frames}: give at least 1")
        if self.start is not None and not (0 <= self.start < math.inf):
            raise ConfigError(f"start {self.start}: give seconds from 0 on")
        if self.end is not None and not ((self.start or 0) < self.end < math.inf):
            after = f"the start, {self.start:g}" if self.start else "0"
            raise ConfigError(f"end {self.end}: give seconds above {after}")

    def expected(self, num_frames: int, fps: float) -> float:
        """Return about how many of `num_frames`, at an even rate of `fps` (0: not known), are kept."""
        if fps > 0:
            last = num_frames if self.end is None else min(num_frames, self.end * fps)
            num_frames_in_span = max(0.0, last - (self.start or 0.0) * fps)
            part = min(1.0, self.fps / fps) if self.fps else 1.0 / self.every
        else:
            num_frames_in_span, part = float(num_frames), 1.0 / self.every
        kept = num_frames_in_span * part
        return kept if self.max_frames is None else min(kept, self.max_frames)


class FrameChooser:
    """Decides frame by frame, for one video, whether it is kept."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._start = -math.inf if sampling.start is None else sampling.start
        self._end = math.inf if sampling.end is None else sampling.end
        self._num_in_span = self.num_kept = 0
        self._first_seconds = self._last_seconds = math.nan
        self._last_cell = -1

    def keeps(self, seconds: float) -> bool:
        """Return whether the next frame, shown at `seconds`, is kept."""
        self._last_seconds = seconds
        if not self._start <= seconds < self._end:
            return False
        index = self._num_in_span
        self._num_in_span += 1
        if self._sampling.fps is None:
            kept = index % self._sampling.every == 0
        else:
            if index == 0:
                self._first_seconds = seconds
            cell = math.floor((seconds - self._first_seconds + _ROUNDING_SECONDS) * self._sampling.fps)
            kept = cell > self._last_cell
            self._last_cell = max(cell, self._last_cell)
        self.num_kept += kept
        return kept

    @property
    def is_full(self) -> bool:
        """Whether `max_frames` have been kept, or the last frame lies at or after the end of the span."""
        is_enough = self._sampling.max_frames is not None and self.num_kept >= self._sampling.max_frames
        return is_enough or self._last_seconds >= self._end

    @property
    def why_none(self) -> str:
        """Why no frame was kept of a video that has some, '' unless that is so."""
        if self._num_in_span or math.isnan(self._last_seconds):
            return ""
        bounds = [f"from {self._start:g} s on"] if self._sampling.start is not None else []
        bounds += [f"before {self._end:g} s"] if self._sampling.end is not None else []
        return f"no frame lies {' and '.join(bounds)}; the last frame is shown at {self._last_seconds:g} s"
