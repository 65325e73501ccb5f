"""Optimizers against their equations in NumPy, schedules, clipping, and what weight decay is for."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vidrep.config.settings import OptimizerSettings
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.encoder import Encoder, StackSpec
from vidrep.training.optimizers import (
    ClippedVelocity,
    LearningRates,
    build_optimizer,
    clip_gradient,
    learning_rate,
    learning_rates,
    set_learning_rates,
)


def test_the_rate_rises_linearly_and_stays() -> None:
    settings = OptimizerSettings(learning_rate=2.0, warmup_steps=4, lr_schedule="constant")
    assert [learning_rate(step, 8, settings) for step in range(8)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_the_rate_falls_along_half_a_cosine() -> None:
    settings = OptimizerSettings(learning_rate=2.0, warmup_steps=2, lr_schedule="cosine")
    rates = [learning_rate(step, 6, settings) for step in range(7)]
    assert rates == pytest.approx([1.0, 2.0, 2.0, 1 + math.cos(math.pi / 4), 1.0, 1 - math.cos(math.pi / 4), 0.0])


def test_without_or_with_too_long_a_warm_up() -> None:
    at_once = OptimizerSettings(learning_rate=2.0, warmup_steps=0, lr_schedule="constant")
    assert learning_rate(0, 3, at_once) == 2.0
    too_long = OptimizerSettings(learning_rate=3.0, warmup_steps=100, lr_schedule="cosine")
    assert [learning_rate(step, 3, too_long) for step in range(3)] == pytest.approx([1.0, 2.0, 3.0])


def test_the_rate_falls_by_steps_of_the_whole_training() -> None:
    settings = OptimizerSettings(learning_rate=8.0, warmup_steps=2, lr_schedule="step", lr_step=3, lr_gamma=0.5)
    assert [learning_rate(step, 8, settings) for step in range(8)] == [4.0, 8.0, 8.0, 4.0, 4.0, 4.0, 2.0, 2.0]
    recipe = OptimizerSettings(learning_rate=1e-4, warmup_steps=0, lr_schedule="step", lr_step=10_000, lr_gamma=0.9)
    assert learning_rate(9_999, 10**6, recipe) == 1e-4
    assert learning_rate(10_000, 10**6, recipe) == pytest.approx(0.9e-4)
    assert learning_rate(50_000, 10**6, recipe) == pytest.approx(0.9**5 * 1e-4)


def test_the_rate_falls_with_plateaus_and_for_no_other_schedule() -> None:
    settings = OptimizerSettings(learning_rate=8.0, warmup_steps=2, lr_schedule="plateau", lr_gamma=0.5)
    assert [learning_rate(5, 8, settings, num_plateaus=number) for number in range(4)] == [8.0, 4.0, 2.0, 1.0]
    constant = OptimizerSettings(learning_rate=8.0, warmup_steps=2, lr_schedule="constant", lr_gamma=0.5)
    assert learning_rate(5, 8, constant, num_plateaus=3) == 8.0


@pytest.mark.parametrize("total_steps", [1, 2, 3, 10, 11, 400])
@pytest.mark.parametrize("rise", [0.3, 0.1, 0.011, 0.9])
def test_one_cycle_is_that_of_torch(total_steps: int, rise: float) -> None:
    settings = OptimizerSettings(learning_rate=2e-3, warmup_steps=5, lr_schedule="one_cycle", one_cycle_rise=rise)
    rates = [learning_rate(step, total_steps, settings) for step in range(total_steps)]
    if rise * total_steps == 1:  # which divides by zero in torch: its first step is the highest
        assert [rates[0], rates[-1]] == pytest.approx([2e-3, 2e-3 / 25e4])
        return
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=2e-3,
        total_steps=total_steps,
        pct_start=rise,
        anneal_strategy="cos",
        cycle_momentum=False,
        div_factor=25.0,
        final_div_factor=1e4,
    )
    expected = []
    for step in range(total_steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if step + 1 < total_steps:
            scheduler.step()
    assert rates == expected


def test_the_encoder_has_a_factor_and_waits_for_the_head() -> None:
    settings = OptimizerSettings(
        learning_rate=2.0, warmup_steps=4, lr_schedule="constant", encoder_rate_factor=0.5, head_warmup_steps=3
    )
    rates = [learning_rates(step, 6, settings) for step in range(6)]
    assert [one.others for one in rates] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert [one.encoder for one in rates] == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def lstm(num_layers: int = 1) -> Encoder:
    settings = LSTMSettings(peepholes=True)
    return Encoder(3, StackSpec(cell="lstm", settings=settings, hidden_size=4, num_layers=num_layers))


CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "srivastava": ClippedVelocity,
}


class EncoderAndHead(nn.Module):
    """Parameters that are named as those of a trained model."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.ModuleDict({"encoder": nn.Linear(3, 4), "head": nn.Linear(4, 2)})

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: one.detach().clone() for name, one in self.named_parameters()}


