"""The rule by which a recurrence is chosen for a device."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from .cpu import cpu_sequence


def choose_sequence(h: Tensor) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return `cuda_sequence` for a state in fp32 on a CUDA device where triton is installed, else `cpu_sequence`."""
    if h.is_cuda and h.dtype == torch.float32 and _has_triton():
        from .cuda import cuda_sequence  # slow to import, since it imports triton

        return cuda_sequence
    return cpu_sequence


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
