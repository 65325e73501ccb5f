"""What a head has that defines logits of windows only: probabilities, a loss, no logits of frames."""

import numpy as np
import pytest
import torch
from small_networks import random
from torch import Tensor

from vidrep.config.checks import NoSettings
from vidrep.models.classifier import valid_frames
from vidrep.models.heads.head import Head, last_valid

T, B, K = 4, 3, 2


class SumHead(Head):
    """Its logits are sums over time; the width of the outputs is the number of classes."""

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        return outputs.sum(dim=0)


@pytest.fixture
def head() -> SumHead:
    return SumHead(K, K, NoSettings())


def test_probabilities_are_the_softmax_of_the_logits(head: SumHead) -> None:
    outputs = random(T, B, K)
    powers = np.exp(outputs.numpy().sum(axis=0))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.probabilities(outputs, None).numpy(), expected, rtol=1e-12)
    assert head.frame_logits(outputs) is None


def test_the_loss_has_one_term_a_window(head: SumHead) -> None:
    outputs, classes = random(T, B, K), torch.tensor([1, 0, 1])
    expected = -head.probabilities(outputs, None)[torch.arange(B), classes].log().sum()
    loss = head.loss(outputs, None, classes, torch.tensor(2.5))
    torch.testing.assert_close(loss.total, expected)
    assert (loss.num_frames, loss.num_values) == (1, 1)


def test_the_last_valid_output_of_each_window() -> None:
    outputs = random(T, B, K)
    assert torch.equal(last_valid(outputs, None), outputs[-1])
    found = last_valid(outputs, valid_frames(torch.tensor([1, 4, 2]), T))
    assert torch.equal(found, torch.stack([outputs[0, 0], outputs[3, 1], outputs[1, 2]]))
