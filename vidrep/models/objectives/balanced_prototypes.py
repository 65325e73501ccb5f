"""Balanced prototypes: a view predicts the prototype of the other one, in equal shares within each group.

Shapes: N clips of a batch, K prototypes, P width of a projection.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...config.checks import Range
from .objective import ModelSpec, Views
from .view_objective import ViewObjective, ViewObjectiveSettings


@dataclass(frozen=True, kw_only=True)
class BalancedPrototypesSettings(ViewObjectiveSettings):
    """What can be set in `[objective.balanced_prototypes]`."""

    num_prototypes: Annotated[int, Range(at_least=2)] = 24
    """K; about twice the number of classes that are expected."""
    temperature: Annotated[float, Range(above=0)] = 0.2
    """What cosines to prototypes are divided by, in the prediction."""
    epsilon: Annotated[float, Range(above=0)] = 0.1
    """What they are divided by in the assignment: the smaller, the harder it is."""
    iterations: Annotated[int, Range(at_least=1)] = 5
    """Of the Sinkhorn algorithm."""


class BalancedPrototypes(ViewObjective):
    """Swapped prediction (Caron et al. 2020, arXiv 2006.09882, section 3) with assignments balanced within each group.

    It assumes that every group, such as a person, shows the classes in about equal shares. Where that holds, what
    distinguishes groups cannot decide the assignment; where it does not, nothing is gained.

    prototypes: (K, P), normalized before use.
    """

    Settings = BalancedPrototypesSettings
    needs_groups = True

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        self.prototypes = nn.Parameter(F.normalize(torch.randn(settings.num_prototypes, settings.projection_size)))

    def mean_loss(self, projected: Tensor, views: Views) -> Tensor:
        """Return the cross-entropy of each view's prediction with the other's assignment, a mean over the 2N views."""
        cosines = F.normalize(projected, dim=-1) @ F.normalize(self.prototypes, dim=-1).T
        losses = []
        for view in (0, 1):
            assigned = balanced_assignment(
                cosines[:, 1 - view].detach() / self.settings.epsilon, views.group, self.settings.iterations
            )
            predicted = (cosines[:, view] / self.settings.temperature).log_softmax(dim=-1)
            losses.append(-(assigned * predicted).sum(dim=-1).mean())
        return torch.stack(losses).mean()


def balanced_assignment(scores: Tensor, group: Tensor, iterations: int) -> Tensor:
    """Assign the clips of each group to prototypes so that every prototype gets about an equal share of the group.

    The Sinkhorn algorithm (Cuturi 2013, arXiv 1306.0895), run within each group: exp(scores) is normalized over the
    group's clips for each prototype, then over prototypes for each clip, again and again.
    scores: (N, K) logarithms, up to a constant. group: (N,) int64. Returns (N, K); rows add up to 1.
    """
    assigned = (scores - scores.max()).exp()
    same_group = (group[:, None] == group[None, :]).to(assigned.dtype)
    smallest = torch.finfo(assigned.dtype).tiny
    for _ in range(iterations):
        assigned = assigned / (same_group @ assigned).clamp_min(smallest)
        assigned = assigned / assigned.sum(dim=-1, keepdim=True).clamp_min(smallest)
    return assigned
