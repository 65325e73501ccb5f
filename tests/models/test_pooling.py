"""From outputs at every time step to one vector a window."""

import torch
from small_networks import random

from vidrep.models.classifier import valid_frames
from vidrep.models.pooling import Direction, last_valid, mean_valid

T, B, K = 4, 3, 2


def test_the_last_valid_output_of_each_window() -> None:
    outputs = random(T, B, K)
    assert torch.equal(last_valid(outputs, None), outputs[-1])
    found = last_valid(outputs, valid_frames(torch.tensor([1, 4, 2]), T))
    assert torch.equal(found, torch.stack([outputs[0, 0], outputs[3, 1], outputs[1, 2]]))


def test_the_mean_of_the_valid_outputs_of_each_window() -> None:
    outputs = random(T, B, K)
    torch.testing.assert_close(mean_valid(outputs, None), outputs.mean(dim=0))
    found = mean_valid(outputs, valid_frames(torch.tensor([1, 4, 2]), T))
    torch.testing.assert_close(found, torch.stack([outputs[0, 0], outputs[:, 1].mean(0), outputs[:2, 2].mean(0)]))


def test_a_backward_direction_has_read_all_at_the_first_frame() -> None:
    outputs = torch.arange(float(T * B * 5)).view(T, B, 5)
    valid = valid_frames(torch.tensor([2, 4, 1]), T)
    directions = [Direction(2), Direction(1, is_backward=True), Direction(1), Direction(1, is_backward=True)]
    for mask in (valid, None):
        found, forward = last_valid(outputs, mask, directions), last_valid(outputs, mask)
        for unit, is_backward in enumerate([False, False, True, False, True]):
            assert torch.equal(found[:, unit], (outputs[0] if is_backward else forward)[:, unit])
    assert torch.equal(last_valid(outputs, valid, [Direction(5)]), last_valid(outputs, valid))
