"""An encoder whose every time step also reads the states of a frozen pretrained encoder: collocation.

Shapes: T time, B batch, D input width, S width of one tensor of a cell's state, H hidden width.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from .cells.cell import Cell
from .encoder import Encoder, Numerics, StackSpec
from .initialization import Initialization
from .state import State, map_state, to_dict


class Memory(NamedTuple):
    """One tensor of the source's state after every time step, and what attention compares: states, keys (T, B, S).

    valid: (T, B) bool, which time steps are frames rather than padding; None if all are.
    """

    states: Tensor
    keys: Tensor
    valid: Tensor | None


class Collocation(nn.Module):
    """Merges one tensor of a cell's state, before a time step, with that of the source at all time steps.

    With s' the target's tensor before time step t, x what its cell reads then, and g_j the source's after time step j:

        e_j = v . tanh(Wa s' + Ua g_j)              p = sum over j of softmax(e)_j g_j
        o   = sigmoid(Uo g_t + Co p)                q = (1 - o)*g_t + o*p
        r   = sigmoid(Wr x + Ur s' + Cr q)          z = sigmoid(Wz x + Uz s' + Cz q)
        c   = tanh(W x + U (r*s') + C q)            s = (1 - z)*s' + z*c

    and the cell starts from s in place of s' (Cui, Zheng, Shen, Jiang, Wang, "Transfer Learning for Sequences via
    Learning to Collocate", ICLR 2019, arXiv 1902.09092; the equations are those of the authors' code, without its
    dropout in o). There are no biases, and Uo and Co start at 0, as there; other matrices start as the cells' do.

    input_size: D. size: S. Parameters have their rows in the order r, z, c: input_weight (3S, D), recurrent_weight and
    source_weight (3S, S). query is Wa, key Ua, score v, (1, S); aligned_gate is Uo, read_gate Co.
    """

    def __init__(self, input_size: int, size: int, initialization: Initialization) -> None:
        super().__init__()
        self.size = size
        self.query, self.key = (nn.Parameter(torch.empty(size, size)) for _ in range(2))
        self.score = nn.Parameter(torch.empty(1, size))
        self.aligned_gate, self.read_gate = (nn.Parameter(torch.zeros(size, size)) for _ in range(2))
        self.input_weight = nn.Parameter(torch.empty(3 * size, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(3 * size, size))
        self.source_weight = nn.Parameter(torch.empty(3 * size, size))
        self._reset_parameters(initialization)

    @torch.no_grad()
    def _reset_parameters(self, initialization: Initialization) -> None:
        for matrix in (self.query, self.key, self.score):
            initialization.reset(matrix)
        for matrix in (self.input_weight, self.recurrent_weight, self.source_weight):
            for gate in torch.split(matrix, self.size):
                initialization.reset(gate, recurrent=matrix is self.recurrent_weight)

    def memory(self, states: Tensor, valid: Tensor | None) -> Memory:
        """Prepare the source's tensor at all time steps, (T, B, S), for attention."""
        return Memory(states, F.linear(states, self.key), valid)

    def weights(self, before: Tensor, memory: Memory) -> Tensor:
        """Return the attention to every time step, (T, B), which adds up to 1; padding has 0. before: s', (B, S)."""
        scores = F.linear(torch.tanh(F.linear(before, self.query) + memory.keys), self.score).squeeze(-1)
        if memory.valid is not None:
            scores = scores.masked_fill(~memory.valid, -torch.inf)
        return scores.softmax(dim=0)

    def forward(self, driven: Tensor, before: Tensor, aligned: Tensor, memory: Memory) -> Tensor:
        """Return s, (B, S). driven: input_weight times x, (B, 3S). before, aligned: s' and g_t, (B, S)."""
        read = (self.weights(before, memory).unsqueeze(-1) * memory.states).sum(dim=0)
        gate = torch.sigmoid(F.linear(aligned, self.aligned_gate) + F.linear(read, self.read_gate))
        driven = driven + F.linear(torch.lerp(aligned, read, gate), self.source_weight)
        of_gates, of_candidate = torch.split(driven, [2 * self.size, self.size], dim=-1)
        recurrent_gates, recurrent_candidate = torch.split(self.recurrent_weight, [2 * self.size, self.size])
        reset, update = torch.sigmoid(of_gates + F.linear(before, recurrent_gates)).chunk(2, dim=-1)
        candidate = torch.tanh(of_candidate + F.linear(reset * before, recurrent_candidate))
        return torch.lerp(before, candidate, update)


class CollocatedEncoder(Encoder):
    """A stack of cells that also reads the states of a frozen source of the same cell, width and depth.

    Both read the same frames. Each layer of it collocates with the same layer of the source, each tensor of its state
    (of an LSTM h and c) with the same tensor, by a `Collocation` of its own. Its own cells start anew, as in the
    authors' code; there, the source learns too, and the one layer is bidirectional. The attention is over the whole
    window, so that an output depends on later frames too, but on no padding.

    source: the encoder whose weights are to be loaded, without dropout. See `Encoder` for the arguments.
    """

    def __init__(
        self, input_size: int, spec: StackSpec, *, dropout: float = 0.0, numerics: Numerics | None = None
    ) -> None:
        super().__init__(input_size, spec, dropout=dropout, numerics=numerics)
        if spec.bidirectional:
            raise ConfigError(
                "classifier.transfer 'collocation' is of an encoder of one direction, but "
                "encoder.bidirectional is true; set transfer to init or frozen"
            )
        self.source = Encoder(input_size, spec, numerics=numerics)
        self.source.requires_grad_(False)
        device = next(self.parameters()).device
        self._layers = [
            [
                Collocation(cell.input_size or 0, tensor.numel(), spec.initial_weights)
                for tensor in to_dict(cell.initial_state(1, device)).values()
            ]
            for cell in self._cells
        ]
        self.collocations = nn.ModuleList(map(nn.ModuleList, self._layers))

    def forward(
        self,
        inputs: Tensor | None,
        state: State = None,
        *,
        num_steps: int | None = None,
        valid: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Run over a whole window: (T, B, D) -> the top cell's outputs, (T, B, H), and the last state of its cells.

        valid: (T, B) bool, which frames are no padding; None if all are. The source starts from its initial state.
        """
        if inputs is None:
            raise ValueError("a collocated encoder reads inputs")
        if state is None:
            state = self.initial_state(inputs.shape[1], inputs.device)
        aligned = self._source_states(inputs)
        memories = [
            [collocation.memory(one, valid) for collocation, one in zip(layer, states, strict=True)]
            for layer, states in zip(self._layers, aligned, strict=True)
        ]
        return self._in_stretches(partial(self._run_collocated, memories), (inputs, aligned), state, len(inputs))

    @torch.no_grad()
    def _source_states(self, inputs: Tensor) -> list[list[Tensor]]:
        """Return the tensors of the source's state after every time step, (T, B, S), layer by layer."""
        state, states = self.source.initial_state(inputs.shape[1], inputs.device), []
        for frame in inputs:
            _, state = self.source(frame.unsqueeze(0), state)
            states.append([_tensors(of_layer) for of_layer in state])
        return [[torch.stack(one) for one in zip(*of_layer, strict=True)] for of_layer in zip(*states, strict=True)]

    def _run_collocated(
        self,
        memories: Sequence[Sequence[Memory]],
        inputs: tuple[Tensor, Sequence[Sequence[Tensor]]],
        state: Sequence[State],
        num_steps: int,
    ) -> tuple[Tensor, State]:
        """Run over a stretch of a window: inputs are its frames, and the source's tensors at these time steps."""
        outputs, last = inputs[0], []
        for cell, before, layer, aligned, memory in zip(
            self._cells, state, self._layers, inputs[1], memories, strict=True
        ):
            outputs = F.dropout(outputs, self.dropout, self.training)
            outputs, after = _run_layer(cell, before, outputs, layer, aligned, memory)
            last.append(after)
        return outputs, tuple(last)


def _run_layer(
    cell: Cell,
    state: State,
    inputs: Tensor,
    collocations: Sequence[Collocation],
    aligned: Sequence[Tensor],
    memories: Sequence[Memory],
) -> tuple[Tensor, State]:
    """Run a cell, (T, B, D) -> (T, B, H), whose state each collocation merges a tensor of before every time step."""
    driven = [F.linear(inputs, one.input_weight) for one in collocations]
    outputs = []
    for step, frame in enumerate(inputs):
        parts = zip(collocations, driven, _tensors(state), aligned, memories, strict=True)
        merged = iter([one(x[step], before, at[step], memory) for one, x, before, at, memory in parts])
        output, state = cell(frame, map_state(lambda tensor, merged=merged: next(merged).view_as(tensor), state))
        outputs.append(output)
    return torch.stack(outputs), state


def _tensors(state: State) -> list[Tensor]:
    """Return the tensors of a nest, (B, S) each."""
    return [tensor.flatten(1) for tensor in to_dict(state).values()]
