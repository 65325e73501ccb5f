"""Cells that are not recurrent: against NumPy in float64, frame by frame, and what each frame can see."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy_lstm import Floats
from small_networks import random, randomized

from vidrep.errors import ConfigError
from vidrep.models.cells.causal_convolution import CausalConvolutionCell, CausalConvolutionSettings
from vidrep.models.cells.cell import Cell
from vidrep.models.cells.last_frames import LastFramesCell, LastFramesSettings
from vidrep.models.encoder import Encoder, StackSpec
from vidrep.models.state import detach, to_dict
from vidrep.registry import CELLS

T, B, D, H = 11, 3, 4, 5
NAMES: dict[str, Any] = {
    "causal_convolution": CausalConvolutionSettings(levels=2, kernel=3),
    "last_frames": LastFramesSettings(frames=4, layers=3),
}
SEEN = {"causal_convolution": 1 + 2 * 2 * 3, "last_frames": 4}


def stack(name: str, *, num_layers: int = 1, input_size: int = D) -> Encoder:
    spec = StackSpec(cell=name, settings=NAMES[name], hidden_size=H, num_layers=num_layers)
    return randomized(Encoder(input_size, spec), std=0.5)


def convolved(inputs: Floats, weight: Floats, bias: Floats, dilation: int) -> Floats:
    """The convolution of (T, B, C) as the sum that defines it."""
    kernel, outputs = weight.shape[2], np.tile(bias, (*inputs.shape[:2], 1))
    for time in range(len(inputs)):
        for back in range(kernel):
            if time - back * dilation >= 0:
                outputs[time] += inputs[time - back * dilation] @ weight[:, :, kernel - 1 - back].T
    return outputs


def relu(values: Floats) -> Floats:
    return np.maximum(values, 0)


def in_numpy(name: str, weights: dict[str, Floats], inputs: Floats) -> Floats:
    if name == "last_frames":
        outputs = convolved(inputs, weights["frames.weight"], weights["frames.bias"], 1)
        for layer in range(NAMES[name].layers - 1):
            outputs = relu(outputs) @ weights[f"layers.{layer}.weight"].T + weights[f"layers.{layer}.bias"]
        return relu(outputs)
    outputs = inputs
    for level in range(NAMES[name].levels):
        block = f"blocks.{level}."
        hidden, residual = outputs, outputs
        for part in ("first", "second"):
            weight, bias = weights[f"{block}{part}.weight"], weights[f"{block}{part}.bias"]
            hidden = relu(convolved(hidden, weight, bias, 2**level))
        if f"{block}residual_weight" in weights:
            residual = residual @ weights[f"{block}residual_weight"].T
        outputs = relu(hidden + residual)
    return outputs


@pytest.mark.parametrize("input_size", [D, H])
@pytest.mark.parametrize("name", NAMES)
def test_it_equals_numpy(name: str, input_size: int) -> None:
    encoder, inputs = stack(name, input_size=input_size), random(T, B, input_size)
    weights = {key.removeprefix("cells.0."): value.numpy() for key, value in encoder.state_dict().items()}
    outputs = encoder(inputs)[0].detach().numpy()
    np.testing.assert_allclose(outputs, in_numpy(name, weights, inputs.numpy()), rtol=1e-12, atol=1e-12)
    assert (outputs > 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    encoder, inputs = stack(name), random(5, 2, D).requires_grad_()
    parameters = tuple(encoder.parameters())
    assert torch.autograd.gradcheck(lambda frames, *_: encoder(frames)[0], (inputs, *parameters))


@pytest.mark.parametrize("name", NAMES)
def test_frame_by_frame_equals_the_whole_sequence(name: str) -> None:
    encoder, inputs = stack(name, num_layers=2), random(T, B, D)
    whole, last = encoder(inputs)
    state, outputs = encoder.initial_state(B, inputs.device), []
    for frame in inputs:
        output, state = encoder(frame[None], detach(state))
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(to_dict(state), to_dict(last), rtol=0, atol=1e-12)
    assert all(len(value) == B for value in to_dict(state).values())


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_seen_for_so_long_and_never_before(name: str) -> None:
    encoder, length = stack(name), SEEN["causal_convolution"] + 5
    inputs = random(length, 1, D)
    changed = inputs.clone()
    changed[2] += 1
    differs = (encoder(inputs)[0] != encoder(changed)[0]).any(dim=2)[:, 0].tolist()
    assert not any(differs[:2])
    assert not any(differs[2 + SEEN[name] :])
    assert differs[2]
    assert differs[2 + SEEN[name] - 1]


@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_without_input_is_refused(name: str) -> None:
    cell: type[Cell] = CELLS[name]
    with pytest.raises(ConfigError, match=r"set objective.NAME.conditional = true"):
        cell(None, H, NAMES[name])


def test_the_classes_are_those_of_the_names() -> None:
    assert (CELLS["causal_convolution"], CELLS["last_frames"]) == (CausalConvolutionCell, LastFramesCell)
