"""Torch's own recurrent layers, each one call a sequence, for the cells of that form.

Shapes: T time, B batch, D input width, H hidden width, N maps of a cell.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..lstm_kernels.matmul import is_large
from ..torch_layer import run_torch_layer


def prefers_torch(h: Tensor, recurrent_weight: Tensor) -> bool:
    """Return whether torch's layer is quicker than a loop over time: on a CPU, where products are small.

    h: (B, H). recurrent_weight: (N H, H).
    """
    return h.device.type == "cpu" and not is_large(h, recurrent_weight)


def torch_sequence(
    run: Callable[..., Any],
    inputs: Tensor | None,
    h: Tensor,
    *,
    input_weight: Tensor | None,
    recurrent_weight: Tensor,
    bias: Tensor,
    recurrent_bias: Tensor | None = None,
    num_steps: int,
) -> tuple[Tensor, Tensor]:
    """Run one layer by `torch.rnn_tanh`, `torch.rnn_relu` or `torch.gru`: its outputs (T, B, H) and its last h, (B, H).

    inputs: (T, B, D), or None without. h: (B, H). input_weight (N H, D), recurrent_weight (N H, H), bias (N H,), and
    recurrent_bias, (N H,), which is added to U h, 0 if None.
    """
    outputs, last = run_torch_layer(
        run,
        inputs,
        h[None],
        input_weight=input_weight,
        recurrent_weight=recurrent_weight,
        bias=bias,
        recurrent_bias=recurrent_bias,
        num_steps=num_steps,
    )
    return outputs, last[0]
