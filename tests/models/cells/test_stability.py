"""Stable cells: their weights meet the published conditions, written out in NumPy, and two states come closer."""

from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_networks import randomized

from vidrep.models.cells.cell import Cell
from vidrep.models.cells.lstm import LSTMCell, LSTMSettings, LSTMState
from vidrep.models.cells.projections import clip_spectral_norm
from vidrep.models.cells.rnn import RNNCell, RNNSettings
from vidrep.models.initialization import Initialization

D, H, BOUND, FORGET = 4, 6, 1.5, 0.7
SEEDS = (0, 1, 2)
STABLE = LSTMSettings(stable=True, input_bound=BOUND, largest_forget=FORGET)


def projected_lstm(seed: int, *, scale: float = 3.0, settings: LSTMSettings = STABLE) -> LSTMCell:
    torch.manual_seed(seed)
    cell = randomized(LSTMCell(D, H, settings), std=scale)
    cell.project()
    return cell


def row_sums(matrix: torch.Tensor) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.abs(matrix.detach().numpy()).sum(axis=1)
    return sums


@pytest.mark.parametrize("seed", SEEDS)
def test_the_weights_of_a_stable_lstm_meet_the_published_conditions(seed: int) -> None:
    cell = projected_lstm(seed)
    assert cell.input_weight is not None
    ui, uf, ug, uo = (row_sums(one).max() for one in cell.recurrent_weight.chunk(4))
    drives = (
        row_sums(cell.recurrent_weight[H : 2 * H])
        + BOUND * row_sums(cell.input_weight[H : 2 * H])
        + np.abs(cell.bias.detach().numpy()[H : 2 * H])
    )
    forget = 1 / (1 + np.exp(-drives.max()))
    assert forget < FORGET
    assert max(ui, uo) < 1 - FORGET
    assert ug < (1 - FORGET) / 4
    assert uf < (1 - FORGET) ** 2
    bounded = {name: float(value) for name, value in cell.bounded().items()}
    expected = {
        "input_gate_norm": ui,
        "forget_gate_norm": uf,
        "candidate_norm": ug,
        "output_gate_norm": uo,
        "largest_forget": forget,
        "contraction": forget + ui / 4 + ug + uf / (4 * (1 - forget)) + uo / 4,
    }
    assert bounded == pytest.approx(expected, rel=1e-12)
    assert bounded["contraction"] < 1


@pytest.mark.parametrize("seed", SEEDS)
def test_two_states_of_a_stable_lstm_come_closer_at_every_step(seed: int) -> None:
    cell = projected_lstm(seed)
    contraction = float(cell.bounded()["contraction"])
    largest_c = 1 / (1 - FORGET)

    def state() -> LSTMState:
        values = torch.rand(2, 8, H, dtype=torch.float64) * 2 - 1
        return LSTMState(values[0], largest_c * values[1])

    one, other = state(), state()
    for frame in 100 * torch.randn(20, 8, D, dtype=torch.float64):
        before = distance(one, other)
        (_, one), (_, other) = cell(frame, one), cell(frame, other)
        assert (distance(one, other) <= contraction * before).all()
    assert distance(one, other).max() < 1e-2


def distance(one: LSTMState, other: LSTMState) -> torch.Tensor:
    """Return the infinity norm of the difference of two states, (B,)."""
    return torch.cat([one.h - other.h, one.c - other.c], dim=1).abs().amax(dim=1)


def test_inputs_of_a_stable_lstm_are_clipped_and_what_meets_the_conditions_stays() -> None:
    cell = projected_lstm(0)
    frames, state = torch.full((3, 2, D), 40.0, dtype=torch.float64), cell.initial_state(2, torch.device("cpu"))
    assert torch.equal(cell.sequence(frames, state, 3)[0], cell.sequence(frames.clamp(max=BOUND), state, 3)[0])
    before = [one.clone() for one in cell.parameters()]
    cell.project()
    assert all(map(torch.equal, before, cell.parameters()))
    free = projected_lstm(0, settings=LSTMSettings())
    assert not free.bounded()
    assert row_sums(free.recurrent_weight).max() > 1


def test_a_stable_lstm_without_input_has_no_bound_of_it() -> None:
    cell = randomized(LSTMCell(None, H, STABLE), std=3.0)
    cell.project()
    assert float(cell.bounded()["contraction"]) < 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_spectral_norm_is_clipped_to_the_nearest_matrix_below_the_bound(seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((H, H))
    left, values, right = np.linalg.svd(weight)
    clipped = torch.tensor(weight)
    clip_spectral_norm(clipped, 0.9)
    np.testing.assert_allclose(clipped, left @ np.diag(np.minimum(values, 0.9)) @ right, atol=2e-5)
    assert np.linalg.norm(clipped, 2) < 0.9
    again = clipped.clone()
    clip_spectral_norm(again, 0.9)
    assert torch.equal(again, clipped)


def test_weights_that_are_not_finite_stay_for_the_training_to_refuse() -> None:
    weight = torch.full((3, 3), torch.nan)
    clip_spectral_norm(weight, 0.9)
    assert weight.isnan().all()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_two_states_of_a_bounded_rnn_come_closer(activation: Literal["tanh", "relu"]) -> None:
    torch.manual_seed(0)
    cell = randomized(RNNCell(D, H, RNNSettings(activation=activation, spectral_norm=0.8)), std=2.0)
    cell.project()
    assert float(cell.bounded()["spectral_norm"]) < 0.8
    one, other = 5 * torch.randn(2, 8, H, dtype=torch.float64)
    for frame in torch.randn(10, 8, D, dtype=torch.float64):
        before = (one - other).norm(dim=1)
        (_, one), (_, other) = cell(frame, one), cell(frame, other)
        assert ((one - other).norm(dim=1) <= 0.8 * before).all()


@pytest.mark.parametrize("cell", [RNNCell(D, H, RNNSettings()), LSTMCell(D, H, LSTMSettings())])
def test_without_a_constraint_nothing_is_projected(cell: Cell) -> None:
    cell.reset_parameters(Initialization())
    before = [one.clone() for one in cell.parameters()]
    cell.project()
    assert all(map(torch.equal, before, cell.parameters()))
    assert not cell.bounded()
