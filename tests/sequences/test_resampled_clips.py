"""Clips: videos or stretches of them, resampled linearly."""

from pathlib import Path

import numpy as np
import pytest
from small_features import features_of

from vidrep.features.store import Features
from vidrep.sequences.clips import clips_of, frames_in


def ramps(tmp_path: Path, dtype: str = "float32") -> Features:
    """Videos of 1, 5 and 12 frames whose values are the frame's number and ten times it."""
    return features_of(
        tmp_path,
        {f"{length:02d}.npy": (np.arange(length)[:, None] * [1, 10]).astype(dtype) for length in (1, 5, 12)},
    )


def test_a_whole_clip_is_interpolated_from_its_first_to_its_last_frame(tmp_path: Path) -> None:
    clips = clips_of(ramps(tmp_path), [0, 1, 2], length=9, clip_seconds=100)
    assert (len(clips), clips.length, clips.lengths.tolist()) == (3, 9, [9, 9, 9])
    gathered = clips.gather(np.array([1, 2, 0]))
    assert gathered.shape == (9, 3, 2) and gathered.dtype == np.float32
    for column, last in enumerate((4, 11, 0)):
        np.testing.assert_allclose(gathered[:, column], np.linspace(0, last, 9)[:, None] * [1, 10], rtol=1e-6)


def test_a_crop_begins_and_ends_where_it_is_asked_to(tmp_path: Path) -> None:
    clips = clips_of(ramps(tmp_path), [1, 2], length=3, clip_seconds=100)
    gathered = clips.gather_crops(np.array([0, 1]), np.array([[0.25, 0.75], [0.4, 1.0]]))
    np.testing.assert_allclose(gathered[:, 0, 0], [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(gathered[:, 1, 0], [4.4, 7.7, 11], rtol=1e-6)


def test_points_in_time_are_moved_by_shares_of_their_distance_and_not_out_of_the_clip(tmp_path: Path) -> None:
    clips = clips_of(ramps(tmp_path), [0, 1, 2], length=3, clip_seconds=100)
    crops = np.array([[0.0, 0.5], [0.5, 1.0], [0.0, 1.0]])
    shifts = np.array([[-0.5, 0.25, 0.5], [0.5, -0.25, 0.125], [0.5, -0.5, 0.25]])
    gathered = clips.gather_crops(np.array([1, 2, 0]), crops, shifts)[:, :, 0]
    np.testing.assert_allclose(gathered[:, 0], [0, 1.25, 2.5], rtol=1e-6)  # 0, 1, 2 of 0 to 4; the first stays
    np.testing.assert_allclose(gathered[:, 1], [6.875, 7.5625, 11], rtol=1e-6)  # 5.5, 8.25, 11, of which the last stays
    np.testing.assert_array_equal(gathered[:, 2], 0)  # a single frame


def test_a_clip_of_one_point_in_time_is_not_moved(tmp_path: Path) -> None:
    clips = clips_of(ramps(tmp_path), [1], length=1, clip_seconds=100)
    moved = clips.gather_crops(np.array([0]), np.array([[0.25, 0.25]]), np.array([[0.5]]))
    assert moved[0, 0].tolist() == [1, 10]


def test_pixels_come_in_original_units(tmp_path: Path) -> None:
    clips = clips_of(ramps(tmp_path, "uint8"), [1], length=9, clip_seconds=100)
    np.testing.assert_allclose(clips.gather(np.array([0]))[:, 0, 0], np.linspace(0, 4, 9) / 255, rtol=1e-6)


def test_a_long_video_gives_stretches_that_overlap_by_half(tmp_path: Path) -> None:
    features = ramps(tmp_path)
    assert np.diff(features.timestamps(2)).tolist() == [1.0] * 11  # imported frames are a second apart
    clips = clips_of(features, [2, 1], length=4, clip_seconds=4.0)
    assert frames_in(features, 2, 4.0) == 4
    assert list(zip(clips.videos, clips.starts, clips.num_stored, strict=True)) == [
        *((2, start, 4) for start in (0, 2, 4, 6, 8)),
        *((1, start, 4) for start in (0, 1)),
    ]
    np.testing.assert_allclose(clips.gather(np.array([1]))[:, 0, 0], [2, 3, 4, 5])


@pytest.mark.parametrize(("seconds", "frames"), [(0.1, 1), (3.4, 3), (100.0, 100)])
def test_seconds_are_frames_by_the_timestamps(tmp_path: Path, seconds: float, frames: int) -> None:
    assert frames_in(ramps(tmp_path), 2, seconds) == frames


def test_a_video_of_one_frame_is_that_frame_again_and_again(tmp_path: Path) -> None:
    assert frames_in(ramps(tmp_path), 0, 5.0) == 1
