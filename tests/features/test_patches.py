"""Patches are torchvision's resizing and ITU-R's grey."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as transforms

from vidrep.errors import ConfigError
from vidrep.features.extract import extract
from vidrep.features.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.video.sources import find_videos
from vidrep.video.writing import write_h264


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 7), (1, 1), (1, 50), (7, 7)])
@pytest.mark.parametrize("size", [1, 7, 16])
@pytest.mark.parametrize("region", ["frame", "centre"])
@pytest.mark.parametrize("colour", [False, True])
def test_any_frame_becomes_a_square(height, width, size, region, colour):
    extractor = PatchExtractor(size=size, region=region, colour=colour)
    patch = extractor.prepare(picture(height, width))
    assert patch.shape == extractor.frame_shape == extractor.prepared_shape == ((size, size) + ((3,) if colour else ()))
    assert patch.dtype == np.uint8
    assert extractor.encode(patch[None]) is not None


@pytest.mark.parametrize("height_width", [(48, 64), (64, 48)])
def test_regions_are_torchvisions(height_width):
    frame = picture(*height_width)
    image = torch.from_numpy(frame).permute(2, 0, 1)
    whole = transforms.resize(image, [12, 12], antialias=True).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(PatchExtractor(size=12, colour=True).prepare(frame), whole)
    square = frame[:, 8:56] if height_width == (48, 64) else frame[8:56]
    middle = transforms.resize(torch.from_numpy(square.copy()).permute(2, 0, 1), [12, 12], antialias=True)
    found = PatchExtractor(size=12, region="centre", colour=True).prepare(frame)
    # Cropping before or after resizing differs only where the filter reaches across the edge of the crop.
    np.testing.assert_array_equal(found[1:-1, 1:-1], middle.permute(1, 2, 0).numpy()[1:-1, 1:-1])


def test_grey_is_itu_r_601():
    frame = picture(9, 9)
    weighed = frame @ np.array([0.2989, 0.587, 0.114])
    grey = PatchExtractor(size=9).prepare(frame)
    assert np.abs(grey - weighed).max() <= 1  # cut off to a whole number
    np.testing.assert_array_equal(PatchExtractor(size=9, colour=True).prepare(frame), frame)


def test_a_tiny_video(tmp_path):
    write_h264(tmp_path / "a.mp4", picture(2, 2)[None].repeat(3, axis=0), frames_per_second=1)
    extract(find_videos([tmp_path / "a.mp4"]), tmp_path / "f.h5", PatchExtractor(size=4))
    assert open_features(tmp_path / "f.h5").rows(0).shape == (3, 4, 4)


@pytest.mark.real_data
def test_a_video_of_one_pixel(tmp_path, real_data):
    sources = find_videos([real_data / "odd" / "moviepy_-video-with-dash-.mp4"])
    extract(sources, tmp_path / "f.h5", PatchExtractor(size=4))
    rows = open_features(tmp_path / "f.h5").rows(0)
    assert rows.shape == (5, 4, 4)
    assert (rows == rows[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 0}, "size 0: give the pixels along a side"), ({"region": "center"}, "region 'center': allowed are")],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        PatchExtractor(**settings)
