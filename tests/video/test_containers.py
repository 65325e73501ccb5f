"""Files cut short, wherever the cut lies: the sizes that containers declare show it, and no whole file fails."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from fixture_types import MakeFrames, MakeVideo, PacketsOf

from vidrep.errors import VideoError
from vidrep.video.containers import damage_of_container, num_empty_chunks
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling

# codec, suffix, options of the container
KINDS = {
    "mp4": ("libx264", ".mp4", {}),
    "mp4 with the index in front": ("libx264", ".mp4", {"movflags": "faststart"}),
    "mp4 in fragments": ("libx264", ".mp4", {"movflags": "frag_keyframe+empty_moov"}),
    "mov": ("mpeg4", ".mov", {}),
    "mkv": ("libx264", ".mkv", {}),
    "mkv of unknown size": ("libx264", ".mkv", {"live": "1"}),
    "webm": ("libvpx-vp9", ".webm", {}),
    "av1 in mkv": ("libsvtav1", ".mkv", {}),
    "avi": ("mpeg4", ".avi", {}),
    "ts": ("libx264", ".ts", {}),
    "m2ts": ("libx264", ".ts", {"mpegts_m2ts_mode": "1"}),
    "flv": ("flv", ".flv", {}),
    "wmv": ("wmv2", ".wmv", {}),
}


def damage_of(path: Path) -> str:
    """Damage by the container alone."""
    return damage_of_container(path, lambda: None)


@pytest.fixture
def whole(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A clip of 20 different frames in the container that the test asks for."""
    monkeypatch.setenv("SVT_LOG", "1")
    codec, suffix, options = KINDS[request.param]
    noise = np.random.default_rng(0).integers(0, 30, (20, 64, 96, 3), dtype=np.uint8)
    return make_video(tmp_path / f"whole{suffix}", make_frames(20, 64, 96) + noise, codec=codec, mux=options)


def status(path: Path) -> tuple[int, str]:
    try:
        with open_video(path) as video:
            num_frames = sum(1 for _ in video.frames(Sampling()))
            return num_frames, video.report().status
    except VideoError:
        return 0, "failed"


@pytest.mark.parametrize("whole", KINDS, indirect=True)
def test_whole_files_are_ok_and_cut_ones_are_not(whole: Path) -> None:
    content = whole.read_bytes()
    assert damage_of(whole) == ""
    assert status(whole) == (20, "ok")
    rng = np.random.default_rng(1)
    for end in [len(content) - 1, len(content) - 8, *rng.integers(1, len(content) - 1, 12)]:
        whole.write_bytes(content[:end])
        if whole.suffix == ".ts" and end % (192 if content[0] != 0x47 else 188) == 0:
            continue
        assert status(whole)[1] in ("partial", "failed"), f"cut at {end} of {len(content)}"


@pytest.mark.parametrize("whole", ["mp4", "mkv", "avi"], indirect=True)
def test_the_report_gives_how_much_there_should_be(whole: Path) -> None:
    size = whole.stat().st_size
    os.truncate(whole, size - 2)
    with open_video(whole) as video:
        assert len(list(video.frames(Sampling()))) == 20  # what is missing is behind the frames
        expected = f"cut short: it has {size - 2} bytes, but should have at least {size} by its container"
        assert video.report().message.startswith(expected)


