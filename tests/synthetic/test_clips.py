import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.synthetic.clips import draw_appearance, render_clip
from vidrep.synthetic.motions import MotionRanges, draw_trajectory
from vidrep.synthetic.outlines import SHAPES

LUMA = np.array([0.299, 0.587, 0.114])


def shape_centers(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T, 2): mean x and y, in pixels, of what is brighter than any background, which is the shape."""
    bright = clip / 255 @ LUMA > 0.5
    return np.array([np.argwhere(frame)[:, ::-1].mean(axis=0) for frame in bright])


def test_every_shape_is_drawn() -> None:
    drawn = {draw_appearance(np.random.default_rng(seed), frame_size=16).figure.shape for seed in range(40)}
    assert drawn == set(SHAPES.values())


def test_the_painted_area_is_the_shapes_own() -> None:
    for seed in range(8):
        clip = render_clip("clockwise", np.random.default_rng([seed, 1]), num_frames=8, frame_size=64)
        rng = np.random.default_rng([seed, 1])
        shape = draw_appearance(rng, frame_size=64).figure.shape
        trajectory = draw_trajectory("clockwise", rng, MotionRanges(), num_frames=8, reach=shape.tip)
        area = shape.num_tips * shape.tip * shape.notch * np.sin(np.pi / shape.num_tips) * (trajectory.radius * 64) ** 2
        painted = (clip / 255 @ LUMA > 0.49).sum(axis=(1, 2))
        np.testing.assert_allclose(painted, area, rtol=0.2)


def test_the_shape_is_always_brighter_than_the_background() -> None:
    for seed in range(40):
        appearance = draw_appearance(np.random.default_rng(seed), frame_size=32)
        shape_luma, background_luma = appearance.figure.colors @ LUMA, appearance.background @ LUMA
        assert 0.6 <= shape_luma.mean() <= 0.9
        assert shape_luma.min() > 0.5 > 0.46 > background_luma.max() > background_luma.min() > 0.09
        assert np.ptp(shape_luma) > 0.1
        assert background_luma.std() > 0.02
        assert appearance.background.min() > -1e-9
        assert appearance.figure.colors.max() < 1 + 1e-9


@pytest.mark.parametrize("motion", ["left", "right", "up", "down"])
def test_pixels_move_as_the_class_says(motion: str) -> None:
    axis, sign = (0 if motion in ("left", "right") else 1), (1 if motion in ("right", "down") else -1)
    for seed in range(4):
        clip = render_clip(motion, np.random.default_rng(seed), num_frames=8, frame_size=64)
        steps = np.diff(shape_centers(clip)[:, axis])
        assert (sign * steps > 0).all()
        assert 0.25 * 64 < sign * steps.sum() < 0.52 * 64


@pytest.mark.parametrize(("motion", "sense"), [("clockwise", 1), ("counter-clockwise", -1)])
def test_pixels_turn_as_the_class_says(motion: str, sense: int) -> None:
    for seed in range(4):
        centers = shape_centers(render_clip(motion, np.random.default_rng(seed), num_frames=12, frame_size=64))
        right, down = (centers - centers.mean(axis=0)).T
        # Bearings as on a clock: from twelve o'clock, growing clockwise.
        bearings = np.unwrap(np.arctan2(right, -down))
        assert sense * (bearings[-1] - bearings[0]) == pytest.approx(2 * np.pi * 11 / 12, abs=0.2)


@pytest.mark.parametrize(("motion", "sign"), [("growing", 1), ("shrinking", -1)])
def test_pixels_grow_as_the_class_says(motion: str, sign: int) -> None:
    for seed in range(4):
        clip = render_clip(motion, np.random.default_rng(seed), num_frames=6, frame_size=64)
        areas = (clip / 255 @ LUMA > 0.5).sum(axis=(1, 2))
        assert (sign * np.diff(areas.astype(int)) > 0).all()


def test_a_clip_is_all_in_its_generator_and_no_two_frames_are_equal() -> None:
    clips = [render_clip("up", np.random.default_rng(seed), num_frames=6, frame_size=16) for seed in (5, 5, 6)]
    assert clips[0].shape == (6, 16, 16, 3)
    assert clips[0].dtype == np.uint8
    assert np.array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])
    assert len({frame.tobytes() for frame in clips[0]}) == 6
