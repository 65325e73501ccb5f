"""Targets of frames in windows, with margins that are read and not learned from, against a loop over frames."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import features_of

from vidrep.features.store import Features
from vidrep.sequences.batches import BatchMaker, FeatureBatchSet, VideoNumbers
from vidrep.sequences.frame_targets import UNKNOWN, FrameTargets
from vidrep.sequences.resident import CopiedWindows
from vidrep.sequences.windows import Windows, sliding_windows

_ = UNKNOWN
CPU = torch.device("cpu")
LENGTHS = {"a.npy": 11, "b.npy": 3, "c.npy": 5}
NUMBERS = VideoNumbers(groups=np.array([0, 1, 2]))


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, {key: np.zeros((n, 2), dtype=np.float32) for key, n in LENGTHS.items()})


def windows_of(features: Features) -> Windows:
    return sliding_windows(features, [0, 1, 2], length=5, stride=2, keep_short=True)


def targets_of(num_labels: int | None = None) -> dict[int, NDArray[np.int64]]:
    """Return -1, 0 or 1 for every frame of the videos, of one label or of several."""
    rng = np.random.default_rng(0)
    width = () if num_labels is None else (num_labels,)
    return {video: rng.integers(-1, 2, (length, *width)) for video, length in enumerate(LENGTHS.values())}


def slowly(
    targets: dict[int, NDArray[np.int64]], windows: Windows, index: int, before: int, after: int
) -> NDArray[np.int64]:
    video, start = int(windows.videos[index]), int(windows.starts[index])
    of_video = targets[video]
    rows = []
    for step in range(windows.length):
        frame = start + step
        is_margin = (start > 0 and step < before) or (
            step >= windows.length - after and start + windows.length < len(of_video)
        )
        rows.append(np.full_like(of_video[0], _) if frame >= len(of_video) or is_margin else of_video[frame])
    return np.array(rows)


@pytest.mark.parametrize("num_labels", [None, 3])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 1), (1, 0), (2, 2)])
def test_windows_have_the_targets_of_their_frames(
    features: Features, num_labels: int | None, before: int, after: int
) -> None:
    windows, of_videos = windows_of(features), targets_of(num_labels)
    targets = FrameTargets(of_videos, before, after)
    chosen = np.array([5, 0, 2, 3, 4, 1, 0])
    expected = np.stack([slowly(of_videos, windows, int(index), before, after) for index in chosen], axis=1)
    np.testing.assert_array_equal(targets.of(windows, chosen), expected)
    known = (expected != _).reshape(5, 7, -1).sum(axis=(0, 2))
    np.testing.assert_array_equal(targets.num_known(windows, chosen), known)


def test_at_the_ends_of_a_video_there_is_no_margin(features: Features) -> None:
    windows, of_videos = windows_of(features), {video: np.zeros(n, dtype=int) for video, n in enumerate((11, 3, 5))}
    found = FrameTargets(of_videos, 2, 1).of(windows, np.arange(6)).T.tolist()
    assert list(zip(windows.videos.tolist(), windows.starts.tolist(), strict=True)) == [
        *((0, 0), (0, 2), (0, 4), (0, 6)),
        *((1, 0), (2, 0)),
    ]
    assert found == [
        [0, 0, 0, 0, _],
        [_, _, 0, 0, _],
        [_, _, 0, 0, _],
        [_, _, 0, 0, 0],
        [0, 0, 0, _, _],  # padding
        [0, 0, 0, 0, 0],
    ]


def test_a_part_of_a_batch_counts_what_is_known_in_the_whole(features: Features) -> None:
    windows, targets = windows_of(features), FrameTargets(targets_of(), 1, 1)
    maker = BatchMaker(windows, CopiedWindows(windows, CPU), NUMBERS, CPU, targets)
    indices = np.array([4, 1, 0, 5])
    whole = maker.batch(indices)
    assert whole.targets is not None and whole.num_known is not None
    expected = targets.of(windows, indices)
    np.testing.assert_array_equal(whole.targets.numpy(), expected)
    assert float(whole.num_known) * len(indices) == (expected != _).sum()
    for part in (maker.batch(indices, slice(1, 3)), whole.windows(slice(1, 3))):
        assert part.targets is not None
        np.testing.assert_array_equal(part.targets.numpy(), expected[:, 1:3])
        assert part.num_known == whole.num_known


def test_validation_windows_count_what_is_known_in_all_of_them(features: Features) -> None:
    windows, targets = windows_of(features), FrameTargets(targets_of(3), 1, 1)
    batches = FeatureBatchSet(windows, NUMBERS, CPU, targets)
    total = (targets.of(windows, np.arange(len(windows))) != _).sum()
    for indices in (np.array([0]), np.array([3, 4])):
        batch = batches.batch(indices)
        assert batch.targets is not None and batch.targets.shape == (5, len(indices), 3)
        assert batch.num_known is not None
        assert float(batch.num_known) * len(windows) == pytest.approx(total, rel=1e-6)


def test_batches_without_targets_have_none(features: Features) -> None:
    windows = windows_of(features)
    batch = BatchMaker(windows, CopiedWindows(windows, CPU), NUMBERS, CPU).batch(np.array([0, 1]))
    assert (batch.targets, batch.num_known) == (None, None)