@pytest.mark.parametrize("whole", ["webm"], indirect=True)
def test_what_the_decoder_says_of_one_video_it_says_of_the_next(whole: Path) -> None:
    os.truncate(whole, whole.stat().st_size // 2)
    messages = []
    for _ in range(3):
        with open_video(whole) as video:
            list(video.frames(Sampling()))
            messages.append(video.report().message)
    assert messages[0].endswith("File ended prematurely")
    assert messages == [messages[0]] * 3


@pytest.mark.parametrize("whole", ["mkv"], indirect=True)
def test_a_flipped_bit_is_told_by_the_checksums_of_matroska(whole: Path, packets_of: PacketsOf) -> None:
    content = whole.read_bytes()
    rng = np.random.default_rng(3)
    for position, size in [packets_of(whole)[number] for number in (0, 5, 19)]:
        damaged = bytearray(content)
        damaged[position + int(rng.integers(8, size))] ^= 1 << int(rng.integers(8))
        whole.write_bytes(damaged)
        assert damage_of(whole).endswith("does not have its checksum")
        assert status(whole)[1] == "partial"


def test_a_flipped_bit_is_told_by_the_checksums_of_hevc(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    packets_of: PacketsOf,
) -> None:
    noise = np.random.default_rng(0).integers(0, 30, (20, 64, 96, 3), dtype=np.uint8)
    options = {"x265-params": "log-level=none:hash=1"}
    path = make_video(tmp_path / "a.mp4", make_frames(20, 64, 96) + noise, codec="libx265", options=options)
    assert status(path) == (20, "ok")
    content = bytearray(path.read_bytes())
    position, size = max(packets_of(path), key=lambda packet: packet[1])
    content[position + size - 100] ^= 4
    path.write_bytes(content)
    assert status(path)[1] == "partial"


@pytest.mark.parametrize("whole", ["mkv"], indirect=True)
def test_who_stops_early_does_not_miss_the_end(whole: Path) -> None:
    os.truncate(whole, whole.stat().st_size - 2)
    with open_video(whole) as video:
        assert len(list(video.frames(Sampling(max_frames=3)))) == 3
        assert video.report().status == "ok"


@pytest.mark.parametrize("whole", ["mp4", "mkv", "mkv of unknown size", "avi", "wmv", "flv"], indirect=True)
def test_rubbish_after_the_end_is_no_reason(whole: Path) -> None:
    for rubbish in (b"\0" * 1000, b"<!-- sent by a server -->"):
        content = whole.read_bytes()
        whole.write_bytes(content + rubbish)
        assert damage_of(whole) == ""
        whole.write_bytes(content)


def test_large_boxes_have_a_size_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    start = struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4sQ", 1, b"mdat", 40)
    path.write_bytes(start + bytes(24))
    assert damage_of(path) == ""
    path.write_bytes(start + bytes(23))
    assert damage_of(path) == "cut short: it has 55 bytes, but should have at least 56 by its container"
    path.write_bytes(struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4s", 0, b"mdat") + bytes(5))
    assert damage_of(path) == ""  # this one goes as far as the file


def test_an_avi_in_several_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    parts = struct.pack("<4sI4s", b"RIFF", 13, b"AVI ") + bytes(9) + b"\0", struct.pack("<4sI4s", b"RIFF", 8, b"AVIX")
    path.write_bytes(b"".join(parts) + bytes(4))
    assert damage_of(path) == ""
    path.write_bytes(b"".join(parts) + bytes(3))
    assert "it has 37 bytes, but should have at least 38" in damage_of(path)


def test_a_file_that_vanishes_while_it_is_read_fails_no_run(tmp_path: Path) -> None:
    assert damage_of(tmp_path / "gone.mp4") == "it could not be read to its end (No such file or directory)"


def test_what_is_no_container_declares_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    rng = np.random.default_rng(2)
    for content in [b"", b"a", b"text " * 300, *(rng.bytes(2000) for _ in range(20))]:
        path.write_bytes(content)
        assert damage_of(path) == ""
    for begin in (b"\x1a\x45\xdf\xa3", b"RIFF\xff\xff\xff\x7fAVI ", b"FLV\x01", bytes(4) + b"ftyp"):
        for _ in range(20):
            path.write_bytes(begin + rng.bytes(100))
            damage_of(path)  # whatever it returns, it neither fails nor hangs


# ---- what is no damage


@pytest.mark.parametrize("whole", [name for name in KINDS if name not in ("ts", "m2ts")], indirect=True)
@pytest.mark.parametrize("count", [1, 7])
def test_a_few_bytes_behind_a_whole_file_are_none_of_it(
    whole: Path, count: int, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["whole"]
    with whole.open("ab") as file:
        file.write(bytes(count))
    # Where part follows part without end, they may begin another one.
    expected = "partial" if kind in ("mp4 in fragments", "mkv of unknown size") else "ok"
    assert status(whole) == (20, expected)


def test_empty_chunks_of_an_avi_are_frames_shown_once_more(
    tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo
) -> None:
    """FFmpeg's writer fills the time from 0.6 to 1.3 s with six empty chunks."""
    pts = [*range(7), *range(13, 20)]
    path = make_video(tmp_path / "a.avi", make_frames(14), codec="mpeg4", pts=pts)
    assert num_empty_chunks(path, 0) == 6
    with open_video(path) as video:
        times = [frame.seconds for frame in video.frames(Sampling())]
        report = video.report()
    assert (report.status, report.message, report.num_frames_from_header) == ("ok", "", 20)
    assert times == pytest.approx([one / 10 for one in pts])
    content = path.read_bytes()
    for end in (content.index(b"idx1") - 200, len(content) - 40):
        path.write_bytes(content[:end])
        assert status(path)[1] == "partial"
