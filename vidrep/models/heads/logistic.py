"""Logistic regression on frozen representations.

Shapes: B batch, N windows, H width of the encoder's outputs, K classes.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from ...config.checks import Range
from ..logistic_regression import DEFAULT_COST, fit_linear
from .fitted_head import FittedHead, FittedHeadSettings


@dataclass(frozen=True, kw_only=True)
class LogisticSettings(FittedHeadSettings):
    """Settings of `[head.logistic]`."""

    C: Annotated[float, Range(above=0)] = DEFAULT_COST
    """The inverse of the strength of the L2 penalty for standardized values, as in scikit-learn: a smaller one keeps
    weights smaller."""


class LogisticHead(FittedHead):
    """A linear layer on the representation, whose values are standardized over the training windows, fitted at once."""

    Settings = LogisticSettings
    weight: Tensor
    bias: Tensor

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.register_buffer("weight", torch.zeros(num_classes, input_size))
        self.register_buffer("bias", torch.zeros(num_classes))

    def fit(self, representations: Tensor, classes: Tensor) -> None:
        """Set the weight (K, H) and the bias (K,)."""
        fitted = fit_linear(representations.numpy(), classes.numpy(), self.num_classes, self.settings.C)
        self.weight.copy_(torch.from_numpy(fitted.weight))
        self.bias.copy_(torch.from_numpy(fitted.bias))

    def logits(self, representations: Tensor) -> Tensor:
        """Return W r + b: (B, H) -> (B, K)."""
        return representations @ self.weight.T + self.bias
