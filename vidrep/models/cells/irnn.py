"""The IRNN: a plain recurrent cell with ReLU that starts by adding up what it reads."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import nn

from ...config.checks import Range, Settings, require
from ..initialization import Initialization
from .rnn import RNNCell


@dataclass(frozen=True, kw_only=True)
class IRNNSettings(Settings):
    """What can be set in `[cell.irnn]`."""

    scale: Annotated[float, Range(above=0)] = 1.0
    """What the recurrent weights start as, times the identity; below 1 it forgets."""
    spectral_norm: float = 0.0
    """No bound but 0, which is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.spectral_norm == 0,
            f"spectral_norm is {self.spectral_norm:g}, but an IRNN starts as the identity, whose norm is 1, to add up "
            "what it reads; take encoder.cell = 'rnn' with cell.rnn.activation = 'relu' to bound it",
        )


class IRNNCell(RNNCell):
    """The recurrent network of rectified linear units whose recurrent weights start as the identity.

        h = relu(W x + U h' + b),    at first U = scale I and b = 0

    (Le, Jaitly, Hinton 2015, arXiv 1504.00941, section 2.) There W starts Gaussian with a deviation of .001; here it
    starts as `encoder.initialization` says, like that of every other cell.
    """

    Settings = IRNNSettings

    @property
    def activation(self) -> Literal["tanh", "relu"]:
        """ReLU."""
        return "relu"

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw W anew; U becomes the scaled identity and the bias 0."""
        super().reset_parameters(initialization)
        nn.init.eye_(self.recurrent_weight).mul_(self.settings.scale)
