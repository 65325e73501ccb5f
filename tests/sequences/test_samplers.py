"""The samplers: every epoch is a permutation, every step a pure function of the seed."""

import numpy as np
import pytest

from vidrep.sequences.samplers import ConsecutiveSampler, InfiniteSampler


def test_a_step_depends_on_seed_and_step_alone() -> None:
    steps = [0, 7, 3, 3, 100, 0, 8]
    sampler = InfiniteSampler(10, 4, seed=5)
    asked_in_any_order = [sampler.batch(step) for step in steps]
    for step, batch in zip(steps, asked_in_any_order, strict=True):
        np.testing.assert_array_equal(batch, InfiniteSampler(10, 4, seed=5).batch(step))
    assert any((InfiniteSampler(10, 4, seed=6).batch(s) != sampler.batch(s)).any() for s in range(5))


@pytest.mark.parametrize(("num_items", "batch_size"), [(10, 4), (8, 4), (3, 7), (1, 1), (1, 5), (5, 5)])
def test_each_epoch_is_a_permutation_and_every_batch_is_full(num_items: int, batch_size: int) -> None:
    sampler = InfiniteSampler(num_items, batch_size, seed=0)
    num_steps = 6 * num_items
    batches = [sampler.batch(step) for step in range(num_steps)]
    assert {len(batch) for batch in batches} == {batch_size}
    epochs = np.concatenate(batches)[: num_steps * batch_size // num_items * num_items].reshape(-1, num_items)
    assert len(epochs) >= 6
    assert (np.sort(epochs, axis=1) == np.arange(num_items)).all()


def test_epochs_differ() -> None:
    sampler = InfiniteSampler(50, 50, seed=0)
    assert (sampler.batch(0) != sampler.batch(1)).any()


def test_empty_sets_and_batches_are_refused() -> None:
    for num_items, batch_size in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="both must be at least 1"):
            InfiniteSampler(num_items, batch_size, seed=0)


VIDEOS = np.array([4] * 7 + [9] + [2] * 5 + [0] * 3)  # of each window, and so how many a video has


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 16])
def test_positions_take_the_windows_of_videos_in_order(batch_size: int) -> None:
    sampler = ConsecutiveSampler(VIDEOS, batch_size, seed=3)
    steps_an_epoch = len(VIDEOS) // batch_size
    for epoch in range(4):
        batches = [sampler.batch(epoch * steps_an_epoch + step) for step in range(steps_an_epoch)]
        windows = np.array([indices for indices, _ in batches])
        is_first = np.array([flags for _, flags in batches])
        assert windows.shape == is_first.shape == (steps_an_epoch, batch_size)
        assert len(set(windows.ravel().tolist())) == windows.size  # none twice
        assert is_first[0].all()
        for position in range(batch_size):
            for step in range(1, steps_an_epoch):
                before, now = windows[step - 1, position], windows[step, position]
                goes_on = VIDEOS[before] == VIDEOS[now]
                assert is_first[step, position] == (not goes_on)
                if goes_on:
                    assert now == before + 1
                else:
                    assert now == 0 or VIDEOS[now - 1] != VIDEOS[now]  # a video's first window


def test_consecutive_windows_are_a_pure_function_of_seed_and_step_and_differ_between_epochs() -> None:
    sampler = ConsecutiveSampler(VIDEOS, 2, seed=0)
    for step in (5, 20, 0, 20, 13):
        for one, other in zip(sampler.batch(step), ConsecutiveSampler(VIDEOS, 2, seed=0).batch(step), strict=True):
            np.testing.assert_array_equal(one, other)
    epochs = [[sampler.batch(8 * epoch + step)[0].tolist() for step in range(8)] for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]


def test_more_positions_than_windows_are_refused() -> None:
    for batch_size in (0, 17):
        with pytest.raises(ValueError, match="give at least 1, at most all windows"):
            ConsecutiveSampler(VIDEOS, batch_size, seed=0)
