"""The LSTM cell, with or without peepholes.

Shapes: T time, B batch, D input width, H hidden width.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...config.checks import Settings
from ...shapes import repr_with_shapes
from ..initialization import PEEPHOLE_SCALE, Initialization
from ..lstm_kernels.dispatch import choose_sequence
from ..lstm_kernels.reference import Activation, LayerWeights, reference_sequence
from .cell import Cell


class LSTMState(NamedTuple):
    """The state of one layer after a time step: h and c, (B, H) each."""

    h: Tensor
    c: Tensor

    def __repr__(self) -> str:
        return repr_with_shapes(self)


@dataclass(frozen=True, kw_only=True)
class LSTMSettings(Settings):
    """What can be set in `[cell.lstm]`."""

    peepholes: bool = False
    """Whether gates also read the cell state."""
    activation: Activation = "tanh"
    """Of the candidate and of the output."""
    forget_bias: float = 1.0
    """Where the forget gates' biases start; others start at 0."""


class LSTMCell(Cell):
    """The long short-term memory.

        i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
        g = tanh   (Wg x + Ug h' + bg)                c = f*c' + i*g
        o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*tanh(c)

    (Graves 2013, arXiv 1308.0850; Srivastava et al. 2015, arXiv 1502.04681, section 2.1.) wi, wf and wo are peepholes,
    one value a unit; without them it is the LSTM of `torch.nn.LSTM`. With the activation "relu", relu takes the place
    of both tanh.

    Parameters have their rows in the gate order i, f, g, o: input_weight (4H, D), absent without input;
    recurrent_weight (4H, H); bias (4H,); peepholes (3, H), of i, f and o, absent without them.
    use_reference: whether to compute with `reference_sequence` instead of the faster one, for comparisons.
    """

    Settings = LSTMSettings

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        self.use_reference = False
        self.input_weight = None if input_size is None else nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size)) if settings.peepholes else None

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew, one gate at a time."""
        for gate in range(4):
            rows = slice(gate * self.hidden_size, (gate + 1) * self.hidden_size)
            initialization.reset(self.recurrent_weight[rows], recurrent=True)
            if self.input_weight is not None:
                initialization.reset(self.input_weight[rows])
        self.bias.zero_()
        self.bias[self.hidden_size : 2 * self.hidden_size] = self.settings.forget_bias
        if self.peepholes is not None:
            nn.init.uniform_(self.peepholes, -PEEPHOLE_SCALE, PEEPHOLE_SCALE)

    def initial_state(self, batch_size: int, device: torch.device) -> LSTMState:
        """Return zeros, (B, H) twice."""
        zeros = torch.zeros(batch_size, self.hidden_size, dtype=self.bias.dtype, device=device)
        return LSTMState(zeros, zeros)

    def forward(self, inputs: Tensor | None, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Do one time step: inputs (B, D) or None -> h (B, H) and the next state."""
        outputs, state = self.sequence(None if inputs is None else inputs[None], state, 1)
        return outputs[0], state

    def sequence(self, inputs: Tensor | None, state: LSTMState, num_steps: int) -> tuple[Tensor, LSTMState]:
        """Do T = num_steps time steps with the fastest kernel for the device."""
        weights = LayerWeights(self.input_weight, self.recurrent_weight, self.bias, self.peepholes)
        activation = self.settings.activation
        run = reference_sequence if self.use_reference else choose_sequence(state.h, weights, activation)
        outputs, c = run(
            inputs,
            state.h,
            state.c,
            weights,
            num_steps=num_steps,
            activation=activation,
            compute_dtype=self.compute_dtype,
        )
        # A copy of h, since a view would keep the outputs of all time steps alive.
        return outputs, LSTMState(outputs[-1].clone(), c)
