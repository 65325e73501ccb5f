"""The output projection of a decoder, and the loss of the frames that it emits, fused where only the loss is needed.

Shapes: N frames, B batch, D values of a frame, H hidden width.

With z = W h + b the output and x the target, the loss of a value is its Bernoulli cross-entropy in nats, or its squared
error:

    -x ln s(z) - (1-x) ln(1-s(z)), s = sigmoid        its derivative: s(z) - x
    (z - x)^2                                         its derivative: 2 (z - x)

(Srivastava et al. 2015, section 3.2.) As soon as the loss is computed, the derivative replaces z in memory, so that one
number a value is kept for the gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..config.settings import Likelihood
from .lstm_kernels.matmul import linear, product


def project_output(hidden: Tensor, weight: Tensor, bias: Tensor, *, compute_dtype: torch.dtype | None = None) -> Tensor:
    """Project hidden values to frames before the output non-linearity: (N, B, H), (D, H), (D,) -> (N, B, D).

    compute_dtype: the type of the product's operands and result; that of `hidden` if None.
    """
    if compute_dtype is None:
        return hidden @ weight.T + bias
    return (hidden.to(compute_dtype) @ weight.to(compute_dtype).T).to(hidden.dtype) + bias


def projected_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    likelihood: Likelihood,
    *,
    compute_dtype: torch.dtype | None = None,
) -> Tensor:
    """Return the loss of projected frames against `target`, (N, B, D), summed over everything: a scalar.

    It has gradients in hidden, weight and bias, none in target. See `project_output` for the other arguments.
    """
    loss: Tensor = _ProjectedLoss.apply(hidden, weight, bias, target, likelihood, compute_dtype)
    return loss


def frame_loss(output: Tensor, target: Tensor, likelihood: Likelihood) -> Tensor:
    """Return the loss of frames before the output non-linearity, (N, B, D), summed: nats, or squared error."""
    loss = F.binary_cross_entropy_with_logits if likelihood == "bernoulli" else F.mse_loss
    return loss(output, target, reduction="sum")


def output_to_frames(output: Tensor, likelihood: Likelihood) -> Tensor:
    """Apply the output non-linearity: a sigmoid for "bernoulli" frames, nothing for "gaussian" ones."""
    return output.sigmoid() if likelihood == "bernoulli" else output


class _ProjectedLoss(torch.autograd.Function):
    """`frame_loss` of `project_output`, and its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        likelihood: Likelihood,
        compute_dtype: torch.dtype | None,
    ) -> Tensor:
        """Project, sum the loss, and turn the output into the loss' derivative."""
        rows, matrix = hidden.flatten(0, 1).to(compute_dtype or hidden.dtype), weight.to(compute_dtype or weight.dtype)
        output, target = linear(rows, matrix, bias), target.flatten(0, 1)
        loss = frame_loss(output, target, likelihood)
        if any(ctx.needs_input_grad):
            slope = output.sigmoid_().sub_(target) if likelihood == "bernoulli" else output.sub_(target).mul_(2)
            ctx.save_for_backward(rows, matrix, slope)
            ctx.shape = hidden.shape
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the derivative, and pass it on."""
        rows, matrix, slope = ctx.saved_tensors
        d_output = slope * d_loss
        rounded = d_output.to(matrix.dtype)
        return (
            product(rounded, matrix).to(slope.dtype).view(ctx.shape),
            product(rounded.t(), rows).to(slope.dtype),
            d_output.sum(0),
            None,
            None,
            None,
        )
