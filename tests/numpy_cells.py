"""Each cell but the LSTM (numpy_lstm.py) over a sequence in NumPy, float64: its equations, one map after the other.

A function takes the cell's parameters by name, inputs (T, B, D) or None, the first state (B, H), the number of time
steps and the cell's settings. It returns the outputs (T, B, H) and the last state (B, H).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy_lstm import Floats, Layer, sigmoid

Result = tuple[Floats, Floats]


def relu(values: Floats) -> Floats:
    return np.maximum(values, 0)


def rows(layer: Layer, name: str, number: int) -> Floats:
    """Return the rows of one map, the first of which has the number 0."""
    size = layer["recurrent_weight"].shape[1]
    return layer[name][number * size : (number + 1) * size]


def input_map(layer: Layer, number: int, x: Floats | None) -> Floats:
    """Return W x + b."""
    bias = rows(layer, "bias", number)
    return bias if x is None else x @ rows(layer, "input_weight", number).T + bias


def recurrent_map(layer: Layer, number: int, h: Floats) -> Floats:
    """Return U h."""
    return h @ rows(layer, "recurrent_weight", number).T


def whole_map(layer: Layer, number: int, x: Floats | None, h: Floats) -> Floats:
    """Return W x + U h + b."""
    return input_map(layer, number, x) + recurrent_map(layer, number, h)


def frames_of(inputs: Floats | None, num_steps: int) -> Iterator[Floats | None]:
    for step in range(num_steps):
        yield None if inputs is None else inputs[step]


def rnn(layer: Layer, inputs: Floats | None, h: Floats, num_steps: int, settings: Any) -> Result:
    return simple(layer, inputs, h, num_steps, np.tanh if settings.activation == "tanh" else relu)


def irnn(layer: Layer, inputs: Floats | None, h: Floats, num_steps: int, settings: Any) -> Result:
    return simple(layer, inputs, h, num_steps, relu)


def simple(layer: Layer, inputs: Floats | None, h: Floats, num_steps: int, activate: Callable[..., Floats]) -> Result:
    outputs = []
    for x in frames_of(inputs, num_steps):
        h = activate(whole_map(layer, 0, x, h))
        outputs.append(h)
    return np.stack(outputs), h


def gru(layer: Layer, inputs: Floats | None, h: Floats, num_steps: int, settings: Any) -> Result:
    outputs = []
    for x in frames_of(inputs, num_steps):
        r, z = (sigmoid(whole_map(layer, number, x, h)) for number in (0, 1))
        if settings.reset == "after":
            n = np.tanh(input_map(layer, 2, x) + r * (recurrent_map(layer, 2, h) + layer["recurrent_bias"]))
        else:
            n = np.tanh(input_map(layer, 2, x) + recurrent_map(layer, 2, r * h))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.stack(outputs), h


def ugrnn(layer: Layer, inputs: Floats | None, h: Floats, num_steps: int, settings: Any) -> Result:
    outputs = []
    for x in frames_of(inputs, num_steps):
        c, g = np.tanh(whole_map(layer, 0, x, h)), sigmoid(whole_map(layer, 1, x, h))
        h = g * h + (1 - g) * c
        outputs.append(h)
    return np.stack(outputs), h


def intersection(layer: Layer, inputs: Floats | None, h: Floats, num_steps: int, settings: Any) -> Result:
    outputs = []
    for frame in frames_of(inputs, num_steps):
        x = frame @ layer["projection"].T if frame is not None and "projection" in layer else frame
        y_in, h_in = relu(whole_map(layer, 0, x, h)), np.tanh(whole_map(layer, 1, x, h))
        g_y, g_h = sigmoid(whole_map(layer, 2, x, h)), sigmoid(whole_map(layer, 3, x, h))
        outputs.append(g_y * (0 if x is None else x) + (1 - g_y) * y_in)
        h = g_h * h + (1 - g_h) * h_in
    return np.stack(outputs), h


REFERENCES = {"rnn": rnn, "irnn": irnn, "gru": gru, "ugrnn": ugrnn, "intersection": intersection}
