"""A stack of cells: how a sequence runs through it, in one go, in pieces and computed twice; dropout; any cell."""

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import lstm_spec, random, randomized
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from toy_cell import ToyCell, register_toy_cell, toy_outputs, toy_spec

from vidrep.models.cells.lstm import LSTMState
from vidrep.models.encoder import Encoder, Numerics
from vidrep.models.state import detach, to_dict

T, B, D, H = 5, 3, 4, 6


def lstm_stack(input_size: int | None = D, *, dropout: float = 0.0, recompute_every: int = 0) -> Encoder:
    stack = Encoder(
        input_size, lstm_spec(num_layers=2), dropout=dropout, numerics=Numerics(recompute_every=recompute_every)
    )
    return randomized(stack, std=0.7)


def assert_close(ours: object, theirs: object) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


def test_a_sequence_in_two_pieces_is_the_sequence() -> None:
    stack, inputs = lstm_stack(), random(T, B, D)
    whole, last = stack(inputs)
    first, state = stack(inputs[:2])
    second, last_of_second = stack(inputs[2:], detach(state))
    assert_close(torch.cat([first, second]), whole)
    assert_close(last_of_second, last)


def test_the_state_is_one_nest_a_layer_and_the_output_is_the_top_layers() -> None:
    stack = lstm_stack()
    outputs, state = stack(random(T, B, D))
    assert outputs.shape == (T, B, H)
    assert {name: tuple(value.shape) for name, value in to_dict(state).items()} == dict.fromkeys(
        ["state.0.h", "state.0.c", "state.1.h", "state.1.c"], (B, H)
    )
    assert torch.equal(outputs[-1], state[1].h)
    initial = to_dict(stack.initial_state(B, outputs.device))
    assert initial.keys() == to_dict(state).keys()
    assert not any(value.any() for value in initial.values())


def test_parameters_are_numbered_by_layer() -> None:
    names = ["input_weight", "recurrent_weight", "bias"]
    assert list(lstm_stack().state_dict()) == [f"cells.{number}.{name}" for number in (0, 1) for name in names]
    assert list(lstm_stack(None).state_dict())[:2] == ["cells.0.recurrent_weight", "cells.0.bias"]


def test_dropout_drops_what_enters_layers_in_training_only() -> None:
    stack, inputs = lstm_stack(dropout=0.5), random(T, B, D)
    plain, _ = lstm_stack()(inputs)
    assert torch.equal(stack.eval()(inputs)[0], plain)
    stack.train()
    torch.manual_seed(1)
    dropped, _ = stack(inputs)
    assert (dropped != plain).any()

    # The same draws, applied by hand to the inputs of each layer and to nothing else.
    torch.manual_seed(1)
    values = inputs
    for cell in stack._cells:
        values, _ = cell.sequence(F.dropout(values, 0.5), cell.initial_state(B, inputs.device), T)
    assert_close(dropped, values)


