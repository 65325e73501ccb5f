"""Video file to upright RGB frames.

    with open_video(path) as video:
        for frame in video.frames(sampling):      # Frame(rgb (H, W, 3) uint8, seconds)
            ...
        video.report()                           # DecodeReport(status "ok" or "partial", message, ...)

Frames come as a player shows them: turned as the container asks and with square pixels.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import VideoError
from .reading import VideoReader


def open_video(
    path: Path, *, stream: int | None = None, on_packet: Callable[[], None] | None = None
) -> AbstractContextManager[VideoReader]:
    """Open a video file.

    stream: which of its video streams, counted from 0; None takes the one that FFmpeg takes for the best. Pictures of
        albums and thumbnails do not count.
    on_packet: called for every packet that is read, whether its frames are kept or not, and while the report reads, as
        a heartbeat. Opening itself does not call it.

    Raises VideoError, in one line, if it is missing, empty, not a video or has no picture, or no such stream.
    """
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error
    if size == 0:
        raise VideoError("the file is empty (0 bytes)")
    from .pyav import PyAvReader

    return PyAvReader(path, stream, on_packet or _do_nothing)


def _do_nothing() -> None:
    pass
