"""Video files as telephones, screen recorders and camcorders write them, made of plain ones."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vidrep.video.writing import write_h264

ONE = 1 << 16  # of a display matrix's fixed-point numbers
SIDE, CORNERS = 64, ((250, 170), (90, 10))
# The matrix (a, b, c, d) of each orientation, FFmpeg's filters for it (its autorotation, by angle and
# signs, as of FFmpeg 7), and the corners that it shows of 250 170 / 90 10.
ORIENTATIONS = {
    "upright": ((1, 0, 0, 1), [], ((250, 170), (90, 10))),
    "mirrored": ((-1, 0, 0, 1), ["hflip"], ((170, 250), (10, 90))),
    "upside down": ((-1, 0, 0, -1), ["hflip", "vflip"], ((10, 90), (170, 250))),
    "flipped": ((1, 0, 0, -1), ["vflip"], ((90, 10), (250, 170))),
    "turned right": ((0, 1, -1, 0), ["transpose=clock"], ((90, 250), (10, 170))),
    "turned left": ((0, -1, 1, 0), ["transpose=cclock"], ((170, 10), (250, 90))),
    "transposed": ((0, 1, 1, 0), ["transpose=cclock_flip"], ((250, 90), (170, 10))),
    "transposed the other way": ((0, -1, -1, 0), ["transpose=clock_flip"], ((10, 170), (90, 250))),
}


def quarters() -> NDArray[np.uint8]:
    """Return a picture of four quarters, as it is stored: 250 170 / 90 10."""
    return np.array(CORNERS, np.uint8).repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)[..., None].repeat(3, axis=2)


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


def write_stream(
    path: Path,
    codec: str,
    *,
    rate: int = 25,
    size: tuple[int, int] = (64, 64),
    pix_fmt: str = "yuv420p",
    times: Sequence[int] = range(20),
    clock: int | None = None,
    container: str | None = None,
    mux: dict[str, str] | None = None,
) -> Path:
    """Write one frame at each time, each brighter than the last.

    times: in units of 1/rate s, or of 1/clock s, which becomes the rate of the stream. container: its format, if the
    extension does not name it. mux: options of the container.
    """
    with av.open(str(path), "w", format=container, options=mux or {}) as opened:
        stream = opened.add_stream(codec, rate=clock or rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.thread_count = 1
        for number, time in enumerate(times):
            pixels = np.full((*size, 3), 20 + 10 * number, np.uint8)
            pixels[:, : 2 + number] = 250
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, clock or rate)
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))
    return path


def write_mirrored(path: Path) -> Path:
    """Write a picture of four quarters as a phone's front camera does: mirrored, with a matrix that says so.

    The stored corners are 250 170 / 90 10; what is shown has 170 250 / 10 90.
    """
    write_h264(path, np.stack([quarters()] * 3), frames_per_second=10)
    return set_display_matrix(path, ORIENTATIONS["mirrored"][0], side=SIDE)


def write_empty_chunks(path: Path) -> Path:
    """Write an AVI of 14 frames with none from 0.7 to 1.2 s, where FFmpeg's writer puts 6 empty chunks."""
    return write_stream(path, "mpeg4", rate=10, times=[*range(7), *range(13, 20)])


def write_dv(path: Path) -> Path:
    """Write 10 frames of raw DV, whose average rate FFmpeg gives as 60,000 frames a second."""
    return write_stream(path, "dvvideo", size=(576, 720), times=range(10), container="dv")


def write_raw_h264(path: Path) -> Path:
    """Write 20 frames of raw H.264 that says 50 frames a second."""
    return write_stream(path, "libx264", rate=50, container="h264")


def write_browser_webm(path: Path) -> Path:
    """Write 20 frames in 0.63 s as a browser records: with milliseconds, and without a frame rate."""
    times = [33 * number + number % 3 for number in range(20)]
    return write_stream(path, "libvpx", times=times, clock=1000, mux={"live": "1"})


def write_gif(path: Path) -> Path:
    """Write a GIF of 20 frames, 10 a second."""
    return write_stream(path, "gif", rate=10, pix_fmt="rgb8")


def write_frames(folder: Path, numbers: Sequence[int], *, prefix: str = "img_", darkest: int = 20) -> Path:
    """Write numbered images of 16x16, each brighter than the one before it."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers):
        image = np.full((16, 16, 3), darkest + 10 * place, np.uint8)
        assert cv2.imwrite(str(folder / f"{prefix}{number:05}.png"), image)
    return folder


def write_odd_videos(folder: Path) -> list[str]:
    """Write one of each kind into a folder; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    write_mirrored(folder / "mirrored.mp4")
    write_joined(folder / "joined.ts")
    write_two_streams(folder / "two streams.mp4")
    write_empty_chunks(folder / "empty chunks.avi")
    write_dv(folder / "raw.dv")
    write_raw_h264(folder / "raw.h264")
    write_browser_webm(folder / "browser.webm")
    write_gif(folder / "animated.gif")
    write_frames(folder / "frames", [1, 2, 5])
    return sorted(path.name for path in folder.iterdir())
