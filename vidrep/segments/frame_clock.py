"""Numbers of frames as seconds: by the times of a video's own frames, or by a constant rate."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, LabelError
from ..features.annotations import VideoFinder
from ..features.store import Features

# What a file that says nothing of its length may have: 3 days of 120 frames a second.
_MOST_FRAMES = 1 << 25
# Extraction and annotation tools may differ by a frame at each end of a video.
_FRAMES_OF_TOLERANCE = 2
# Features so many frames apart, or more, are not of all frames.
_SAMPLED = 1.5


class FrameClock(Protocol):
    """When the frames of a video are shown."""

    @property
    def description(self) -> str:
        """Where the times come from, for the log."""

    def edges(self, video: str, num_frames: int, place: str) -> NDArray[np.float64]:
        """Return (num_frames + 1,) seconds: where each frame begins, and where the last one ends.

        Raises LabelError, with `place` in front, for a video that is not there or has another number of frames.
        """

    def num_frames(self, video: str, end: float, place: str) -> int:
        """Return how many frames a video has, or, where nothing says that, as many as last until `end`, seconds."""


@dataclass(frozen=True)
class ConstantRate:
    """Every video has so many frames a second; frame 0 is shown at 0 s."""

    frames_per_second: float

    def __post_init__(self) -> None:
        if not 0 < self.frames_per_second <= 1e6:
            raise ConfigError(f"frame rate {self.frames_per_second}: give frames a second, above 0")

    @property
    def description(self) -> str:
        """See FrameClock."""
        return f"at {self.frames_per_second:g} frames/s"

    def edges(self, video: str, num_frames: int, place: str) -> NDArray[np.float64]:
        """See FrameClock."""
        return np.arange(num_frames + 1) / self.frames_per_second

    def num_frames(self, video: str, end: float, place: str) -> int:
        """See FrameClock; LabelError for more frames than a recording has."""
        count = round(end * self.frames_per_second)
        if count > _MOST_FRAMES:
            raise LabelError(f"{place}: {video!r} would have {count} frames; at most {_MOST_FRAMES} are written")
        return count


class FeatureTimes:
    """The times of frames in a feature file.

    Where it holds all frames of a video, their own times count; where it was sampled, the video's frame rate does.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self._finder = VideoFinder(features.paths)

    @property
    def description(self) -> str:
        """See FrameClock."""
        return f"at the times of {self._features.path.name}"

    def _times(self, video: str, place: str) -> tuple[int, NDArray[np.float64]]:
        found = self._finder.find([video])
        if not found or not self._finder.are_one(found):
            raise LabelError(
                f"{place}: {video!r} is not one of the {len(self._features)} videos in {str(self._features.path)!r}; "
                "rename the file as its video, or give --frame-rate"
            )
        return found[0], self._features.timestamps(found[0])

    def edges(self, video: str, num_frames: int, place: str) -> NDArray[np.float64]:
        """See FrameClock."""
        index, times = self._times(video, place)
        if len(times) == num_frames and num_frames:
            return frame_edges(self._features, index)
        rate = self._features.videos[index].fps
        end = times[-1] + _spacing(times, rate) if len(times) else 0.0
        tolerance = _spacing(times, rate) + _FRAMES_OF_TOLERANCE / rate if rate else 0.0
        if len(times) < num_frames and rate and abs(times[0] + num_frames / rate - end) <= tolerance:
            return float(times[0]) + np.arange(num_frames + 1, dtype=np.float64) / rate
        has = f"{len(times)} frames until {end:.2f} s" + (f" at {rate:g} frames/s" if rate else "")
        raise LabelError(
            f"{place}: {num_frames} frames, but {video!r} has {has}: another frame rate or another video; "
            "annotate this video, or give --frame-rate with the rate of the annotation"
        )

    def num_frames(self, video: str, end: float, place: str) -> int:
        """See FrameClock: all frames of the video, also where only some of them have features."""
        index, times = self._times(video, place)
        rate = self._features.videos[index].fps
        spacing = _spacing(times, rate)
        is_sampled = rate * spacing > _SAMPLED
        return round((times[-1] - times[0] + spacing) * rate) if is_sampled else len(times)


def clock_of(features: Features, frames_per_second: float | None) -> FrameClock:
    """Return the clock of annotations that number frames: by the times of features, or at a rate if one is given."""
    return FeatureTimes(features) if frames_per_second is None else ConstantRate(frames_per_second)


def frame_edges(features: Features, video: int) -> NDArray[np.float64]:
    """Return where each frame of a video in features begins and where the last one ends, (T + 1,) seconds."""
    times = features.timestamps(video)
    if not len(times):
        return np.zeros(1)
    return np.append(times, times[-1] + _spacing(times, features.videos[video].fps))


def _spacing(times: NDArray[np.float64], rate: float) -> float:
    """Return the seconds that a frame is shown: the middle one of those between frames; of one frame, by the rate."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0 / (rate or 25.0)
