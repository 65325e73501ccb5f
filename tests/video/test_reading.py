"""What is read from whole, odd and damaged videos."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fixture_types import MakeFrames, MakeVideo, PacketsOf
from numpy.typing import NDArray

from vidrep.errors import VideoError
from vidrep.video.decoders import open_video
from vidrep.video.reading import DecodeReport, Frame, summarize
from vidrep.video.sampling import Sampling
from vidrep.video.writing import write_h264


def read(path: Path, **sampling: Any) -> tuple[list[Frame], DecodeReport]:
    with open_video(path) as video:
        frames = list(video.frames(Sampling(**sampling)))
        return frames, video.report()


def times(frames: Iterable[Frame]) -> list[float]:
    return [frame.seconds for frame in frames]


def read_by_opencv(path: Path) -> NDArray[np.uint8]:
    """Read the frames, (T, H, W, 3), by an FFmpeg that is not PyAV's; OpenCV turns them itself."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while (decoded := capture.read())[0]:
        frames.append(decoded[1][:, :, ::-1])
    return np.array(frames, np.uint8)


def pixels(frames: Iterable[Frame]) -> NDArray[np.uint8]:
    return np.stack([frame.rgb for frame in frames])


def test_a_clip_of_ours(tmp_path: Path, make_frames: MakeFrames) -> None:
    written = make_frames(12)
    write_h264(tmp_path / "a.mp4", written, frames_per_second=8)
    frames, report = read(tmp_path / "a.mp4")
    assert (report.status, report.message, report.fps, report.num_frames_from_header) == ("ok", "", 8.0, 12)
    assert times(frames) == pytest.approx([number / 8 for number in range(12)])
    found = pixels(frames)
    assert found.shape == written.shape and found.dtype == np.uint8 and found.flags.c_contiguous
    assert np.abs(found.astype(int) - written).mean() < 6


def test_frames_are_chosen_while_reading(tmp_path: Path, make_frames: MakeFrames) -> None:
    write_h264(tmp_path / "a.mp4", make_frames(20), frames_per_second=10)
    whole, _ = read(tmp_path / "a.mp4")
    frames, report = read(tmp_path / "a.mp4", every=5)
    np.testing.assert_array_equal(pixels(frames), pixels(whole)[::5])
    frames, _ = read(tmp_path / "a.mp4", fps=2.5)
    assert times(frames) == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6])
    frames, report = read(tmp_path / "a.mp4", max_frames=3)
    assert len(frames) == 3
    assert (report.status, report.num_frames_from_header) == ("ok", 20)  # stopping early is not damage


def test_a_span_is_read_and_what_follows_is_not_missed(tmp_path: Path, make_frames: MakeFrames) -> None:
    write_h264(tmp_path / "a.mp4", make_frames(20), frames_per_second=10)
    whole, _ = read(tmp_path / "a.mp4")
    frames, report = read(tmp_path / "a.mp4", start=0.5, end=0.8)
    np.testing.assert_array_equal(pixels(frames), pixels(whole)[5:8])
    assert (report.status, report.num_frames_from_header) == ("ok", 20)
    assert len(read(tmp_path / "a.mp4", start=1.5)[0]) == 5


def test_a_span_without_a_frame_is_refused(tmp_path: Path, make_frames: MakeFrames) -> None:
    write_h264(tmp_path / "a.mp4", make_frames(20), frames_per_second=10)
    expected = "no frame lies from 7.5 s on and before 9 s; the last frame is shown at 1.9 s"
    assert refusal(tmp_path / "a.mp4", start=7.5, end=9) == expected


def test_frames_that_are_not_kept_are_a_sign_of_life_too(tmp_path: Path, make_frames: MakeFrames) -> None:
    write_h264(tmp_path / "a.mp4", make_frames(20), frames_per_second=10)
    signs = []
    with open_video(tmp_path / "a.mp4", on_packet=lambda: signs.append(1)) as video:
        assert len(list(video.frames(Sampling(every=20)))) == 1
    assert len(signs) >= 20


