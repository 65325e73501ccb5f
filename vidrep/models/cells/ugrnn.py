"""The update gate RNN.

Shapes: T time, B batch, D input width, H hidden width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...config.checks import Settings
from ..initialization import Initialization
from .affine import AffineCell


@dataclass(frozen=True, kw_only=True)
class UGRNNSettings(Settings):
    """What can be set in `[cell.ugrnn]`."""

    gate_bias: float = 1.0
    """Where the biases of the gate start; the larger, the longer a unit keeps its value."""


class UGRNNCell(AffineCell):
    """The update gate RNN, between the plain RNN and the GRU.

        c = tanh(Wc x + Uc h' + bc)        g = sigmoid(Wg x + Ug h' + bg)        h = g*h' + (1 - g)*c

    (Collins, Sohl-Dickstein, Sussillo 2017, arXiv 1611.09913, section 2.1.) There a constant is added to bg, which
    starts at 0; here bg starts at that constant, `gate_bias`, which makes no difference. The paper chooses between tanh
    and ReLU for c; here it is tanh.

    Rows are in the order c, g.
    """

    Settings = UGRNNSettings

    @property
    def num_maps(self) -> int:
        """Two: c and g."""
        return 2

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew, one map at a time."""
        super().reset_parameters(initialization)
        self.bias[self.rows_of(1)] = self.settings.gate_bias

    def sequence(self, inputs: Tensor | None, state: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        """Do T = num_steps time steps."""
        return self.loop(_step, inputs, state, num_steps)


def _step(z: Tensor, x: Tensor | None, h: Tensor) -> tuple[Tensor, Tensor]:
    c, g = z.chunk(2, dim=1)
    h = torch.lerp(c.tanh(), h, g.sigmoid())
    return h, h