def test_a_stretch_computed_again_drops_the_same_values() -> None:
    inputs = random(8, B, D)

    def gradients_of(stack: Encoder, outputs: Tensor) -> list[Tensor]:
        torch.rand(7)  # other draws in between must not matter
        return list(torch.autograd.grad((outputs * random(*outputs.shape)).sum(), list(stack.parameters())))

    recomputing = lstm_stack(dropout=0.5, recompute_every=3)
    torch.manual_seed(1)
    in_stretches, _ = recomputing(inputs)
    ours = gradients_of(recomputing, in_stretches)

    plain = lstm_stack(dropout=0.5)
    torch.manual_seed(1)
    pieces, state = [], None
    for start in (0, 3, 6):
        piece, state = plain(inputs[start : start + 3], state)
        pieces.append(piece)
    assert torch.equal(in_stretches, torch.cat(pieces))
    for one, other in zip(ours, gradients_of(plain, torch.cat(pieces)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers in memory that were computed within it and are still referenced, without the given ones."""

    def __init__(self, stack: Encoder, inputs: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.given = {tensor.data_ptr() for tensor in (inputs, *stack.parameters())}
        self.computed: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.given:
                self.computed[id(storage)] = weakref.ref(storage)
        return result

    def count(self) -> int:
        return sum(storage.nbytes() for one in self.computed.values() if (storage := one()) is not None) // 4


@pytest.mark.parametrize("recompute_every", [0, 5])
def test_memory_for_the_gradient(recompute_every: int) -> None:
    """Seven numbers a time step, window and unit; recomputing keeps the outputs and the states between stretches."""
    num_layers, num_steps = 2, 40
    spec = lstm_spec(num_layers=num_layers, peepholes=True)
    stack = Encoder(D, spec, numerics=Numerics(recompute_every=recompute_every))
    inputs, states = torch.randn(num_steps, B, D), 2 * num_layers * B * H
    with Alive(stack, inputs) as alive:
        result = stack(inputs)
    kept = alive.count()
    del result
    if recompute_every:
        assert num_steps * B * H <= kept <= num_steps * B * H + (num_steps // recompute_every + 1) * states
    else:
        assert 7 * num_layers * num_steps * B * H <= kept <= 7 * num_layers * num_steps * B * H + 3 * states
    with torch.no_grad(), Alive(stack, inputs) as alive:
        result = stack(inputs)
    assert num_steps * B * H <= alive.count() <= num_steps * B * H + 2 * states
    del result


def test_rounded_products_need_no_more_memory_for_the_gradient() -> None:
    """Rounded weights, frames and states come on top, half as large each."""
    num_layers, num_steps = 3, 40
    spec = lstm_spec(num_layers=num_layers, peepholes=True)
    stack = Encoder(D, spec, numerics=Numerics(compute_dtype=torch.bfloat16))
    inputs = torch.randn(num_steps, B, D)
    with Alive(stack, inputs) as alive:
        outputs, state = stack(inputs)
    kept = alive.count() - outputs.numel() - sum(part.numel() for part in to_dict(state).values())
    matrices = sum(weight.numel() for weight in stack.parameters() if weight.ndim == 2 and len(weight) == 4 * H)
    at_most = 7 * num_layers * num_steps * B * H + (matrices + inputs.numel()) // 2 + 3 * num_layers * B * H
    assert 6.5 * num_layers * num_steps * B * H <= kept <= at_most


def test_a_stack_without_input_takes_a_state_and_a_number_of_steps() -> None:
    state = (LSTMState(torch.zeros(B, H), torch.zeros(B, H)),) * 2
    wrong: list[tuple[int | None, dict[str, Any]]] = [
        (None, {"state": state}),
        (None, {"num_steps": 2}),
        (D, {"state": state, "num_steps": 2}),
    ]
    for input_size, arguments in wrong:
        with pytest.raises(ValueError, match="give a state and num_steps"):
            lstm_stack(input_size)(None, **arguments)


@pytest.fixture
def _toy_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_cell(monkeypatch)


@pytest.mark.usefixtures("_toy_cell")
@pytest.mark.parametrize("recompute_every", [0, 2])
def test_any_registered_cell_can_be_stacked_whatever_its_state(recompute_every: int) -> None:
    stack = Encoder(D, toy_spec(num_layers=2), numerics=Numerics(recompute_every=recompute_every)).double()
    inputs = random(T, B, D)
    outputs, state = stack(inputs)
    expected = inputs.numpy()
    for cell in stack._cells:
        assert isinstance(cell, ToyCell)
        expected, last = toy_outputs(cell, expected)
    np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=0, atol=1e-14)
    assert list(to_dict(state)) == [
        f"state.{layer}.{name}" for layer in (0, 1) for name in ("fast", "slow.0", "slow.1")
    ]
    np.testing.assert_allclose(state[1]["slow"][1].detach().numpy(), last, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("_toy_cell")
def test_the_settings_of_a_registered_cell_reach_it_and_its_gradients_survive_recomputation() -> None:
    inputs, gradients = random(T, B, D), []
    for recompute_every in (0, 1, 3):
        torch.manual_seed(0)
        stack = Encoder(D, toy_spec(decay=0.9), numerics=Numerics(recompute_every=recompute_every)).double()
        assert stack._cells[0].settings.decay == 0.9
        gradients.append(torch.autograd.grad(stack(inputs)[0].square().sum(), list(stack.parameters())))
    for found in gradients[1:]:
        torch.testing.assert_close(found, gradients[0], rtol=1e-12, atol=1e-14)
