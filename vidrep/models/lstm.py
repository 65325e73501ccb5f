"""The LSTM: the one room where the recurrence is computed. Its inside is torch's kernels for now.

Shapes: T time, B batch, D input width, H hidden width, L layers. Time comes first: a time step is one piece of memory.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LSTMState(NamedTuple):
    """State of all layers after a time step: h and c, each (L, B, H)."""

    h: Tensor
    c: Tensor

    def detach(self) -> "LSTMState":
        """Return the same state, cut off from the graph."""
        return LSTMState(self.h.detach(), self.c.detach())


class LSTMLayer(nn.Module):
    """Parameters of one layer. Rows stand in the gate order i, f, a, o: input, forget, candidate, output.

    input_weight (4H, D), absent if the layer has no input; recurrent_weight (4H, H); bias (4H,).
    """

    def __init__(self, input_size: int | None, hidden_size: int) -> None:
        super().__init__()
        self.input_weight = None if input_size is None else nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))


class LSTM(nn.Module):
    """A stack of LSTM layers.

        i = sigmoid(Wi x + Ui h' + bi)        f = sigmoid(Wf x + Uf h' + bf)
        a = tanh   (Wa x + Ua h' + ba)        o = sigmoid(Wo x + Uo h' + bo)
        c = f*c' + i*a                        h = o*tanh(c)

    (Graves 2013, without peepholes; Srivastava et al. 2015, section 2.1.) Layer m reads h of layer m-1 at the same time
    step. `input_size` None makes a stack whose first layer has no input, as an unconditional decoder's.

    dropout: probability with which, in training, a value that enters a layer is dropped.
    Weights start orthogonal (recurrent) and Xavier uniform (input), biases at 0 and the forget gate's at 1.
    """

    def __init__(self, input_size: int | None, hidden_size: int, num_layers: int = 1, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers, self.dropout = input_size, hidden_size, num_layers, dropout
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(LSTMLayer(size, hidden_size) for size in sizes)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for layer in self._layers():
            for gate in range(4):
                rows = slice(gate * self.hidden_size, (gate + 1) * self.hidden_size)
                nn.init.orthogonal_(layer.recurrent_weight[rows])
                if layer.input_weight is not None:
                    nn.init.xavier_uniform_(layer.input_weight[rows])
            layer.bias.zero_()
            layer.bias[self.hidden_size : 2 * self.hidden_size] = 1.0

    def forward(
        self, inputs: Tensor | None, state: LSTMState | None = None, *, num_steps: int | None = None
    ) -> tuple[Tensor, LSTMState]:
        """Run over a sequence: inputs (T, B, D) -> the top layer's h at every time step, (T, B, H), and the last state.

        state: where to start, zeros if None. A stack without input takes `num_steps` and a state in place of inputs.
        """
        if inputs is None:
            if state is None or num_steps is None or self.input_size is not None:
                raise ValueError("without inputs, give a state and num_steps to a stack that has no input")
            outputs = state.h.new_zeros(num_steps, state.h.shape[1], 0)
        else:
            outputs = inputs
        last_h, last_c = [], []
        for index, layer in enumerate(self._layers()):
            outputs = F.dropout(outputs, self.dropout, self.training and outputs.shape[-1] > 0)
            initial = None if state is None else (state.h[index : index + 1], state.c[index : index + 1])
            outputs, h, c = _run_layer(layer, outputs, initial)
            last_h.append(h)
            last_c.append(c)
        return outputs, LSTMState(torch.cat(last_h), torch.cat(last_c))

    def _layers(self) -> list[LSTMLayer]:
        return [layer for layer in self.layers if isinstance(layer, LSTMLayer)]


def _run_layer(layer: LSTMLayer, inputs: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over (T, B, D) -> outputs (T, B, H), and the last h and c, each (1, B, H)."""
    hidden_size = layer.recurrent_weight.shape[1]
    input_weight: Tensor | None = layer.input_weight
    if input_weight is None:
        # torch's kernels want an input: one column of zeros, with zero weights, is the narrowest.
        inputs = inputs.new_zeros(*inputs.shape[:2], 1)
        input_weight = layer.bias.new_zeros(4 * hidden_size, 1)
    if state is None:
        zeros = inputs.new_zeros(1, inputs.shape[1], hidden_size)
        state = (zeros, zeros)
    # torch's kernels add two biases; ours is the first of them.
    weights = [input_weight, layer.recurrent_weight, layer.bias, torch.zeros_like(layer.bias)]
    outputs, h, c = torch.lstm(inputs, state, weights, True, 1, 0.0, layer.training, False, False)
    return outputs, h, c
