"""The recurrence of one LSTM layer without peepholes by torch's own LSTM, which oneDNN computes on a CPU in float32.

Shapes: T time, B batch, D input width, H hidden width. One call computes a sequence, and one its gradients, where
`cpu_sequence` calls a dozen operations a time step: that is quicker where these are small (docs/results/threads.md).
"""

import torch
from torch import Tensor

from ..torch_layer import run_torch_layer
from .reference import Activation, LayerWeights


def onednn_sequence(
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

    It has no peepholes, and its activation is tanh. compute_dtype: unused, since all products are in the type of h.
    """
    outputs, _, c_last = run_torch_layer(
        torch.lstm,
        inputs,
        (h[None], c[None]),
        input_weight=weights.input,
        recurrent_weight=weights.recurrent,
        bias=weights.bias,
        num_steps=num_steps,
    )
    return outputs, c_last[0]
