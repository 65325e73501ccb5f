"""Products of matrices: torch's own, or on a CPU oneDNN's, where torch would take a slower library.

torch computes float32 products on a CPU by MKL, whose products of few rows, as a batch has, reach 40 to 80 % of what
the processor can do on machines where oneDNN, which is in the same wheel, reaches 90 % (docs/results/training-step.md).
torch reaches oneDNN for its own ends by an operator that it calls private. So it is used through this door alone, by
one rule that does not change while a process runs, and not at all where it is not what it was. It says the same as
torch's own up to the order in which terms are added.
"""

import functools
import platform

import torch
from torch import Tensor

# A product that is known, of whole numbers: 3*5 + 4*6 + 7 = 46.
_PROBE, _PROBE_RESULT = ((3.0, 4.0), (5.0, 6.0), 7.0), 46.0


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return values @ weight.T + bias: (R, K), (N, K), (N,) -> (R, N), computed in the type of `weight`.

    The result is in the type of `bias`, without one in that of `weight`.
    """
    values = values.to(weight.dtype)
    if bias is None or bias.dtype == weight.dtype:
        if is_onednn_used(weight):
            return _onednn_linear(values, weight, bias)
        return values @ weight.t() if bias is None else torch.addmm(bias, values, weight.t())
    return torch.add(bias, values @ weight.t())


def add_product(start: Tensor, values: Tensor, weight: Tensor, *, room: Tensor) -> Tensor:
    """Return start + values @ weight.T, in `room` or in new memory: (R, N) or (N,), (R, K), (N, K) -> (R, N).

    The product is computed in the type of `weight` and added in that of `start`; values are of the former.
    """
    if start.dtype != weight.dtype:
        return torch.add(start, values @ weight.t(), out=room)
    if is_onednn_used(weight):
        if start.dim() == 1:
            return _onednn_linear(values, weight, start)
        return _onednn_linear_plus(start, values, weight)
    return torch.addmm(start, values, weight.t(), out=room)


def is_onednn_used(weight: Tensor) -> bool:
    """Say whether products with this matrix are oneDNN's."""
    return weight.dtype == torch.float32 and weight.device.type == "cpu" and is_onednn_there()


@functools.cache
def is_onednn_there() -> bool:
    """Say whether torch's operator is there and does what is expected of it, on a processor where that is faster."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    (values, weights, start) = (torch.tensor([part]) for part in _PROBE)
    try:
        with torch.no_grad():
            found = (
                _onednn_linear(values, weights, start),
                _onednn_linear_plus(start[:, None], values, weights),
            )
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(one.shape == (1, 1) and float(one) == _PROBE_RESULT for one in found)


def _onednn_linear(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")
    return product


def _onednn_linear_plus(start: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    summed: Tensor = torch.ops.mkldnn._linear_pointwise.binary(values, start, weight, None, "add")
    return summed
