"""How weights are initialized."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

PEEPHOLE_SCALE = 0.1  # peepholes are drawn uniformly between minus and plus this, as in the 2015 paper's code


@dataclass(frozen=True, kw_only=True)
class Initialization:
    """How weights are drawn.

    method: "orthogonal" for recurrent matrices, gate by gate, with Xavier uniform for the others; "xavier" uniform for
    all; "uniform" in plus or minus `uniform_scale` for all.
    """

    method: Literal["orthogonal", "xavier", "uniform"] = "orthogonal"
    uniform_scale: float = 0.01

    def reset(self, matrix: Tensor, *, recurrent: bool = False) -> None:
        """Draw a matrix anew, in place. recurrent: whether it multiplies the h of its own layer."""
        if self.method == "uniform":
            nn.init.uniform_(matrix, -self.uniform_scale, self.uniform_scale)
        elif self.method == "orthogonal" and recurrent:
            nn.init.orthogonal_(matrix)
        else:
            nn.init.xavier_uniform_(matrix)

    @torch.no_grad()
    def reset_linear(self, linear: nn.Linear) -> None:
        """Draw the weight of a linear layer anew and set its bias to 0."""
        self.reset(linear.weight)
        linear.bias.zero_()
