"""What every decoder gives: frames with their times, and a report on how much of the video could be decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoError
from .sampling import Sampling


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame.

    rgb: (H, W, 3) uint8, upright, with square pixels.
    seconds: when it is shown, in the source's own time, which begins with the file as in a player.
    """

    rgb: NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DecodeReport:
    """How much of a video could be decoded.

    status: "ok", or "partial" if frames were lost or damaged; a video with no frame at all is a VideoError.
    message: why it is partial; if it is ok, '' or what else is to be said of it.
    fps: the stream's average frame rate, 0.0 if unknown.
    num_frames_from_header: by its header, which may be wrong; 0 if the header gives none.
    """

    status: Literal["ok", "partial"]
    message: str
    fps: float
    num_frames_from_header: int


@dataclass(frozen=True)
class Header:
    """A video's header, which may be wrong: num_frames and fps, 0 where it gives none."""

    num_frames: int
    fps: float


class VideoReader(Protocol):
    """An open video."""

    def header(self) -> Header:
        """Return what is in the header, without decoding."""

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Decode once, from the beginning, and yield the frames that are kept."""

    def report(self) -> DecodeReport:
        """Report on the video, after its frames were read.

        Raises VideoError if not one frame could be decoded, or none lies in the span that the sampling asks for.
        """


def summarize(
    *,
    problems: list[str],
    num_given: int,
    fps: float,
    num_frames_from_header: int,
    missing: str = "",
    why_none: str = "",
) -> DecodeReport:
    """Turn what happened while decoding into a report.

    problems: the decoder's messages, one a line, repeated ones as often as they came.
    missing: a sentence if the file holds less than its header promises.
    why_none: a sentence if there are frames, but none that was asked for.
    """
    distinct = list(dict.fromkeys(problems))
    reasons = [missing] if missing else []
    if distinct:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        reasons.append(distinct[0] + more)
    message = "; ".join(reasons)
    if num_given == 0 and why_none:
        raise VideoError("; ".join([why_none, *reasons]))
    if num_given == 0:
        raise VideoError(f"not one frame could be decoded: {message or 'the stream holds no frame'}")
    status: Literal["ok", "partial"] = "partial" if reasons else "ok"
    return DecodeReport(status=status, message=message, fps=fps, num_frames_from_header=num_frames_from_header)
