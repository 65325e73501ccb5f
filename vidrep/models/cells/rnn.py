"""The plain recurrent cell.

Shapes: T time, B batch, D input width, H hidden width.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from ...config.checks import Range, Settings
from .affine import AffineCell
from .projections import clip_spectral_norm
from .torch_kernels import prefers_torch, torch_sequence


@dataclass(frozen=True, kw_only=True)
class RNNSettings(Settings):
    """What can be set in `[cell.rnn]`."""

    activation: Literal["tanh", "relu"] = "tanh"
    """Of the output."""
    spectral_norm: Annotated[float, Range(at_least=0, below=1)] = 0.0
    """What the norm of U stays below, 0 for no bound: such a network forgets, and its gradient cannot explode."""


class RNNCell(AffineCell):
    """The simple recurrent network, that of `torch.nn.RNN`.

        h = tanh(W x + U h' + b)

    (Elman 1990.) With the activation "relu", relu takes the place of tanh. Torch has a second bias, which adds to b.
    With a `spectral_norm` below 1 two states come closer at every time step, since neither activation drives them apart
    (Miller and Hardt 2019, arXiv 1805.10369, section 2.2): the singular values of U above it are set to it.
    """

    Settings: ClassVar[type[Any]] = RNNSettings

    @property
    def num_maps(self) -> int:
        """One."""
        return 1

    @property
    def activation(self) -> Literal["tanh", "relu"]:
        """Of the output."""
        activation: Literal["tanh", "relu"] = self.settings.activation
        return activation

    def sequence(self, inputs: Tensor | None, state: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        """Do T = num_steps time steps, by torch's layer where it is quicker."""
        if not prefers_torch(state, self.recurrent_weight):
            return self.loop(self._step, inputs, state, num_steps)
        return torch_sequence(
            torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu,
            inputs,
            state,
            input_weight=self.input_weight,
            recurrent_weight=self.recurrent_weight,
            bias=self.bias,
            num_steps=num_steps,
        )

    @torch.no_grad()
    def project(self) -> None:
        """Clip the singular values of U."""
        if self.settings.spectral_norm:
            clip_spectral_norm(self.recurrent_weight, self.settings.spectral_norm)

    @torch.no_grad()
    def bounded(self) -> dict[str, Tensor]:
        """Return the spectral norm of U, if it has a bound."""
        if not self.settings.spectral_norm:
            return {}
        return {"spectral_norm": torch.linalg.matrix_norm(self.recurrent_weight, ord=2)}

    def _step(self, z: Tensor, x: Tensor | None, h: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(z) if self.activation == "tanh" else torch.relu(z)
        return h, h
