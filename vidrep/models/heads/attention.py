"""The class is read out from a weighted mean of a window's outputs, whose weights are learned.

Shapes: T time, B batch, H width of the encoder's outputs, K classes.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .head import Head


class AttentionHead(Head):
    """A linear layer on what one learned query reads from the outputs h of a window's frames.

        a = softmax over frames of (q . h / sqrt(H)),    logits = W (sum over frames of a h) + b

    (Pooling by a learned function of each output: Raffel and Ellis 2016, equations 2 and 3; the scaled product of
    query and key: Vaswani et al. 2017, section 3.2.1.) The query starts at 0, so the weights start even, as in `mean`.
    """

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.query = nn.Parameter(torch.zeros(input_size))
        self.projection = nn.Linear(input_size, num_classes)

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the logits of each window: outputs (T, B, H) -> (B, K)."""
        weights = self.frame_weights(outputs, valid)
        logits: Tensor = self.projection((weights.unsqueeze(-1) * outputs).sum(dim=0))
        return logits

    def frame_weights(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the weight of every frame, (T, B); those of a window add up to 1, and padding has 0."""
        scores = outputs @ self.query / math.sqrt(self.input_size)
        if valid is not None:
            scores = scores.masked_fill(~valid, -torch.inf)
        return scores.softmax(dim=0)
