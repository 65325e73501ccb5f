"""The interface of a classifier's head.

Shapes: T time, B batch, H width of the encoder's outputs, K classes.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from ...config.checks import NoSettings
from ..objectives.objective import Loss


class Head(nn.Module, ABC):
    """Turns the encoder's outputs into logits of classes, for a window and, where it can, for every frame.

    A head makes its layers in `__init__`, after `super().__init__(input_size, num_classes, settings)`.
    input_size: H. num_classes: K. settings: an instance of its `Settings`.
    """

    Settings: ClassVar[type[Any]] = NoSettings
    """A frozen dataclass of what can be set in `[head.NAME]`."""

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__()
        self.input_size, self.num_classes, self.settings = input_size, num_classes, settings

    @abstractmethod
    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the logits of windows: outputs (T, B, H) -> (B, K).

        valid: (T, B) bool, which time steps are frames rather than padding; None if all are.
        """

    def frame_logits(self, outputs: Tensor) -> Tensor | None:
        """Return the logits of every frame, (T, B, K), or None for a head that has none."""
        return None

    def probabilities(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return each window's class probabilities, (B, K)."""
        logits: Tensor = self(outputs, valid)
        return logits.softmax(dim=-1)

    def loss(self, outputs: Tensor, valid: Tensor | None, classes: Tensor, num_valid: Tensor | None) -> Loss:
        """Return the cross-entropy of windows whose classes are (B,) int64, in nats: one term a window.

        num_valid: the valid frames of a window, on average over the whole batch; None if all are.
        """
        return Loss(F.cross_entropy(self(outputs, valid), classes, reduction="sum"))


def last_valid(outputs: Tensor, valid: Tensor | None) -> Tensor:
    """Return the outputs at each window's last frame: (T, B, H) -> (B, H)."""
    if valid is None:
        return outputs[-1]
    last = valid.sum(dim=0) - 1
    return outputs.gather(0, last.view(1, -1, 1).expand(1, -1, outputs.shape[-1]))[0]
