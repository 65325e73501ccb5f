"""The composite model in NumPy, frame by frame, from the paper's equations; float64, nothing of it from vidrep.

Weights come by the names under which a model is saved. Shapes: B batch, D values of a frame, H hidden width.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
State = list[tuple[Array, Array]]  # h and c of each layer


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def one_step(weights: Weights, frame: Array | None, state: State, activation: str) -> State:
    """One time step of a stack of layers; `frame` None is no input at all."""
    squash = np.tanh if activation == "tanh" else lambda values: np.maximum(values, 0)
    after: State = []
    inputs = frame
    for number, (h, c) in enumerate(state):
        recurrent, bias = weights[f"layers.{number}.recurrent_weight"], weights[f"layers.{number}.bias"]
        width = recurrent.shape[1]
        w_i, w_f, w_o = weights.get(f"layers.{number}.peepholes", np.zeros((3, width)))
        total = h @ recurrent.T + bias
        if inputs is not None:
            total = total + inputs @ weights[f"layers.{number}.input_weight"].T
        z_i, z_f, z_a, z_o = (total[:, gate * width : (gate + 1) * width] for gate in range(4))
        i, f, a = sigmoid(z_i + w_i * c), sigmoid(z_f + w_f * c), squash(z_a)
        c = f * c + i * a
        h = sigmoid(z_o + w_o * c) * squash(c)
        after.append((h, c))
        inputs = h
    return after


def part(weights: Weights, prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def encode(weights: Weights, seen: Array, *, num_layers: int, hidden_size: int, activation: str = "tanh") -> State:
    encoder = part(weights, "encoder.")
    zeros = np.zeros((seen.shape[1], hidden_size))
    state: State = [(zeros, zeros)] * num_layers
    for frame in seen:
        state = one_step(encoder, frame, state, activation)
    return state


def decode(
    weights: Weights,
    decoder: str,
    state: State,
    num_steps: int,
    *,
    conditional: bool,
    values: str = "real",
    activation: str = "tanh",
    truth: Array | None = None,
) -> Array:
    """What a decoder emits before its non-linearity, in the order in which it emits; `truth` in that order too."""
    lstm, readout = part(weights, f"{decoder}.lstm."), part(weights, f"{decoder}.readout.")
    size = len(readout["bias"])
    frame = np.zeros((len(state[0][0]), size))
    emitted = []
    for step in range(num_steps):
        state = one_step(lstm, frame if conditional else None, state, activation)
        emitted.append(state[-1][0] @ readout["weight"].T + readout["bias"])
        own = sigmoid(emitted[-1]) if values == "probability" else emitted[-1]
        frame = own if truth is None else truth[step]
    return np.stack(emitted)


def cost(emitted: Array, truth: Array, values: str) -> float:
    """What frames cost in all."""
    if values == "real":
        return float(np.sum((emitted - truth) ** 2))
    p = sigmoid(emitted)
    return float(np.sum(-truth * np.log(p) - (1 - truth) * np.log(1 - p)))
