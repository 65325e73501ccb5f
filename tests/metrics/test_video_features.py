"""What is read of a video without an LSTM: means in time order, of whole and of few frames, in original units."""

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
from small_features import features_of

from vidrep.metrics import video_features
from vidrep.metrics.video_features import frames_of, mean_feature, ordered_bins, row_limit, source_numbers, video_rows


def test_bins_are_means_of_equal_stretches_in_their_order() -> None:
    frames = np.random.default_rng(0).standard_normal((19, 3)).astype(np.float32)
    found = ordered_bins(frames)
    starts = [0, 2, 4, 7, 9, 11, 14, 16, 19]
    expected = [frames[a:b].mean(axis=0) for a, b in itertools.pairwise(starts)]
    assert found.shape == (1, 24)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], np.concatenate(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean_feature(frames)[0], frames.mean(axis=0), rtol=1e-6)


def test_of_fewer_frames_than_bins_frames_are_interpolated() -> None:
    frames = np.array([[0, 7], [7, 0]], dtype=np.float32)
    np.testing.assert_allclose(ordered_bins(frames).reshape(8, 2), [[n, 7 - n] for n in range(8)], atol=1e-5)
    np.testing.assert_array_equal(ordered_bins(frames[:1]).reshape(8, 2), [[0, 7]] * 8)
    eight = np.arange(8, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(ordered_bins(eight)[0], eight[:, 0])


def test_rows_are_those_of_the_videos_with_frames_and_evenly_spread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    videos = {f"a/{n}.npy": rng.integers(0, 256, (n + 1, 2), dtype=np.uint8) for n in range(6)}
    features = features_of(tmp_path, videos)
    every = np.concatenate(list(videos.values())) / 255
    numbers = np.repeat(np.arange(6), np.arange(1, 7))
    found = video_rows(features, range(6), "single frame")
    np.testing.assert_allclose(found.rows, every, rtol=1e-6)
    np.testing.assert_array_equal(found.videos, numbers)
    with caplog.at_level(logging.INFO, logger="vidrep"):
        few = video_rows(features, range(6), "single frame", most=8)
    kept = np.linspace(0, 20, 8).astype(int)
    np.testing.assert_allclose(few.rows, every[kept], rtol=1e-6)
    np.testing.assert_array_equal(few.videos, numbers[kept])
    assert "single frame: fitted on 8 of 21 rows" in caplog.text
    means = video_rows(features, [5, 2], "mean feature")
    np.testing.assert_allclose(means.rows[1], videos["a/2.npy"].mean(axis=0) / 255, rtol=1e-6)
    averages = few.mean(few.rows.astype(np.float64))
    for video in range(6):
        of_video = few.rows[few.videos == video]
        np.testing.assert_allclose(averages[video], of_video.mean(axis=0) if len(of_video) else np.nan, rtol=1e-6)


def test_memory_is_bounded_by_fewer_rows_and_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (row_limit(512), row_limit(8 * 4096), row_limit(1 << 30)) == (20_000, 2048, 64)
    monkeypatch.setattr(video_features, "_MAX_FRAMES", 4)
    frames = np.arange(9, dtype=np.float32)[:, None]
    features = features_of(tmp_path, {"a/0.npy": frames})
    np.testing.assert_array_equal(frames_of(features, 0), frames[::3])
    assert len(video_rows(features, [0], "single frame").rows) == 3


def test_crops_have_the_number_of_their_source(tmp_path: Path) -> None:
    features = features_of(tmp_path, {f"a/{n}.npy": np.zeros((2, 1), dtype=np.float32) for n in range(4)})
    features.__dict__["source_videos"] = np.array([0, 1, 1, 2])
    first, numbers = source_numbers(features, [1, 2, 3])
    assert (first.tolist(), numbers.tolist()) == ([0, 2], [0, 0, 1])
