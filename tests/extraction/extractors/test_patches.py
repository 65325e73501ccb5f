"""Patches are torchvision's resizing and ITU-R's gray."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixture_types import MakeClip
from numpy.typing import NDArray
from torchvision.transforms import functional as transforms

from vidrep.errors import ConfigError
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.files import sha256_of_file
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling
from vidrep.video.sources import find_videos
from vidrep.video.writing import write_h264


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def patches_of(extractor: PatchExtractor, frame: NDArray[np.uint8]) -> NDArray[Any]:
    return extractor.encode(extractor.preparation.for_video("a")(frame))


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("region", ["frame", "center"])
def test_any_frame_becomes_a_square(region: str, color: bool) -> None:
    for size in (1, 7, 16):
        extractor = PatchExtractor(size=size, region=region, color=color)
        assert extractor.frame_shape == ((size, size, 3) if color else (size, size))
        for height, width in [(48, 64), (33, 7), (1, 1), (1, 50), (7, 7)]:
            patches = patches_of(extractor, picture(height, width))
            assert patches.shape == (1, *extractor.frame_shape)
            assert patches.dtype == extractor.dtype


@pytest.mark.parametrize("height_width", [(48, 64), (64, 48)])
def test_regions_are_torchvisions(height_width: tuple[int, int]) -> None:
    frame = picture(*height_width)
    image = torch.from_numpy(frame).permute(2, 0, 1)
    whole = transforms.resize(image, [12, 12], antialias=True).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(patches_of(PatchExtractor(size=12, color=True), frame)[0], whole)
    square = frame[:, 8:56] if height_width == (48, 64) else frame[8:56]
    middle = transforms.resize(torch.from_numpy(square.copy()).permute(2, 0, 1), [12, 12], antialias=True)
    found = patches_of(PatchExtractor(size=12, region="center", color=True), frame)[0]
    # Cropping before or after resizing differs only where the filter reaches across the edge of the crop.
    np.testing.assert_array_equal(found[1:-1, 1:-1], middle.permute(1, 2, 0).numpy()[1:-1, 1:-1])


def test_gray_is_itu_r_601() -> None:
    frame = picture(9, 9)
    weighed = frame @ np.array([0.2989, 0.587, 0.114])
    gray = patches_of(PatchExtractor(size=9), frame)[0]
    assert np.abs(gray - weighed).max() <= 1  # cut off to a whole number
    np.testing.assert_array_equal(patches_of(PatchExtractor(size=9, color=True), frame)[0], frame)


@pytest.mark.parametrize(
    ("choices", "crops"),
    [
        ({"crops": 2, "seed": 3}, ["a.mp4#crop-1", "a.mp4#crop-2"]),
        ({"grid": 2}, [f"a.mp4#cell-{row}-{column}" for row in (1, 2) for column in (1, 2)]),
    ],
)
def test_a_video_becomes_a_sequence_for_each_crop(
    tmp_path: Path, clip: MakeClip, choices: dict[str, Any], crops: list[str]
) -> None:
    clip(tmp_path / "a.mp4", num_frames=4, side=32)
    extractor = PatchExtractor(size=8, color=True, **choices)
    extract(find_videos([tmp_path / "a.mp4"]), tmp_path / "f.h5", extractor, workers=0)
    features = open_features(tmp_path / "f.h5")
    assert [row.path for row in features.videos] == crops
    prepare = extractor.preparation.for_video(sha256_of_file(tmp_path / "a.mp4"))
    with open_video(tmp_path / "a.mp4") as video:
        expected = np.stack([prepare(frame.rgb) for frame in video.frames(Sampling())], axis=1)
    assert expected.shape == (len(crops), 4, 8, 8, 3)
    for crop in range(len(crops)):
        np.testing.assert_array_equal(features.rows(crop), expected[crop])


def test_settings_name_only_what_matters() -> None:
    """Features that were made before there were crops and cells are those that are made without them now."""
    plain = {"kind": "patches", "size": 8, "region": "frame", "color": False, "resize": "exact"}
    assert PatchExtractor(size=8).settings == PatchExtractor(size=8, seed=4).settings == plain
    assert PatchExtractor(size=8, crops=2, seed=4).settings == {**plain, "crops": 2, "seed": 4, "placed_by": "content"}
    assert PatchExtractor(size=8, grid=2).settings == {**plain, "grid": 2}


def test_a_tiny_video(tmp_path: Path) -> None:
    write_h264(tmp_path / "a.mp4", picture(2, 2)[None].repeat(3, axis=0), frames_per_second=1)
    extract(find_videos([tmp_path / "a.mp4"]), tmp_path / "f.h5", PatchExtractor(size=4), workers=0)
    assert open_features(tmp_path / "f.h5").rows(0).shape == (3, 4, 4)


@pytest.mark.real_data
def test_a_video_of_one_pixel(tmp_path: Path, real_data: Path) -> None:
    sources = find_videos([real_data / "odd" / "moviepy_-video-with-dash-.mp4"])
    extract(sources, tmp_path / "f.h5", PatchExtractor(size=4), workers=0)
    rows = open_features(tmp_path / "f.h5").rows(0)
    assert rows.shape == (5, 4, 4)
    assert (rows == rows[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size 0: give the pixels along a side"),
        ({"size": 2049}, "size 2049: give the pixels along a side, 1 to 2048"),
        ({"size": 512, "grid": 5}, "grid 5 of size 512: give cells that make at most 2048 pixels a side"),
        ({"region": "middle"}, "region 'middle': allowed are"),
        ({"crops": 2, "grid": 2}, "crops 2 and grid 2: give one of the two"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PatchExtractor(**settings)


def test_the_largest_patches_are_allowed() -> None:
    assert PatchExtractor(size=2048).frame_shape == (2048, 2048)
    assert PatchExtractor(size=1024, grid=2).preparation.shape == (4, 1024, 1024)
