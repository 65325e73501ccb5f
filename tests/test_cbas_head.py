"""The peer's head of the benchmarks: its shapes, what it reads, and that it learns what only time tells."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidrep.metrics.segmentation.bouts import UNKNOWN
from vidrep.metrics.segmentation.frame_baselines import LabeledFrames

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def cbas(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("cbas_head")


def rising_and_falling(seed: int, *, several_labels: bool = False) -> LabeledFrames:
    """A value that rises in bouts of label 1 and falls in those of label 0, from any level; a tenth is unknown."""
    rng = np.random.default_rng(seed)
    signs = np.repeat(rng.choice([-1, 1], 12), 20)
    frames = np.stack([np.cumsum(0.1 * signs), rng.standard_normal(len(signs))], axis=1).astype(np.float32)
    labels = (signs > 0).astype(np.int64)
    targets: NDArray[np.int64] = np.stack([labels, 1 - labels], axis=1) if several_labels else labels
    targets[::10] = UNKNOWN
    return LabeledFrames(frames=frames, targets=targets, group=f"video {seed}")


def classified(trained: Any, frames: NDArray[Any]) -> NDArray[np.float64]:
    return np.concatenate(list(trained.probabilities(np.array_split(frames, 2))))


def test_shapes_and_what_a_frame_depends_on(cbas: ModuleType) -> None:
    torch.manual_seed(0)
    trained = cbas.TrainedHead(cbas.CbasHead(6, 3), several_labels=False)
    assert sum(weights.numel() for weights in trained.head.lstm.parameters()) == 2 * 4 * 64 * (18 + 64 + 2)
    frames = np.random.default_rng(0).integers(0, 256, (90, 2, 3), dtype=np.uint8)
    probabilities = classified(trained, frames)
    assert probabilities.shape == (90, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    changed = frames.copy()
    changed[45] = 255 - changed[45]
    is_other = np.abs(classified(trained, changed) - probabilities).max(axis=1) > 1e-9
    # 15 frames before it and 15 after, and the two whose differences still reach back to it.
    assert np.flatnonzero(is_other).tolist() == list(range(45 - 15, 45 + 15 + 2 + 1))
    assert classified(trained, frames[:1]).shape == (1, 3)


def test_the_differences_are_those_of_a_plain_loop(cbas: ModuleType) -> None:
    torch.manual_seed(0)
    head = cbas.CbasHead(2, 2).eval()
    window = torch.randn(33, 2)
    read = [
        torch.cat([window[t], window[t] - window[t - 1], window[t] - 2 * window[t - 1] + window[t - 2]])
        for t in range(2, 33)
    ]
    outputs, _ = head.lstm(head.normalize(torch.stack(read))[None])
    torch.testing.assert_close(head(window[None]), head.classify(outputs[:, 15]))


@pytest.mark.parametrize("several_labels", [False, True])
def test_it_learns_what_differences_tell(cbas: ModuleType, several_labels: bool) -> None:
    videos = [rising_and_falling(seed, several_labels=several_labels) for seed in range(5)]
    training = cbas.HeadTraining(steps=60, batch_size=32, validate_every=20, learning_rate=0.01)
    trained = cbas.fit_cbas_head(videos[:4], 2, validation=videos[4:], seed=0, training=training)
    test = rising_and_falling(99)
    probabilities = classified(trained, test.frames)
    found = probabilities[:, 0] > probabilities[:, 1] if several_labels else probabilities.argmax(axis=1)
    known = test.known
    assert (found[known] == test.targets[known]).mean() > 0.9
    again = cbas.fit_cbas_head(videos[:4], 2, validation=videos[4:], seed=0, training=training)
    np.testing.assert_array_equal(classified(again, test.frames), probabilities)


def test_without_validation_the_last_state_is_kept(cbas: ModuleType) -> None:
    training = cbas.HeadTraining(steps=4, batch_size=8, validate_every=2)
    trained = cbas.fit_cbas_head([rising_and_falling(0)], 2, seed=0, training=training)
    assert classified(trained, rising_and_falling(1).frames).shape == (240, 2)
