"""One call of torch's own recurrent layers: what all of them have in common.

Shapes: T time, B batch, D input width, H hidden width, N maps of a cell.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def run_torch_layer(
    run: Callable[..., Any],
    inputs: Tensor | None,
    hidden: Tensor | tuple[Tensor, Tensor],
    *,
    input_weight: Tensor | None,
    recurrent_weight: Tensor,
    bias: Tensor,
    recurrent_bias: Tensor | None = None,
    num_steps: int,
) -> Any:
    """Run one layer by `torch.lstm`, `torch.gru`, `torch.rnn_tanh` or `torch.rnn_relu`, and return what that does.

    inputs: (T, B, D), or None without. hidden: (1, B, H), of the LSTM h and c. input_weight (N H, D), recurrent_weight
    (N H, H), bias (N H,), and recurrent_bias, (N H,), which is added to U h, 0 if None.
    """
    if inputs is None or input_weight is None:
        # Torch's layers must have input: one zero, with a weight of zero.
        batch_size = (hidden if isinstance(hidden, Tensor) else hidden[0]).shape[1]
        inputs, input_weight = bias.new_zeros(num_steps, batch_size, 1), bias.new_zeros(len(bias), 1)
    return run(
        inputs[:num_steps],
        hidden,
        (input_weight, recurrent_weight, bias, torch.zeros_like(bias) if recurrent_bias is None else recurrent_bias),
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),
        bidirectional=False,
        batch_first=False,
    )
