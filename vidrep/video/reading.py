"""Video file to upright RGB frames with their times, and a report on how much of it could be decoded.

A reader is used like this, by both decoders:

    with open_video(path, decoder="pyav") as video:
        for frame in video.frames(sampling):      # Frame(rgb (H, W, 3) uint8, seconds)
            ...
        video.report()                           # DecodeReport(status "ok" or "partial", message, ...)

Frames come as a player shows them: turned as the container asks and with square pixels.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, VideoError
from .sampling import Sampling

Decoder = Literal["pyav", "opencv"]
DECODERS: tuple[str, ...] = get_args(Decoder)


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
    """What became of a video.

    status: "ok", or "partial" if frames were lost or damaged; a video with no frame at all is a VideoError.
    message: why it is partial, '' if it is ok.
    fps: the stream's average frame rate, 0.0 if unknown.
    num_frames_from_header: what the header says, 0 if nothing.
    """

    status: Literal["ok", "partial"]
    message: str
    fps: float
    num_frames_from_header: int


@dataclass(frozen=True)
class Header:
    """What a video's header says, which may be wrong: num_frames and fps, 0 where it says nothing."""

    num_frames: int
    fps: float


class VideoReader(Protocol):
    """An open video."""

    def header(self) -> Header:
        """Return what the header says, without decoding."""

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Decode once, from the beginning, and yield the frames that are kept."""

    def report(self) -> DecodeReport:
        """Judge the video, after its frames were read.

        Raises VideoError if not one frame could be decoded, or none lies in the span that the sampling asks for.
        """


def open_video(
    path: Path, *, decoder: str = "pyav", on_packet: Callable[[], None] | None = None
) -> AbstractContextManager[VideoReader]:
    """Open a video file.

    on_packet: called for every packet that is read (PyAV) or frame that is grabbed (OpenCV), whether its frames are
        kept or not, and while the report reads: the sign that nothing hangs. Opening itself gives none.

    Raises VideoError, in one line, if it is missing, empty, not a video or has no picture; ConfigError for an unknown
    decoder.
    """
    require_decoder(decoder)
    on_packet = on_packet or _do_nothing
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error
    if size == 0:
        raise VideoError("the file is empty (0 bytes)")
    if decoder == "opencv":
        from .opencv import OpenCvReader

        return OpenCvReader(path, on_packet)
    from .pyav import PyAvReader

    return PyAvReader(path, on_packet)


def _do_nothing() -> None:
    pass


def require_decoder(decoder: str) -> None:
    """Raise ConfigError if there is no decoder of this name."""
    if decoder not in DECODERS:
        raise ConfigError(f"decoder {decoder!r}: allowed are {', '.join(DECODERS)}")


def summarize(
    *,
    problems: list[str],
    num_given: int,
    fps: float,
    num_frames_from_header: int,
    missing: str = "",
    why_none: str = "",
) -> DecodeReport:
    """Turn what was seen while decoding into a report.

    problems: what the decoder said, one a line, repeated ones as often as they came.
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
