"""The recurrence of one LSTM layer without peepholes by torch's own LSTM, which oneDNN computes on a CPU in float32.

Shapes: T time, B batch, D input width, H hidden width. One call computes a sequence, and one its gradients, where
`cpu_sequence` calls a dozen operations a time step: that is quicker where these are small (docs/results/threads.md).
"""

import torch
from torch import Tensor

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
    input_weight = weights.input
    if inputs is None or input_weight is None:
        # torch's LSTM must have input: one zero, with a weight of zero.
        inputs, input_weight = h.new_zeros(num_steps, len(h), 1), h.new_zeros(len(weights.bias), 1)
    outputs, _, c_last = torch.lstm(
        inputs[:num_steps],
        (h[None], c[None]),
        (input_weight, weights.recurrent, weights.bias, torch.zeros_like(weights.bias)),
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),
        bidirectional=False,
        batch_first=False,
    )
    return outputs, c_last[0]
