"""Video file, or folder of frames, to upright RGB frames.

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
from .numbered_images import DEFAULT_FRAME_RATE, is_image
from .reading import VideoReader


def open_video(
    path: Path,
    *,
    stream: int | None = None,
    frame_rate: float | None = None,
    on_packet: Callable[[], None] | None = None,
) -> AbstractContextManager[VideoReader]:
    """Open a video file, a folder of frames or a still image.

    stream: which of its video streams, counted from 0; None takes the one that FFmpeg takes for the best. Pictures of
        albums and thumbnails do not count.
    frame_rate: images a second of a folder of frames; None for the default.
    on_packet: called for every packet that is read, whether its frames are kept or not, for every image that is kept,
        and while the report reads, as a heartbeat. Opening itself does not call it.

    Raises VideoError, in one line, if it is missing, empty, not a video or has no picture, or no such stream.
    """
    on_packet = on_packet or _do_nothing
    if path.is_dir():
        return _frame_folder(path, frame_rate, on_packet)
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error
    if size == 0:
        raise VideoError("the file is empty (0 bytes)")
    if is_image(path.name):
        return _frame_folder(path, frame_rate, on_packet)
    from .pyav import PyAvReader

    return PyAvReader(path, stream, on_packet)


def _frame_folder(
    path: Path, frame_rate: float | None, on_packet: Callable[[], None]
) -> AbstractContextManager[VideoReader]:
    from .frame_folders import FrameFolderReader

    return FrameFolderReader(path, frame_rate or DEFAULT_FRAME_RATE, on_packet)


def _do_nothing() -> None:
    pass
