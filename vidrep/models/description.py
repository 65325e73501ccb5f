"""Everything but the weights of a trained model: the registered names that it is built of, and their settings."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from ..config.doors import settings_of_names
from ..config.settings import Likelihood
from .encoder import StackSpec

JOINED = ("transforms", "encoder", "cell")
"""What the encoders of one model differ in."""


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """Everything but the weights that it takes to use a model.

    kind: "pretraining" or "classifier", see `vidrep.models.kinds`.
    frame_shape, dtype, extractor: of the features it was trained on. likelihood: of frames.
    transforms: settings of the input transforms by name, in their order.
    encoder: cell, hidden_size, num_layers, dropout, initialization, uniform_scale. cell: settings of that cell.
    objectives: settings by name. head: its name and settings, and the others of
    `ClassifierSettings`; {} for a pretraining.
    windows: of the windows that it reads: context, num_future, num_reconstructed and stride, or length and stride.
    clips: the settings of clips, see `ViewSettings`, of a model that reads clips; {} for one of consecutive frames.
    joined: transforms, encoder and cell of further encoders beside the first, whose outputs stand side by side.
    classes: names in the order of its outputs, [] for a pretraining; class_counts: training videos of each.
    """

    kind: str
    frame_shape: list[int]
    dtype: str
    likelihood: Likelihood
    extractor: dict[str, Any]
    transforms: dict[str, dict[str, Any]]
    encoder: dict[str, Any]
    cell: dict[str, Any]
    windows: dict[str, int]
    clips: dict[str, float] = field(default_factory=dict)
    objectives: dict[str, dict[str, Any]] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    joined: list[dict[str, Any]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    class_counts: list[int] = field(default_factory=list)

    @property
    def frame_size(self) -> int:
        """D, values of a stored frame."""
        return math.prod(self.frame_shape)

    @property
    def parts(self) -> list["ModelDescription"]:
        """The description of each encoder on its own: this one, and those that are joined to it."""
        alone = replace(self, joined=[])
        return [alone, *(replace(alone, **{name: one[name] for name in JOINED}) for one in self.joined)]

    @property
    def stack(self) -> StackSpec:
        """What the encoder is built of."""
        name = self.encoder["cell"]
        return StackSpec(**self.encoder, settings=settings_of_names("cell", [name], {name: self.cell})[name])
