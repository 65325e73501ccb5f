"""The LSTM against the equations of its docstring, written out in NumPy in float64."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidrep.models.lstm import LSTM, LSTMState

T, B, D, H = 5, 3, 4, 6
Floats = NDArray[np.float64]


def sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def lstm_step(weights: dict[str, Floats], x: Floats | None, h: Floats, c: Floats) -> tuple[Floats, Floats]:
    """One layer, one time step, one gate after the other."""
    size = h.shape[1]
    gate = {}
    for number, name in enumerate("ifao"):
        rows = slice(number * size, (number + 1) * size)
        gate[name] = h @ weights["recurrent_weight"][rows].T + weights["bias"][rows]
        if x is not None:
            gate[name] = gate[name] + x @ weights["input_weight"][rows].T
    c = sigmoid(gate["f"]) * c + sigmoid(gate["i"]) * np.tanh(gate["a"])
    return sigmoid(gate["o"]) * np.tanh(c), c


def lstm_in_numpy(
    lstm: LSTM, inputs: Floats | None, h: Floats, c: Floats, *, num_steps: int
) -> tuple[Floats, Floats, Floats]:
    """All layers, all time steps: h, c (L, B, H) -> outputs (T, B, H), h, c."""
    state = {name: value.detach().double().numpy() for name, value in lstm.state_dict().items()}
    h, c, outputs = h.copy(), c.copy(), []
    for step in range(num_steps):
        x = None if inputs is None else inputs[step]
        for layer in range(lstm.num_layers):
            prefix = f"layers.{layer}."
            weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            h[layer], c[layer] = lstm_step(weights, x, h[layer], c[layer])
            x = h[layer]
        outputs.append(h[-1].copy())
    return np.stack(outputs), h, c


def lstm_in_float64(input_size: int | None, num_layers: int, **settings: float) -> LSTM:
    torch.manual_seed(0)
    lstm = LSTM(input_size, H, num_layers, **settings).double()
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.normal_(std=0.7)
    return lstm


def random(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(list(shape)).standard_normal(shape))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("with_state", [False, True])
def test_forward_is_the_equations(num_layers: int, with_state: bool) -> None:
    lstm, inputs = lstm_in_float64(D, num_layers), random(T, B, D)
    h = random(num_layers, B, H) if with_state else torch.zeros(num_layers, B, H, dtype=torch.float64)
    c = h.flip(0) * 0.5
    outputs, last = lstm(inputs, LSTMState(h, c) if with_state else None)
    expected, last_h, last_c = lstm_in_numpy(lstm, inputs.numpy(), h.numpy(), c.numpy(), num_steps=T)
    assert outputs.shape == (T, B, H)
    assert last.h.shape == last.c.shape == (num_layers, B, H)
    assert np.abs(outputs.detach().numpy() - expected).max() <= 1e-12
    assert np.abs(last.h.detach().numpy() - last_h).max() <= 1e-12
    assert np.abs(last.c.detach().numpy() - last_c).max() <= 1e-12


@pytest.mark.parametrize("num_layers", [1, 2])
def test_without_input_it_is_the_equations_without_their_input_terms(num_layers: int) -> None:
    lstm, h, c = lstm_in_float64(None, num_layers), random(num_layers, B, H), random(num_layers, B, H) * 2
    outputs, last = lstm(None, LSTMState(h, c), num_steps=T)
    expected, last_h, last_c = lstm_in_numpy(lstm, None, h.numpy(), c.numpy(), num_steps=T)
    assert np.abs(outputs.detach().numpy() - expected).max() <= 1e-12
    assert np.abs(last.h.detach().numpy() - last_h).max() <= 1e-12
    assert np.abs(last.c.detach().numpy() - last_c).max() <= 1e-12


def test_a_sequence_in_two_pieces_is_the_sequence() -> None:
    lstm, inputs = lstm_in_float64(D, 2), random(T, B, D)
    whole, last = lstm(inputs)
    first, state = lstm(inputs[:2])
    second, last_of_second = lstm(inputs[2:], state.detach())
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(last_of_second, last, rtol=0, atol=1e-14)


def test_it_is_torchs_lstm_with_the_same_weights() -> None:
    lstm, inputs = lstm_in_float64(D, 2), random(T, B, D)
    theirs = nn.LSTM(D, H, 2).double()
    with torch.no_grad():
        for layer in range(2):
            state = lstm.state_dict()
            getattr(theirs, f"weight_ih_l{layer}").copy_(state[f"layers.{layer}.input_weight"])
            getattr(theirs, f"weight_hh_l{layer}").copy_(state[f"layers.{layer}.recurrent_weight"])
            getattr(theirs, f"bias_ih_l{layer}").copy_(state[f"layers.{layer}.bias"])
            getattr(theirs, f"bias_hh_l{layer}").zero_()
    outputs, last = lstm(inputs)
    expected, (last_h, last_c) = theirs(inputs)
    for ours, other in ((outputs, expected), (last.h, last_h), (last.c, last_c)):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize("input_size", [2, None])
def test_gradients_are_those_of_finite_differences(input_size: int | None) -> None:
    torch.manual_seed(0)
    lstm = LSTM(input_size, 3, 2).double()
    names = list(lstm.state_dict())
    inputs = [] if input_size is None else [random(4, 2, input_size)]
    tensors = [*inputs, random(2, 2, 3), random(2, 2, 3) + 1, *(p.detach().clone() for p in lstm.parameters())]

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        x, (h, c, *parameters) = (None, given) if input_size is None else (given[0], given[1:])
        state = dict(zip(names, parameters, strict=True))
        outputs, last = torch.func.functional_call(lstm, state, (x, LSTMState(h, c)), {"num_steps": 4})
        return outputs, last.h, last.c

    assert torch.autograd.gradcheck(run, [one.requires_grad_() for one in tensors])


def test_parameter_names_and_shapes_are_final() -> None:
    shapes = {name: tuple(value.shape) for name, value in LSTM(D, H, 2).state_dict().items()}
    assert shapes == {
        "layers.0.input_weight": (4 * H, D),
        "layers.0.recurrent_weight": (4 * H, H),
        "layers.0.bias": (4 * H,),
        "layers.1.input_weight": (4 * H, H),
        "layers.1.recurrent_weight": (4 * H, H),
        "layers.1.bias": (4 * H,),
    }
    assert list(LSTM(None, H).state_dict()) == ["layers.0.recurrent_weight", "layers.0.bias"]


def test_fresh_weights_are_orthogonal_xavier_and_remember() -> None:
    torch.manual_seed(0)
    state = LSTM(D, H).state_dict()
    for gate in state["layers.0.recurrent_weight"].view(4, H, H):
        torch.testing.assert_close(gate @ gate.T, torch.eye(H))
    bound = (6 / (D + H)) ** 0.5
    assert 0.9 * bound < state["layers.0.input_weight"].abs().max() <= bound
    assert state["layers.0.bias"].view(4, H).tolist() == [[0.0] * H, [1.0] * H, [0.0] * H, [0.0] * H]


def test_dropout_drops_what_enters_layers_in_training_alone() -> None:
    lstm, inputs = lstm_in_float64(D, 2, dropout=0.5), random(T, B, D)
    plain, _ = lstm_in_float64(D, 2)(inputs)
    torch.testing.assert_close(lstm.eval()(inputs)[0], plain, rtol=0, atol=0)
    lstm.train()
    torch.manual_seed(1)
    dropped, _ = lstm(inputs)
    assert (dropped != plain).any()

    # The same draws, applied by hand to the inputs of each layer and to nothing else.
    state, layers = lstm.state_dict(), [LSTM(D, H).double(), LSTM(H, H).double()]
    torch.manual_seed(1)
    given = inputs
    for number, layer in enumerate(layers):
        layer.load_state_dict({name: state[name.replace("0", str(number), 1)] for name in layer.state_dict()})
        kept = torch.nn.functional.dropout(given, 0.5, training=True)
        given, _ = layer(kept)
    torch.testing.assert_close(dropped, given, rtol=0, atol=1e-14)


def test_a_stack_without_input_wants_a_state_and_a_number_of_steps() -> None:
    state = LSTMState(torch.zeros(1, B, H), torch.zeros(1, B, H))
    for lstm, given in (
        (LSTM(None, H), {"state": state}),
        (LSTM(None, H), {"num_steps": 2}),
        (LSTM(D, H), {"state": state, "num_steps": 2}),
    ):
        with pytest.raises(ValueError, match="give a state and num_steps"):
            lstm(None, **given)
