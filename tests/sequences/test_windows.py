"""Windows: which there are, and that what is gathered is what is in the file."""

from pathlib import Path

import numpy as np
import pytest
from small_features import features_of

from vidrep.features.store import Features
from vidrep.sequences.windows import cut_windows, window_starts


@pytest.mark.parametrize("num_frames", range(12))
@pytest.mark.parametrize("length", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 4, 9])
def test_windows_start_a_stride_apart_and_the_last_frame_is_in_one(num_frames: int, length: int, stride: int) -> None:
    starts = window_starts(num_frames, length=length, stride=stride)
    if num_frames < length:
        assert starts == []
        return
    assert starts[0] == 0
    assert starts[-1] + length == num_frames
    assert starts == sorted(set(starts))
    gaps = np.diff(starts)
    assert (gaps[:-1] == stride).all()
    assert (gaps <= stride).all()
    if stride <= length:
        assert {start + offset for start in starts for offset in range(length)} == set(range(num_frames))


@pytest.fixture
def features(tmp_path: Path) -> Features:
    rng = np.random.default_rng(0)
    lengths = {"a.npy": 7, "b.npy": 3, "c.npy": 1, "d.npy": 5}
    return features_of(tmp_path, {key: rng.standard_normal((n, 2, 3)).astype(np.float16) for key, n in lengths.items()})


def test_gathered_windows_are_plain_slices_time_first(features: Features) -> None:
    windows = cut_windows(features, [3, 0], length=4, stride=2)
    assert list(zip(windows.videos, windows.starts, windows.lengths, strict=True)) == [
        (3, 0, 4),
        (3, 1, 4),
        (0, 0, 4),
        (0, 2, 4),
        (0, 3, 4),
    ]
    gathered = windows.gather(np.array([4, 0, 4]))
    assert gathered.shape == (4, 3, 6)
    assert gathered.dtype == np.float16
    for column, index in enumerate([4, 0, 4]):
        start = windows.starts[index]
        expected = features.rows(int(windows.videos[index]))[start : start + 4].reshape(4, 6)
        np.testing.assert_array_equal(gathered[:, column], expected)


def test_a_short_video_gives_no_window_or_one_padded_with_zeros(features: Features) -> None:
    assert len(cut_windows(features, [1, 2], length=4, stride=2)) == 0
    windows = cut_windows(features, [1, 2, 3], length=4, stride=2, keep_short=True)
    assert windows.lengths.tolist() == [3, 1, 4, 4]
    gathered = windows.gather(np.arange(4))
    np.testing.assert_array_equal(gathered[:3, 0], features.rows(1).reshape(3, 6))
    np.testing.assert_array_equal(gathered[:1, 1], features.rows(2).reshape(1, 6))
    assert not gathered[3:, 0].any()
    assert not gathered[1:, 1].any()


def test_batches_go_through_all_windows_once_in_order(features: Features) -> None:
    windows = cut_windows(features, range(4), length=2, stride=1)
    batches = list(windows.batches(4))
    assert {len(batch) for batch in batches[:-1]} == {4}
    assert np.concatenate(batches).tolist() == list(range(len(windows)))
    assert len(windows) == 6 + 2 + 4
