"""Encoder and decoder in NumPy, frame by frame, from the paper's equations; float64, nothing of it from vidrep.

Weights come by the names under which a model is saved. Shapes: T, N time steps, B batch, D values of a frame, H hidden
width.
"""

from collections.abc import Mapping

import numpy as np
import numpy_lstm
from numpy_lstm import Floats, Layer, sigmoid

Weights = Mapping[str, Floats]
LayerStates = list[tuple[Floats, Floats]]
"""h and c of each layer, (B, H) each."""


def part(weights: Weights, prefix: str) -> dict[str, Floats]:
    """Return the weights below a prefix."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def layers_of(weights: Weights) -> list[Layer]:
    """Return the layers of a stack of LSTM cells."""
    numbers = sorted({int(name.split(".")[1]) for name in weights})
    return [part(weights, f"cells.{number}.") for number in numbers]


def one_step(layers: list[Layer], frame: Floats | None, state: LayerStates, activation: str) -> LayerStates:
    """Do one time step of a stack of layers; frame None: no input at all."""
    after: LayerStates = []
    inputs = frame
    for layer, (h, c) in zip(layers, state, strict=True):
        step = numpy_lstm.step(layer, inputs, h, c, activation)
        after.append((step.h, step.c))
        inputs = step.h
    return after


def encode(weights: Weights, context: Floats, *, activation: str = "tanh") -> LayerStates:
    """Return the encoder's last state: context (T, B, D)."""
    layers = layers_of(part(weights, "encoder."))
    zeros = np.zeros((context.shape[1], layers[0]["recurrent_weight"].shape[1]))
    state: LayerStates = [(zeros, zeros)] * len(layers)
    for frame in context:
        state = one_step(layers, frame, state, activation)
    return state


def decode(
    weights: Weights,
    state: LayerStates,
    num_frames: int,
    *,
    conditional: bool,
    likelihood: str = "gaussian",
    activation: str = "tanh",
    target: Floats | None = None,
) -> Floats:
    """Return the frames that a decoder emits before its non-linearity, (N, B, D), in the order in which it emits them.

    weights: those of the decoder. target: (N, B, D) in that order too, for teacher forcing.
    """
    layers = layers_of(part(weights, "stack."))
    weight, bias = weights["projection.weight"], weights["projection.bias"]
    frame = np.zeros((len(state[0][0]), len(bias)))
    outputs = []
    for step in range(num_frames):
        state = one_step(layers, frame if conditional else None, state, activation)
        outputs.append(state[-1][0] @ weight.T + bias)
        own = sigmoid(outputs[-1]) if likelihood == "bernoulli" else outputs[-1]
        frame = own if target is None else target[step]
    return np.stack(outputs)


def frame_loss(outputs: Floats, target: Floats, likelihood: str) -> float:
    """Return the loss of frames, summed over everything."""
    if likelihood == "gaussian":
        return float(np.sum((outputs - target) ** 2))
    p = sigmoid(outputs)
    return float(np.sum(-target * np.log(p) - (1 - target) * np.log(1 - p)))
