"""The intersection RNN, +RNN, which has a gated path through time and one through the layers.

Shapes: T time, B batch, D input width, H hidden width.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...config.checks import Settings, require
from ..initialization import Initialization
from .affine import AffineCell
from .products import affine


@dataclass(frozen=True, kw_only=True)
class IntersectionSettings(Settings):
    """What can be set in `[cell.intersection]`."""

    depth_gate_bias: float = 1.0
    """Where the biases of g_y start; the larger, the more of the input goes to the layer above."""
    time_gate_bias: float = 1.0
    """Where the biases of g_h start; the larger, the longer a unit keeps its value."""
    projection: bool = True
    """Whether an input of another width than the state is projected to that width; else it is refused."""


class IntersectionCell(AffineCell):
    """The intersection RNN (+RNN), for deep stacks.

        y_in = relu   (Wy x + Uy h' + by)            g_y = sigmoid(Wgy x + Ugy h' + bgy)
        h_in = tanh   (Wh x + Uh h' + bh)            g_h = sigmoid(Wgh x + Ugh h' + bgh)
        y    = g_y*x + (1 - g_y)*y_in                h   = g_h*h' + (1 - g_h)*h_in

    (Collins, Sohl-Dickstein, Sussillo 2017, arXiv 1611.09913, section 2.1.) y, the output, goes to the layer above; h,
    the state, stays in its layer. There constants are added to bgy and bgh, which start at 0; here these start at the
    constants. Input and state have one width: an input of another width is replaced by P x, with no bias, (H, D), where
    the paper does not say how. Without input, x is 0.

    Rows are in the order y_in, h_in, g_y, g_h. input_weight (4H, H). projection (H, D): P, absent for D = H.

    Raises ConfigError for widths that differ, if the settings allow no projection.
    """

    Settings = IntersectionSettings

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(
            None if input_size is None else hidden_size, hidden_size, settings, compute_dtype=compute_dtype
        )
        self.input_size = input_size
        is_projected = input_size not in (None, hidden_size)
        require(
            settings.projection or not is_projected,
            f"cell.intersection.projection is false, but inputs of {input_size} values enter {hidden_size} units; set "
            f"encoder.hidden_size to {input_size}, or leave projection out",
        )
        self.projection = nn.Parameter(torch.empty(hidden_size, input_size or 0)) if is_projected else None

    @property
    def num_maps(self) -> int:
        """Four: y_in, h_in, g_y and g_h."""
        return 4

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew, one map at a time."""
        super().reset_parameters(initialization)
        self.bias[self.rows_of(2)] = self.settings.depth_gate_bias
        self.bias[self.rows_of(3)] = self.settings.time_gate_bias
        if self.projection is not None:
            initialization.reset(self.projection)

    def sequence(self, inputs: Tensor | None, state: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        """Do T = num_steps time steps."""
        if inputs is not None and self.projection is not None:
            inputs = affine(inputs, self.projection, compute_dtype=self.compute_dtype)
        return self.loop(_step, inputs, state, num_steps)


def _step(z: Tensor, x: Tensor | None, h: Tensor) -> tuple[Tensor, Tensor]:
    y_in, h_in, g_y, g_h = z.chunk(4, dim=1)
    y_in, g_y = y_in.relu(), g_y.sigmoid()
    y = y_in - g_y * y_in if x is None else torch.lerp(y_in, x, g_y)
    return y, torch.lerp(h_in.tanh(), h, g_h.sigmoid())