@pytest.mark.parametrize("options", [{"bf": "3", "g": "12"}, {"bf": "0"}], ids=["b-frames", "no b-frames"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_frames_are_those_of_opencv_in_the_order_of_showing(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    suffix: str,
    options: dict[str, str],
) -> None:
    codec, pts = ("mpeg4", None) if suffix == ".avi" else ("libx264", None)
    options = {name: value for name, value in options.items() if codec == "libx264" or name != "bf"}
    path = make_video(tmp_path / f"a{suffix}", make_frames(30), codec=codec, options=options, pts=pts)
    first, report = read(path)
    assert report.status == "ok"
    np.testing.assert_array_equal(pixels(first), read_by_opencv(path))  # the very same: both convert with swscale
    assert len(first) == 30
    assert times(first) == pytest.approx([number / 10 for number in range(30)], abs=0.002)
    lefts = [np.argmax(frame.rgb[16, :, 0] > 180) for frame in first[:15]]
    assert (np.diff(lefts) > 0).all()  # the square moves to the right: nothing is shown out of order


def test_b_frames_are_there(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", make_frames(30), options={"bf": "3", "g": "12", "b-adapt": "0"})
    with av.open(str(path)) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert av.video.frame.PictureType.B in kinds  # or the tests above would prove nothing


def test_avi_times_follow_the_decoding(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.avi", make_frames(20), codec="libx264", options={"bf": "3"}, rate=25)
    frames, _ = read(path)
    assert (np.diff(times(frames)) > 0).all()
    assert times(frames)[0] == 0


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    pts = [0, 1, 2, 10, 20, 21]
    path = make_video(tmp_path / "a.mkv", make_frames(6), pts=pts, options={"bf": "0"})
    frames, _ = read(path)
    assert times(frames) == pytest.approx([one / 10 for one in pts], abs=0.002)


def test_time_begins_with_the_file_whatever_its_clock_says(
    tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo
) -> None:
    path = make_video(tmp_path / "a.ts", make_frames(6), mux={"output_ts_offset": "5000.7"})
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).time > 5000
    assert times(read(path)[0]) == pytest.approx([number / 10 for number in range(6)], abs=1e-4)
    assert times(read(path, start=0.2, end=0.4)[0]) == pytest.approx([0.2, 0.3], abs=1e-4)


@pytest.mark.parametrize(("degrees", "quarter_turns"), [(90, 1), (180, 2), (-90, 3)])
def test_a_rotated_video_is_turned_upright(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    degrees: int,
    quarter_turns: int,
) -> None:
    plain, _ = read(make_video(tmp_path / "plain.mp4", make_frames(3)))
    turned, _ = read(make_video(tmp_path / "turned.mp4", make_frames(3), rotation=degrees))
    for before, after in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(after.rgb, np.rot90(before.rgb, quarter_turns))
        assert after.rgb.flags.c_contiguous


@pytest.mark.parametrize(("codec", "pix_fmt", "suffix"), [("ffv1", "bgr0", ".mkv"), ("png", "rgb24", ".mov")])
def test_lossless_frames_come_back_exactly_and_can_be_written_to(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    codec: str,
    pix_fmt: str,
    suffix: str,
) -> None:
    written = make_frames(3, 31, 45)
    frames, _ = read(make_video(tmp_path / f"a{suffix}", written, codec=codec, pix_fmt=pix_fmt))
    np.testing.assert_array_equal(pixels(frames), written)
    frames[0].rgb[0] = 0  # torch warns of arrays that cannot be written


def test_an_edit_list_is_no_damage(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", make_frames(30), pts=list(range(-10, 20)), options={"bf": "0", "g": "5"})
    frames, report = read(path)
    assert len(frames) == 20
    assert (report.status, report.message) == ("ok", "")


def test_a_colon_in_a_name_is_no_protocol(
    tmp_path: Path, make_frames: MakeFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_h264(tmp_path / "a:b.mp4", make_frames(2), frames_per_second=8)
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("a:b.mp4"))[0]) == 2


# ---- what is no video


def refusal(path: Path, **sampling: Any) -> str:
    with pytest.raises(VideoError) as caught:
        read(path, **sampling)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    empty, text, folder = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "folder.mp4"
    empty.touch()
    text.write_text("This is a text. " * 100)
    folder.mkdir()
    assert refusal(empty) == "the file is empty (0 bytes)"
    assert "not a video that" in refusal(text)
    assert refusal(folder).startswith("a folder, but none of frames: ")
    assert refusal(tmp_path / "absent.mp4") == "cannot be read (No such file or directory)"


def write_audio(path: Path, cover: NDArray[np.uint8] | None = None) -> None:
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16000)
        audio.layout = "mono"
        if cover is not None:
            picture = container.add_stream("mjpeg", rate=1)
            picture.height, picture.width, picture.pix_fmt = *cover.shape[:2], "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
            container.mux(picture.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        samples.rate = 16000
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def test_sound_alone_is_refused(tmp_path: Path, make_frames: MakeFrames) -> None:
    write_audio(tmp_path / "a.mp4")
    assert refusal(tmp_path / "a.mp4") == "it has no video stream (only audio)"


def test_the_cover_of_an_album_is_no_video(tmp_path: Path, make_frames: MakeFrames) -> None:
    write_audio(tmp_path / "a.mp4", cover=make_frames(1)[0])
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(container.streams.video) == 1
    assert refusal(tmp_path / "a.mp4") == "it has no video stream (only audio)"


def test_a_playlist_fetches_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile 'http://127.0.0.1:9/a.mp4'\n")
    assert "not a video that" in refusal(tmp_path / "a.mp4")


# ---- damage


@pytest.fixture
def whole(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> Path:
    """Every frame a picture of its own, the index in front."""
    noise = np.random.default_rng(0).integers(0, 60, (20, 48, 64, 3), dtype=np.uint8)
    path = tmp_path / "whole.mp4"
    return make_video(path, make_frames(20) + noise, options={"g": "1", "bf": "0"}, mux={"movflags": "faststart"})


def test_a_file_cut_short_is_partial(whole: Path, packets_of: PacketsOf) -> None:
    position, size = packets_of(whole)[12]
    content = whole.read_bytes()
    for end in (position, position + size // 2):  # between two frames, and within one
        whole.write_bytes(content[:end])
        frames, report = read(whole)
        assert 12 <= len(frames) <= 13
        assert report.status == "partial"
        assert "20 frames that the header promises" in report.message
        assert report.num_frames_from_header == 20


def test_a_damaged_packet_loses_itself_alone(whole: Path, packets_of: PacketsOf) -> None:
    intact, _ = read(whole)
    position, size = packets_of(whole)[9]
    content = bytearray(whole.read_bytes())
    content[position : position + size] = bytes([255]) * size
    whole.write_bytes(content)
    frames, report = read(whole)
    assert report.status == "partial"
    assert "packet 10" in report.message or "h264" in report.message
    expected = {frame.seconds: frame.rgb for frame in intact}
    same = [np.array_equal(frame.rgb, expected[frame.seconds]) for frame in frames]
    assert sum(same) == 19
    assert len(frames) in (19, 20)


def test_frames_that_the_decoder_holds_back_survive_a_damaged_end(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    packets_of: PacketsOf,
) -> None:
    path = make_video(
        tmp_path / "a.mp4", make_frames(20), options={"bf": "3", "g": "20"}, mux={"movflags": "faststart"}
    )
    position, size = packets_of(path)[15]
    path.write_bytes(path.read_bytes()[: position + size // 2])
    frames, report = read(path)
    assert report.status == "partial"
    assert len(frames) >= 15


def test_an_index_cut_off_gives_no_frame(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:200])
    assert refusal(whole) == "it has no video stream (only data)"


def test_no_frame_of_a_span_in_a_damaged_file_says_both() -> None:
    with pytest.raises(VideoError) as caught:
        summarize(
            problems=[],
            num_given=0,
            fps=1,
            num_frames_from_header=3,
            missing="cut short",
            why_none="no frame lies there",
        )
    assert str(caught.value) == "no frame lies there; cut short"


def test_reports() -> None:
    assert summarize(problems=[], num_given=3, fps=1, num_frames_from_header=3).status == "ok"
    partial = summarize(problems=["a", "a", "b"], num_given=3, fps=1, num_frames_from_header=3, missing="cut short")
    assert (partial.status, partial.message) == ("partial", "cut short; a (and 2 more problems)")
    with pytest.raises(VideoError, match="not one frame could be decoded: the stream holds no frame"):
        summarize(problems=[], num_given=0, fps=1, num_frames_from_header=0)
    with pytest.raises(VideoError, match="not one frame could be decoded: a"):
        summarize(problems=["a"], num_given=0, fps=1, num_frames_from_header=0)


# ---- real files

# name: frames, height, width, status, frames promised
REAL = {
    "odd/decord_corrupted.mp4": (49, 720, 1280, "partial", 50),
    "odd/decord_unordered.mov": (4, 50, 50, "ok", 4),
    "odd/decord_video_0.mov": (3, 320, 568, "ok", 3),
    "odd/decord_video_180.mov": (3, 320, 568, "ok", 3),
    "odd/decord_video_270.mov": (3, 568, 320, "ok", 3),
    "odd/decord_video_90.mov": (3, 568, 320, "ok", 3),
    "odd/filetype_fixture-moov.mov": "not a video that FFmpeg can open",
    "odd/moviepy_-video-with-dash-.mp4": (5, 1, 1, "ok", 5),
    "odd/moviepy_result.webm": "the file is empty",
    "odd/moviepy_transparent.webm": (150, 200, 200, "ok", 0),
    "odd/mp4parse_zero_empty_stsc.mp4": "not one frame could be decoded: cut short: 2 of the 1040 frames",
    "odd/torchcodec_av1_video.mkv": (125, 360, 640, "ok", 0),
    "odd/torchcodec_h265_10bits.mp4": (30, 200, 200, "ok", 30),
    # DivX packs two frames into one packet and leaves an empty one, which the header counts.
    "clips/RATRACE_wave_f_nm_np1_fr_goo_37.avi": (72, 240, 560, "ok", 73),
    "clips/SOX5yA1l24A.mp4": (332, 256, 340, "ok", 332),
    "clips/SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi": (74, 240, 320, "ok", 75),
    "clips/TrumanShow_wave_f_nm_np1_fr_med_26.avi": (48, 240, 432, "ok", 49),
    "clips/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": (83, 240, 320, "ok", 84),
    "clips/v_SoccerJuggling_g23_c01.avi": (240, 240, 320, "ok", 240),
    "clips/v_SoccerJuggling_g24_c01.avi": (251, 240, 320, "ok", 251),
}
# OpenCV's own FFmpeg has no AV1 decoder, and gives up at damage.
OPENCV_GIVES = {"odd/torchcodec_av1_video.mkv": 0, "odd/decord_corrupted.mp4": 28}


@pytest.mark.real_data
def test_the_table_of_real_files_is_complete(real_data: Path) -> None:
    there = {f"{folder}/{file.name}" for folder in ("odd", "clips") for file in (real_data / folder).iterdir()}
    assert there == set(REAL)


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_files(real_data: Path, name: str) -> None:
    truth = REAL[name]
    if isinstance(truth, str):
        assert truth in refusal(real_data / name)
        return
    frames, report = read(real_data / name)
    height, width = frames[0].rgb.shape[:2]
    assert (len(frames), height, width, report.status, report.num_frames_from_header) == truth
    assert (np.diff(times(frames)) > 0).all()
    assert times(frames)[0] == 0
    by_opencv = read_by_opencv(real_data / name)
    assert len(by_opencv) == OPENCV_GIVES.get(name, len(frames))
    differences = [np.abs(one.rgb.astype(int) - two).mean() for one, two in zip(frames, by_opencv, strict=False)]
    # 10 bits a channel are scaled down on different ways; all else is equal to the bit.
    assert max(differences, default=0.0) <= (2.0 if "10bits" in name else 0)
