"""The fast recurrence of one layer against the plain one and finite differences, in all ways in which it is called."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vidrep.models.lstm_kernels import cpu
from vidrep.models.lstm_kernels.cpu import cpu_sequence
from vidrep.models.lstm_kernels.reference import LayerWeights, reference_sequence

T, B, D, H = 4, 2, 3, 3
Given = dict[str, Tensor]
Sequence = Callable[..., tuple[Tensor, Tensor]]


def given(*, with_input: bool = True, peepholes: bool = True) -> Given:
    """Return leaves that require a gradient, named as in `run`."""
    rng = np.random.default_rng(0)
    shapes = {"h": (B, H), "c": (B, H), "recurrent": (4 * H, H), "bias": (4 * H,)}
    if with_input:
        shapes |= {"inputs": (T, B, D), "input": (4 * H, D)}
    if peepholes:
        shapes["peepholes"] = (3, H)
    return {name: torch.from_numpy(rng.standard_normal(shape)).requires_grad_() for name, shape in shapes.items()}


def run(
    tensors: Given, sequence: Sequence = cpu_sequence, *, num_steps: int = T, **settings: Any
) -> tuple[Tensor, Tensor]:
    weights = LayerWeights(tensors.get("input"), tensors["recurrent"], tensors["bias"], tensors.get("peepholes"))
    inputs = tensors.get("inputs")
    return sequence(inputs, tensors["h"], tensors["c"], weights, num_steps=num_steps, **settings)


def random(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(list(shape)).standard_normal(shape))


def assert_equal(ours: object, theirs: object) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


kinds = pytest.mark.parametrize(
    ("with_input", "peepholes", "activation"), list(product((True, False), (True, False), ("tanh", "relu", "softsign")))
)


@kinds
def test_gradients_are_those_of_finite_differences(with_input: bool, peepholes: bool, activation: str) -> None:
    tensors = given(with_input=with_input, peepholes=peepholes)

    def outputs_and_last_c(*values: Tensor) -> tuple[Tensor, Tensor]:
        return run(dict(zip(tensors, values, strict=True)), activation=activation)

    assert torch.autograd.gradcheck(outputs_and_last_c, tuple(tensors.values()))


@kinds
def test_it_equals_the_plain_recurrence(with_input: bool, peepholes: bool, activation: str) -> None:
    tensors = given(with_input=with_input, peepholes=peepholes)
    above = random(T, B, H), random(B, H)
    ours, theirs = (run(tensors, sequence, activation=activation) for sequence in (cpu_sequence, reference_sequence))
    assert_equal(ours, theirs)
    leaves = list(tensors.values())
    assert_equal(torch.autograd.grad(ours, leaves, above), torch.autograd.grad(theirs, leaves, above))


@pytest.mark.parametrize("compute_dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_values_have_the_same_bits(
    mode: Callable[[], AbstractContextManager[None]], compute_dtype: torch.dtype | None
) -> None:
    for with_input in (True, False):
        tensors = {name: value.float() for name, value in given(with_input=with_input).items()}
        expected = run(tensors, compute_dtype=compute_dtype)
        before = [value.clone() for value in tensors.values()]
        with mode():
            outputs, c = run(tensors, compute_dtype=compute_dtype)
        assert not outputs.requires_grad
        assert not c.requires_grad
        assert torch.equal(outputs, expected[0])
        assert torch.equal(c, expected[1])
        assert all(map(torch.equal, tensors.values(), before))


def test_only_required_gradients_are_computed_and_they_are_the_same() -> None:
    tensors = given()
    above = random(T, B, H), random(B, H)
    expected = dict(zip(tensors, torch.autograd.grad(run(tensors), list(tensors.values()), above), strict=True))
    for name in tensors:
        frozen = {other: value.detach().requires_grad_(other == name) for other, value in tensors.items()}
        torch.autograd.backward(run(frozen), above)
        assert_equal(frozen[name].grad, expected[name])
        assert [other for other, value in frozen.items() if value.grad is not None] == [name]


def test_a_loss_of_outputs_or_of_the_last_c_alone() -> None:
    tensors = given()
    leaves = list(tensors.values())
    for number in (0, 1):
        ours, theirs = (
            torch.autograd.grad((run(tensors, sequence)[number] ** 2).sum(), leaves)
            for sequence in (cpu_sequence, reference_sequence)
        )
        assert_equal(ours, theirs)


def test_a_second_backward_gives_the_same_gradients() -> None:
    tensors = given()
    leaves, (outputs, c) = list(tensors.values()), run(tensors)
    loss = sum_of((outputs**2, c**2))
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, leaves)))


def test_memory_may_be_laid_out_in_any_way() -> None:
    tensors = given()
    leaves, above = list(tensors.values()), (random(T, B, H), random(B, H))
    turned = {name: turn(value) for name, value in tensors.items()}
    assert not any(value.is_contiguous() for name, value in turned.items() if value.dim() > 1)
    ours, theirs = run(turned), run(tensors, reference_sequence)
    assert_equal(ours, theirs)
    assert_equal(
        torch.autograd.grad(ours, leaves, [turn(one) for one in above]), torch.autograd.grad(theirs, leaves, above)
    )
    # The gradient of a sum is one number, expanded.
    sums = [sum_of(run(tensors, one)) for one in (cpu_sequence, reference_sequence)]
    assert_equal(torch.autograd.grad(sums[0], leaves), torch.autograd.grad(sums[1], leaves))


def sum_of(values: tuple[Tensor, Tensor]) -> Tensor:
    return values[0].sum() + values[1].sum()


def turn(values: Tensor) -> Tensor:
    """Return the same values with the last dimension first in memory."""
    return values.transpose(0, -1).contiguous().transpose(0, -1)


def test_the_last_c_keeps_the_memory_of_one_time_step_alone() -> None:
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            _, c = run(given())
        assert c.untyped_storage().nbytes() == 8 * B * H


def test_one_time_step_after_the_other_is_the_sequence() -> None:
    tensors = given()
    whole, last_c = run(tensors)
    step, outputs = dict(tensors), []
    for t in range(T):
        step["inputs"] = tensors["inputs"][t : t + 1]
        output, step["c"] = run(step, num_steps=1)
        step["h"] = output[0]
        outputs.append(output)
    pieces = torch.cat(outputs)
    assert_equal((pieces, step["c"]), (whole, last_c))
    leaves, above = list(tensors.values()), (random(T, B, H), random(B, H))
    assert_equal(
        torch.autograd.grad((pieces, step["c"]), leaves, above), torch.autograd.grad((whole, last_c), leaves, above)
    )


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    tensors = given()
    outputs, _ = run(tensors)
    (first,) = torch.autograd.grad((outputs**2).sum(), tensors["h"], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(first.sum())


def test_its_tanh_in_float32_has_an_absolute_error_of_2e_7() -> None:
    values = torch.linspace(-12, 12, 100_001)
    found = torch.empty_like(values)
    cpu._activate(values, "tanh", out=found)
    assert float((found.double() - values.double().tanh()).abs().max()) <= 2e-7
    cpu._activate(values, "tanh", out=values)
    torch.testing.assert_close(values, found, rtol=0, atol=0)
