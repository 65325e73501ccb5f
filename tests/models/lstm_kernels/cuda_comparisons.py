"""Compares `cuda_sequence` with the other recurrences on a device; prints deviations as JSON.

A program of its own: Triton runs kernels on the CPU, in its interpreter, only if TRITON_INTERPRET is set before it is
imported. A deviation is the norm of the difference over the norm of what is expected.
"""

import json
import sys
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor

from vidrep.models.lstm_kernels.cpu import cpu_sequence
from vidrep.models.lstm_kernels.cuda import cuda_sequence
from vidrep.models.lstm_kernels.reference import LayerWeights, reference_sequence

# Time steps, batch, input, units: neither the batch nor the units fill whole tiles of 16 by 64.
SIZES = [(3, 19, 5, 70), (2, 2, 3, 3)]

Given = dict[str, Tensor]
Sequence = Callable[..., tuple[Tensor, Tensor]]
Loss = Callable[[tuple[Tensor, Tensor]], Tensor]


def given(sizes: tuple[int, ...], device: str, *, with_input: bool = True, peepholes: bool = True) -> Given:
    """Return leaves that require a gradient."""
    steps, batch, width, units = sizes
    rng = np.random.default_rng(0)
    shapes = {"h": (batch, units), "c": (batch, units), "recurrent": (4 * units, units), "bias": (4 * units,)}
    if with_input:
        shapes |= {"inputs": (steps, batch, width), "input": (4 * units, width)}
    if peepholes:
        shapes["peepholes"] = (3, units)
    scales = {"recurrent": 1.5 / np.sqrt(units)}
    return {
        name: torch.from_numpy(rng.standard_normal(shape) * scales.get(name, 1.0)).float().to(device).requires_grad_()
        for name, shape in shapes.items()
    }


def run(sequence: Sequence, tensors: Given, steps: int, **settings: object) -> tuple[Tensor, Tensor]:
    weights = LayerWeights(tensors.get("input"), tensors["recurrent"], tensors["bias"], tensors.get("peepholes"))
    return sequence(tensors.get("inputs"), tensors["h"], tensors["c"], weights, num_steps=steps, **settings)


def results(sequence: Sequence, tensors: Given, steps: int, **settings: object) -> Given:
    """Return outputs, last c and all gradients, of a loss in which every value has a weight of its own."""
    found = run(sequence, tensors, steps, **settings)
    above = [torch.linspace(-1, 1, one.numel(), device=one.device).view(one.shape) for one in found]
    gradients = torch.autograd.grad(found, list(tensors.values()), above)
    return {"outputs": found[0].detach(), "c_last": found[1].detach()} | dict(zip(tensors, gradients, strict=True))


def deviation(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    return float((ours - theirs).norm() / theirs.norm())


def cases(device: str) -> dict[str, dict[str, float]]:
    """Return the deviations of every variant: {group: {case: deviation}}.

    fp32: from both other recurrences. bf16, cpu bf16: those of `cuda_sequence` and of `cpu_sequence`, from the plain
    one in fp32.
    """
    found: dict[str, dict[str, float]] = {"fp32": {}, "bf16": {}, "cpu bf16": {}}
    for sizes, with_input, peepholes, activation in product(SIZES, (True, False), (True, False), ("tanh", "relu")):
        tensors = given(sizes, device, with_input=with_input, peepholes=peepholes)

        def of(sequence: Sequence, compute_dtype: torch.dtype | None) -> Given:
            return results(sequence, tensors, sizes[0], activation=activation, compute_dtype=compute_dtype)  # noqa: B023

        exact, cpu, ours = (of(sequence, None) for sequence in (reference_sequence, cpu_sequence, cuda_sequence))
        cpu_bf16, bf16 = (of(sequence, torch.bfloat16) for sequence in (cpu_sequence, cuda_sequence))
        for name, value in exact.items():
            case = f"{sizes}, input {with_input}, peepholes {peepholes}, {activation}, {name}"
            found["fp32"][f"{case}, plain"] = deviation(ours[name], value)
            found["fp32"][f"{case}, cpu"] = deviation(ours[name], cpu[name])
            found["bf16"][case] = deviation(bf16[name], value)
            found["cpu bf16"][case] = deviation(cpu_bf16[name], value)
    return found


def odd_uses(device: str) -> dict[str, float]:
    """Return the deviations of a loss of the last h or c alone, and of tensors that are transposed in memory."""
    found: dict[str, float] = {}
    losses: dict[str, Loss] = {"h": lambda pair: pair[0][-1].sum(), "c": lambda pair: pair[1].square().sum()}
    for with_input in (True, False):
        tensors = given(SIZES[0], device, with_input=with_input)
        for name, loss in losses.items():
            ours, theirs = (
                torch.autograd.grad(loss(run(sequence, tensors, SIZES[0][0])), list(tensors.values()))
                for sequence in (cuda_sequence, cpu_sequence)
            )
            pairs = zip(tensors, ours, theirs, strict=True)
            found |= {f"{name}, input {with_input}, {key}": deviation(one, other) for key, one, other in pairs}
        straight, leaves = results(cuda_sequence, tensors, SIZES[0][0]), tensors.items()
        turned = {name: one.detach().mT.contiguous().mT if one.dim() > 1 else one for name, one in leaves}
        assert not turned["recurrent"].is_contiguous()
        again = results(cuda_sequence, {name: one.requires_grad_() for name, one in turned.items()}, SIZES[0][0])
        found |= {f"turned, input {with_input}, {key}": deviation(again[key], one) for key, one in straight.items()}
    return found


def same_bits(device: str) -> dict[str, bool]:
    """Return what has the same bits: gradients computed twice, one alone, values without gradients."""
    found, steps = {}, SIZES[1][0]
    for with_input, compute_dtype in product((True, False), (None, torch.bfloat16)):
        tensors, case = given(SIZES[1], device, with_input=with_input), f"input {with_input}, {compute_dtype}"
        outputs, c = run(cuda_sequence, tensors, steps, compute_dtype=compute_dtype)
        loss, leaves = outputs.square().sum() + c.square().sum(), list(tensors.values())
        first, second = (torch.autograd.grad(loss, leaves, retain_graph=True) for _ in range(2))
        found[f"{case}, twice"] = all(map(torch.equal, first, second))
        frozen = {name: value.detach() for name, value in tensors.items()}
        for name, expected in zip(tensors, first, strict=True):
            alone = frozen | {name: frozen[name].clone().requires_grad_()}
            parts = run(cuda_sequence, alone, steps, compute_dtype=compute_dtype)
            (gradient,) = torch.autograd.grad(parts[0].square().sum() + parts[1].square().sum(), [alone[name]])
            found[f"{case}, {name} alone"] = torch.equal(gradient, expected)
        with torch.no_grad():
            values = run(cuda_sequence, frozen, steps, compute_dtype=compute_dtype)
        found[f"{case}, without gradients"] = torch.equal(values[0], outputs) and torch.equal(values[1], c)
        found[f"{case}, keeps one c"] = (
            values[1].untyped_storage().nbytes() == c.untyped_storage().nbytes() == 4 * c.numel()
        )
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    device = sys.argv[1]
    found = cases(device) | {"odd uses": odd_uses(device), "same bits": same_bits(device)}
    json.dump(found, sys.stdout)
