"""Products of matrices: torch's own, or on a CPU oneDNN's, where torch would take a slower library.

torch computes float32 products on a CPU by MKL. On processors where MKL is not at its best, those of more than a few
million multiply-adds, above all of few rows, as a batch has, are quicker by oneDNN, which is in the same wheel
(docs/results/training-step.md).
torch reaches oneDNN for its own ends by an operator that it calls private. So it is used through this door alone, by
one rule that does not change while a process runs, and not at all where it is not what it was. It says the same as
torch's own up to the order in which terms are added.
"""

import functools
import platform

import torch
from torch import Tensor

# Multiply-adds of a product from which on oneDNN is quicker, in fp32; and in bf16, where torch itself takes it, those
# from which on it is when called directly, if a matrix is transposed.
_LARGE, _LARGE_TRANSPOSED = 1 << 26, 1 << 30
_PROCESSORS = ("x86_64", "amd64")
# A product that is known, of whole numbers: 3*5 + 4*6 + 7 = 46.
_PROBE, _PROBE_RESULT = ((3.0, 4.0), (5.0, 6.0), 7.0), 46.0


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return values @ weight.T + bias: (R, K), (N, K), (N,) -> (R, N), computed in the type of `weight`.

    The result is in the type of `bias`, without one in that of `weight`.
    """
    values = values.to(weight.dtype)
    if bias is not None and bias.dtype != weight.dtype:
        return torch.add(bias, values @ weight.t())
    if _is_onednn_quicker(values, weight):
        return _onednn_linear(values, weight, bias)
    return values @ weight.t() if bias is None else torch.addmm(bias, values, weight.t())


def add_product(start: Tensor, values: Tensor, weight: Tensor, *, buffer: Tensor) -> Tensor:
    """Return start + values @ weight.T, in `room` or in new memory: (R, N) or (N,), (R, K), (N, K) -> (R, N).

    The product is computed in the type of `weight` and added in that of `start`; values are of the former.
    """
    if start.dtype != weight.dtype:
        return torch.add(start, _rounded_product(values, weight), out=buffer)
    if not _is_onednn_quicker(values, weight):
        return torch.addmm(start, values, weight.t(), out=buffer)
    return _onednn_linear(values, weight, start) if start.dim() == 1 else _onednn_linear_plus(start, values, weight)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right, (M, K) by (K, N); either may be a transposed view."""
    if _is_onednn_quicker(left, right):
        return _onednn_linear(left, right.t(), None)
    return left @ right


def library(precision: torch.dtype, device: torch.device) -> str:
    """Say whose products are used, for the record: "oneDNN" where this door leads there, else "torch"."""
    return "oneDNN" if device.type == "cpu" and _is_onednn_there(precision) else "torch"


def _rounded_product(values: Tensor, weight: Tensor) -> Tensor:
    is_hard = not weight.is_contiguous() and len(values) * weight.numel() >= _LARGE_TRANSPOSED
    if is_hard and weight.device.type == "cpu" and _is_onednn_there(weight.dtype):
        return _onednn_linear(values, weight, None)
    return values @ weight.t()


def _is_onednn_quicker(values: Tensor, matrix: Tensor) -> bool:
    is_large = matrix.dtype == torch.float32 and len(values) * matrix.numel() >= _LARGE
    return is_large and matrix.device.type == "cpu" and _is_onednn_there(torch.float32)


@functools.cache
def _is_onednn_there(precision: torch.dtype) -> bool:
    """Say whether torch's operator is there and does what is expected of it, on a processor where that is quicker."""
    if platform.machine().lower() not in _PROCESSORS or precision not in (torch.float32, torch.bfloat16):
        return False
    values, weight, start = (torch.tensor([part], dtype=precision) for part in _PROBE)
    try:
        with torch.no_grad():
            found = (_onednn_linear(values, weight, start), _onednn_linear_plus(start[:, None], values, weight))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(one.dtype == precision and one.tolist() == [[_PROBE_RESULT]] for one in found)


def _onednn_linear(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")
    return result


def _onednn_linear_plus(start: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(values, start, weight, None, "add")
    return result
