"""Folders of frames are videos: which images, at which times, with what said about gaps, sizes and damage."""

import hashlib
import logging
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vidrep.errors import ConfigError, InputError, VideoError
from vidrep.video.decoders import open_video
from vidrep.video.numbered_images import numbered_images
from vidrep.video.reading import DecodeReport, Frame
from vidrep.video.sampling import Sampling
from vidrep.video.sources import VideoSource, find_videos

Pixels = NDArray[np.uint8]


def picture(seed: int, height: int = 12, width: int = 16) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path: Path, rgb: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1] if rgb.ndim == 3 else rgb))


def write_frames(folder: Path, numbers: list[int], name: str = "img_{:05}.png") -> None:
    for number in numbers:
        write(folder / name.format(number), picture(number))


def read(
    path: Path, sampling: Sampling | None = None, *, frame_rate: float | None = None
) -> tuple[list[Frame], DecodeReport]:
    with open_video(path, frame_rate=frame_rate) as video:
        return list(video.frames(sampling or Sampling())), video.report()


def refusal(path: Path) -> str:
    with pytest.raises(VideoError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def found(*sources: Path, **options: bool | float) -> list[tuple[str, str, float | None]]:
    videos = find_videos(sources, **options)  # type: ignore[arg-type]
    return [(video.key, video.label, video.frame_rate) for video in videos]


# ---- frames and times


def test_frames_come_by_number_with_their_pixels_and_times(tmp_path: Path) -> None:
    write_frames(tmp_path, [8, 9, 10, 11], name="img_{}.png")  # by name, 10 comes before 8
    frames, report = read(tmp_path)
    np.testing.assert_array_equal([frame.rgb for frame in frames], [picture(number) for number in (8, 9, 10, 11)])
    assert [frame.seconds for frame in frames] == [0, 0.04, 0.08, 0.12]
    assert report == DecodeReport(status="ok", message="", fps=25, num_frames_from_header=4)
    frames, report = read(tmp_path, frame_rate=10)
    assert [frame.seconds for frame in frames] == [0, 0.1, 0.2, 0.3]
    assert report.fps == 10


def test_missing_numbers_keep_their_time_and_are_said(tmp_path: Path) -> None:
    write_frames(tmp_path, [3, 4, 7, 13])
    frames, report = read(tmp_path, frame_rate=2)
    assert [frame.seconds for frame in frames] == [0, 0.5, 2, 5]
    assert report.status == "ok"
    assert report.message == "7 of the numbers 3 to 13 are missing, and their time stays empty"


def test_sampling_is_by_the_times(tmp_path: Path) -> None:
    write_frames(tmp_path, list(range(1, 11)))
    seconds = [frame.seconds for frame in read(tmp_path, Sampling(fps=5), frame_rate=10)[0]]
    assert seconds == [0, 0.2, 0.4, 0.6, 0.8]
    span = read(tmp_path, Sampling(start=0.25, end=0.55), frame_rate=10)[0]
    np.testing.assert_array_equal([frame.rgb for frame in span], [picture(4), picture(5), picture(6)])
    assert len(read(tmp_path, Sampling(max_frames=3))[0]) == 3
    with pytest.raises(VideoError, match=r"no frame lies from 9 s on; the last frame is shown at 0\.36 s"):
        read(tmp_path, Sampling(start=9))


def test_images_of_two_sizes_are_kept_and_said(tmp_path: Path) -> None:
    write_frames(tmp_path, [1, 2])
    write(tmp_path / "img_00003.png", picture(3, 20, 10))
    frames, report = read(tmp_path)
    assert [frame.rgb.shape for frame in frames] == [(12, 16, 3), (12, 16, 3), (20, 10, 3)]
    assert report.status == "ok"
    assert report.message == "1 images are not 16x12 as the first, such as 'img_00003.png' of 10x20"


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp", ".webp"])
def test_a_truncated_image_is_lost_and_the_video_partial(tmp_path: Path, extension: str) -> None:
    write_frames(tmp_path, [1, 2, 3], name="img_{}" + extension)
    cut = tmp_path / f"img_2{extension}"
    cut.write_bytes(cut.read_bytes()[:-40])
    frames, report = read(tmp_path)
    assert [frame.seconds for frame in frames] == [0, 0.08]
    assert report.status == "partial"
    assert report.message == f"{cut.name!r} is damaged, cut short or of an unknown kind"


def test_a_folder_of_which_no_image_can_be_read_is_no_video(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"img_{number}.jpg").write_bytes(b"" if number == 1 else b"no image")
    assert refusal(tmp_path) == (
        "not one frame could be decoded: 'img_1.jpg' is damaged, cut short or of an unknown kind (and 1 more problems)"
    )


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions, which root has all of")
def test_an_image_without_permission_is_lost(tmp_path: Path) -> None:
    write_frames(tmp_path, [1, 2, 3])
    (tmp_path / "img_00002.png").chmod(0)
    frames, report = read(tmp_path)
    assert len(frames) == 2
    assert report.message == "'img_00002.png' cannot be read (Permission denied)"


def test_a_folder_with_the_name_of_an_image_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    write_frames(tmp_path, [1, 2])
    (tmp_path / "img_00003.png").mkdir()
    assert read(tmp_path)[1].message == "'img_00003.png' cannot be read (Is a directory)"


# ---- kinds of images


def test_gray_and_16_bits_become_8_bit_rgb(tmp_path: Path) -> None:
    gray = picture(0)[..., 0]
    deep = np.random.default_rng(1).integers(0, 65536, (12, 16), dtype=np.uint16)
    transparent = np.dstack([picture(2), picture(3)[..., :1]])
    write(tmp_path / "1.png", gray)
    write(tmp_path / "2.png", deep)
    write(tmp_path / "3.tif", deep)
    Image.fromarray(transparent).save(tmp_path / "4.png")
    frames, _ = read(tmp_path)
    expected = [gray, deep >> 8, deep >> 8]
    np.testing.assert_array_equal([frame.rgb for frame in frames[:3]], np.stack([np.stack(expected)] * 3, axis=-1))
    np.testing.assert_array_equal(frames[3].rgb, picture(2))
    assert all(frame.rgb.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_images_are_turned_by_their_exif_orientation(tmp_path: Path, orientation: int, quarter_turns: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    for number in (1, 2):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png", exif=exif)
    frames, _ = read(tmp_path)
    np.testing.assert_array_equal(frames[0].rgb, np.rot90(picture(1), quarter_turns))


def test_without_opencv_the_video_fails_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path, [1, 2])
    monkeypatch.delitem(sys.modules, "vidrep.video.frame_folders", raising=False)
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "install libgl1 and libglib2.0-0, or opencv-python-headless" in refusal(tmp_path)


# ---- which images are the video's


def test_img_is_taken_and_other_names_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_frames(tmp_path / "clip", [1, 2])
    for axis in "xy":
        write_frames(tmp_path / "clip", [1, 2, 3], name=f"flow_{axis}_{{:05}}.png")
    write(tmp_path / "clip" / "thumbnail.jpg", picture(9))
    (tmp_path / "clip" / "._img_00001.png").write_bytes(b"of a Mac")
    with caplog.at_level(logging.INFO, logger="vidrep"):
        assert found(tmp_path) == [("clip", "", 25)]
    assert caplog.messages == [
        "1 folders of numbered images are one video each, at 25 frames a second, by default (--frame-rate); --images "
        "makes each image a video",
        "other images in folders of frames are left out: 3 'flow_x_...', 3 'flow_y_...', 1 '...'",
    ]
    np.testing.assert_array_equal([frame.rgb for frame in read(tmp_path / "clip")[0]], [picture(1), picture(2)])


@pytest.mark.parametrize("name", ["{}.jpg", "frame{:06}.PNG", "v_Run_g01_c02-{}.jpeg", "日本 {:03}.png"])
def test_the_only_prefix_is_taken_whatever_it_is(tmp_path: Path, name: str) -> None:
    write_frames(tmp_path / "a", [0, 1, 2], name=name)
    write_frames(tmp_path / "a", [5], name="cover_{}.png")  # one image is no numbering
    assert found(tmp_path) == [("a", "", 25)]
    assert [frame.seconds for frame in read(tmp_path / "a")[0]] == [0, 0.04, 0.08]


def test_two_numbering_schemes_are_found_and_fail(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", [1, 2, 3], name="left_{}.png")
    write_frames(tmp_path / "a", [1, 2], name="right_{}.png")
    assert found(tmp_path) == [("a", "", 25)]
    assert refusal(tmp_path / "a") == (
        "2 numbering schemes, 3 'left_...', 2 'right_...', and none is img_: leave one in the folder"
    )
    write_frames(tmp_path / "b", [1, 12], name="img_{:02}.png")
    write_frames(tmp_path / "b", [1], name="img_{}.png")
    assert refusal(tmp_path / "b") == (
        "two images have the number 1, 'img_01.png' and 'img_1.png': leave one in the folder"
    )
    write_frames(tmp_path / "c", [1])
    write_frames(tmp_path / "c", [1, 2], name="flow_x_{}.png")
    assert refusal(tmp_path / "c") == "one image alone begins with img_; a folder of frames has two or more"


def test_one_image_is_no_video_unless_images_are_asked_for(tmp_path: Path) -> None:
    write_frames(tmp_path / "clips" / "run" / "a", [1])
    with pytest.raises(InputError, match=r"none of the 1 files in the folder .* is a video: 1 \.png; .*--images takes"):
        find_videos([tmp_path / "clips"])
    with pytest.raises(InputError, match="--images takes each image as a video"):
        find_videos([tmp_path / "clips" / "run" / "a"])
    write_frames(tmp_path / "clips" / "run" / "b", [1, 2])
    assert found(tmp_path / "clips") == [("run/b", "run", 25)]
    assert found(tmp_path / "clips", images=True) == [
        ("run/a/img_00001.png", "a", None),
        ("run/b/img_00001.png", "b", None),
        ("run/b/img_00002.png", "b", None),
    ]


def test_a_still_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    write_frames(tmp_path, [7])
    frames, report = read(tmp_path / "img_00007.png")
    np.testing.assert_array_equal(frames[0].rgb, picture(7))
    assert [frame.seconds for frame in frames] == [0]
    assert report == DecodeReport(status="ok", message="", fps=0, num_frames_from_header=1)


def test_images_given_one_by_one_are_refused_unless_asked_for(tmp_path: Path) -> None:
    write_frames(tmp_path / "run" / "a", [1, 2])
    for sources in ([tmp_path / "run" / "a" / "img_00001.png"], [str(tmp_path / "*" / "*" / "*.png")]):
        with pytest.raises(InputError, match=r"still images are given, .*: name their folder, .*, or give --images"):
            find_videos(sources)
    assert len(find_videos([str(tmp_path / "*" / "*" / "*.png")], images=True)) == 2


# ---- the search


def test_a_tree_of_frames_has_the_keys_and_labels_of_a_tree_of_videos(tmp_path: Path) -> None:
    root = tmp_path / "rawframes"
    for clip in ("run/a", "run/b", "jump/c"):
        write_frames(root / clip, [1, 2, 3])
    expected = [("jump/c", "jump", 25), ("run/a", "run", 25), ("run/b", "run", 25)]
    assert found(root) == expected
    assert found(root / "run" / "a", root / "run" / "b", root / "jump" / "c") == expected
    assert found(Path(f"{root}/*/*")) == expected  # a pattern
    assert found(root / "run" / "a", frame_rate=12.5) == [("a", "", 12.5)]
    assert found(root, tmp_path / "rawframes" / "run" / "a")[1:] == [*expected, ("a", "", 25)][1:]


def test_a_folder_named_by_a_point_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path / "clip", [1, 2])
    monkeypatch.chdir(tmp_path / "clip")
    assert found(Path()) == [("clip", "", 25)]


def test_numbered_images_beside_a_video_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_frames(tmp_path / "run", [1, 2], name="thumb{}.png")
    for video in ("run/a.mp4", "b.mp4", "jump/c/d.mkv"):
        (tmp_path / video).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / video).touch()
    write_frames(tmp_path / "jump", [1, 2])  # a video lies two levels below
    write_frames(tmp_path / "sit" / "e", [1, 2])
    assert [key for key, _, _ in found(tmp_path)] == ["b.mp4", "jump/c/d.mkv", "run/a.mp4", "sit/e"]
    folders = [f"{str(tmp_path / name)!r}" for name in ("jump", "run")]
    said = caplog.messages[-1]
    assert said.startswith("numbered images in folders that hold videos are left out: ")
    assert all(folder in said for folder in folders)


def test_a_folder_of_frames_may_hold_others(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", [1, 2])
    write_frames(tmp_path / "a" / "b", [1, 2])
    assert found(tmp_path) == [("a", "", 25), ("a/b", "a", 25)]
    assert found(tmp_path / "a") == [("a", "", 25), ("b", "", 25)]


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(ConfigError, match=r"frame rate .*: give the images a second"):
        find_videos([tmp_path], frame_rate=rate)
    with pytest.raises(ConfigError, match=r"frame rate 5 and images: .* give one of the two"):
        find_videos([tmp_path], frame_rate=5, images=True)


def test_a_source_is_a_file_unless_it_says_otherwise() -> None:
    assert VideoSource(Path("a.mp4"), "a.mp4", "").frame_rate is None


# ---- the hash


def test_the_hash_is_over_numbers_and_bytes_in_order(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", [2, 10], name="img_{}.png")
    contents = {number: (tmp_path / "a" / f"img_{number}.png").read_bytes() for number in (2, 10)}
    expected, num_bytes = hashlib.sha256(), sum(map(len, contents.values()))
    for number, content in contents.items():
        expected.update(b"%d %d\n" % (number, len(content)) + content)
    calls: list[None] = []
    assert numbered_images(tmp_path / "a").fingerprint(lambda: calls.append(None)) == (num_bytes, expected.hexdigest())
    assert len(calls) == 2
    assert numbered_images(tmp_path / "a").num_bytes() == num_bytes
    write_frames(tmp_path / "renamed", [2, 10], name="x{:09}.png")
    assert numbered_images(tmp_path / "renamed").fingerprint(None) == (num_bytes, expected.hexdigest())
    write_frames(tmp_path / "moved", [2, 11], name="img_{}.png")
    (tmp_path / "moved" / "img_11.png").write_bytes(contents[10])
    assert numbered_images(tmp_path / "moved").fingerprint(None)[1] != expected.hexdigest()


def test_an_image_that_cannot_be_read_is_part_of_the_hash(tmp_path: Path) -> None:
    write_frames(tmp_path, [1, 2])
    (tmp_path / "img_00003.png").mkdir()
    digest = hashlib.sha256()
    for number in (1, 2):
        content = (tmp_path / f"img_{number:05}.png").read_bytes()
        digest.update(f"{number} {len(content)}\n".encode() + content)
    digest.update(b"3 unreadable\n")
    assert numbered_images(tmp_path).fingerprint(None)[1] == digest.hexdigest()
