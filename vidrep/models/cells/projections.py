"""Weights put back below a bound of their norm, in place."""

import torch
from torch import Tensor

# What is above a bound is put so much below it, as a share: rounding then leaves it below.
_MARGIN = 1e-5


def clip_spectral_norm(weight: Tensor, bound: float) -> None:
    """Set the singular values of a matrix that reach `bound` to just below it: the nearest matrix of such a norm.

    A matrix with a value that is not finite stays as it is.
    """
    if not weight.isfinite().all():
        return
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    if values[0] >= bound:
        weight.copy_((left * values.clamp(max=_below(bound))) @ right)


def row_scales(norms: Tensor, bound: float) -> Tensor:
    """Return what to multiply rows of some norms with, (H,), so that those that reach `bound` are just below it."""
    return torch.where(norms < bound, 1.0, _below(bound) / norms)


def _below(bound: float) -> float:
    return bound * (1 - _MARGIN)