def moved(model: EncoderAndHead, optimizer: torch.optim.Optimizer, rates: LearningRates) -> dict[str, torch.Tensor]:
    """Do a step by gradients of 1; return how far each weight went."""
    before = model.weights()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_learning_rates(optimizer, rates)
    optimizer.step()
    return {name: one - before[name] for name, one in model.weights().items()}


def test_twice_the_rate_goes_twice_as_far() -> None:
    model = EncoderAndHead()
    settings = OptimizerSettings(name="sgd", learning_rate=0.25, momentum=0, warmup_steps=0, encoder_rate_factor=2)
    for name, way in moved(model, build_optimizer(model, settings), learning_rates(0, 10, settings)).items():
        expected = -0.5 if name.startswith("network.encoder.") else -0.25
        torch.testing.assert_close(way, torch.full_like(way, expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_while_the_head_warms_up_the_encoder_stays_exactly(name: Any, on_device: bool) -> None:
    """Weight decay and momentum do not move it either; it learns from the step after on."""
    model = EncoderAndHead()
    settings = OptimizerSettings(name=name, weight_decay=0.1, warmup_steps=0, head_warmup_steps=3)
    optimizer = build_optimizer(model, settings)
    for group in optimizer.param_groups if on_device else ():
        group["lr"] = torch.tensor(1.0)
    for step in range(4):
        ways = moved(model, optimizer, learning_rates(step, 10, settings))
        stays = {name for name, way in ways.items() if not way.any()}
        assert stays == ({"network.encoder.weight", "network.encoder.bias"} if step < 3 else set())


@pytest.mark.parametrize("decay_peepholes", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_weight_decay_is_for_matrices_that_learn(name: Any, decay_peepholes: bool) -> None:
    model = lstm(num_layers=2)
    model.get_parameter("cells.1.input_weight").requires_grad_(False)
    settings = OptimizerSettings(name=name, learning_rate=0.1, weight_decay=0.5, decay_peepholes=decay_peepholes)
    optimizer = build_optimizer(model, settings)
    assert type(optimizer) is CLASSES[name]
    if name in ("sgd", "adam", "adamw", "adagrad"):
        assert all(group["fused"] for group in optimizer.param_groups)
    decay_of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {key: decay_of.get(id(one)) for key, one in model.named_parameters()} == {
        "cells.0.input_weight": 0.5,
        "cells.0.recurrent_weight": 0.5,
        "cells.0.bias": 0.0,
        "cells.0.peepholes": 0.5 * decay_peepholes,
        "cells.1.input_weight": None,
        "cells.1.recurrent_weight": 0.5,
        "cells.1.bias": 0.0,
        "cells.1.peepholes": 0.5 * decay_peepholes,
    }


@pytest.mark.parametrize("name", CLASSES)
def test_decay_shrinks_matrices_and_leaves_the_others(name: Any) -> None:
    model = lstm()
    before = {key: one.detach().clone() for key, one in model.named_parameters()}
    optimizer = build_optimizer(model, OptimizerSettings(name=name, learning_rate=1e-3, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = dict(model.named_parameters())
    for key in ("cells.0.bias", "cells.0.peepholes"):
        assert torch.equal(after[key], before[key])
    assert after["cells.0.recurrent_weight"].norm() < before["cells.0.recurrent_weight"].norm()


class Numbers(nn.Module):
    """A matrix, which decays, and a bias, which does not, in float64."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = nn.Parameter(torch.from_numpy(rng.normal(size=(4, 3))))
        self.bias = nn.Parameter(torch.from_numpy(rng.normal(size=4)))
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))


RATE, MOMENTUM, DECAY, CLIP = 0.02, 0.9, 0.1, 0.02


class InNumPy:
    """The equations of each optimizer, for one array."""

    def __init__(self, w: Any, decay: float) -> None:
        self.w, self.decay, self.time = w.copy(), decay, 0
        self.m, self.v = np.zeros_like(w), np.zeros_like(w)

    def srivastava(self, g: Any, rate: float) -> None:
        self.m = MOMENTUM * self.m - rate * (g + self.decay * self.w)
        self.m = np.clip(self.m, -CLIP, CLIP)
        self.w = self.w + self.m

    def sgd(self, g: Any, rate: float) -> None:
        self.m = MOMENTUM * self.m + g + self.decay * self.w
        self.w = self.w - rate * self.m

    def rmsprop(self, g: Any, rate: float) -> None:
        g = g + self.decay * self.w
        self.v = 0.99 * self.v + 0.01 * g**2
        self.m = MOMENTUM * self.m + g / (np.sqrt(self.v) + 1e-8)
        self.w = self.w - rate * self.m

    def adagrad(self, g: Any, rate: float) -> None:
        g = g + self.decay * self.w
        self.v = self.v + g**2
        self.w = self.w - rate * g / (np.sqrt(self.v) + 1e-10)

    def adam(self, g: Any, rate: float) -> None:
        g = g + self.decay * self.w
        self._adam(g, rate)

    def adamw(self, g: Any, rate: float) -> None:
        self.w = self.w - rate * self.decay * self.w
        self._adam(g, rate)

    def _adam(self, g: Any, rate: float) -> None:
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g**2
        mean, square = self.m / (1 - 0.9**self.time), self.v / (1 - 0.999**self.time)
        self.w = self.w - rate * mean / (np.sqrt(square) + 1e-8)


@pytest.mark.parametrize("name", CLASSES)
def test_twenty_steps_are_the_equations(name: Any) -> None:
    """The gradient depends on the weights, and the rate on the step."""
    settings = OptimizerSettings(
        name=name,
        learning_rate=RATE,
        momentum=MOMENTUM,
        weight_decay=DECAY,
        clip_velocity=CLIP,
        warmup_steps=0,
        lr_schedule="step",
        lr_step=7,
        lr_gamma=0.9,
    )
    model, rng = Numbers(), np.random.default_rng(1)
    optimizer = build_optimizer(model, settings)
    arrays = {"weight": InNumPy(model.weight.detach().numpy(), DECAY), "bias": InNumPy(model.bias.detach().numpy(), 0)}
    clipped = free = 0
    for step in range(20):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, 20, settings)
        for key, array in arrays.items():
            noise, parameter = rng.normal(size=array.w.shape), model.get_parameter(key)
            parameter.grad = parameter.detach() * 0.3 + torch.from_numpy(noise)
            array.time += 1
            getattr(array, name)(array.w * 0.3 + noise, RATE * 0.9 ** (step // 7))
            clipped += int((np.abs(array.m) == CLIP).sum())
            free += int((np.abs(array.m) < CLIP).sum())
        optimizer.step()
        for key, array in arrays.items():
            np.testing.assert_allclose(model.get_parameter(key).detach().numpy(), array.w, rtol=1e-12, atol=1e-14)
    assert min(clipped, free) > 50 or name != "srivastava"
    assert torch.equal(model.unused, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize(("clip_norm", "clip_value"), [(0.0, 0.0), (2.0, 0.0), (1e3, 0.0), (0.0, 0.5)])
def test_clipping(clip_norm: float, clip_value: float) -> None:
    model, rng = Numbers(), np.random.default_rng(2)
    gradients = {"weight": rng.normal(size=(4, 3)), "bias": rng.normal(size=4)}
    for key, gradient in gradients.items():
        model.get_parameter(key).grad = torch.from_numpy(gradient.copy())
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values()))
    assert norm > 2.1
    reported = clip_gradient(model, OptimizerSettings(clip_norm=clip_norm, clip_value=clip_value))
    assert float(reported) == pytest.approx(norm, rel=1e-12)
    for key, gradient in gradients.items():
        expected = gradient * min(1, clip_norm / (norm + 1e-6)) if clip_norm else gradient
        expected = np.clip(expected, -clip_value, clip_value) if clip_value else expected
        found = model.get_parameter(key).grad
        assert found is not None
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", CLASSES)
def test_a_rate_that_lies_on_the_device_does_the_same(name: Any) -> None:
    settings = OptimizerSettings(
        name=name, learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY, clip_velocity=CLIP
    )
    found = []
    for kind in (float, torch.tensor):
        model, rng = Numbers(), np.random.default_rng(1)
        optimizer = build_optimizer(model, settings)
        for group in optimizer.param_groups:
            group["lr"] = kind(1.0)
        held = [group["lr"] for group in optimizer.param_groups]
        for step in range(5):
            set_learning_rates(optimizer, LearningRates(encoder=7.0, others=RATE * 0.5**step))
            for parameter in (model.weight, model.bias):
                parameter.grad = torch.from_numpy(rng.normal(size=parameter.shape))
            optimizer.step()
        found.append(torch.cat([model.weight.detach().flatten(), model.bias.detach()]))
        if kind is torch.tensor:
            assert all(group["lr"] is one for group, one in zip(optimizer.param_groups, held, strict=True))
    # A rate in float32 is rounded.
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", CLASSES)
def test_steps_on_cuda_wait_for_nothing(name: Any) -> None:
    """Fake tensors are on CUDA by their own account; asked for a value, they raise."""
    settings = OptimizerSettings(name=name, learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    with FakeTensorMode():
        model = nn.Linear(3, 4, device="cuda")
        optimizer = build_optimizer(model, settings)
        assert {group["lr"].device.type for group in optimizer.param_groups} == {"cuda"}
        assert all(group.get("capturable", True) for group in optimizer.param_groups)
        assert {bool(group.get("fused")) for group in optimizer.param_groups} == {name in ("sgd", "adam", "adamw")}
        if name in ("sgd", "adam", "adamw"):  # one kernel each, which only CUDA has
            return
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        for _ in range(2):
            set_learning_rates(optimizer, LearningRates(encoder=RATE, others=RATE))
            optimizer.step()
        assert model.weight.device.type == "cuda"


@pytest.mark.parametrize("name", CLASSES)
def test_a_checkpoint_of_another_device_changes_no_implementation(name: Any) -> None:
    settings = OptimizerSettings(name=name, learning_rate=RATE, momentum=MOMENTUM)
    model = Numbers()
    optimizer = build_optimizer(model, settings)
    for parameter in (model.weight, model.bias):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    saved = optimizer.state_dict()
    others = {"lr": torch.tensor(0.5), "capturable": True, "fused": None, "foreach": None}
    others = {key: value for key, value in others.items() if key in saved["param_groups"][0]}
    foreign = saved | {"param_groups": [group | others for group in saved["param_groups"]]}
    other = build_optimizer(model, settings)
    built_with = [{key: group[key] for key in others} for group in other.param_groups]
    other.load_state_dict(foreign)
    assert [{key: group[key] for key in others} for group in other.param_groups] == built_with
    assert foreign["param_groups"][0]["lr"] is others["lr"]
    before = model.weight.detach().clone()
    other.step()
    assert torch.isfinite(model.weight).all()
    assert not torch.equal(model.weight, before)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        other.load_state_dict(saved | {"param_groups": saved["param_groups"][:1]})
