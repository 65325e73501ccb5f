"""Representations centered by group."""

import logging
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from vidrep.features.store import Features
from vidrep.features.table import VideoRow
from vidrep.metrics.centering import center_groups, log_alone, shared_groups


def test_the_mean_of_each_group_is_subtracted_and_nothing_from_others() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    numbers = np.array([2, -1, 0, 2, 0, 2])
    expected = rows.astype(np.float64)
    for group in (0, 2):
        expected[numbers == group] -= expected[numbers == group].mean(axis=0)
    before = rows.copy()
    np.testing.assert_allclose(center_groups(rows, numbers), expected, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(rows, before)
    alone = center_groups(rows, np.full(6, -1))
    assert alone.dtype == np.float32 and np.array_equal(alone, rows)


def test_a_group_is_shared_by_at_least_two_videos_that_are_there(caplog: pytest.LogCaptureFixture) -> None:
    """Crops of a video, and copies of it, are that one video; of the last group one video is not there."""
    caplog.set_level(logging.INFO, "vidrep")
    keys = ["a.mp4", "b.mp4", "c.mp4#crop-1", "c.mp4#crop-2", "d.mp4", "e.mp4", "f.mp4", "g.mp4"]
    hashes = {"d.mp4": "same", "e.mp4": "same"}
    rows = [VideoRow(key, source_sha256=hashes.get(key, "")) for key in keys]
    features = cast(Features, SimpleNamespace(videos=rows))
    groups = ["shared", "shared", "crops", "crops", "copies", "copies", "last", "last"]
    there = np.array([1, 0, 0, 2, 3, 4, 5, 6, 1])
    numbers = shared_groups(features, there, groups)
    assert (numbers[[0, 1, 2, 8]] == numbers[0]).all() and numbers[0] >= 0
    assert numbers[3:8].tolist() == [-1] * 5
    assert np.array_equal(shared_groups(features, there, np.array([5, 5, 1, 1, 0, 0, 7, 7])) >= 0, numbers >= 0)
    log_alone(features, there, numbers)
    assert caplog.messages == ["3 of 5 videos are alone in their group: centered by the mean of the training videos"]
    log_alone(features, there[:3], numbers[:3])
    assert len(caplog.messages) == 1
