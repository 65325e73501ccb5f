"""The next symbol: its loss by NumPy, and its gradients."""

from typing import Any

import numpy as np
import pytest
import torch
from small_networks import pretraining_network, random

from vidrep.errors import ConfigError
from vidrep.models.objectives.next_symbol import NextSymbol
from vidrep.models.objectives.objective import Encoded, Window

T, B, K, H = 4, 3, 5, 6
LETTERS = np.random.default_rng(0).integers(0, K, (T + 1, B))


def objective() -> NextSymbol:
    network = pretraining_network(objectives={"next_symbol": {}}, frame_size=K, num_context=T, likelihood="bernoulli")
    found = network.objectives["next_symbol"]
    assert isinstance(found, NextSymbol)
    return found


def window() -> Window:
    frames = torch.from_numpy(np.eye(K)[LETTERS])
    return Window(frames[:T], frames[T:])


def test_the_loss_is_the_cross_entropy_of_the_letters_that_follow() -> None:
    one, outputs = objective(), random(T, B, H)
    weight, bias = (value.detach().numpy() for value in (one.projection.weight, one.projection.bias))
    logits = outputs.numpy() @ weight.T + bias
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = -sum(log_probabilities[t, b, LETTERS[t + 1, b]] for t in range(T) for b in range(B))
    loss = one(Encoded(outputs, None), window())
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert (loss.num_frames, loss.num_values) == (T, 1)
    np.testing.assert_allclose(one.log_probabilities(outputs).detach().numpy(), log_probabilities, atol=1e-12)


def test_gradients() -> None:
    one = objective()

    def loss(outputs: Any, weight: Any, bias: Any) -> Any:
        given = {"projection.weight": weight, "projection.bias": bias}
        return torch.func.functional_call(one, given, (Encoded(outputs, None), window())).total

    arguments = [random(T, B, H), random(K, H), random(K)]
    assert torch.autograd.gradcheck(loss, [argument.requires_grad_() for argument in arguments])


def test_real_values_are_no_letters() -> None:
    with pytest.raises(ConfigError, match="next_symbol reads one-hot letters"):
        pretraining_network(objectives={"next_symbol": {}})
