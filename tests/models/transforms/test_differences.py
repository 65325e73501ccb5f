"""Differences in time: of a frame from the one before, and none at the beginning of a window."""

import numpy as np
import torch
from small_networks import random

from vidrep.models.transforms.differences import Differences, DifferencesSettings

T, B, D = 5, 2, 3


def differences(factor: float = 2.0) -> Differences:
    return Differences(D, DifferencesSettings(factor=factor))


def test_each_frame_has_its_difference_from_the_one_before_beside_it() -> None:
    frames = random(T, B, D)
    found = differences(3.0)(frames).numpy()
    given = frames.numpy()
    for window in range(B):
        for step in range(T):
            before = given[step - 1, window] if step else given[0, window]
            expected = np.concatenate([given[step, window], 3.0 * (given[step, window] - before)])
            np.testing.assert_array_equal(found[step, window], expected)


def test_what_stands_still_is_gone_from_them() -> None:
    frames, background = random(T, B, D), random(B, D)
    moved = differences()(frames + background) - differences()(frames)
    torch.testing.assert_close(moved[..., D:], torch.zeros(T, B, D, dtype=torch.float64), rtol=0, atol=1e-13)


def test_a_part_with_the_frame_before_it_is_transformed_as_within_the_whole() -> None:
    transform, frames = differences(), random(T, B, D)
    assert (transform.num_before, transform.reads_windows, transform.is_invertible) == (1, False, False)
    assert transform.output_size == 2 * D
    assert torch.equal(transform(frames[1:])[1:], transform(frames)[2:])


def test_it_has_nothing_to_fit() -> None:
    assert differences().state_dict() == {}
