"""Collocation, recomputed in NumPy: attention, gates and cells; padding; any cell; what learns and what does not."""

import numpy as np
import numpy_decoding as reference
import pytest
import torch
from numpy_lstm import Floats, sigmoid
from small_networks import lstm_spec, random, randomized
from torch import Tensor
from toy_cell import register_toy_cell, toy_spec

from vidrep.models.classifier import valid_frames
from vidrep.models.collocated import CollocatedEncoder, Collocation
from vidrep.models.encoder import Encoder, Numerics, StackSpec
from vidrep.models.state import to_dict

T, B, D, H = 5, 3, 4, 6
LENGTHS = [5, 2, 3]


def encoder(spec: StackSpec | None = None, *, dropout: float = 0.0, recompute_every: int = 0) -> CollocatedEncoder:
    numerics = Numerics(recompute_every=recompute_every)
    return randomized(CollocatedEncoder(D, spec or lstm_spec(num_layers=2), dropout=dropout, numerics=numerics))


def merged(weights: dict[str, Floats], x: Floats, before: Floats, states: Floats, step: int) -> Floats:
    """Merge the tensor of one window: x (D,), before (S,), states (n, S) at the frames that are no padding."""
    scores = np.array([weights["score"][0] @ np.tanh(weights["query"] @ before + weights["key"] @ g) for g in states])
    read = (np.exp(scores) / np.exp(scores).sum()) @ states
    o = sigmoid(weights["aligned_gate"] @ states[step] + weights["read_gate"] @ read)
    q = (1 - o) * states[step] + o * read
    by_input, by_recurrence, by_source = (
        np.split(weights[name], 3) for name in ("input_weight", "recurrent_weight", "source_weight")
    )
    r, z = (sigmoid(by_input[n] @ x + by_recurrence[n] @ before + by_source[n] @ q) for n in (0, 1))
    c = np.tanh(by_input[2] @ x + by_recurrence[2] @ (r * before) + by_source[2] @ q)
    result: Floats = (1 - z) * before + z * c
    return result


def outputs_of_window(weights: dict[str, Floats], frames: Floats) -> tuple[Floats, list[list[Floats]]]:
    """Return the top layer's outputs for one window, (n, H), and the last h and c of each layer."""
    source = reference.layers_of(reference.part(weights, "source."))
    own = reference.layers_of({name: value for name, value in weights.items() if name.startswith("cells.")})
    outputs, last = frames, []
    states = [(np.zeros((1, H)), np.zeros((1, H)))] * len(source)
    of_source: list[reference.LayerStates] = []
    for frame in frames:
        states = reference.one_step(source, frame[None], states, "tanh")
        of_source.append(states)
    for number, layer in enumerate(own):
        tensors, found = [np.zeros(H), np.zeros(H)], []
        for step, x in enumerate(outputs):
            tensors = [
                merged(
                    reference.part(weights, f"collocations.{number}.{which}."),
                    x,
                    tensors[which],
                    np.stack([now[number][which][0] for now in of_source]),
                    step,
                )
                for which in (0, 1)
            ]
            ((h, c),) = reference.one_step([layer], x[None], [(tensors[0][None], tensors[1][None])], "tanh")
            tensors = [h[0], c[0]]
            found.append(h[0])
        outputs = np.stack(found)
        last.append(tensors)
    return outputs, last


def weights_of(one: CollocatedEncoder) -> dict[str, Floats]:
    return {name: value.numpy() for name, value in one.state_dict().items()}


def test_outputs_and_state_are_the_equations_and_padding_counts_nothing() -> None:
    one, frames, valid = encoder(), random(T, B, D), valid_frames(torch.tensor(LENGTHS), T)
    outputs, state = one(torch.where(valid.unsqueeze(-1), frames, 100.0), valid=valid)
    whole, _ = one(frames)
    assert outputs.shape == (T, B, H)
    for window, length in enumerate(LENGTHS):
        expected, last = outputs_of_window(weights_of(one), frames[:length, window].numpy())
        np.testing.assert_allclose(outputs[:length, window].detach().numpy(), expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            whole[:, window].detach().numpy(),
            outputs_of_window(weights_of(one), frames[:, window].numpy())[0],
            rtol=0,
            atol=1e-12,
        )
        if length == T:
            for layer, tensors in zip(state, last, strict=True):
                np.testing.assert_allclose(layer.h[window].detach().numpy(), tensors[0], rtol=0, atol=1e-12)
                np.testing.assert_allclose(layer.c[window].detach().numpy(), tensors[1], rtol=0, atol=1e-12)


