"""Windows: which there are, and that what is gathered is what is in the file."""

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import features_of

from vidrep.features.parts_folder import mark
from vidrep.features.store import Features, open_features
from vidrep.features.writer import write_merged
from vidrep.sequences.resident import CopiedWindows, ResidentWindows, windows_on
from vidrep.sequences.windows import Windows, batches_of, sliding_windows, window_starts


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
    windows = sliding_windows(features, [3, 0], length=4, stride=2)
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
    assert len(sliding_windows(features, [1, 2], length=4, stride=2)) == 0
    windows = sliding_windows(features, [1, 2, 3], length=4, stride=2, keep_short=True)
    assert windows.lengths.tolist() == [3, 1, 4, 4]
    gathered = windows.gather(np.arange(4))
    np.testing.assert_array_equal(gathered[:3, 0], features.rows(1).reshape(3, 6))
    np.testing.assert_array_equal(gathered[:1, 1], features.rows(2).reshape(1, 6))
    assert not gathered[3:, 0].any()
    assert not gathered[1:, 1].any()


def plainly(windows: Windows, indices: NDArray[np.int64]) -> NDArray[np.generic]:
    """What `gather` must return, by the shortest loop that there is."""
    features = windows.features
    out = np.zeros((windows.length, len(indices), *features.frame_shape), dtype=features.dtype)
    for column, index in enumerate(indices):
        start, length = int(windows.starts[index]), int(windows.lengths[index])
        out[:length, column] = features.rows(int(windows.videos[index]), start, start + length)
    return out.reshape(windows.length, len(indices), features.frame_size)


def in_chunks(features: Features) -> Features:
    with h5py.File(features.path, "r+") as file:
        rows = file["features"][:]
        del file["features"]
        file.create_dataset("features", data=rows, chunks=(4, *rows.shape[1:]), compression="gzip")
    return open_features(features.path)


def in_parts(features: Features) -> Features:
    folder = features.path.with_name("parts")
    folder.mkdir()
    mark(folder)
    for number, kept in enumerate(features.videos):
        write_merged(
            folder / f"part-{number:06d}.h5",
            [features],
            edit=lambda row, kept=kept: row if row.path == kept.path else None,  # type: ignore[misc]
        )
    return open_features(folder)


def as_it_is(features: Features) -> Features:
    return features


@pytest.mark.parametrize("kind", [as_it_is, in_chunks, in_parts, Features.preload])
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
@pytest.mark.parametrize("keep_short", [False, True])
@pytest.mark.parametrize("large_row_bytes", [0, 4096])
def test_gathering_is_the_plain_loop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable[[Features], Features],
    dtype: str,
    keep_short: bool,
    large_row_bytes: int,
) -> None:
    monkeypatch.setattr("vidrep.sequences.windows._LARGE_ROW_BYTES", large_row_bytes)
    rng = np.random.default_rng(1)
    videos = {f"{n}.npy": (rng.random((n, 2, 3)) * 250).astype(dtype) for n in (9, 3, 5, 1, 7)}
    features = kind(features_of(tmp_path, videos))
    windows = sliding_windows(features, [4, 1, 0, 3, 2], length=4, stride=2, keep_short=keep_short)
    assert (windows.lengths < 4).any() == keep_short
    for size in (0, 1, 2, 3, 20, 64):
        indices = rng.integers(0, len(windows), size)
        gathered, expected = windows.gather(indices), plainly(windows, indices)
        assert (gathered.shape, gathered.dtype) == (expected.shape, np.dtype(dtype))
        np.testing.assert_array_equal(gathered, expected)
        resident = ResidentWindows(windows, torch.device("cpu"))
        for given in (indices, torch.from_numpy(indices)):
            np.testing.assert_array_equal(resident.gather(given).numpy(), expected)


def test_only_rows_that_a_window_needs_lie_on_the_device(features: Features) -> None:
    windows = sliding_windows(features, [3, 1], length=4, stride=2)
    resident = ResidentWindows(windows, torch.device("cpu"))
    assert tuple(resident.rows.shape) == (5 + 1, 6)
    np.testing.assert_array_equal(resident.rows[:5].numpy(), features.rows(3).reshape(5, 6))


@pytest.mark.parametrize(("start", "length"), [(-1, 4), (4, 4), (0, 8), (0, -1)])
def test_windows_beyond_their_video_are_refused(features: Features, start: int, length: int) -> None:
    Windows(features, 4, *np.array([[0], [3], [4]]))
    with pytest.raises(ValueError, match="beyond the frames of their videos"):
        Windows(features, 4, *np.array([[0], [start], [length]]))


def test_windows_that_are_not_there(features: Features) -> None:
    windows = sliding_windows(features, [0], length=4, stride=1)
    with pytest.raises(IndexError):
        windows.gather(np.array([len(windows)]))


def test_windows_go_to_another_process(features: Features) -> None:
    windows = sliding_windows(features, range(4), length=2, stride=1)
    indices = np.array([3, 0, 7])
    expected = windows.gather(indices)
    sent = pickle.loads(pickle.dumps(windows))
    np.testing.assert_array_equal(sent.gather(indices), expected)


def test_batches_go_through_all_windows_once_in_order(features: Features) -> None:
    windows = sliding_windows(features, range(4), length=2, stride=1)
    batches = list(batches_of(windows, 4))
    assert {len(batch) for batch in batches[:-1]} == {4}
    assert np.concatenate(batches).tolist() == list(range(len(windows)))
    assert len(windows) == 6 + 2 + 4


@pytest.mark.parametrize(("num_windows", "sizes"), [(12, [4, 4, 4]), (11, [4, 4]), (3, [3]), (0, [])])
def test_equal_batches_leave_a_smaller_last_one_out(num_windows: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in batches_of(range(num_windows), 4, equal=True)] == sizes


def test_rows_go_to_a_device_that_has_room_for_them(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = sliding_windows(features, [3, 1], length=4, stride=2)
    asked: list[torch.device] = []
    monkeypatch.setattr("vidrep.sequences.resident.ResidentWindows", lambda windows, device: asked.append(device))
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    num_bytes = 5 * 6 * np.dtype(features.dtype).itemsize
    for device, free, resident in ((cpu, 10**9, False), (gpu, 4 * num_bytes, True), (gpu, 4 * num_bytes - 1, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**9))
        asked.clear()
        found = windows_on(windows, device)
        assert asked == ([device] if resident else [])
        assert resident or isinstance(found, CopiedWindows)
    indices = np.arange(len(windows))
    np.testing.assert_array_equal(windows_on(windows, cpu).gather(indices).numpy(), windows.gather(indices))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_windows_are_the_same(features: Features) -> None:
    windows = sliding_windows(features, range(4), length=2, stride=1)
    indices, device = np.arange(len(windows)), torch.device("cuda")
    for rows in (CopiedWindows(windows, device), ResidentWindows(windows, device)):
        np.testing.assert_array_equal(rows.gather(indices).cpu().numpy(), windows.gather(indices))
