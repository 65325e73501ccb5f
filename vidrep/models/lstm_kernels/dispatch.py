"""The rule by which a recurrence is chosen for a device and the sizes of a layer."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from .cpu import cpu_sequence
from .matmul import is_large, library
from .onednn import onednn_sequence
from .reference import Activation, LayerWeights

# The input width, in hidden widths, up to which torch's LSTM is quicker: it always computes the gradient of the inputs,
# which an encoder does not need.
_MOST_INPUT = 2
# The multiply-adds of a time step up to which it is quicker without input, if products are in fp32 (docs/log.md).
_MOST_ALONE = 1 << 28


def choose_sequence(
    h: Tensor, weights: LayerWeights, activation: Activation = "tanh", compute_dtype: torch.dtype | None = None
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the quickest recurrence for a layer that starts from h, (B, H).

    With a state in fp32 on a CUDA device where triton is installed, that is `cuda_sequence`, which has no softsign. On
    a CPU it is `onednn_sequence` for small layers of the LSTM without peepholes, and for larger ones without input,
    where oneDNN computes large products too. Else it is `cpu_sequence`. compute_dtype: see there.
    """
    if h.is_cuda and h.dtype == torch.float32 and activation != "softsign" and _has_triton():
        from .cuda import cuda_sequence  # slow to import, since it imports triton

        return cuda_sequence
    return onednn_sequence if _suits_onednn(h, weights, activation, compute_dtype) else cpu_sequence


def _suits_onednn(h: Tensor, weights: LayerWeights, activation: Activation, compute_dtype: torch.dtype | None) -> bool:
    is_plain = weights.peepholes is None and activation == "tanh" and h.dtype == torch.float32
    if not is_plain or library(h.dtype, h.device) != "oneDNN":
        return False
    if not is_large(h, weights.recurrent):
        return weights.input is None or weights.input.shape[1] <= _MOST_INPUT * h.shape[1]
    is_alone = weights.input is None and compute_dtype in (None, h.dtype)
    return is_alone and len(h) * weights.recurrent.numel() <= _MOST_ALONE


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
