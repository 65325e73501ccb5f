"""Frames have the times at which a player shows them, and videos the rate that they have."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fixture_types import MakeFrames, MakeVideo
from odd_files import write_joined

from vidrep.video.decoders import open_video
from vidrep.video.reading import DecodeReport
from vidrep.video.sampling import Sampling

FORMATS = {".dv": "dv", ".h264": "h264", ".hevc": "hevc", ".m4v": "m4v", ".m2v": "mpeg2video", ".mjpeg": "mjpeg"}


def read(path: Path, **sampling: float) -> tuple[list[float], DecodeReport]:
    with open_video(path) as video:
        times = [frame.seconds for frame in video.frames(Sampling(**sampling))]  # type: ignore[arg-type]
        return times, video.report()


def write(
    path: Path,
    codec: str,
    rate: int | Fraction,
    *,
    size: tuple[int, int] = (64, 64),
    pix_fmt: str = "yuv420p",
    milliseconds: list[int] | None = None,
) -> Path:
    """Write 50 frames; with `milliseconds` as a browser records: a live WebM without a frame rate."""
    live = {"live": "1"} if milliseconds else {}
    with av.open(str(path), "w", format=FORMATS.get(path.suffix), options=live) as container:
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=1000 if milliseconds else rate, options=quiet)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 4 * number, np.uint8), format="rgb24")
            if milliseconds:
                frame.pts, frame.time_base = milliseconds[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "size", "pix_fmt"),
    [
        (".dv", "dvvideo", 25, (576, 720), "yuv420p"),
        (".dv", "dvvideo", NTSC, (480, 720), "yuv411p"),
        (".h264", "libx264", 50, (64, 64), "yuv420p"),
        (".hevc", "libx265", 50, (64, 64), "yuv420p"),
        (".m4v", "mpeg4", 50, (64, 64), "yuv420p"),
        (".m2v", "mpeg2video", 50, (64, 64), "yuv420p"),
        (".mp4", "libx264", 240, (64, 64), "yuv420p"),
    ],
)
def test_streams_have_the_rate_that_they_state(
    tmp_path: Path, suffix: str, codec: str, rate: int | Fraction, size: tuple[int, int], pix_fmt: str
) -> None:
    path = write(tmp_path / f"a{suffix}", codec, rate, size=size, pix_fmt=pix_fmt)
    with open_video(path) as video:
        header = video.header()
    assert header.fps == pytest.approx(float(rate))
    assert header.num_frames == pytest.approx(50, abs=1)
    times, report = read(path)
    assert report.fps == pytest.approx(float(rate))
    assert report.message == ""
    assert np.diff(times) == pytest.approx(np.full(49, 1 / float(rate)), abs=1e-4)


def test_the_clock_of_a_browsers_recording_is_not_its_rate(tmp_path: Path) -> None:
    times_written = [33 * number + number % 3 for number in range(50)]
    path = write(tmp_path / "a.webm", "libvpx", 30, milliseconds=times_written)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 1000  # or the test would prove nothing
    with open_video(path) as video:
        header = video.header()
    assert header.num_frames == 50
    assert header.fps == pytest.approx(49 / 1.618, rel=1e-3)
    times, report = read(path)
    assert times == pytest.approx([one / 1000 for one in times_written])
    assert report.fps == pytest.approx(49 / 1.618, rel=1e-3)


def test_the_frames_of_a_long_raw_stream_are_estimated_by_the_sizes_of_its_first(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    path = make_video(tmp_path / "a.h264", noise, options={"g": "1"})
    with open_video(path) as video:
        assert video.header().num_frames == pytest.approx(300, rel=0.05)


# ---- clocks that jump back


def test_a_clock_that_jumps_back_goes_on(tmp_path: Path) -> None:
    path = write_joined(tmp_path / "a.ts")
    times, report = read(path)
    assert times == pytest.approx([number / 10 for number in range(40)], abs=1e-3)
    assert report.status == "ok"
    assert report.message == "its clock jumps back at 2 s; what follows counts on from there"
    assert read(path, fps=5)[0] == pytest.approx([number / 5 for number in range(20)], abs=1e-3)
    assert read(path, start=3, end=3.5)[0] == pytest.approx([3, 3.1, 3.2, 3.3, 3.4], abs=1e-3)
    assert len(read(path, end=1.5)[0]) == 15
    assert len(read(path, end=2.5)[0]) == 25


def test_the_joint_is_no_damage_and_damage_is_no_joint(tmp_path: Path) -> None:
    path = write_joined(tmp_path / "a.ts")
    content = path.read_bytes()
    # The packets of the video are of number 0x100; the fourth that begins a frame is lost.
    begins = [place for place in range(0, len(content), 188) if content[place + 1 : place + 3] == b"\x41\x00"]
    lost = slice(begins[3], begins[3] + 188)
    path.write_bytes(content[: lost.start] + content[lost.stop :])
    assert read(path)[1].status == "partial"


def test_a_gap_ahead_stays(tmp_path: Path, make_video: MakeVideo, make_frames: MakeFrames) -> None:
    pts = [*range(20), *range(80, 100)]
    path = make_video(tmp_path / "a.mkv", make_frames(40), pts=pts, options={"bf": "0"})
    times, report = read(path)
    assert times == pytest.approx([one / 10 for one in pts], abs=1e-3)
    assert (report.status, report.message) == ("ok", "")
