"""Which video files an earlier version of decoding read otherwise than the current one."""

import math
from collections.abc import Callable
from pathlib import Path

import av

from ..errors import VideoError
from .clock import JUMP_SECONDS
from .geometry import is_mirrored
from .pyav import PyAvReader, display_matrix
from .reading import DECODING_VERSION


def changed_since(version: int, path: Path, on_packet: Callable[[], None]) -> str:
    """Return what is read otherwise in a video file than by an earlier version of decoding, '' if it reads the same.

    on_packet: called for every packet that is read, as a heartbeat. All of the file is read, its first frame decoded.
    """
    if version >= DECODING_VERSION:
        return ""
    if version < 1:
        return "its decoder is not known"
    try:
        with PyAvReader(path, None, on_packet) as reader:
            return _changed_since_version_1(reader, on_packet)
    except (VideoError, av.error.FFmpegError, OSError):
        return ""  # rows of what cannot be read any more are better than none


def _changed_since_version_1(reader: PyAvReader, on_packet: Callable[[], None]) -> str:
    first = reader.moving_streams[0]
    if reader.stream.index != first.index:
        return "another of its video streams is taken"
    if reader.rate != float(first.average_rate or first.guessed_rate or 0):
        return "its frame rate"
    is_first_frame, last = True, -math.inf
    for packet in reader.container.demux(reader.stream):
        on_packet()
        for frame in packet.decode() if is_first_frame else ():
            is_first_frame = False
            matrix = display_matrix(frame)
            if matrix is not None and is_mirrored(matrix):
                return "it is mirrored"
        if packet.dts is not None:
            seconds = float(packet.dts * packet.time_base)
            if seconds < last - JUMP_SECONDS:
                return "its clock jumps back"
            last = seconds
    return ""
