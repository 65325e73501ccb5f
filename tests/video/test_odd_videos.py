"""Videos that are not 8 bits, square, limited and even: frames come as a player shows them."""

import importlib
import itertools
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from fixture_types import MakeFrames, MakeVideo
from numpy.typing import NDArray

from vidrep.video.decoders import open_video
from vidrep.video.geometry import pixel_aspect, square_pixel_size
from vidrep.video.reading import Frame
from vidrep.video.sampling import Sampling

ROOT = Path(__file__).parent.parent.parent


def read(path: Path) -> list[Frame]:
    with open_video(path) as video:
        frames = list(video.frames(Sampling()))
        report = video.report()
    assert (report.status, report.message) == ("ok", "")
    return frames


def error(frames: list[Frame], written: NDArray[Any]) -> float:
    """Mean absolute difference from what was written, of 255."""
    return float(np.abs(np.stack([frame.rgb for frame in frames]).astype(int) - written).mean())


# ---- shapes


def test_pixels_are_square_unless_the_file_tells_something_sensible() -> None:
    assert [pixel_aspect(stored) for stored in (None, Fraction(0), Fraction(1), Fraction(16, 11), 0.75)] == [
        1,
        1,
        1,
        16 / 11,
        0.75,
    ]
    assert [pixel_aspect(stored) for stored in (8, 8.1, 0.125, 0.12, -2, float("nan"))] == [8, 1, 0.125, 1, 1, 1]


