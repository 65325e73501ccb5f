"""Centering by clip: what all frames of a clip have in common is removed."""

from typing import ClassVar

from torch import Tensor

from .transform import Transform


class CenterClip(Transform):
    """Subtracts from each frame the mean of its window's observed frames, so that only what changes is left."""

    reads_windows: ClassVar[bool] = True

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        """Center (T, B, D)."""
        if observed is None:
            return frames - frames.mean(dim=0, keepdim=True)
        weights = observed.unsqueeze(-1).to(frames.dtype)
        mean = (frames * weights).sum(dim=0, keepdim=True) / weights.sum(dim=0, keepdim=True)
        return frames - mean
