"""The LSTM: a stack of layers, each of which reads what the one below says.

Shapes: T time, B batch, D input width, H hidden width, L layers. Time comes first: a time step is one piece of memory.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .initialization import PEEPHOLE_SCALE, Initialization
from .lstm_kernels.dispatch import choose_sequence
from .lstm_kernels.reference import Activation, LayerWeights, plain_sequence


class LSTMState(NamedTuple):
    """State of all layers after a time step: h and c, each (L, B, H)."""

    h: Tensor
    c: Tensor

    def detach(self) -> "LSTMState":
        """Return the same state, cut off from the graph."""
        return LSTMState(self.h.detach(), self.c.detach())


class LSTMLayer(nn.Module):
    """Parameters of one layer. Rows stand in the gate order i, f, a, o: input, forget, candidate, output.

    input_weight (4H, D), absent if the layer has no input; recurrent_weight (4H, H); bias (4H,); peepholes (3, H), of
    i, f and o, absent if the layer has none.
    """

    def __init__(self, input_size: int | None, hidden_size: int, *, peepholes: bool) -> None:
        super().__init__()
        self.input_weight = None if input_size is None else nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size)) if peepholes else None

    @property
    def weights(self) -> LayerWeights:
        """All of them, as the recurrence takes them."""
        return LayerWeights(self.input_weight, self.recurrent_weight, self.bias, self.peepholes)

    @torch.no_grad()
    def draw(self, initialization: Initialization) -> None:
        """Draw the weights anew, each gate's by themselves."""
        hidden_size = self.recurrent_weight.shape[1]
        for gate in range(4):
            rows = slice(gate * hidden_size, (gate + 1) * hidden_size)
            initialization.draw(self.recurrent_weight[rows], recurrent=True)
            if self.input_weight is not None:
                initialization.draw(self.input_weight[rows])
        self.bias.zero_()
        self.bias[hidden_size : 2 * hidden_size] = initialization.forget_bias
        if self.peepholes is not None:
            nn.init.uniform_(self.peepholes, -PEEPHOLE_SCALE, PEEPHOLE_SCALE)


class LSTM(nn.Module):
    """A stack of LSTM layers.

        i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
        a = tanh   (Wa x + Ua h' + ba)                c = f*c' + i*a
        o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*tanh(c)

    (Graves 2013; Srivastava et al. 2015, section 2.1.) wi, wf and wo are peepholes, one value a unit; without them it
    is the LSTM of `torch.nn.LSTM`. With activation "relu" relu takes the place of both tanh. Layer m reads h of layer
    m-1 at the same time step. `input_size` None makes a stack whose first layer has no input, as an unconditional
    decoder's.

    dropout: probability with which, in training, a value that enters a layer is dropped.
    products: type that matrix products are computed in, the state's own if None. segment: time steps kept for the
    gradient at once, 0 for all; longer sequences are computed a second time, segment by segment, which says the same to
    rounding. plain: go through time by `plain_sequence` rather than what `choose_sequence` says, to compare.
    """

    def __init__(
        self,
        input_size: int | None,
        hidden_size: int,
        num_layers: int = 1,
        *,
        peepholes: bool = False,
        activation: Activation = "tanh",
        dropout: float = 0.0,
        initialization: Initialization | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers, self.dropout = input_size, hidden_size, num_layers, dropout
        self.activation: Activation = activation
        self.products: torch.dtype | None = None
        self.segment = 0
        self.plain = False
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(LSTMLayer(size, hidden_size, peepholes=peepholes) for size in sizes)
        for layer in self._layers():
            layer.draw(initialization or Initialization())

    def forward(
        self, inputs: Tensor | None, state: LSTMState | None = None, *, num_steps: int | None = None
    ) -> tuple[Tensor, LSTMState]:
        """Run over a sequence: inputs (T, B, D) -> the top layer's h at every time step, (T, B, H), and the last state.

        state: where to start, zeros if None. A stack without input takes `num_steps` and a state in place of inputs.
        """
        if inputs is None:
            if state is None or num_steps is None or self.input_size is not None:
                raise ValueError("without inputs, give a state and num_steps to a stack that has no input")
        else:
            num_steps = len(inputs)
            if state is None:
                zeros = inputs.new_zeros(self.num_layers, inputs.shape[1], self.hidden_size)
                state = LSTMState(zeros, zeros)
        if 0 < self.segment < num_steps:
            return self._run_in_segments(inputs, state, num_steps)
        return self._run(inputs, state, num_steps)

    def _run_in_segments(self, inputs: Tensor | None, state: LSTMState, num_steps: int) -> tuple[Tensor, LSTMState]:
        """Keep only the states between segments, and compute each a second time when its gradient is wanted."""
        outputs = []
        for start in range(0, num_steps, self.segment):
            stop = min(start + self.segment, num_steps)
            seen = None if inputs is None else inputs[start:stop]
            if torch.is_grad_enabled():
                emitted, state = checkpoint(self._run, seen, state, stop - start, use_reentrant=False)
            else:
                emitted, state = self._run(seen, state, stop - start)
            outputs.append(emitted)
        return torch.cat(outputs), state

    def _run(self, inputs: Tensor | None, state: LSTMState, num_steps: int) -> tuple[Tensor, LSTMState]:
        sequence = plain_sequence if self.plain else choose_sequence(state.h)
        outputs, last_h, last_c = inputs, [], []
        for layer, h, c in zip(self._layers(), *state, strict=True):
            if outputs is not None:
                outputs = F.dropout(outputs, self.dropout, self.training)
            outputs, c_last = sequence(
                outputs,
                h,
                c,
                layer.weights,
                num_steps=num_steps,
                activation=self.activation,
                products=self.products,
            )
            last_h.append(outputs[-1])
            last_c.append(c_last)
        assert outputs is not None
        return outputs, LSTMState(torch.stack(last_h), torch.stack(last_c))

    def _layers(self) -> list[LSTMLayer]:
        return [layer for layer in self.layers if isinstance(layer, LSTMLayer)]
