"""Schedules and what weight decay is for."""

import math

import pytest
import torch

from vidrep.config import OptimiserSettings
from vidrep.models.lstm import LSTM
from vidrep.training.optimisers import build_optimiser, learning_rate


def test_the_rate_rises_linearly_and_stays() -> None:
    settings = OptimiserSettings(learning_rate=2.0, warmup_steps=4, decay="none")
    assert [learning_rate(step, 8, settings) for step in range(8)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_the_rate_falls_along_half_a_cosine() -> None:
    settings = OptimiserSettings(learning_rate=2.0, warmup_steps=2, decay="cosine")
    rates = [learning_rate(step, 6, settings) for step in range(7)]
    assert rates == pytest.approx([1.0, 2.0, 2.0, 1 + math.cos(math.pi / 4), 1.0, 1 - math.cos(math.pi / 4), 0.0])


def test_without_or_with_too_long_a_warm_up() -> None:
    at_once = OptimiserSettings(learning_rate=2.0, warmup_steps=0, decay="none")
    assert learning_rate(0, 3, at_once) == 2.0
    too_long = OptimiserSettings(learning_rate=3.0, warmup_steps=100, decay="cosine")
    assert [learning_rate(step, 3, too_long) for step in range(3)] == pytest.approx([1.0, 2.0, 3.0])


@pytest.mark.parametrize(("name", "optimiser_class"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_weight_decay_is_for_matrices_that_learn(name: str, optimiser_class: type) -> None:
    model = LSTM(3, 4, 2)
    model.get_parameter("layers.1.input_weight").requires_grad_(False)
    optimiser = build_optimiser(model, OptimiserSettings(name=name, learning_rate=0.1, weight_decay=0.5))  # type: ignore[arg-type]
    assert type(optimiser) is optimiser_class
    decay_of = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {key: decay_of.get(id(one)) for key, one in model.named_parameters()} == {
        "layers.0.input_weight": 0.5,
        "layers.0.recurrent_weight": 0.5,
        "layers.0.bias": 0.0,
        "layers.1.input_weight": None,
        "layers.1.recurrent_weight": 0.5,
        "layers.1.bias": 0.0,
    }


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_decay_shrinks_matrices_and_leaves_biases(name: str) -> None:
    model = LSTM(3, 4)
    before = {key: one.detach().clone() for key, one in model.named_parameters()}
    optimiser = build_optimiser(model, OptimiserSettings(name=name, learning_rate=0.1, weight_decay=0.5))  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    after = dict(model.named_parameters())
    assert torch.equal(after["layers.0.bias"], before["layers.0.bias"])
    assert after["layers.0.recurrent_weight"].norm() < before["layers.0.recurrent_weight"].norm()
