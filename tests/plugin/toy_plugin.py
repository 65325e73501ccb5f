"""A plug-in as a user would write it: one entry for each door, none longer than 25 lines.

vidrep extract brightness clips -o features.h5 --plugin toy_plugin.py
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.preparation import Preparation
from vidrep.models.cells.cell import Cell
from vidrep.models.heads.head import Head
from vidrep.models.objectives.objective import Encoded, Loss, ModelSpec, Objective, ObjectiveSettings, Window
from vidrep.models.transforms.transform import TrainingFrames, Transform
from vidrep.registry import CELLS, EXTRACTORS, HEADS, OBJECTIVES, TRANSFORMS


@EXTRACTORS.register("brightness")
class Brightness(Extractor):
    """The mean brightness of each cell of a grid, in two successive frames."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        size: int = 4
        """Cells along each side."""

    frames_per_feature = 2
    dtype = "float32"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.preparation = Preparation(side=self.options.size, color=False)
        self.frame_shape = (2 * self.options.size**2,)

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return batch.reshape(len(batch), -1).astype(np.float32) / np.float32(255)


@TRANSFORMS.register("scaled")
class Scaled(Transform):
    """Divides frames by the largest absolute value of the training frames."""

    is_invertible = True
    largest: Tensor

    def __init__(self, input_size: int, settings: Any) -> None:
        super().__init__(input_size, settings)
        self.register_buffer("largest", torch.ones(()))

    def fit(self, frames: TrainingFrames) -> None:
        self.largest.fill_(max(float(block.abs().max()) for block in frames))

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        return frames / self.largest

    def inverse(self, frames: Tensor) -> Tensor:
        return frames * self.largest


@CELLS.register("leaky")
class Leaky(Cell):
    """h = (1 - leak) h' + leak tanh(W x + U h' + b), whose state is a dict."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        leak: float = 0.5

    def __init__(self, input_size: int | None, hidden_size: int, settings: Any, **numerics: Any) -> None:
        super().__init__(input_size, hidden_size, settings, **numerics)
        self.recurrent = nn.Linear(hidden_size, hidden_size)
        self.input = None if input_size is None else nn.Linear(input_size, hidden_size, bias=False)

    def initial_state(self, batch_size: int, device: torch.device) -> dict[str, Tensor]:
        return {"h": torch.zeros(batch_size, self.hidden_size, device=device)}

    def forward(self, inputs: Tensor | None, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        drive = self.recurrent(state["h"]) + (0 if self.input is None or inputs is None else self.input(inputs))
        h = (1 - self.settings.leak) * state["h"] + self.settings.leak * torch.tanh(drive)
        return h, {"h": h}


@OBJECTIVES.register("halves")
class Halves(Objective):
    """Each window's first half is to be recognized by its second half among those of the whole batch."""

    needs_whole_batch = True

    @dataclass(frozen=True, kw_only=True)
    class Settings(ObjectiveSettings):
        temperature: float = 0.1

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        self.projection = nn.Linear(spec.stack.output_size, 8)

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        middle = len(encoded.outputs) // 2
        halves = (encoded.outputs[:middle].mean(0), encoded.outputs[middle:].mean(0))
        first, second = (F.normalize(self.projection(half), dim=-1) for half in halves)
        right = torch.arange(len(first), device=first.device)
        return Loss(F.cross_entropy(first @ second.T / self.settings.temperature, right, reduction="sum"))


@HEADS.register("largest")
class Largest(Head):
    """Logits of the largest output of each unit over time."""

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.projection = nn.Linear(input_size, num_classes)

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        if valid is not None:
            outputs = outputs.masked_fill(~valid.unsqueeze(-1), -torch.inf)
        logits: Tensor = self.projection(outputs.amax(dim=0))
        return logits
