"""Standardization against NumPy in float64."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy_lstm import Floats
from small_networks import random
from torch import Tensor

from vidrep.config.checks import NoSettings
from vidrep.models.transforms.standardize import Standardize
from vidrep.models.transforms.transform import Statistics, TrainingFrames


class Frames(TrainingFrames):
    """The frames of an array, (T, D), in blocks of so many."""

    def __init__(self, values: Floats, block: int = 5) -> None:
        self.values, self.block = values, block

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.values), self.block):
            yield torch.from_numpy(self.values[start : start + self.block]).float().unsqueeze(1)


def values(*, offset: float = 0.0, scale: float = 1.0, num_frames: int = 23) -> Floats:
    """Return frames of 4 values that are exact in float32; the last one never changes."""
    drawn = (random(num_frames, 4) * scale + offset).float().double().numpy()
    drawn[:, 3] = np.float32(offset)
    return drawn


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (3.0, 0.1), (1000.0, 0.5), (-1e5, 1.0)])
def test_statistics_are_those_of_numpy_in_float64(offset: float, scale: float) -> None:
    frames = values(offset=offset, scale=scale)
    mean, std = (part.numpy() for part in Frames(frames).statistics)
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(std[:3], frames[:, :3].std(axis=0), rtol=1e-9)
    assert std[3] == 1.0


def test_statistics_do_not_depend_on_blocks() -> None:
    frames = values(offset=10)
    found = [Frames(frames, block).statistics for block in (1, 5, 100)]
    for one in found[1:]:
        for ours, theirs in zip(one, found[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_large_blocks_are_measured_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = values(offset=10)
    monkeypatch.setattr("vidrep.models.transforms.transform._VALUES_AT_ONCE", 12)
    pieces = [len(piece) for piece in Frames(frames, 23)._pieces()]
    assert pieces == [3] * 7 + [2]
    np.testing.assert_allclose(Frames(frames, 23).statistics.mean.numpy(), frames.mean(axis=0), rtol=1e-12)


def test_frames_have_mean_0_and_deviation_1_and_come_back() -> None:
    frames = values(offset=3, scale=0.1)
    transform = Standardize(4, NoSettings())
    transform.fit(Frames(frames))
    given = torch.from_numpy(frames).float().unsqueeze(1)
    expected = (frames - frames.mean(axis=0)) / np.where(np.arange(4) < 3, frames.std(axis=0), 1)
    found = transform(given)
    np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=1e-5)
    assert transform.is_invertible and transform.output_size == 4
    torch.testing.assert_close(transform.inverse(found), given)


def test_a_value_that_hardly_changes_counts_as_one_that_never_does() -> None:
    frames = np.ones((10, 2)) * 100
    frames[::2, 0] += 3e-5  # a deviation of 1.5e-7 of the mean
    frames[::2, 1] += 3e-2
    statistics: Statistics = Frames(frames).statistics
    assert statistics.std[0] == 1.0
    assert 0.01 < statistics.std[1] < 0.02


def test_the_mask_changes_nothing() -> None:
    transform = Standardize(4, NoSettings())
    transform.fit(Frames(values()))
    given = random(3, 2, 4).float()
    assert torch.equal(transform(given, torch.tensor([[True, False]] * 3)), transform(given))
