"""The sampler: every epoch a permutation, every step a pure function of the seed."""

import numpy as np
import pytest

from vidrep.sequences.samplers import EndlessSampler


def test_a_step_depends_on_seed_and_step_alone() -> None:
    steps = [0, 7, 3, 3, 100, 0, 8]
    sampler = EndlessSampler(10, 4, seed=5)
    asked_in_any_order = [sampler.batch(step) for step in steps]
    for step, batch in zip(steps, asked_in_any_order, strict=True):
        np.testing.assert_array_equal(batch, EndlessSampler(10, 4, seed=5).batch(step))
    assert any((EndlessSampler(10, 4, seed=6).batch(s) != sampler.batch(s)).any() for s in range(5))


@pytest.mark.parametrize(("num_items", "batch_size"), [(10, 4), (8, 4), (3, 7), (1, 1), (1, 5), (5, 5)])
def test_each_epoch_is_a_permutation_and_every_batch_is_full(num_items: int, batch_size: int) -> None:
    sampler = EndlessSampler(num_items, batch_size, seed=0)
    num_steps = 6 * num_items
    batches = [sampler.batch(step) for step in range(num_steps)]
    assert {len(batch) for batch in batches} == {batch_size}
    epochs = np.concatenate(batches)[: num_steps * batch_size // num_items * num_items].reshape(-1, num_items)
    assert len(epochs) >= 6
    assert (np.sort(epochs, axis=1) == np.arange(num_items)).all()


def test_epochs_differ() -> None:
    sampler = EndlessSampler(50, 50, seed=0)
    assert (sampler.batch(0) != sampler.batch(1)).any()


def test_nothing_cannot_be_dealt_out() -> None:
    for num_items, batch_size in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="both must be at least 1"):
            EndlessSampler(num_items, batch_size, seed=0)
