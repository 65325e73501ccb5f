"""The interface of a classifier's head.

Shapes: T time, B batch, H width of the encoder's outputs, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from ...config.checks import NoSettings
from ..objectives.objective import Loss
from ..pooling import Direction, last_valid


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy that a head's loss adds up: torch's `F.cross_entropy`, in nats.

    label_smoothing: the share of each target that is spread evenly over all classes (Szegedy et al. 2016, section 7).
    class_weights: (K,), the factor of each class; 1 for all of them if None.
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    def __call__(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Return one loss each: logits (N, K), classes (N,) int64 -> (N,)."""
        return F.cross_entropy(
            logits, classes, weight=self.class_weights, label_smoothing=self.label_smoothing, reduction="none"
        )


class Head(nn.Module, ABC):
    """Turns the encoder's outputs into logits of classes, for a window and, where it can, for every frame.

    A head makes its layers in `__init__`, after `super().__init__(input_size, num_classes, settings)`.
    input_size: H. num_classes: K. settings: an instance of its `Settings`. directions: of the encoder's outputs, which
    the classifier sets; none if all read forward.
    """

    Settings: ClassVar[type[Any]] = NoSettings
    """A frozen dataclass of what can be set in `[head.NAME]`."""
    is_fitted: ClassVar[bool] = False
    """Whether it is fitted at once to the outputs of a frozen encoder, rather than by gradient steps; see
    `FittedHead`."""

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__()
        self.input_size, self.num_classes, self.settings = input_size, num_classes, settings
        self.directions: Sequence[Direction] = ()

    def last(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the outputs where each has read all of its window, see `last_valid`: (T, B, H) -> (B, H)."""
        return last_valid(outputs, valid, self.directions)

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

    def loss(
        self,
        outputs: Tensor,
        valid: Tensor | None,
        classes: Tensor,
        num_valid: Tensor | None,
        cross_entropy: CrossEntropy,
    ) -> Loss:
        """Return the cross-entropy of windows whose classes are (B,) int64, in nats: one term a window.

        num_valid: the valid frames of a window, on average over the whole batch; None if all are.
        """
        return Loss(cross_entropy(self(outputs, valid), classes).sum())
