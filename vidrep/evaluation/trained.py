"""A trained run that is to be measured, and the videos that were chosen for that."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ..models.saved import ModelDescription, ScaledModel


@dataclass(frozen=True)
class TrainedRun:
    """A run folder, what it holds, and where to compute."""

    folder: Path
    model: ScaledModel
    description: ModelDescription
    device: torch.device

    @property
    def seen(self) -> int:
        """Frames that a pretrained model reads of a window."""
        return self.description.windows["seen"]

    def num_predicted(self, wanted: int | None) -> int:
        """Frames that it is to predict: as many as are wanted, or as in training."""
        return self.description.windows["predicted"] if wanted is None else wanted


@dataclass(frozen=True)
class Chosen:
    """Indices of the videos to measure on, a name for them, and how many are left out because they were trained on."""

    indices: list[int]
    which: str
    num_left_out: int
