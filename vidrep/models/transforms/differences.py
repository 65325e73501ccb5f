"""Differences in time: how a frame differs from the one before stands beside it.

Shapes: T time, B batch, D values of a frame.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ...config.checks import Range, Settings
from .transform import Transform


@dataclass(frozen=True, kw_only=True)
class DifferencesSettings(Settings):
    """What can be set in `[transform.differences]`."""

    factor: Annotated[float, Range(above=0)] = 2.0
    """Of the differences, which are smaller than the frames themselves."""


class Differences(Transform):
    """Appends to each frame its difference from the frame before, times a factor: 2D values.

    What stands still in a video is gone from the differences, so that a motion looks alike on every background. The
    first frame of a window has a difference of 0.
    """

    Settings = DifferencesSettings
    num_before = 1

    @property
    def output_size(self) -> int:
        """2D."""
        return 2 * self.input_size

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        """Append the differences, (T, B, D) -> (T, B, 2D)."""
        differences = torch.diff(frames, dim=0, prepend=frames[:1])
        return torch.cat([frames, self.settings.factor * differences], dim=-1)
