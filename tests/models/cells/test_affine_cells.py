"""The cells of affine maps, but the LSTM: against NumPy (numpy_cells.py), against torch's, and their gradients."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from numpy_cells import REFERENCES
from small_networks import random, randomized
from torch import Tensor, nn

from vidrep.errors import ConfigError
from vidrep.models.cells import products, torch_kernels
from vidrep.models.cells.cell import Cell
from vidrep.models.encoder import Encoder, Numerics, StackSpec
from vidrep.models.initialization import Initialization
from vidrep.registry import CELLS

T, B, D, H = 5, 3, 4, 6


@dataclass(frozen=True)
class Case:
    """A cell and its settings."""

    cell: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.cell, *(f"{name}={value}" for name, value in self.settings.items())])

    def build(self, input_size: int | None = D, hidden_size: int = H, **options: Any) -> Cell:
        entry = CELLS[self.cell]
        cell: Cell = randomized(entry(input_size, hidden_size, entry.Settings(**self.settings), **options))
        return cell


CASES = [
    Case("rnn"),
    Case("rnn", {"activation": "relu"}),
    Case("irnn"),
    Case("gru"),
    Case("gru", {"reset": "before"}),
    Case("ugrnn"),
    Case("intersection"),
]
TORCH_PEERS: list[tuple[Case, Any, dict[str, Any]]] = [
    (Case("rnn"), nn.RNN, {}),
    (Case("rnn", {"activation": "relu"}), nn.RNN, {"nonlinearity": "relu"}),
    (Case("irnn"), nn.RNN, {"nonlinearity": "relu"}),
    (Case("gru"), nn.GRU, {}),
]
THEIR_NAMES = {"input_weight": "weight_ih_l0", "recurrent_weight": "weight_hh_l0", "bias": "bias_ih_l0"}


@pytest.fixture(params=["as small", "as large"])
def by_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Compute as for small products, then as for large ones, which have kernels of their own."""
    for module in (products, torch_kernels):
        monkeypatch.setattr(module, "is_large", lambda values, weight: request.param == "as large")
    return str(request.param)


def inputs_and_state(cell: Cell, input_size: int | None, num_steps: int = T) -> tuple[Tensor | None, Tensor]:
    return None if input_size is None else random(num_steps, B, input_size), random(B, cell.hidden_size)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("input_size", [D, H, None])
