"""The matrix products of a layer over a sequence, with gradients; that of a weight is one product over all time steps.

Shapes: T time, B batch, D input width, H hidden width, N rows of a weight.

Small products are torch's own. Large ones, see `is_large`, are computed in `compute_dtype`, by the quicker library.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..lstm_kernels.matmul import add_product, is_large, linear, product


def affine(
    inputs: Tensor, weight: Tensor, bias: Tensor | None = None, *, compute_dtype: torch.dtype | None = None
) -> Tensor:
    """Return W x + b of all time steps: (T, B, D), (N, D), (N,) -> (T, B, N).

    compute_dtype: of the operands of a large product; that of the inputs if None.
    """
    rows = inputs.flatten(0, 1)
    if not is_large(rows, weight):
        return F.linear(inputs, weight, bias)
    result: Tensor = _Affine.apply(rows, weight, bias, compute_dtype or inputs.dtype)
    return result.view(*inputs.shape[:2], -1)


class RecurrentProduct:
    """The products U h of the time steps of one sequence, in their order.

    The gradient of U needs no product a time step: those of the products, and h, are kept until the gradient has come
    back to the first one, which depends on all others.

    weight: U, (N, H). compute_dtype: of the operands of large products, that of U if None.
    """

    def __init__(self, weight: Tensor, *, compute_dtype: torch.dtype | None = None) -> None:
        self._weight = weight
        self._rounded = weight.detach().to(compute_dtype or weight.dtype)
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._is_first = True

    def __call__(self, start: Tensor, h: Tensor) -> Tensor:
        """Return start + U h: (B, N) or (N,), (B, H) -> (B, N)."""
        if not is_large(h, self._weight):
            return torch.addmm(start, h, self._weight.t())
        result: Tensor = _Plus.apply(start, h, self._weight, self._rounded, self._kept, self._is_first)
        self._is_first = False
        return result


class _Affine(torch.autograd.Function):
    """x W^T + b of rows, (R, D), and its gradients."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Round the operands, and keep them."""
        rows, matrix = rows.to(dtype), weight.to(dtype)
        ctx.save_for_backward(rows, matrix)
        return linear(rows, matrix, bias).to(weight.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_result: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of rows, W and b."""
        rows, matrix = ctx.saved_tensors
        needs_rows, needs_weight, needs_bias, _ = ctx.needs_input_grad
        rounded = d_result.to(matrix.dtype)
        return (
            product(rounded, matrix).to(d_result.dtype) if needs_rows else None,
            product(rounded.t(), rows).to(d_result.dtype) if needs_weight else None,
            d_result.sum(0) if needs_bias else None,
            None,
        )


class _Plus(torch.autograd.Function):
    """start + h U^T of one time step, and its gradients; that of U at the first time step, for all of them."""

    @staticmethod
    def forward(
        ctx: Any,
        start: Tensor,
        h: Tensor,
        weight: Tensor,
        rounded: Tensor,
        kept: list[tuple[Tensor, Tensor]],
        is_first: bool,
    ) -> Tensor:
        """Multiply by the rounded weight."""
        operand = h.to(rounded.dtype)
        ctx.save_for_backward(operand, rounded)
        ctx.kept, ctx.is_first, ctx.is_bias = kept, is_first, start.ndim == 1
        return add_product(start, operand, rounded, buffer=h.new_empty(len(h), len(weight)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_result: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of start, h and, at the first time step, U."""
        operand, rounded = ctx.saved_tensors
        d_rounded, d_weight = d_result.to(rounded.dtype), None
        if ctx.needs_input_grad[2]:
            ctx.kept.append((d_rounded, operand))
            if ctx.is_first:
                d_all, h_all = (torch.cat(parts) for parts in zip(*ctx.kept, strict=True))
                d_weight = product(d_all.t(), h_all).to(d_result.dtype)
                ctx.kept.clear()
        d_h = product(d_rounded, rounded).to(d_result.dtype) if ctx.needs_input_grad[1] else None
        return d_result.sum(0) if ctx.is_bias else d_result, d_h, d_weight, None, None, None
