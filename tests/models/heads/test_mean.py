"""The head that reads the mean output, recomputed in NumPy."""

import numpy as np
import torch
from small_networks import random, randomized

from vidrep.config.checks import NoSettings
from vidrep.models.classifier import valid_frames
from vidrep.models.heads.mean import MeanHead

LENGTHS = [5, 1, 3, 2]


def test_logits_are_those_of_the_mean_over_the_frames_of_each_window() -> None:
    head, outputs = randomized(MeanHead(3, 2, NoSettings())), random(5, 4, 3)
    weight, bias = (parameter.detach().numpy() for parameter in (head.projection.weight, head.projection.bias))
    means = np.stack([outputs[:length, window].numpy().mean(axis=0) for window, length in enumerate(LENGTHS)])
    found = head(outputs, valid_frames(torch.tensor(LENGTHS), 5))
    np.testing.assert_allclose(found.detach().numpy(), means @ weight.T + bias, rtol=1e-12)
    whole = outputs.numpy().mean(axis=0) @ weight.T + bias
    np.testing.assert_allclose(head(outputs, None).detach().numpy(), whole, rtol=1e-12)
    assert head.frame_logits(outputs) is None


def test_gradients() -> None:
    head, valid = randomized(MeanHead(3, 2, NoSettings())), valid_frames(torch.tensor(LENGTHS), 5)
    assert torch.autograd.gradcheck(lambda outputs: head(outputs, valid), random(5, 4, 3).requires_grad_())
