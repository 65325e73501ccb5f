"""Objectives that compare two views of each clip.

Shapes: B batch, H hidden width, P width of a projection.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor, nn

from ...config.checks import Range
from .objective import Encoded, Loss, ModelSpec, Objective, ObjectiveSettings, Views, Window


@dataclass(frozen=True, kw_only=True)
class ViewObjectiveSettings(ObjectiveSettings):
    """What an objective of views has in `[objective.NAME]`."""

    projection_size: Annotated[int, Range(at_least=1)] = 128
    """P, the width of what is compared."""


class ViewObjective(Objective):
    """Projects the representations of views, and compares them over the whole batch.

    The projection, Linear(H, H), ReLU, Linear(H, P), is used in pretraining alone: what comes before it serves other
    tasks better (Chen et al. 2020, arXiv 2002.05709, section 4.2).
    """

    Settings = ViewObjectiveSettings
    needs_views = True
    needs_whole_batch = True

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        width = spec.stack.output_size
        self.projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, settings.projection_size))

    @abstractmethod
    def mean_loss(self, projected: Tensor, views: Views) -> Tensor:
        """Return the loss of a batch, a mean over clips: projected (B, 2, P), not normalized -> a scalar."""

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        """Return this rank's share of the loss: that of the whole batch, times the clips of `window`."""
        if encoded.views is None:
            raise ValueError("a batch without views cannot train an objective that compares them")
        projected = self.projection(encoded.views.representations)
        return Loss(self.mean_loss(projected, encoded.views) * window.context.shape[1])
