"""A stack of LSTM layers and its gradients in NumPy, float64, one layer and time step after the other, by hand.

    i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
    a = tanh   (Wa x + Ua h' + ba)                c = f*c' + i*a
    o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*tanh(c)

A layer is a dictionary of its parameters: input_weight (4H, D) or none, recurrent_weight (4H, H), bias (4H,), peepholes
(3, H) or none. Rows stand in the order i, f, a, o.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Layer = dict[str, Floats]


@dataclass(frozen=True)
class Moment:
    """What one layer saw and computed at one time step, all (B, .)."""

    x: Floats | None
    h_before: Floats
    c_before: Floats
    i: Floats
    f: Floats
    a: Floats
    o: Floats
    c: Floats
    h: Floats


@dataclass(frozen=True)
class Gradients:
    """Of the inputs (T, B, D), the first state (L, B, H) each, and every layer's parameters."""

    inputs: Floats | None
    h: Floats
    c: Floats
    layers: list[Layer]


def sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def squash(values: Floats, activation: str) -> Floats:
    return np.tanh(values) if activation == "tanh" else np.maximum(values, 0)


def squash_derivative(tanh_c: Floats, activation: str) -> Floats:
    return 1 - tanh_c**2 if activation == "tanh" else (tanh_c > 0).astype(np.float64)


def rows(gate: str, size: int) -> slice:
    number = "ifao".index(gate)
    return slice(number * size, (number + 1) * size)


def step(layer: Layer, x: Floats | None, h: Floats, c: Floats, activation: str) -> Moment:
    """One layer, one time step, one gate after the other."""
    size = h.shape[1]
    z = {}
    for gate in "ifao":
        z[gate] = h @ layer["recurrent_weight"][rows(gate, size)].T + layer["bias"][rows(gate, size)]
        if x is not None:
            z[gate] = z[gate] + x @ layer["input_weight"][rows(gate, size)].T
    wi, wf, wo = layer.get("peepholes", np.zeros((3, size)))
    i, f, a = sigmoid(z["i"] + wi * c), sigmoid(z["f"] + wf * c), squash(z["a"], activation)
    new_c = f * c + i * a
    o = sigmoid(z["o"] + wo * new_c)
    return Moment(x, h, c, i, f, a, o, new_c, o * squash(new_c, activation))


def run(
    layers: list[Layer], inputs: Floats | None, h: Floats, c: Floats, *, num_steps: int, activation: str = "tanh"
) -> list[list[Moment]]:
    """All time steps, and of each all layers, from the state h, c, (L, B, H) each."""
    moments: list[list[Moment]] = []
    for t in range(num_steps):
        x, now = None if inputs is None else inputs[t], []
        for number, layer in enumerate(layers):
            before = (moments[-1][number].h, moments[-1][number].c) if moments else (h[number], c[number])
            now.append(step(layer, x, *before, activation))
            x = now[-1].h
        moments.append(now)
    return moments


def results(moments: list[list[Moment]]) -> tuple[Floats, Floats, Floats]:
    """The top layer's h at every time step (T, B, H), and all layers' last h and c, (L, B, H) each."""
    return (
        np.stack([now[-1].h for now in moments]),
        np.stack([moment.h for moment in moments[-1]]),
        np.stack([moment.c for moment in moments[-1]]),
    )


def gradients(
    layers: list[Layer],
    moments: list[list[Moment]],
    d_outputs: Floats,
    d_h: Floats,
    d_c: Floats,
    *,
    activation: str = "tanh",
) -> Gradients:
    """Of a loss whose gradients by what `results` returns are d_outputs, d_h and d_c."""
    d_h, d_c = d_h.copy(), d_c.copy()
    d_layers = [{name: np.zeros_like(value) for name, value in layer.items()} for layer in layers]
    d_inputs = []
    for t in reversed(range(len(moments))):
        d_x: Floats | None = d_outputs[t]
        for number in reversed(range(len(layers))):
            d_h[number] += d_x
            d_x, d_h[number], d_c[number] = step_back(
                layers[number], moments[t][number], d_h[number], d_c[number], d_layers[number], activation
            )
        d_inputs.append(d_x)
    inputs = None if d_inputs[0] is None else np.stack(d_inputs[::-1])
    return Gradients(inputs, d_h, d_c, d_layers)


def step_back(
    layer: Layer, moment: Moment, d_h: Floats, d_c: Floats, d_layer: Layer, activation: str
) -> tuple[Floats | None, Floats, Floats]:
    """Add to the layer's gradients; return those of x, h_before and c_before."""
    m, size = moment, d_h.shape[1]
    wi, wf, wo = layer.get("peepholes", np.zeros((3, size)))
    tanh_c = squash(m.c, activation)
    dz = {"o": d_h * tanh_c * m.o * (1 - m.o)}
    d_c = d_c + d_h * m.o * squash_derivative(tanh_c, activation) + dz["o"] * wo
    dz["i"] = d_c * m.a * m.i * (1 - m.i)
    dz["f"] = d_c * m.c_before * m.f * (1 - m.f)
    dz["a"] = d_c * m.i * squash_derivative(m.a, activation)
    if "peepholes" in layer:
        seen = {"i": m.c_before, "f": m.c_before, "o": m.c}
        for number, gate in enumerate("ifo"):
            d_layer["peepholes"][number] += (dz[gate] * seen[gate]).sum(0)
    d_x, d_h_before = None if m.x is None else np.zeros_like(m.x), np.zeros_like(d_h)
    for gate in "ifao":
        here = rows(gate, size)
        d_layer["bias"][here] += dz[gate].sum(0)
        d_layer["recurrent_weight"][here] += dz[gate].T @ m.h_before
        d_h_before += dz[gate] @ layer["recurrent_weight"][here]
        if m.x is not None:
            d_layer["input_weight"][here] += dz[gate].T @ m.x
            d_x += dz[gate] @ layer["input_weight"][here]
    return d_x, d_h_before, d_c * m.f + dz["i"] * wi + dz["f"] * wf
