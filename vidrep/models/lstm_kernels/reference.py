"""The recurrence of one LSTM layer over a sequence, as plain as its equations, with torch's own gradients.

Shapes: T time, B batch, D input width, H hidden width. Time comes first: a time step is contiguous in memory.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Literal["tanh", "relu", "softsign"]


class LayerWeights(NamedTuple):
    """Weights of one layer. Rows are in the gate order i, f, g, o: input, forget, candidate, output.

    input (4H, D), None without input; recurrent (4H, H); bias (4H,); peepholes (3, H), of i, f and o, None without
    them.
    """

    input: Tensor | None
    recurrent: Tensor
    bias: Tensor
    peepholes: Tensor | None


def reference_sequence(
    inputs: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: LayerWeights,
    *,
    num_steps: int,
    activation: Activation = "tanh",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Run one layer from the state h, c, (B, H) each: its h at every time step, (T, B, H), and its last c, (B, H).

    compute_dtype: the type to which operands and results of matrix products are rounded, None for that of h.
    """
    activate = {"tanh": torch.tanh, "relu": torch.relu, "softsign": F.softsign}[activation]

    def product(values: Tensor, matrix: Tensor) -> Tensor:
        return (
            values @ matrix.T
            if compute_dtype is None
            else (values.to(compute_dtype) @ matrix.to(compute_dtype).T).to(values.dtype)
        )

    outputs = []
    for step in range(num_steps):
        gates = product(h, weights.recurrent) + weights.bias
        if inputs is not None and weights.input is not None:
            gates = gates + product(inputs[step], weights.input)
        i, f, g, o = gates.chunk(4, dim=-1)
        if weights.peepholes is not None:
            i, f = i + weights.peepholes[0] * c, f + weights.peepholes[1] * c
        c = f.sigmoid() * c + i.sigmoid() * activate(g)
        if weights.peepholes is not None:
            o = o + weights.peepholes[2] * c
        h = o.sigmoid() * activate(c)
        outputs.append(h)
    return torch.stack(outputs), c
