"""Batches: pure functions of the step, whoever made the next one ahead."""

import threading

import numpy as np
import pytest
import torch

from vidrep.features.moving_mnist import MovingMnist, MovingMnistConfig
from vidrep.sequences.batches import Ahead, GeneratedBatches
from vidrep.sequences.generated import GeneratedWindows, generated_batch

DIGITS = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
GENERATOR = MovingMnist(DIGITS, MovingMnistConfig(canvas=32, num_frames=5))


def test_generated_windows_are_what_the_generator_makes_one_after_the_other() -> None:
    windows = GeneratedWindows(GENERATOR, 7, seed=3)
    whole = GENERATOR.generate(7, np.random.default_rng(3)).reshape(5, 7, 32 * 32)
    assert (len(windows), windows.length) == (7, 5)
    chosen = np.array([6, 0, 2, 2])
    np.testing.assert_array_equal(windows.gather(chosen), whole[:, chosen])


def test_a_generated_batch_depends_on_seed_and_step_alone() -> None:
    batches = GeneratedBatches(GENERATOR, 3, 11, torch.device("cpu"))
    for step in (4, 0, 4):
        batch = batches.batch(step)
        assert batch.begins is None
        assert batch.windows.dtype == torch.uint8
        np.testing.assert_array_equal(batch.windows.numpy(), generated_batch(GENERATOR, 3, seed=11, step=step))
    made = {batches.batch(step).windows.numpy().tobytes() for step in range(20)}
    assert len(made) == 20
    other = generated_batch(GENERATOR, 3, seed=12, step=4)
    assert (other != batches.batch(4).windows.numpy()).any()
    assert (GeneratedWindows(GENERATOR, 3, seed=11).gather(np.arange(3)) != batches.batch(0).windows.numpy()).any()


def test_ahead_gives_every_step_its_own_item_in_any_order() -> None:
    made: list[tuple[int, str]] = []

    def make(step: int) -> int:
        made.append((step, threading.current_thread().name))
        return 10 * step

    ahead = Ahead(make)
    assert [ahead(step) for step in (0, 1, 2, 7, 8, 3)] == [0, 10, 20, 70, 80, 30]
    in_thread = [step for step, name in made if name.startswith("vidrep-batches")]
    assert {1, 2, 8} <= set(in_thread)
    assert 0 not in in_thread and 7 not in in_thread


def test_what_fails_ahead_fails_where_it_is_used() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("step 2 cannot be")
        return step

    ahead = Ahead(make)
    assert [ahead(0), ahead(1)] == [0, 1]
    with pytest.raises(ValueError, match="step 2 cannot be"):
        ahead(2)
