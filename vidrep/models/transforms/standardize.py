"""Standardization: every value with mean 0 and deviation 1 over the training frames."""

from typing import Any

import torch
from torch import Tensor

from .transform import TrainingFrames, Transform


class Standardize(Transform):
    """Subtracts the mean of each value over the training frames and divides by its standard deviation.

    mean, std: (D,). A value that never changes is only shifted.
    """

    is_invertible = True
    mean: Tensor
    std: Tensor

    def __init__(self, input_size: int, settings: Any) -> None:
        super().__init__(input_size, settings)
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))

    def fit(self, frames: TrainingFrames) -> None:
        """Measure mean and deviation."""
        self.mean.copy_(frames.statistics.mean)
        self.std.copy_(frames.statistics.std)

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        """Standardize (..., D)."""
        return (frames - self.mean) / self.std

    def inverse(self, frames: Tensor) -> Tensor:
        """Return (..., D) in the units before."""
        return frames * self.std + self.mean
