"""Each class is the mean of its windows' representations; a window has the class that it is most similar to.

Shapes: B batch, N windows, H width of the encoder's outputs, K classes.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...config.checks import Range
from .fitted_head import FittedHead, FittedHeadSettings


@dataclass(frozen=True, kw_only=True)
class PrototypesSettings(FittedHeadSettings):
    """Settings of `[head.prototypes]`."""

    temperature: Annotated[float, Range(above=0)] = 0.1
    """What cosines are divided by: a smaller one gives more certain probabilities of the same classes."""


class PrototypesHead(FittedHead):
    """The cosines between a representation r and each class' prototype p, divided by the temperature.

        p = mean over the class' training windows of r / |r|,    logit = (r / |r|) . (p / |p|) / temperature

    (The class means of Snell et al. 2017, equation 1, with the cosines of Gidaris and Komodakis 2018, section 3.2.)
    """

    Settings = PrototypesSettings
    prototypes: Tensor

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.register_buffer("prototypes", torch.zeros(num_classes, input_size))

    def fit(self, representations: Tensor, classes: Tensor) -> None:
        """Set each class' prototype, (K, H); that of a class without a window is 0, similar to nothing."""
        directions = F.normalize(representations.double(), dim=-1)
        sums = torch.zeros(self.num_classes, self.input_size, dtype=torch.float64).index_add_(0, classes, directions)
        counts = classes.bincount(minlength=self.num_classes).clamp(min=1)
        self.prototypes.copy_(sums / counts.unsqueeze(-1))

    def logits(self, representations: Tensor) -> Tensor:
        """Return the cosines divided by the temperature: (B, H) -> (B, K)."""
        cosines = F.normalize(representations, dim=-1) @ F.normalize(self.prototypes, dim=-1).T
        temperature: float = self.settings.temperature
        return cosines / temperature
