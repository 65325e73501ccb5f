"""The linear readout of a decoder, and what the frames cost that it emits: both in one where only the cost is wanted.

Shapes: N frames, B batch, D values of a frame, H hidden width.

With z = W h + b what is emitted and x the true frame, a value costs its Bernoulli cross-entropy in nats, if it is a
probability, or its squared error:

    -x ln s(z) - (1-x) ln(1-s(z)), s = sigmoid        its derivative: s(z) - x
    (z - x)^2                                         its derivative: 2 (z - x)

(Srivastava et al. 2015, section 3.2.) The derivative takes the place of z in memory as soon as the cost is known; so
one number a value is kept for the gradient.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .lstm_kernels.matmul import linear, product

Values = Literal["probability", "real"]


def project_output(outputs: Tensor, weight: Tensor, bias: Tensor, *, products: torch.dtype | None = None) -> Tensor:
    """Emit frames: outputs (N, B, H), weight (D, H), bias (D,) -> (N, B, D), before the output non-linearity.

    products: the type that operands of the product are rounded to, and its result, or None.
    """
    if products is None:
        return outputs @ weight.T + bias
    return (outputs.to(products) @ weight.to(products).T).to(outputs.dtype) + bias


def projected_loss(
    outputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    truth: Tensor,
    values: Values,
    *,
    products: torch.dtype | None = None,
) -> Tensor:
    """Return what it costs to emit `truth`, (N, B, D), by a readout of outputs, (N, B, H): a scalar, summed over all.

    It has gradients in outputs, weight and bias, none in truth. products: see `project_output`.
    """
    cost: Tensor = _Cost.apply(outputs, weight, bias, truth, values, products)
    return cost


def frame_loss(emitted: Tensor, truth: Tensor, values: Values) -> Tensor:
    """Return what emitted frames cost in all, before the output non-linearity: nats, or squared error for real ones."""
    cost = F.binary_cross_entropy_with_logits if values == "probability" else F.mse_loss
    return cost(emitted, truth, reduction="sum")


class _Cost(torch.autograd.Function):
    """`frame_loss` of `project_output`, and its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        outputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        truth: Tensor,
        values: Values,
        products: torch.dtype | None,
    ) -> Tensor:
        """Emit, sum the cost up, and turn what was emitted into the cost's derivative."""
        rows, matrix = outputs.flatten(0, 1).to(products or outputs.dtype), weight.to(products or weight.dtype)
        emitted, truth = linear(rows, matrix, bias), truth.flatten(0, 1)
        cost = frame_loss(emitted, truth, values)
        if any(ctx.needs_input_grad):
            slope = emitted.sigmoid_().sub_(truth) if values == "probability" else emitted.sub_(truth).mul_(2)
            ctx.save_for_backward(rows, matrix, slope)
            ctx.shape = outputs.shape
        return cost

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_cost: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the derivative, and pass it on."""
        rows, matrix, slope = ctx.saved_tensors
        d_emitted = slope * d_cost
        rounded = d_emitted.to(matrix.dtype)
        return (
            product(rounded, matrix).to(slope.dtype).view(ctx.shape),
            product(rounded.t(), rows).to(slope.dtype),
            d_emitted.sum(0),
            None,
            None,
            None,
        )
