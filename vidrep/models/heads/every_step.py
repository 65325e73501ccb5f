"""A softmax at every time step, the head of the paper.

Shapes: T time, B batch, H width of the encoder's outputs, K classes.
"""

from typing import Any

from torch import Tensor, nn

from ..objectives.objective import Loss
from ..pooling import mean_valid
from .head import CrossEntropy, Head


class EveryStepHead(Head):
    """A linear layer and a softmax at every time step; a window's probability is the mean of its frames'.

    The loss is the mean cross-entropy over all frames (Srivastava et al. 2015, section 3.3).
    """

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.projection = nn.Linear(input_size, num_classes)

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the logarithms of the windows' probabilities, (B, K)."""
        return self.probabilities(outputs, valid).log()

    def frame_logits(self, outputs: Tensor) -> Tensor:
        """Return the logits of every frame, (T, B, K); they depend on no later frame unless the encoder does."""
        logits: Tensor = self.projection(outputs)
        return logits

    def probabilities(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the mean of the frames' softmaxes, (B, K)."""
        return mean_valid(self.frame_logits(outputs).softmax(dim=-1), valid)

    def loss(
        self,
        outputs: Tensor,
        valid: Tensor | None,
        classes: Tensor,
        num_valid: Tensor | None,
        cross_entropy: CrossEntropy,
    ) -> Loss:
        """Return the cross-entropy of all valid frames, in nats: one term a frame."""
        num_steps = len(outputs)
        logits = self.frame_logits(outputs).flatten(0, 1)
        losses = cross_entropy(logits, classes.repeat(num_steps))
        total = losses.sum() if valid is None else (losses * valid.flatten()).sum()
        return Loss(total, num_steps if num_valid is None else num_valid)
