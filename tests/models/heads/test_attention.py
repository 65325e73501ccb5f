"""Attention by one learned query, recomputed in NumPy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_networks import random, randomized
from torch import Tensor

from vidrep.config.checks import NoSettings
from vidrep.models.classifier import valid_frames
from vidrep.models.heads.attention import AttentionHead
from vidrep.models.heads.mean import MeanHead

T, B, H, K = 5, 4, 3, 2
LENGTHS = [5, 1, 3, 2]


@pytest.fixture
def head() -> AttentionHead:
    return randomized(AttentionHead(H, K, NoSettings()), std=2.0)


def in_numpy(head: AttentionHead, window: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of the frames (n,) and the logits (K,) of one window, (n, H)."""
    query, weight, bias = (one.detach().numpy() for one in (head.query, head.projection.weight, head.projection.bias))
    powers = np.exp(window.numpy() @ query / np.sqrt(H))
    weights: NDArray[np.float64] = powers / powers.sum()
    logits: NDArray[np.float64] = weight @ (weights @ window.numpy()) + bias
    return weights, logits


def test_weights_and_logits_are_the_equations(head: AttentionHead) -> None:
    outputs, valid = random(T, B, H), valid_frames(torch.tensor(LENGTHS), T)
    logits, weights = head(outputs, valid).detach().numpy(), head.frame_weights(outputs, valid).detach().numpy()
    for window, length in enumerate(LENGTHS):
        of_frames, of_window = in_numpy(head, outputs[:length, window])
        np.testing.assert_allclose(weights[:length, window], of_frames, rtol=1e-12)
        assert not weights[length:, window].any()
        np.testing.assert_allclose(logits[window], of_window, rtol=1e-12)
    whole = head(outputs, None).detach().numpy()
    np.testing.assert_allclose(whole, np.stack([in_numpy(head, outputs[:, b])[1] for b in range(B)]), rtol=1e-12)
    assert weights[:, 0].max() > 0.5


def test_gradients(head: AttentionHead) -> None:
    valid = valid_frames(torch.tensor(LENGTHS), T)

    def logits(outputs: Tensor, query: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(head, {"query": query}, (outputs, valid))
        return result

    query = head.query.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(logits, (random(T, B, H).requires_grad_(), query))


def test_it_starts_as_the_mean() -> None:
    head, mean = AttentionHead(H, K, NoSettings()).double(), MeanHead(H, K, NoSettings()).double()
    mean.projection.load_state_dict(head.projection.state_dict())
    outputs, valid = random(T, B, H), valid_frames(torch.tensor(LENGTHS), T)
    torch.testing.assert_close(head(outputs, valid), mean(outputs, valid))
    head(outputs, valid)[:, 0].sum().backward()
    assert head.query.grad is not None and head.query.grad.abs().min() > 0
    assert {name: tuple(one.shape) for name, one in head.state_dict().items()} == {
        "query": (H,),
        "projection.weight": (K, H),
        "projection.bias": (K,),
    }