def test_the_width_is_stretched_and_the_height_stays() -> None:
    assert square_pixel_size(50, 100, aspect=2.0) == (50, 200)
    assert square_pixel_size(576, 720, aspect=16 / 11) == (576, 1047)
    assert square_pixel_size(1, 1, aspect=0.125) == (1, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
@pytest.mark.parametrize(("aspect", "width"), [("2:1", 128), ("16:11", 93), ("1:2", 32), ("9:1", 64)])
def test_pixels_that_are_not_square_are_made_so(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    suffix: str,
    aspect: str,
    width: int,
) -> None:
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    written = make_frames(3)
    stored = Fraction(*map(int, aspect.split(":")))
    path = make_video(tmp_path / f"a{suffix}", written, codec=codec, sample_aspect_ratio=stored)
    frames = read(path)
    assert {frame.rgb.shape for frame in frames} == {(48, width, 3)}
    found = frames[0].rgb[16, :, 0] > 170  # the square, 12 pixels wide as it is stored
    assert found.sum() == pytest.approx(12 * width / 64, abs=2)
    assert np.argmax(found) == pytest.approx(2 * width / 64, abs=2)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize(("aspect", "width"), [(Fraction(2), 128), (Fraction(1, 2), 32)])
def test_turning_and_stretching_go_together(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    rotation: int,
    aspect: Fraction,
    width: int,
) -> None:
    lying = read(make_video(tmp_path / "a.mp4", make_frames(3), sample_aspect_ratio=aspect))
    path = make_video(tmp_path / "b.mp4", make_frames(3), rotation=rotation, sample_aspect_ratio=aspect)
    turned = read(path)
    assert turned[0].rgb.shape == ((48, width, 3) if rotation == 180 else (width, 48, 3))
    assert error(turned, np.stack([np.rot90(frame.rgb, rotation // 90) for frame in lying])) < 1
    assert turned[0].rgb.flags.c_contiguous and turned[0].rgb.flags.writeable


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "size"),
    [
        ("libx264", "yuv444p", ".mp4", (241, 321)),
        ("libvpx-vp9", "yuv420p", ".webm", (241, 321)),
        ("mpeg4", "yuv420p", ".mkv", (241, 321)),
        ("libx264", "yuv420p", ".mp4", (2, 2)),
        ("libx264", "yuv444p", ".mp4", (1, 1)),
        ("ffv1", "yuv420p", ".mkv", (1, 3)),
        ("mjpeg", "yuvj420p", ".avi", (1, 1)),
    ],
)
def test_odd_and_tiny_sizes(
    tmp_path: Path,
    make_video: MakeVideo,
    codec: str,
    pix_fmt: str,
    suffix: str,
    size: tuple[int, int],
) -> None:
    ramp = np.linspace(30, 220, size[0] * size[1]).reshape(size).astype(np.uint8)
    written = np.repeat(ramp[None, :, :, None], 4, axis=0).repeat(3, axis=-1)
    frames = read(make_video(tmp_path / f"a{suffix}", written, codec=codec, pix_fmt=pix_fmt))
    assert len(frames) == 4
    assert error(frames, written) < 4


def test_a_size_that_changes_in_mid_stream(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    for name, size in [("small", (48, 64)), ("large", (64, 96))]:
        make_video(tmp_path / f"{name}.h264", make_frames(5, *size), options={"bf": "0"})
    joined = tmp_path / "joined.h264"
    joined.write_bytes((tmp_path / "small.h264").read_bytes() + (tmp_path / "large.h264").read_bytes())
    frames = read(joined)
    sizes = [frame.rgb.shape[:2] for frame in frames]
    assert sizes == [(48, 64)] * 5 + [(64, 96)] * 5
    assert (np.diff([frame.seconds for frame in frames]) > 0).all()


# ---- codecs


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx265", "yuv420p10le", ".mp4"),
        ("libx264", "yuv420p10le", ".mkv"),
        ("libx264", "yuv422p", ".mov"),
        ("libx265", "yuv420p", ".ts"),
        ("libvpx-vp9", "yuv420p", ".webm"),
        ("libvpx", "yuv420p", ".webm"),
        ("libsvtav1", "yuv420p", ".mkv"),
        ("libsvtav1", "yuv420p10le", ".mp4"),
        ("mpeg4", "yuv420p", ".avi"),
        ("mpeg2video", "yuv420p", ".ts"),
        ("flv", "yuv420p", ".flv"),
        ("wmv2", "yuv420p", ".wmv"),
    ],
)
def test_codecs(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    codec: str,
    pix_fmt: str,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SVT_LOG", "1")
    written = make_frames(8, 64, 96)
    rate = 25 if codec == "mpeg2video" else 10
    path = make_video(tmp_path / f"a{suffix}", written, codec=codec, pix_fmt=pix_fmt, rate=rate)
    frames = read(path)
    assert error(frames, written) < 8
    assert np.diff([frame.seconds for frame in frames]) == pytest.approx(1 / rate, abs=2e-3)


@pytest.mark.parametrize(("codec", "suffix"), [("png", ".mov"), ("ffv1", ".mkv")])
def test_alpha_is_dropped_not_blended(tmp_path: Path, make_video: MakeVideo, codec: str, suffix: str) -> None:
    pixels = np.full((32, 48, 4), (200, 100, 50, 255), np.uint8)
    pixels[:, 24:, 3] = 0
    frames = [av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="bgra") for _ in range(2)]
    path = make_video(
        tmp_path / f"a{suffix}",
        [frame.reformat(format="rgba") for frame in frames] if codec == "png" else frames,
        codec=codec,
        pix_fmt="rgba" if codec == "png" else "bgra",
    )
    assert error(read(path), pixels[:, :, :3]) == 0


# ---- colors

# Weights of red and blue in the luma of each matrix; AVColorSpace of its tag.
MATRICES = {"BT.601": (0.299, 0.114, 6), "BT.709": (0.2126, 0.0722, 1), "BT.2020": (0.2627, 0.0593, 9)}
LIMITED, FULL = 1, 2
COLORS = np.array(list(itertools.product([0, 90, 170, 255], repeat=3)), np.uint8)
PATCH = 16


def color_frame(matrix: str, color_range: int, tag: int) -> av.VideoFrame:
    """A row of patches, one for each of COLORS, converted as the standards define it."""
    red_weight, blue_weight, _ = MATRICES[matrix]
    red, green, blue = (COLORS / 255).T
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
    luma_scale, chroma_scale, black = (255, 255, 0) if color_range == FULL else (219, 224, 16)
    values = [luma * luma_scale + black, *(one * chroma_scale + 128 for one in chroma)]
    frame = av.VideoFrame(PATCH * len(COLORS), PATCH, "yuv444p")
    for plane, value in zip(frame.planes, values, strict=True):
        row = np.zeros(plane.line_size, np.uint8)
        row[: plane.width] = np.clip(value.round(), 0, 255).repeat(PATCH)
        plane.update(np.tile(row, plane.height).tobytes())
    frame.colorspace, frame.color_range = tag, color_range
    return frame


def shown_colors(path: Path) -> NDArray[np.int64]:
    (frame,) = read(path)
    height, width, _ = frame.rgb.shape
    patch = width // len(COLORS)
    return frame.rgb[height // 2, patch // 2 :: patch].astype(int)


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(
    ("codec", "suffix", "aspect"),
    [
        ("libx264", ".mp4", None),
        ("ffv1", ".mkv", None),
        ("libx264", ".mp4", Fraction(1, 2)),  # what is scaled takes another way through the converter
    ],
)
def test_colors_are_those_that_the_tags_mean(
    tmp_path: Path,
    make_video: MakeVideo,
    matrix: str,
    color_range: int,
    codec: str,
    suffix: str,
    aspect: Fraction | None,
) -> None:
    path = make_video(
        tmp_path / f"a{suffix}",
        [color_frame(matrix, color_range, MATRICES[matrix][2])],
        codec=codec,
        pix_fmt="yuv444p",
        options={"qp": "0"} if codec == "libx264" else {},
        sample_aspect_ratio=aspect,
    )
    assert np.abs(shown_colors(path) - COLORS).max() <= 2


def test_without_a_tag_the_matrix_is_that_of_small_video(tmp_path: Path, make_video: MakeVideo) -> None:
    off = {}
    for matrix in ("BT.601", "BT.709"):
        path = make_video(tmp_path / "a.mkv", [color_frame(matrix, LIMITED, 2)], codec="ffv1", pix_fmt="yuv444p")
        off[matrix] = np.abs(shown_colors(path) - COLORS).max()
    assert off["BT.601"] <= 2 < 20 < off["BT.709"]


@pytest.mark.parametrize("tag", [8, 10, 14])
def test_a_matrix_that_the_converter_does_not_know_fails_no_video(
    tmp_path: Path, make_video: MakeVideo, tag: int
) -> None:
    path = make_video(tmp_path / "a.mp4", [color_frame("BT.601", LIMITED, tag)], pix_fmt="yuv444p", options={"qp": "0"})
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).colorspace == tag
    assert np.abs(shown_colors(path) - COLORS).max() <= 2


# ---- names


@pytest.mark.parametrize(
    "name",
    ["two words.mp4", "ünï 日本.mp4", "-dash.mp4", "new\nline.mp4", "a%03d*?[1].mp4", "concat:a.mp4", "no suffix"],
)
def test_names(
    tmp_path: Path,
    make_frames: MakeFrames,
    make_video: MakeVideo,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = make_video(tmp_path / "a.mp4", make_frames(3))
    whole.rename(name)
    assert len(read(whole.with_name(name).relative_to(tmp_path))) == 3


def test_a_name_that_is_not_utf8(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", make_frames(3)).rename(tmp_path / "\udcff.mp4")
    assert len(read(path)) == 3


# ---- real files


@pytest.fixture
def odd_videos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("odd_videos")


@pytest.mark.real_data
def test_the_page_of_odd_videos_says_what_is(real_data: Path, odd_videos: ModuleType) -> None:
    page = (ROOT / "docs" / "results" / "odd-videos.md").read_text(encoding="utf-8")
    folder = real_data / "odd"
    lines = odd_videos.table(sorted(folder.iterdir())).splitlines()
    assert len(lines) == 2 + 13
    for line in lines:
        assert line in page
    for line in odd_videos.reasons(sorted(folder.iterdir())).splitlines():
        assert line in page


@pytest.fixture
def odd_situations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("odd_situations")


def check_situations(odd_situations: ModuleType, numbers: set[int]) -> None:
    """Assert that the page tells what is made of these situations now."""
    page = (ROOT / "docs" / "results" / "odd-videos.md").read_text(encoding="utf-8")
    with odd_situations.vidrep_of(None) as vidrep:
        for one in odd_situations.SITUATIONS:
            (line,) = (line for line in page.splitlines() if line.startswith(f"| {one.number} | {one.what} |"))
            if one.run is None:
                assert line.endswith(f" | {one.before} | {one.after} |")
            elif one.number in numbers:
                assert line.endswith(f" | {odd_situations.outcome(one, vidrep)} |")


def test_the_page_tells_what_is_made_of_some_situations(odd_situations: ModuleType) -> None:
    assert {one.number for one in odd_situations.SITUATIONS} == set(range(1, 21))
    check_situations(odd_situations, {7, 20})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_tells_what_is_made_of_all_situations(odd_situations: ModuleType) -> None:
    check_situations(odd_situations, set(range(1, 21)))


@pytest.mark.real_data
def test_real_clips_are_turned_upright(real_data: Path, odd_videos: ModuleType) -> None:
    assert odd_videos.least_difference_of_shots(real_data / "odd") > 30  # four shots, not one clip turned four times
    upright = odd_videos.frames_of(real_data / "odd" / odd_videos.TURNED[0])
    lines = odd_videos.rotations(upright).splitlines()[2:]
    assert lines == [f"| {degrees} | 0.000 |" for degrees in (0, 90, 180, 270)]


@pytest.mark.real_data
def test_forty_real_clips_are_ok(real_data: Path) -> None:
    clips = sorted((real_data / "tennis7").glob("*/*.mp4"))[::9]
    assert len(clips) >= 40
    for clip in clips:
        frames = read(clip)  # which asserts the report
        assert {frame.rgb.shape for frame in frames} == {(90, 192, 3)}