def test_it_is_what_its_equations_say(case: Case, input_size: int | None, by_size: str) -> None:
    cell = case.build(input_size)
    inputs, h = inputs_and_state(cell, input_size)
    outputs, last = cell.sequence(inputs, h, T)
    layer = {name: value.numpy() for name, value in cell.state_dict().items()}
    expected, expected_last = REFERENCES[case.cell](
        layer, None if inputs is None else inputs.numpy(), h.numpy(), T, cell.settings
    )
    assert abs(outputs.detach().numpy() - expected).max() < 1e-12
    assert abs(last.detach().numpy() - expected_last).max() < 1e-12


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("input_size", [2, 3, None])
def test_its_gradients_are_those_of_finite_differences(case: Case, input_size: int | None, by_size: str) -> None:
    cell = case.build(input_size, hidden_size=3)
    names = [name for name, _ in cell.named_parameters()]
    inputs, h = inputs_and_state(cell, input_size, num_steps=3)
    tensors = [h, *([] if inputs is None else [inputs]), *(p.detach().clone() for p in cell.parameters())]

    def run(h: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        x, parameters = (None, given) if input_size is None else (given[0], given[1:])
        weights = {f"cell.{name}": value for name, value in zip(names, parameters, strict=True)}
        outputs, last = torch.func.functional_call(Sequence(cell), weights, (x, h, 3))
        return outputs, last

    assert torch.autograd.gradcheck(run, [one.requires_grad_() for one in tensors])


class Sequence(nn.Module):
    """A cell's sequence as a module's call, whose parameters torch can replace."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, inputs: Tensor | None, state: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        return self.cell.sequence(inputs, state, num_steps)


@pytest.mark.parametrize(("case", "peer", "options"), TORCH_PEERS, ids=lambda one: str(one) if one else "")
def test_it_is_torchs(case: Case, peer: Any, options: dict[str, Any], by_size: str) -> None:
    cell, theirs = case.build(), randomized(peer(D, H, **options))
    with torch.no_grad():
        theirs.bias_hh_l0.zero_()
        for name, value in THEIR_NAMES.items():
            cell.get_parameter(name).copy_(theirs.get_parameter(value))
        if case.cell == "gru":
            theirs.bias_hh_l0[2 * H :] = cell.get_parameter("recurrent_bias")
    inputs, h = random(T, B, D), random(B, H)
    ours, last = cell.sequence(inputs, h, T)
    expected, expected_last = theirs(inputs, h[None])
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(last, expected_last[0], rtol=0, atol=1e-14)
    (ours * random(*ours.shape)).sum().backward()  # type: ignore[no-untyped-call]
    (expected * random(*ours.shape)).sum().backward()
    for name, value in THEIR_NAMES.items():
        torch.testing.assert_close(cell.get_parameter(name).grad, theirs.get_parameter(value).grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("input_size", [D, None])
def test_one_step_after_the_other_is_the_sequence(case: Case, input_size: int | None) -> None:
    cell = case.build(input_size)
    inputs, state = inputs_and_state(cell, input_size)
    outputs, last = cell.sequence(inputs, state, T)
    for step in range(T):
        output, state = cell(None if inputs is None else inputs[step], state)
        torch.testing.assert_close(output, outputs[step], rtol=0, atol=1e-14)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_single_time_steps_add_up(case: Case, by_size: str) -> None:
    """The gradient of a recurrent weight is that of a loss in one output or in all, whatever is computed at once."""
    cell = case.build()
    inputs, h = inputs_and_state(cell, D)
    weight = cell.get_parameter("recurrent_weight")

    def gradient(*chosen: int) -> Tensor:
        outputs, _ = cell.sequence(inputs, h, T)
        (found,) = torch.autograd.grad(outputs[list(chosen)].square().sum(), weight)
        return found

    every = torch.stack([gradient(step) for step in range(T)]).sum(dim=0)
    torch.testing.assert_close(gradient(*range(T)), every, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_large_products_round_their_operands(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (products, torch_kernels):
        monkeypatch.setattr(module, "is_large", lambda values, weight: True)
    exact, rounding = (case.build(compute_dtype=dtype).float() for dtype in (None, torch.bfloat16))
    inputs, h = random(T, B, D).float(), random(B, H).float()
    (one, _), (other, _) = exact.sequence(inputs, h, T), rounding.sequence(inputs, h, T)
    error = float((one - other).detach().abs().max() / one.detach().abs().max())
    assert other.dtype == torch.float32
    assert 0 < error < 0.05
    one.sum().backward()  # type: ignore[no-untyped-call]
    other.sum().backward()  # type: ignore[no-untyped-call]
    for (name, ours), theirs in zip(exact.named_parameters(), rounding.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None, name
        assert theirs.grad.dtype == torch.float32
        assert float((ours.grad - theirs.grad).norm() / ours.grad.norm()) < 0.1, name


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fresh_maps_are_orthogonal_and_xavier(case: Case) -> None:
    cell = case.build(input_size=H)
    cell.float().reset_parameters(Initialization())
    for matrix in cell.get_parameter("recurrent_weight").view(-1, H, H):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(H))
    assert cell.get_parameter("input_weight").abs().max() <= (6 / (2 * H)) ** 0.5


def test_where_biases_start() -> None:
    def biases(case: Case) -> list[float]:
        cell = case.build()
        cell.reset_parameters(Initialization())
        maps = cell.get_parameter("bias").view(-1, H)
        assert torch.equal(maps, maps[:, :1].expand_as(maps))
        return maps[:, 0].tolist()

    assert biases(Case("rnn")) == biases(Case("irnn")) == [0]
    assert biases(Case("gru")) == [0, 0, 0]
    assert biases(Case("ugrnn")) == [0, 1]
    assert biases(Case("ugrnn", {"gate_bias": 2.5})) == [0, 2.5]
    assert biases(Case("intersection", {"depth_gate_bias": 2.0, "time_gate_bias": 3.0})) == [0, 0, 2, 3]


def test_an_irnn_starts_as_the_scaled_identity() -> None:
    cell = Case("irnn", {"scale": 0.5}).build()
    cell.reset_parameters(Initialization())
    assert torch.equal(cell.get_parameter("recurrent_weight"), torch.eye(H, dtype=torch.float64) / 2)
    state = cell.initial_state(B, torch.device("cpu"))
    assert torch.equal(state, torch.zeros(B, H, dtype=torch.float64))


def test_an_intersection_projects_only_what_has_another_width() -> None:
    assert {name: tuple(value.shape) for name, value in Case("intersection").build().state_dict().items()} == {
        "input_weight": (4 * H, H),
        "recurrent_weight": (4 * H, H),
        "bias": (4 * H,),
        "projection": (H, D),
    }
    for input_size in (H, None):
        assert "projection" not in Case("intersection", {"projection": False}).build(input_size).state_dict()
    with pytest.raises(ConfigError) as caught:
        Case("intersection", {"projection": False}).build()
    assert str(caught.value) == (
        "cell.intersection.projection is false, but inputs of 4 values enter 6 units; set encoder.hidden_size to 4, or "
        "leave projection out"
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stretches_that_are_computed_again_have_the_same_gradients(case: Case, by_size: str) -> None:
    settings = CELLS[case.cell].Settings(**case.settings)
    spec = StackSpec(cell=case.cell, settings=settings, hidden_size=H, num_layers=2)
    at_once, again = (randomized(Encoder(D, spec, numerics=Numerics(recompute_every=every))) for every in (0, 2))
    for encoder in (at_once, again):
        outputs, _ = encoder(random(T, B, D))
        (outputs * random(T, B, H)).sum().backward()
    for one, other in zip(at_once.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)
