"""Video files as telephones, screen recorders and camcorders write them, made of plain ones."""

import struct
from pathlib import Path

import av
import numpy as np

ONE = 1 << 16  # of a display matrix's fixed-point numbers


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int], *, side: int) -> Path:
    """Write a, b, c, d of a display matrix into an MP4 of one track, and the offsets that keep the picture in place."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    assert struct.unpack(">9i", content[place : place + 36]) == (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    a, b, c, d = (ONE * one for one in matrix)
    x, y = (ONE * side * (first < 0 or second < 0) for first, second in ((a, c), (b, d)))
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(content)
    return path


def write_two_streams(path: Path) -> Path:
    """Write a track of thumbnails in front, 3 of 32x32 in 3 s, and the video, 30 frames of 64x64."""
    with av.open(str(path), "w") as container:
        streams = []
        for rate, side in ((1, 32), (10, 64)):
            stream = container.add_stream("libx264", rate=rate, options={"bf": "0"})
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width, stream.pix_fmt = side, side, "yuv420p"
            streams.append((stream, rate, side))
        streams[1][0].disposition = av.stream.Disposition.default
        rng = np.random.default_rng(0)
        for _second in range(3):
            for stream, rate, side in streams:
                for _ in range(rate):
                    pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        for stream, _, _ in streams:
            container.mux(stream.encode(None))
    return path


def write_joined(path: Path) -> Path:
    """Write two recordings of 20 frames, 10 a second, one after the other in one MPEG-TS, as `cat` joins them."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(20):
            pixels = np.full((64, 64, 3), 10 * number, np.uint8)
            pixels[:, 3 * number :] += 50
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(2 * path.read_bytes())
    return path
