"""The class is read out at a window's last frame, once the encoder has read all of it."""

from typing import Any

from torch import Tensor, nn

from .head import Head


class LastStepHead(Head):
    """A linear layer on the encoder's outputs at each window's last frame; of a backward direction, at its first."""

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.projection = nn.Linear(input_size, num_classes)

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the logits at each window's last frame: outputs (T, B, H) -> (B, K)."""
        logits: Tensor = self.projection(self.last(outputs, valid))
        return logits