def test_attention_adds_up_to_one_over_frames_and_starts_with_even_gates() -> None:
    one = Collocation(D, H, lstm_spec().initial_weights).double()
    assert not one.aligned_gate.any() and not one.read_gate.any()
    valid = valid_frames(torch.tensor(LENGTHS), T)
    weights = randomized(one, std=2.0).weights(random(B, H), one.memory(random(T, B, H), valid))
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(B, dtype=torch.float64))
    assert not weights[~valid].any() and weights.max() > 0.8


def test_gradients() -> None:
    one = randomized(CollocatedEncoder(2, lstm_spec(hidden_size=2)))
    frames, valid = random(3, 2, 2), valid_frames(torch.tensor([3, 1]), 3)
    learning = {name: parameter for name, parameter in one.named_parameters() if parameter.requires_grad}

    def outputs(*parameters: Tensor) -> Tensor:
        given = dict(zip(learning, parameters, strict=True))
        found: Tensor = torch.func.functional_call(one, given, (frames,), {"valid": valid})[0]
        return found

    assert torch.autograd.gradcheck(outputs, list(learning.values()))


def test_everything_learns_but_the_source() -> None:
    one = encoder()
    outputs, _ = one(random(T, B, D))
    outputs.square().sum().backward()
    for name, parameter in one.named_parameters():
        assert (parameter.grad is None) is name.startswith("source.")
        assert parameter.grad is None or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("recompute_every", [1, 2])
def test_recomputing_changes_neither_outputs_nor_gradients(recompute_every: int) -> None:
    found, valid = [], valid_frames(torch.tensor(LENGTHS), T)
    for stretch in (0, recompute_every):
        one = encoder(dropout=0.5, recompute_every=stretch).eval()
        outputs, state = one(random(T, B, D), valid=valid)
        learning = [parameter for parameter in one.parameters() if parameter.requires_grad]
        found.append([outputs, *to_dict(state).values(), *torch.autograd.grad(outputs.square().sum(), learning)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_dropout_is_of_its_own_cells_alone() -> None:
    one, frames = encoder(dropout=0.5), random(T, B, D)
    assert one.source.dropout == 0
    torch.manual_seed(0)
    assert not torch.equal(one(frames)[0], one(frames)[0])
    one.eval()
    assert torch.equal(one(frames)[0], one(frames)[0])


def test_any_registered_cell_collocates_every_tensor_of_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_cell(monkeypatch)
    one, frames = encoder(toy_spec(num_layers=2)), random(T, B, D)
    assert [len(list(layer.children())) for layer in one.collocations] == [3, 3]
    outputs, state = one(frames)
    plain = randomized(Encoder(D, toy_spec(num_layers=2)))
    assert to_dict(state).keys() == to_dict(plain(frames)[1]).keys()
    # Without those weights all gates are 1/2 and candidates 0: a state is halved before each time step.
    with torch.no_grad():
        for collocation in one.modules():
            if isinstance(collocation, Collocation):
                for matrix in (collocation.input_weight, collocation.recurrent_weight, collocation.source_weight):
                    matrix.zero_()
        plain.load_state_dict({name: value for name, value in one.state_dict().items() if name.startswith("cells.")})
    halving = one(frames)[0]
    assert not torch.allclose(halving, outputs)
    values = frames
    for cell in plain._cells:
        before, found = cell.initial_state(B, frames.device), []
        for frame in values:
            halved = {"fast": before["fast"] / 2, "slow": [tensor / 2 for tensor in before["slow"]]}
            output, before = cell(frame, halved)
            found.append(output)
        values = torch.stack(found)
    torch.testing.assert_close(halving, values, rtol=0, atol=1e-12)
