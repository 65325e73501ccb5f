"""Principal components: frames as coordinates along the directions in which training frames differ most."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from ...config.checks import Range, Settings
from ...errors import ConfigError
from .transform import TrainingFrames, Transform


@dataclass(frozen=True, kw_only=True)
class PCASettings(Settings):
    """What can be set in `[transform.pca]`."""

    size: Annotated[int, Range(at_least=1)] = 256
    """E, the principal components that are kept."""


class PCA(Transform):
    """Projects frames onto the first principal components of the training frames, without whitening.

    mean: (D,). components: (E, D), orthonormal rows, the largest variance first; the largest entry of each is positive.

    Raises ConfigError for more components than a frame has values.
    """

    Settings = PCASettings
    mean: Tensor
    components: Tensor

    def __init__(self, input_size: int, settings: Any) -> None:
        super().__init__(input_size, settings)
        if settings.size > input_size:
            raise ConfigError(f"transform.pca.size is {settings.size}; give at most the {input_size} values of a frame")
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("components", torch.zeros(settings.size, input_size))

    @property
    def output_size(self) -> int:
        """E."""
        return int(self.settings.size)

    def fit(self, frames: TrainingFrames) -> None:
        """Find the components, in float64."""
        mean = frames.statistics.mean
        scatter = torch.zeros(self.input_size, self.input_size, dtype=torch.float64)
        for block in frames:
            centered = block.flatten(0, 1).double() - mean
            scatter += centered.T @ centered
        components = torch.linalg.eigh(scatter).eigenvectors.flip(1)[:, : self.output_size].T
        largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
        self.mean.copy_(mean)
        self.components.copy_(components * largest.sign())

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        """Project (..., D) -> (..., E)."""
        return (frames - self.mean) @ self.components.T
