"""Optimizers, clipping and learning-rate schedules."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config.settings import OptimizerSettings

# Devices on which torch has one kernel for all parameters of SGD, Adam and AdamW. Adagrad's is for the CPU alone up to
# torch 2.11 at least; RMSprop has none anywhere.
_FUSED_DEVICES = ("cpu", "cuda")
# What an optimizer is built with for its device; a checkpoint of another device must not change it.
_IMPLEMENTATION = ("lr", "fused", "foreach", "capturable")
# Of a TrainedModel, what the names of its encoder's parameters begin with.
_ENCODER = "network.encoder."
# Of torch's OneCycleLR: the highest rate divided by the first one, and the first one divided by the last one.
_ONE_CYCLE_START, _ONE_CYCLE_END = 25.0, 1e4


class LearningRates(NamedTuple):
    """The learning rates of a step: of the encoder, and of all other layers."""

    encoder: float
    others: float


class ClippedVelocity(torch.optim.Optimizer):
    """Gradient descent with momentum whose velocity, not whose gradient, is clipped, as in the released code.

        velocity = momentum*velocity - lr*(gradient + weight_decay*w)
        velocity = clip(velocity, -clip_velocity, +clip_velocity), value by value
        w        = w + velocity

    (Srivastava et al. 2015, released code: momentum 0.9, lr and clip_velocity 1e-4, with gradients that are summed.)
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float | Tensor,
        momentum: float,
        weight_decay: float = 0.0,
        clip_velocity: float,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "clip_velocity": clip_velocity}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient, once; a closure is not called."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            velocities = [self._velocity(weight) for weight in weights]
            slopes = torch._foreach_add([w.grad for w in weights], weights, alpha=group["weight_decay"])
            torch._foreach_mul_(velocities, group["momentum"])
            if isinstance(group["lr"], Tensor):  # which lies on the device
                torch._foreach_mul_(slopes, -group["lr"])
                torch._foreach_add_(velocities, slopes)
            else:
                torch._foreach_add_(velocities, slopes, alpha=-group["lr"])
            torch._foreach_clamp_max_(velocities, group["clip_velocity"])
            torch._foreach_clamp_min_(velocities, -group["clip_velocity"])
            torch._foreach_add_(weights, velocities)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Build the optimizer of the parameters that learn, fused where torch can.

    Weight decay is for matrices, and for peepholes where the settings say so.
    The encoder's parameters are in groups of their own, with "is_encoder", since they may have another learning rate.
    On CUDA its steps can be captured in a graph: the learning rate, which changes, lies on the device, as all of the
    state does. It loads the state of a checkpoint from any device.
    """
    learning = {name: one for name, one in model.named_parameters() if one.requires_grad}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, one in learning.items():
        is_decayed = one.ndim >= 2 and (settings.decay_peepholes or not name.endswith("peepholes"))
        groups.setdefault((name.startswith(_ENCODER), is_decayed), []).append(one)
    devices = {parameter.device for parameter in learning.values()}
    on_cuda = all(device.type == "cuda" for device in devices)
    optimizer = _build(
        [
            {"params": some, "is_encoder": is_encoder, "weight_decay": settings.weight_decay if is_decayed else 0.0}
            for (is_encoder, is_decayed), some in groups.items()
        ],
        settings,
        fused=all(one.type in _FUSED_DEVICES for one in devices),
        on_cuda=on_cuda,
    )
    for group in optimizer.param_groups if on_cuda else ():
        group["lr"] = torch.tensor(settings.learning_rate, dtype=torch.float32, device=next(iter(devices)))
    optimizer.register_load_state_dict_pre_hook(_keep_implementation)
    return optimizer


def _build(
    groups: list[dict[str, Any]], settings: OptimizerSettings, *, fused: bool, on_cuda: bool
) -> torch.optim.Optimizer:
    rate, momentum = settings.learning_rate, settings.momentum
    match settings.name:
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=fused)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, fused=fused, capturable=on_cuda)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, fused=fused, capturable=on_cuda)
        case "adagrad":
            # Parameter by parameter, which torch chooses unless `foreach` is set, it waits for a rate on the device.
            return torch.optim.Adagrad(groups, lr=rate, fused=fused and not on_cuda, foreach=on_cuda or None)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=rate, momentum=momentum, foreach=True, capturable=on_cuda)
        case "srivastava":
            return ClippedVelocity(groups, lr=rate, momentum=momentum, clip_velocity=settings.clip_velocity)


def _keep_implementation(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state to be loaded with how `optimizer` computes in place of how the saved one did."""
    groups = [
        saved | {name: own[name] for name in _IMPLEMENTATION if name in own}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {**state, "param_groups": groups}


def set_learning_rates(optimizer: torch.optim.Optimizer, rates: LearningRates) -> None:
    """Set the learning rates of what follows; where they lie on a device, the host does not wait."""
    for group in optimizer.param_groups:
        rate = rates.encoder if group["is_encoder"] else rates.others
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def clip_gradient(model: nn.Module, settings: OptimizerSettings) -> Tensor:
    """Clip the gradient, by its norm or value by value, as the settings are; return the norm that it had before."""
    clipped = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in clipped if parameter.grad is not None])
    if settings.clip_norm:
        nn.utils.clip_grads_with_norm_(clipped, settings.clip_norm, norm)
    if settings.clip_value:
        nn.utils.clip_grad_value_(clipped, settings.clip_value)
    return norm


def learning_rates(step: int, total_steps: int, settings: OptimizerSettings, *, num_plateaus: int = 0) -> LearningRates:
    """Return the learning rates of a step, 0 being the first, see `learning_rate`."""
    rate = learning_rate(step, total_steps, settings, num_plateaus=num_plateaus)
    factor = settings.encoder_rate_factor if step >= settings.head_warmup_steps else 0.0
    return LearningRates(encoder=factor * rate, others=rate)


def learning_rate(step: int, total_steps: int, settings: OptimizerSettings, *, num_plateaus: int = 0) -> float:
    """Return the learning rate of a step, but for the encoder's factor: a linear rise, times that of the schedule.

    num_plateaus: how often the schedule "plateau" has reduced the rate, see `Position`; the other schedules depend on
    the step alone. "one_cycle" has no linear rise before it.
    """
    warmup = min(settings.warmup_steps, total_steps)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    match settings.lr_schedule:
        case "constant":
            left = 1.0
        case "cosine":
            left = _cosine(1.0, 0.0, max(0, step - warmup) / max(1, total_steps - warmup))
        case "step":
            left = settings.lr_gamma ** (step // settings.lr_step)
        case "plateau":
            left = settings.lr_gamma**num_plateaus
        case "one_cycle":
            return _one_cycle(step, total_steps, settings)
    return settings.learning_rate * rise * left


def _one_cycle(step: int, total_steps: int, settings: OptimizerSettings) -> float:
    """Return the learning rate of torch's OneCycleLR with `anneal_strategy="cos"` (Smith and Topin 2019)."""
    first, highest = settings.learning_rate / _ONE_CYCLE_START, settings.learning_rate
    peak = settings.one_cycle_rise * total_steps - 1
    if step <= peak and peak > 0:
        return _cosine(first, highest, step / peak)
    return _cosine(highest, first / _ONE_CYCLE_END, (step - peak) / (total_steps - 1 - peak))


def _cosine(start: float, end: float, share: float) -> float:
    """Return where half a cosine from `start` to `end` is after a share of its way."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * share))
