"""A stack of LSTM layers and its gradients in NumPy, float64, one layer and time step after the other, by hand.

    i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
    g = tanh   (Wg x + Ug h' + bg)                c = f*c' + i*g
    o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*tanh(c)

A layer is a dictionary of its parameters: input_weight (4H, D) or none, recurrent_weight (4H, H), bias (4H,), peepholes
(3, H) or none. Rows are in the gate order i, f, g, o.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Layer = dict[str, Floats]


@dataclass(frozen=True)
class TimeStep:
    """What one layer read and computed at one time step, all (B, .)."""

    x: Floats | None
    h_before: Floats
    c_before: Floats
    i: Floats
    f: Floats
    g: Floats
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


def activate(values: Floats, activation: str) -> Floats:
    if activation == "softsign":
        softsign: Floats = values / (1 + np.abs(values))
        return softsign
    return np.tanh(values) if activation == "tanh" else np.maximum(values, 0)


def derivative(activated: Floats, activation: str) -> Floats:
    """Return s'(x) from s(x)."""
    if activation == "softsign":
        return (1 - np.abs(activated)) ** 2
    return 1 - activated**2 if activation == "tanh" else (activated > 0).astype(np.float64)


def rows(gate: str, size: int) -> slice:
    number = "ifgo".index(gate)
    return slice(number * size, (number + 1) * size)


def step(layer: Layer, x: Floats | None, h: Floats, c: Floats, activation: str) -> TimeStep:
    """Compute one layer at one time step, one gate after the other."""
    size = h.shape[1]
    z = {}
    for gate in "ifgo":
        z[gate] = h @ layer["recurrent_weight"][rows(gate, size)].T + layer["bias"][rows(gate, size)]
        if x is not None:
            z[gate] = z[gate] + x @ layer["input_weight"][rows(gate, size)].T
    wi, wf, wo = layer.get("peepholes", np.zeros((3, size)))
    i, f, g = sigmoid(z["i"] + wi * c), sigmoid(z["f"] + wf * c), activate(z["g"], activation)
    new_c = f * c + i * g
    o = sigmoid(z["o"] + wo * new_c)
    return TimeStep(x, h, c, i, f, g, o, new_c, o * activate(new_c, activation))


def run(
    layers: list[Layer], inputs: Floats | None, h: Floats, c: Floats, *, num_steps: int, activation: str = "tanh"
) -> list[list[TimeStep]]:
    """Compute all time steps, and at each all layers, from the state h, c, (L, B, H) each."""
    steps: list[list[TimeStep]] = []
    for t in range(num_steps):
        x, now = None if inputs is None else inputs[t], []
        for number, layer in enumerate(layers):
            h_before, c_before = (steps[-1][number].h, steps[-1][number].c) if steps else (h[number], c[number])
            now.append(step(layer, x, h_before, c_before, activation))
            x = now[-1].h
        steps.append(now)
    return steps


def results(steps: list[list[TimeStep]]) -> tuple[Floats, Floats, Floats]:
    """Return the top layer's h at every time step (T, B, H), and all layers' last h and c, (L, B, H) each."""
    return (
        np.stack([now[-1].h for now in steps]),
        np.stack([one.h for one in steps[-1]]),
        np.stack([one.c for one in steps[-1]]),
    )


def gradients(
    layers: list[Layer],
    steps: list[list[TimeStep]],
    d_outputs: Floats,
    d_h: Floats,
    d_c: Floats,
    *,
    activation: str = "tanh",
) -> Gradients:
    """Return those of a loss whose gradients in what `results` returns are d_outputs, d_h and d_c."""
    d_h, d_c = d_h.copy(), d_c.copy()
    d_layers = [{name: np.zeros_like(value) for name, value in layer.items()} for layer in layers]
    d_inputs: list[Floats] = []
    for t in reversed(range(len(steps))):
        d_x: Floats | None = d_outputs[t]
        for number in reversed(range(len(layers))):
            d_h[number] += 0 if d_x is None else d_x
            d_x, d_h[number], d_c[number] = step_backward(
                layers[number], steps[t][number], d_h[number], d_c[number], d_layers[number], activation
            )
        if d_x is not None:
            d_inputs.append(d_x)
    inputs = np.stack(d_inputs[::-1]) if d_inputs else None
    return Gradients(inputs, d_h, d_c, d_layers)


def step_backward(
    layer: Layer, done: TimeStep, d_h: Floats, d_c: Floats, d_layer: Layer, activation: str
) -> tuple[Floats | None, Floats, Floats]:
    """Add to the layer's gradients; return those of x, h_before and c_before."""
    m, size = done, d_h.shape[1]
    wi, wf, wo = layer.get("peepholes", np.zeros((3, size)))
    tanh_c = activate(m.c, activation)
    dz = {"o": d_h * tanh_c * m.o * (1 - m.o)}
    d_c = d_c + d_h * m.o * derivative(tanh_c, activation) + dz["o"] * wo
    dz["i"] = d_c * m.g * m.i * (1 - m.i)
    dz["f"] = d_c * m.c_before * m.f * (1 - m.f)
    dz["g"] = d_c * m.i * derivative(m.g, activation)
    if "peepholes" in layer:
        read = {"i": m.c_before, "f": m.c_before, "o": m.c}
        for number, gate in enumerate("ifo"):
            d_layer["peepholes"][number] += (dz[gate] * read[gate]).sum(0)
    d_z = np.concatenate([dz[gate] for gate in "ifgo"], axis=1)
    d_layer["bias"] += d_z.sum(0)
    d_layer["recurrent_weight"] += d_z.T @ m.h_before
    if m.x is not None:
        d_layer["input_weight"] += d_z.T @ m.x
    d_x = None if m.x is None else d_z @ layer["input_weight"]
    return d_x, d_z @ layer["recurrent_weight"], d_c * m.f + dz["i"] * wi + dz["f"] * wf
