"""The LSTM cell: with peepholes of all gates, of some or of none, or with coupled gates.

Shapes: T time, B batch, D input width, H hidden width.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ...config.checks import Range, Settings, require
from ...shapes import repr_with_shapes
from ..initialization import PEEPHOLE_SCALE, Initialization
from ..lstm_kernels.dispatch import choose_sequence
from ..lstm_kernels.reference import Activation, LayerWeights, reference_sequence
from .affine import AffineCell
from .stable_lstm import StableGates

Gate = Literal["input", "forget", "output"]
_GATES: tuple[Gate, ...] = ("input", "forget", "output")


class LSTMState(NamedTuple):
    """The state of one layer after a time step: h and c, (B, H) each."""

    h: Tensor
    c: Tensor

    def __repr__(self) -> str:
        return repr_with_shapes(self)


@dataclass(frozen=True, kw_only=True)
class LSTMSettings(Settings):
    """What can be set in `[cell.lstm]`."""

    peepholes: bool | tuple[Gate, ...] = False
    """Whether gates also read the cell state: all of them, none, or those that are listed."""
    activation: Activation = "tanh"
    """Of the candidate and of the output."""
    forget_bias: float = 1.0
    """Where the forget gates' biases start; others start at 0."""
    coupled: bool = False
    """Whether a unit forgets as much as it takes in: the input gate is 1 minus the forget gate."""

    stable: bool = False
    """Whether two states come closer at every time step, by constraints of the weights, see `StableGates`."""
    input_bound: Annotated[float, Range(above=0)] = 1.0
    """What the inputs of a stable LSTM are clipped to, on both sides of 0; outputs of a layer below are within 1."""
    largest_forget: Annotated[float, Range(above=0.5, below=1)] = 0.64
    """What the forget gates of a stable LSTM stay below."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_stability_can_be()
        if isinstance(self.peepholes, tuple):
            require(
                len(set(self.peepholes)) == len(self.peepholes) > 0,
                f"peepholes is {list(self.peepholes)}; give each gate once, or false for none",
            )
            require(
                not self.coupled or "input" not in self.peepholes,
                "peepholes lists the input gate, but coupled gates have none; leave one of the two out",
            )

    def _require_stability_can_be(self) -> None:
        """Refuse a stable LSTM of another form than that of the published conditions, and bounds without one."""
        for name, is_other in {
            "peepholes": bool(self.peepholes),
            "activation": self.activation == "relu",
            "coupled": self.coupled,
        }.items():
            require(
                not (self.stable and is_other),
                f"stable is true, but {name} is {getattr(self, name)!r}, for which no conditions of stability are "
                "known; leave one of the two out",
            )
        for name in ("input_bound", "largest_forget"):
            is_set = getattr(self, name) != getattr(LSTMSettings, name)
            require(
                self.stable or not is_set,
                f"{name} is {getattr(self, name):g}, but stable is false; set stable = true too, or leave it out",
            )

    @property
    def peephole_gates(self) -> tuple[Gate, ...]:
        """The gates with peepholes, in the order of the rows of weights."""
        gates = _GATES[1:] if self.coupled else _GATES
        if isinstance(self.peepholes, bool):
            return gates if self.peepholes else ()
        return tuple(gate for gate in gates if gate in self.peepholes)


class LSTMCell(AffineCell):
    """The long short-term memory.

        i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
        g = tanh   (Wg x + Ug h' + bg)                c = f*c' + i*g
        o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*tanh(c)

    (Graves 2013, arXiv 1308.0850; Srivastava et al. 2015, arXiv 1502.04681, section 2.1.) wi, wf and wo are peepholes,
    one value a unit; without them it is the LSTM of `torch.nn.LSTM`. With the activation "relu", relu takes the place
    of both tanh, with "softsign", x / (1 + |x|) does. Coupled gates (Greff et al. 2017, arXiv 1503.04069, CIFG) have
    i = 1 - f and no weights of i.

    Parameters have their rows in the gate order i, f, g, o, or f, g, o: input_weight (4H, D), absent without input;
    recurrent_weight (4H, H); bias (4H,); peepholes (3, H), of i, f and o, or of those that have some.
    use_reference: whether to compute with `reference_sequence` instead of the faster one, for comparisons.
    """

    Settings = LSTMSettings

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        self.use_reference = False
        num_peepholes = len(settings.peephole_gates)
        self.peepholes = nn.Parameter(torch.empty(num_peepholes, hidden_size)) if num_peepholes else None

    @property
    def num_maps(self) -> int:
        """Four: i, f, g and o; without i, three."""
        return 3 if self.settings.coupled else 4

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew, one gate at a time."""
        super().reset_parameters(initialization)
        self.bias[self.rows_of(self.num_maps - 3)] = self.settings.forget_bias
        if self.peepholes is not None:
            nn.init.uniform_(self.peepholes, -PEEPHOLE_SCALE, PEEPHOLE_SCALE)

    def initial_state(self, batch_size: int, device: torch.device) -> LSTMState:
        """Return zeros, (B, H) twice."""
        zeros = super().initial_state(batch_size, device)
        return LSTMState(zeros, zeros)

    def sequence(self, inputs: Tensor | None, state: LSTMState, num_steps: int) -> tuple[Tensor, LSTMState]:
        """Do T = num_steps time steps with the fastest kernel for the device."""
        if self.settings.stable and inputs is not None:
            inputs = inputs.clamp(-self.settings.input_bound, self.settings.input_bound)
        weights, activation = self._weights(), self.settings.activation
        chosen = choose_sequence(state.h, weights, activation, self.compute_dtype)
        run = reference_sequence if self.use_reference else chosen
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

    @torch.no_grad()
    def project(self) -> None:
        """Scale rows of the weights of a stable LSTM down to the published conditions."""
        if self.settings.stable:
            self._gates().project()

    @torch.no_grad()
    def bounded(self) -> dict[str, Tensor]:
        """Return what the conditions of a stable LSTM bound, see `StableGates`."""
        return self._gates().bounded() if self.settings.stable else {}

    def _gates(self) -> StableGates:
        return StableGates(
            input_weight=self.input_weight,
            recurrent_weight=self.recurrent_weight,
            bias=self.bias,
            input_bound=self.settings.input_bound,
            largest_forget=self.settings.largest_forget,
        )

    def _weights(self) -> LayerWeights:
        """Return the weights of all four gates and, if there are peepholes, those of all three, for the kernels."""
        peepholes = self._all_peepholes()
        if not self.settings.coupled:
            return LayerWeights(self.input_weight, self.recurrent_weight, self.bias, peepholes)
        # The input gate's weights are minus the forget gate's, since 1 - sigmoid(z) = sigmoid(-z).
        if peepholes is not None:
            peepholes = torch.cat([-peepholes[1:2], peepholes[1:]])
        forget = self.rows_of(0)

        def with_input_gate(rows: Tensor) -> Tensor:
            return torch.cat([-rows[forget], rows])

        input_weight = None if self.input_weight is None else with_input_gate(self.input_weight)
        return LayerWeights(input_weight, with_input_gate(self.recurrent_weight), with_input_gate(self.bias), peepholes)

    def _all_peepholes(self) -> Tensor | None:
        """Return (3, H), of i, f and o, 0 for a gate that has none; None if no gate has one."""
        gates = self.settings.peephole_gates
        if self.peepholes is None or gates == _GATES:
            return self.peepholes
        rows = dict(zip(gates, self.peepholes, strict=True))
        return torch.stack([rows.get(gate, torch.zeros_like(self.peepholes[0])) for gate in _GATES])
