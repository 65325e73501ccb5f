"""Matrix products: those of torch, or on a CPU those of oneDNN where torch would use a slower library.

On a CPU, torch computes float32 products with MKL. On processors for which MKL is not tuned, oneDNN, which is part of
the same wheel, is faster for large products, above all for those of few rows, as a batch has
(docs/results/training-step.md).
The only way to oneDNN is a private operator of torch. So this module alone calls it, by a rule that is fixed while a
process runs, and only after a probe that it exists and computes what it should. Its results equal those of torch up to
the order in which terms are added.
"""

import functools
import platform

import torch
from torch import Tensor

# The multiply-adds from which a product is faster with oneDNN: the first in fp32; the second in bf16, for which torch
# uses oneDNN itself, when oneDNN is called directly with a transposed matrix.
_LARGE, _LARGE_TRANSPOSED = 1 << 26, 1 << 30
_PROCESSORS = ("x86_64", "amd64")
# The probe: a product of whole numbers, which is exact in every type: 3*5 + 4*6 + 7 = 46.
_PROBE, _PROBE_RESULT = ((3.0, 4.0), (5.0, 6.0), 7.0), 46.0


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return values @ weight.T + bias: (R, K), (N, K), (N,) -> (R, N), computed in the type of `weight`.

    The result has the type of `bias`, or of `weight` without a bias.
    """
    values = values.to(weight.dtype)
    if bias is not None and bias.dtype != weight.dtype:
        return torch.add(bias, values @ weight.t())
    if _is_onednn_faster(values, weight):
        return _onednn_linear(values, weight, bias)
    return values @ weight.t() if bias is None else torch.addmm(bias, values, weight.t())


def add_product(start: Tensor, values: Tensor, weight: Tensor, *, buffer: Tensor) -> Tensor:
    """Return start + values @ weight.T: (R, N) or (N,), (R, K), (N, K) -> (R, N).

    The product is computed in the type of `values` and `weight`, and added in that of `start`. The result is either
    `buffer`, (R, N), or a new tensor.
    """
    if start.dtype != weight.dtype:
        return torch.add(start, _rounded_product(values, weight), out=buffer)
    if not _is_onednn_faster(values, weight):
        return torch.addmm(start, values, weight.t(), out=buffer)
    return _onednn_linear(values, weight, start) if start.dim() == 1 else _onednn_linear_plus(start, values, weight)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right, (M, K) by (K, N); either may be a transposed view."""
    if _is_onednn_faster(left, right):
        return _onednn_linear(left, right.t(), None)
    return left @ right


def library(precision: torch.dtype, device: torch.device) -> str:
    """Return which library computes large products: "oneDNN" if this module calls it directly, else "torch"."""
    return "oneDNN" if device.type == "cpu" and _has_onednn(precision) else "torch"


def is_large(values: Tensor, weight: Tensor) -> bool:
    """Return whether values @ weight.T, (R, K) by (N, K), has so many multiply-adds that only they take time."""
    return len(values) * weight.numel() >= _LARGE


def _rounded_product(values: Tensor, weight: Tensor) -> Tensor:
    is_slow = not weight.is_contiguous() and len(values) * weight.numel() >= _LARGE_TRANSPOSED
    if is_slow and weight.device.type == "cpu" and _has_onednn(weight.dtype):
        return _onednn_linear(values, weight, None)
    return values @ weight.t()


def _is_onednn_faster(values: Tensor, matrix: Tensor) -> bool:
    is_float = matrix.dtype == torch.float32 and matrix.device.type == "cpu"
    return is_float and is_large(values, matrix) and _has_onednn(torch.float32)


@functools.cache
def _has_onednn(precision: torch.dtype) -> bool:
    """Return whether oneDNN's operator exists, passes the probe, and runs on a processor for which it is faster."""
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
