"""Between a feature file's values and those that a model reads."""

import torch
from torch import Tensor, nn

from .output_projection import Values


class FrameScaler(nn.Module):
    """Turns stored frames into the model's: uint8 is divided by 255, then "real" values are standardized.

    mean, std: (D,) of the training frames, in original units (after the division). A value that never changes counts
    as having std 1. They are buffers, saved with the model.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, frame_size: int, values: Values) -> None:
        super().__init__()
        self.values: Values = values
        self.register_buffer("mean", torch.zeros(frame_size))
        self.register_buffer("std", torch.ones(frame_size))

    def original(self, stored: Tensor) -> Tensor:
        """Turn stored frames, (..., D), into float32 in original units: uint8 in [0, 1], others as they are."""
        return stored.float() / 255 if stored.dtype == torch.uint8 else stored.float()

    def forward(self, stored: Tensor) -> Tensor:
        """Turn stored frames, (..., D), into what the model reads."""
        frames = self.original(stored)
        return frames if self.values == "probability" else (frames - self.mean) / self.std

    def to_original(self, frames: Tensor) -> Tensor:
        """Turn the model's frames, (..., D), back into original units."""
        return frames if self.values == "probability" else frames * self.std + self.mean
