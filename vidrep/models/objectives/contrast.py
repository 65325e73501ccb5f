"""Contrast: the two views of a clip belong together, all other clips of the batch do not.

Shapes: N clips of a batch, P width of a projection.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from ...config.checks import Range
from .objective import Views
from .view_objective import ViewObjective, ViewObjectiveSettings


@dataclass(frozen=True, kw_only=True)
class ContrastSettings(ViewObjectiveSettings):
    """What can be set in `[objective.contrast]`."""

    temperature: Annotated[float, Range(above=0)] = 0.5
    """What cosines are divided by."""


class Contrast(ViewObjective):
    """NT-Xent, the normalized temperature-scaled cross-entropy (Chen et al. 2020, arXiv 2002.05709, equation 1)."""

    Settings = ContrastSettings

    def mean_loss(self, projected: Tensor, views: Views) -> Tensor:
        """Return the mean over all 2N views."""
        return nt_xent(projected, self.settings.temperature)


def nt_xent(projected: Tensor, temperature: float) -> Tensor:
    """Return the contrastive loss of N clips from two views of each, (N, 2, P), a scalar.

        loss(i) = -log( exp(cos(z_i, z_j) / temperature) / sum over k != i of exp(cos(z_i, z_k) / temperature) )

    where i and j are the views of one clip and k runs over the 2N - 1 other views; the mean over all 2N views i.
    """
    num_clips = len(projected)
    views = F.normalize(projected, dim=-1).transpose(0, 1).flatten(0, 1)  # the first view of all clips, then the second
    logits = views @ views.T / temperature
    logits = logits.masked_fill(torch.eye(2 * num_clips, dtype=torch.bool, device=logits.device), -torch.inf)
    other_view = torch.arange(2 * num_clips, device=logits.device).roll(num_clips)
    return F.cross_entropy(logits, other_view)
