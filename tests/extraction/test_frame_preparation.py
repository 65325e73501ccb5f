"""Preparing is torchvision's resizing and cropping to the last bit; cells and crops are parts of the frame."""

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from vidrep.errors import ConfigError, VideoError
from vidrep.extraction.preparation import Preparation, resize

SIZES = [(48, 64), (64, 48), (33, 7), (1, 1), (1, 50), (50, 1), (7, 7), (91, 191), (16, 17), (31, 17)]


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(rgb: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)


def as_array(image: Tensor) -> NDArray[Any]:
    return image.permute(1, 2, 0).numpy()


def numbered(height: int, width: int) -> NDArray[np.uint8]:
    """A picture in which every pixel differs, so that its value gives the place it came from."""
    row, column = np.mgrid[:height, :width]
    return np.stack([row, column, np.full((height, width), 7)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_the_whole_frame_is_resized_as_torchvision_does(size: tuple[int, int], interpolation: str) -> None:
    frame = picture(*size)
    mode = InterpolationMode(interpolation)
    for side in (1, 7, 16, 33):
        prepare = Preparation(side=side, interpolation=interpolation).for_video("a")
        expected = as_array(transforms.resize(as_tensor(frame), [side, side], mode, antialias=True))
        np.testing.assert_array_equal(prepare(frame), expected[None])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_the_center_is_that_of_torchvisions_presets(size: tuple[int, int], interpolation: str) -> None:
    """Their presets resize the shorter side and crop the middle; those for vision transformers do it bicubically."""
    frame = picture(*size)
    mode = InterpolationMode(interpolation)
    for scaled_to, side in [(16, 16), (18, 16), (17, 16), (40, 23)]:
        prepare = Preparation(side=side, scaled_to=scaled_to, region="center", interpolation=interpolation)
        image = transforms.resize(as_tensor(frame), [scaled_to], mode, antialias=True)
        expected = as_array(transforms.center_crop(image, [side, side]))
        np.testing.assert_array_equal(prepare.for_video("a")(frame), expected[None])


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_bicubic_overshoot_is_held_within_bytes(arithmetic: str) -> None:
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    found = resize(edge, (32, 32), "bicubic", arithmetic=arithmetic)
    assert found[:, :12].max() < 20  # what wraps around would be near 255
    assert found[:, 20:].min() > 235
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("region", ["frame", "center"])
def test_gray_is_torchvisions_of_the_colored_one(region: str) -> None:
    frame = picture(40, 56)
    colored = Preparation(side=24, region=region).for_video("a")(frame)[0]
    gray = Preparation(side=24, region=region, color=False).for_video("a")(frame)[0]
    assert gray.shape == (24, 24)
    np.testing.assert_array_equal(gray, transforms.rgb_to_grayscale(as_tensor(colored))[0].numpy())


def test_gray_of_every_shade() -> None:
    """All bytes in each channel, and with it sums that only just reach a whole number."""
    frame = picture(200, 200)
    frame[0, :] = np.arange(200)[:, None]
    gray = Preparation(side=200, color=False).for_video("a")(frame)[0]
    np.testing.assert_array_equal(gray, transforms.rgb_to_grayscale(as_tensor(frame))[0].numpy())


def test_a_frame_that_fits_is_left_as_it_is() -> None:
    frame = picture(16, 16)
    for region in ("frame", "center"):
        np.testing.assert_array_equal(Preparation(side=16, region=region).for_video("a")(frame), frame[None])


# ---- cells


@pytest.mark.parametrize("region", ["frame", "center"])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("size", [(48, 64), (31, 90), (3, 2)])
def test_cells_tile_the_region(region: str, color: bool, size: tuple[int, int]) -> None:
    frame = picture(*size)
    cells = Preparation(side=8, grid=3, region=region, color=color).for_video("a")(frame)
    whole = Preparation(side=24, region=region, color=color).for_video("a")(frame)[0]
    assert len(cells) == 9
    together = np.concatenate([np.concatenate(list(row), axis=1) for row in cells.reshape(3, 3, *cells.shape[1:])])
    np.testing.assert_array_equal(together, whole)


def test_cells_are_named_by_row_and_column() -> None:
    preparation = Preparation(side=2, grid=2)
    assert preparation.crop_names == ("#cell-1-1", "#cell-1-2", "#cell-2-1", "#cell-2-2")
    corners = preparation.for_video("a")(numbered(4, 4))[:, 0, 0, :2]
    assert corners.tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]


# ---- crops


def places(preparation: Preparation, key: str, height: int = 60, width: int = 80) -> list[tuple[int, int]]:
    """Where the crops of a video lie, from their own pixels."""
    crops = preparation.for_video(key)(numbered(height, width))
    for crop in crops:
        top, left = crop[0, 0, :2]
        side = preparation.side
        np.testing.assert_array_equal(crop, numbered(height, width)[top : top + side, left : left + side])
    return [tuple(crop[0, 0, :2].tolist()) for crop in crops]


def test_crops_are_the_frames_own_pixels_at_places_of_seed_and_key() -> None:
    preparation = Preparation(side=16, crops=5)
    assert preparation.crop_names == ("#crop-1", "#crop-2", "#crop-3", "#crop-4", "#crop-5")
    here = places(preparation, "left/a.mp4")
    assert len(set(here)) == 5
    assert here == places(Preparation(side=16, crops=5, seed=0), "left/a.mp4")
    assert here[:2] == places(Preparation(side=16, crops=2), "left/a.mp4")  # more crops move none
    assert here == [(18, 36), (39, 29), (34, 60), (30, 8), (1, 27)]  # nor does another process, machine or version
    other_video = places(preparation, "left/b.mp4")
    other_seed = places(Preparation(side=16, crops=5, seed=1), "left/a.mp4")
    assert len({*here, *other_video, *other_seed}) == 15


def test_crops_stay_where_they_are_in_a_video() -> None:
    prepare = Preparation(side=8, crops=3).for_video("a")
    first = prepare(numbered(30, 40))
    prepare(picture(30, 40))
    np.testing.assert_array_equal(prepare(numbered(30, 40)), first)
    gray = Preparation(side=8, crops=3, color=False).for_video("a")(numbered(30, 40))
    np.testing.assert_array_equal(gray, [transforms.rgb_to_grayscale(as_tensor(one))[0].numpy() for one in first])


def test_crops_reach_every_place() -> None:
    """Over many videos every place of a 3 x 4 choice comes, the outermost ones too, and about equally often."""
    preparation = Preparation(side=8, crops=10)
    found = [place for number in range(120) for place in places(preparation, f"{number}", height=10, width=11)]
    counts = [found.count(place) for place in itertools.product(range(3), range(4))]
    assert sum(counts) == 1200
    assert min(counts) > 60  # 100 each, give or take four standard deviations
    assert max(counts) < 140


@pytest.mark.parametrize(("size", "enlarged"), [((8, 12), (16, 24)), ((50, 5), (160, 16)), ((1, 1), (16, 16))])
def test_crops_of_frames_that_are_too_small_come_from_enlarged_ones(
    size: tuple[int, int], enlarged: tuple[int, int]
) -> None:
    frame = picture(*size)
    prepare = Preparation(side=16, crops=4)
    whole = as_array(transforms.resize(as_tensor(frame), list(enlarged), antialias=True))
    np.testing.assert_array_equal(prepare.for_video("a")(frame), prepare.for_video("a")(whole))
    assert prepare.target(*size) == enlarged


def test_names_that_are_no_utf8_have_places_too() -> None:
    key = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    assert Preparation(side=2, crops=2).for_video(key)(picture(9, 9)).shape == (2, 2, 2, 3)


# ---- sizes, travel and refusals

EVERY_KIND = [
    Preparation(side=8),
    Preparation(side=8, color=False, grid=2),
    Preparation(side=8, scaled_to=11, region="center", interpolation="bicubic"),
    Preparation(side=8, region="center", grid=3, resize="fast"),
    Preparation(side=8, crops=3, seed=5),
    Preparation(side=8, crops=2, color=False, resize="fast"),
]


@pytest.mark.parametrize("preparation", EVERY_KIND, ids=repr)
def test_what_comes_out_has_the_shape_that_was_said(preparation: Preparation) -> None:
    for size in SIZES:
        prepared = preparation.for_video("a")(picture(*size))
        assert prepared.shape == preparation.shape == (len(preparation.crop_names), *preparation.crop_shape)
        assert prepared.dtype == np.uint8


@pytest.mark.parametrize("preparation", EVERY_KIND, ids=repr)
def test_a_preparation_travels(preparation: Preparation) -> None:
    again = pickle.loads(pickle.dumps(preparation))
    assert again == preparation
    np.testing.assert_array_equal(again.for_video("k")(picture(20, 30)), preparation.for_video("k")(picture(20, 30)))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_fast_is_exact_but_for_a_level_or_two(interpolation: str) -> None:
    differences = []
    for size in SIZES:
        frame = picture(*size)
        exact, fast = (
            Preparation(side=24, interpolation=interpolation, resize=how).for_video("a")(frame).astype(int)
            for how in ("exact", "fast")
        )
        differences.append(np.abs(exact - fast).ravel())
    assert 0 < np.concatenate(differences).mean() < 0.5
    if (
        interpolation == "bilinear"
    ):  # bicubic overshoots, and whole numbers are held within bytes between rows and columns
        assert np.concatenate(differences).max() <= 2


def test_frames_that_would_fill_the_memory_are_refused() -> None:
    prepare = Preparation(side=224, scaled_to=256, region="center").for_video("a")
    with pytest.raises(VideoError, match=r"1x5000 pixels.*1280000.*too large"):
        prepare(np.zeros((1, 5000, 3), np.uint8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"region": "centre"}, "region 'centre': allowed are frame, center"),
        ({"resize": "quick"}, "resize 'quick': allowed are exact, fast"),
        ({"interpolation": "nearest"}, "interpolation 'nearest': allowed are bilinear, bicubic"),
        ({"crops": -1}, "crops -1: give the number of squares"),
        ({"grid": 0}, "grid 0: give the number of cells"),
        ({"crops": 2, "grid": 2}, "crops 2 and grid 2: give one of the two"),
        ({"crops": 2, "region": "center"}, "crops 2 and region 'center': crops come from the whole frame"),
        ({"scaled_to": 7, "region": "center"}, "scaled_to 7: the center of 8 pixels a side does not fit"),
        ({"scaled_to": 15, "grid": 2, "region": "center"}, "scaled_to 15: the center of 16 pixels a side"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Preparation(side=8, **settings)
