"""Heads that are fitted at once to what a frozen encoder makes of all training windows.

Shapes: T time, B batch, N windows, H width of the encoder's outputs, K classes.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ...config.checks import Settings
from ..pooling import mean_valid
from .head import Head


@dataclass(frozen=True, kw_only=True)
class FittedHeadSettings(Settings):
    """What every fitted head has in `[head.NAME]`."""

    reads: Literal["last", "mean"] = "last"
    """The representation of a window: the encoder's output at its last frame, or the mean over its frames."""


class FittedHead(Head):
    """A head whose weights are buffers, which `fit` sets; its logits depend on a window's representation alone.

    center: (H,), what is subtracted from every representation; None subtracts nothing.
    """

    Settings: ClassVar[type[Any]] = FittedHeadSettings
    """A frozen dataclass of what can be set in `[head.NAME]`, derived from FittedHeadSettings."""
    is_fitted = True
    center: Tensor | None

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.register_buffer("center", None)

    def add_center(self) -> None:
        """Have a center, which is saved with the weights; it is 0 until it is set."""
        self.center = torch.zeros(self.input_size)

    @abstractmethod
    def fit(self, representations: Tensor, classes: Tensor) -> None:
        """Set the weights, by the representations (N, H) and classes (N,) int64 of all training windows, on the CPU.

        The weights may lie on another device. Equal arguments must give equal weights.
        """

    @abstractmethod
    def logits(self, representations: Tensor) -> Tensor:
        """Return the logits of representations: (B, H) -> (B, K)."""

    def representation(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return what the head reads of each window: outputs (T, B, H), valid as in `forward` -> (B, H)."""
        read = self.last(outputs, valid) if self.settings.reads == "last" else mean_valid(outputs, valid)
        return read if self.center is None else read - self.center

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        """Return the logits of windows: outputs (T, B, H) -> (B, K)."""
        return self.logits(self.representation(outputs, valid))
