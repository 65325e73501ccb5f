"""The softmax at every time step, against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_networks import random, randomized
from torch import Tensor

from vidrep.config.checks import NoSettings
from vidrep.models.classifier import valid_frames
from vidrep.models.heads.every_step import EveryStepHead
from vidrep.models.heads.head import CrossEntropy

T, B, H, K = 5, 3, 6, 4
CLASSES, LENGTHS = np.array([2, 0, 1]), np.array([4, 5, 1])


@pytest.fixture
def head() -> EveryStepHead:
    return randomized(EveryStepHead(H, K, NoSettings()))


def softmax_of(head: EveryStepHead, outputs: Tensor) -> NDArray[np.float64]:
    weights = {name: value.numpy() for name, value in head.state_dict().items()}
    powers = np.exp(outputs.numpy() @ weights["projection.weight"].T + weights["projection.bias"])
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def mask() -> Tensor:
    return valid_frames(torch.from_numpy(LENGTHS), T)


def test_the_loss_is_the_cross_entropy_of_all_frames(head: EveryStepHead) -> None:
    outputs, mean_length = random(T, B, H), torch.tensor(LENGTHS.mean())
    probabilities = softmax_of(head, outputs)
    losses = [-np.log(probabilities[t, b, CLASSES[b]]) for b in range(B) for t in range(LENGTHS[b])]
    loss = head.loss(outputs, mask(), torch.from_numpy(CLASSES), mean_length, CrossEntropy())
    assert loss.total.item() == pytest.approx(np.sum(losses), rel=1e-12)
    assert loss.num_frames is mean_length
    # Over the windows of a batch, total / (B * num_frames) is the mean over all frames.
    assert loss.total.item() / (B * float(loss.num_frames)) == pytest.approx(np.mean(losses), rel=1e-12)


def test_without_padding_all_frames_count(head: EveryStepHead) -> None:
    outputs, classes = random(T, B, H), torch.from_numpy(CLASSES)
    everything = torch.ones(T, B, dtype=torch.bool)
    whole = head.loss(outputs, None, classes, None, CrossEntropy())
    masked = head.loss(outputs, everything, classes, torch.tensor(float(T)), CrossEntropy())
    torch.testing.assert_close(whole.total, masked.total, rtol=1e-14, atol=0)
    assert whole.num_frames == T
    torch.testing.assert_close(head.probabilities(outputs, None), head.probabilities(outputs, everything))


def test_the_probability_of_a_window_is_the_mean_of_its_frames(head: EveryStepHead) -> None:
    outputs = random(T, B, H)
    expected = np.stack([softmax_of(head, outputs)[: LENGTHS[b], b].mean(axis=0) for b in range(B)])
    found = head.probabilities(outputs, mask())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(head(outputs, mask()).softmax(dim=-1).detach().numpy(), expected, rtol=1e-12)


def test_the_logits_of_a_frame_depend_on_that_frame_only(head: EveryStepHead) -> None:
    outputs = random(T, B, H)
    changed = outputs.clone()
    changed[3:] += 1
    assert head.frame_logits(outputs).shape == (T, B, K)
    assert torch.equal(head.frame_logits(outputs)[:3], head.frame_logits(changed)[:3])
    assert not torch.equal(head.frame_logits(outputs)[3], head.frame_logits(changed)[3])


def test_parameter_names_are_final(head: EveryStepHead) -> None:
    shapes: dict[str, Any] = {name: tuple(value.shape) for name, value in head.state_dict().items()}
    assert shapes == {"projection.weight": (K, H), "projection.bias": (K,)}
