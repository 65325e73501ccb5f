"""The gated recurrent unit.

Shapes: T time, B batch, D input width, H hidden width.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...config.checks import Settings
from ..initialization import Initialization
from .affine import AffineCell
from .products import RecurrentProduct
from .torch_kernels import prefers_torch, torch_sequence


@dataclass(frozen=True, kw_only=True)
class GRUSettings(Settings):
    """What can be set in `[cell.gru]`."""

    reset: Literal["after", "before"] = "after"
    """Whether the reset gate is applied to the recurrent product of the candidate, as in torch, or to h before it."""


class GRUCell(AffineCell):
    """The gated recurrent unit (Cho et al. 2014, arXiv 1406.1078, section 2.3).

        r = sigmoid(Wr x + Ur h' + br)        z = sigmoid(Wz x + Uz h' + bz)
        n = tanh(Wn x + r*(Un h' + un) + bn)                                      reset "after"
        n = tanh(Wn x + Un (r*h') + bn)                                           reset "before"
        h = (1 - z)*n + z*h'

    "after" is that of `torch.nn.GRU` and cuDNN, "before" that of the paper, whose equations leave biases out.

    Rows are in the order r, z, n. recurrent_bias (H,): un, absent with "before". Torch has second biases of r and z
    too, which add to br and bz.
    """

    Settings = GRUSettings

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        self.recurrent_bias = nn.Parameter(torch.empty(hidden_size)) if settings.reset == "after" else None

    @property
    def num_maps(self) -> int:
        """Three: r, z and n."""
        return 3

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew, one gate at a time; biases become 0."""
        super().reset_parameters(initialization)
        if self.recurrent_bias is not None:
            self.recurrent_bias.zero_()

    def sequence(self, inputs: Tensor | None, state: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        """Do T = num_steps time steps, by torch's layer where it has this form and is quicker."""
        if self.recurrent_bias is None:
            return self._reset_before(inputs, state, num_steps)
        recurrent_bias = torch.cat([self.bias.new_zeros(2 * self.hidden_size), self.recurrent_bias])
        if not prefers_torch(state, self.recurrent_weight):
            return self._reset_after(inputs, state, num_steps, recurrent_bias)
        return torch_sequence(
            torch.gru,
            inputs,
            state,
            input_weight=self.input_weight,
            recurrent_weight=self.recurrent_weight,
            bias=self.bias,
            recurrent_bias=recurrent_bias,
            num_steps=num_steps,
        )

    def _reset_after(
        self, inputs: Tensor | None, h: Tensor, num_steps: int, recurrent_bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        product = RecurrentProduct(self.recurrent_weight, compute_dtype=self.compute_dtype)
        size, outputs = self.hidden_size, []
        for start in self.input_maps(inputs, num_steps):
            recurrent = product(recurrent_bias, h)
            gates = torch.sigmoid(start[..., : 2 * size] + recurrent[:, : 2 * size])
            n = torch.tanh(torch.addcmul(start[..., 2 * size :], gates[:, :size], recurrent[:, 2 * size :]))
            h = torch.lerp(n, h, gates[:, size:])
            outputs.append(h)
        return torch.stack(outputs), h

    def _reset_before(self, inputs: Tensor | None, h: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        size, outputs = self.hidden_size, []
        of_gates, of_n = (
            RecurrentProduct(weight, compute_dtype=self.compute_dtype)
            for weight in torch.split(self.recurrent_weight, [2 * size, size])
        )
        for start in self.input_maps(inputs, num_steps):
            gates = torch.sigmoid(of_gates(start[..., : 2 * size], h))
            n = torch.tanh(of_n(start[..., 2 * size :], gates[:, :size] * h))
            h = torch.lerp(n, h, gates[:, size:])
            outputs.append(h)
        return torch.stack(outputs), h
