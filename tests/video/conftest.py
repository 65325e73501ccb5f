"""Making videos of every kind with PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fixture_types import MakeFrames, MakeVideo, PacketsOf
from numpy.typing import NDArray


def moving_square(num_frames: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """(T, H, W, 3): a bright square on a gray ramp, in another place in each frame."""
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    frames[:] = np.linspace(20, 120, width, dtype=np.uint8)[:, None]
    for number, frame in enumerate(frames):
        left = 2 + (3 * number) % (width - 14)
        frame[10:22, left : left + 12] = (230, 200, 90)
    return frames


FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mov": "mov", ".ts": "mpegts"} | {
    ".flv": "flv",
    ".wmv": "asf",
    ".h264": "h264",
}
# Two encoders print about themselves on standard error unless an option forbids it.
QUIET = {"libx265": {"x265-params": "log-level=none"}}


def encode(
    path: Path,
    frames: NDArray[np.uint8] | list[av.VideoFrame],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 10,
    options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    mux: dict[str, str] | None = None,
    rotation: int = 0,
    sample_aspect_ratio: Fraction | None = None,
) -> Path:
    """Write frames, RGB pixels (T, H, W, 3) or a list of video frames, whose color tags are kept.

    pts: their times in units of 1/rate s. mux: the container's options.
    """
    options = QUIET.get(codec, {}) | (options or {})
    with av.open(str(path), "w", format=FORMATS[path.suffix], options=mux or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        first = as_video_frame(frames[0])
        stream.height, stream.width, stream.pix_fmt = first.height, first.width, pix_fmt
        stream.codec_context.thread_count = 1
        if first is frames[0]:
            stream.codec_context.color_range, stream.codec_context.colorspace = first.color_range, first.colorspace
        if sample_aspect_ratio:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if rotation:
            stream.set_display_rotation(rotation)
        for number, pixels in enumerate(frames):
            frame = as_video_frame(pixels)
            frame.pts, frame.time_base = number if pts is None else pts[number], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def as_video_frame(pixels: NDArray[np.uint8] | av.VideoFrame) -> av.VideoFrame:
    if isinstance(pixels, av.VideoFrame):
        return pixels
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def sizes_of_packets(path: Path) -> list[tuple[int, int]]:
    """[(position in the file, size)] of the video's packets, in the order of the file."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        return sorted((packet.pos, packet.size) for packet in packets if packet.pos is not None)


@pytest.fixture
def make_video() -> MakeVideo:
    return encode


@pytest.fixture
def make_frames() -> MakeFrames:
    return moving_square


@pytest.fixture
def packets_of() -> PacketsOf:
    return sizes_of_packets
