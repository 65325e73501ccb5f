"""The class is read out from the mean of a window's outputs."""

from typing import Any

from torch import Tensor, nn

from ..pooling import mean_valid
from .head import Head


class MeanHead(Head):
    """A linear layer on the mean of the encoder's outputs over the frames of each window."""

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.projection = nn.Linear(input_size, num_classes)

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the logits of each window's mean output: outputs (T, B, H) -> (B, K)."""
        logits: Tensor = self.projection(mean_valid(outputs, valid))
        return logits
