"""Making videos of every kind with PyAV."""

from fractions import Fraction

import av
import numpy as np
import pytest


def moving_square(num_frames, height=48, width=64):
    """(T, H, W, 3): a bright square on a grey ramp, in another place in each frame."""
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    frames[:] = np.linspace(20, 120, width, dtype=np.uint8)[:, None]
    for number, frame in enumerate(frames):
        left = 2 + (3 * number) % (width - 14)
        frame[10:22, left : left + 12] = (230, 200, 90)
    return frames


def encode(path, frames, *, codec="libx264", pix_fmt="yuv420p", rate=10, options=None, pts=None, mux=None, rotation=0):
    """Write frames; `pts` are their times in units of 1/rate s, `mux` the container's options."""
    container_format = {".mp4": "mp4", ".mkv": "matroska", ".avi": "avi", ".mov": "mov", ".ts": "mpegts"}[path.suffix]
    with av.open(str(path), "w", format=container_format, options=mux or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number if pts is None else pts[number], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sizes_of_packets(path):
    """[(position in the file, size)] of the video's packets, in the order of the file."""
    with av.open(str(path)) as container:
        return sorted((packet.pos, packet.size) for packet in container.demux(video=0) if packet.size)


@pytest.fixture
def make_video():
    return encode


@pytest.fixture
def make_frames():
    return moving_square


@pytest.fixture
def packets_of():
    return sizes_of_packets
