"""A stack of recurrent cells: the encoder, and the recurrent part of every decoder.

Shapes: T time, B batch, D input width, H hidden width, L layers. Time comes first: a time step is contiguous in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..registry import CELLS
from .cells.cell import Cell
from .initialization import Initialization
from .pooling import Direction
from .state import State, map_state


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How a model computes; what it computes stays the same up to rounding.

    compute_dtype: the type of the operands of matrix products, that of the weights if None. recompute_every: the time
    steps whose intermediate values are kept for the gradient at once, 0 for all; longer sequences are computed a second
    time in the backward pass (activation checkpointing).
    """

    compute_dtype: torch.dtype | None = None
    recompute_every: int = 0


@dataclass(frozen=True, kw_only=True)
class StackSpec:
    """What a stack of cells is built of; the encoder and all decoders of a model share it.

    cell: a registered name. settings: an instance of that cell's `Settings`. bidirectional: whether the encoder has a
    second stack, which reads backward; decoders have one.
    """

    cell: str
    settings: Any
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    initialization: Literal["orthogonal", "xavier", "uniform"] = "orthogonal"
    uniform_scale: float = 0.01

    @property
    def output_size(self) -> int:
        """The width of the encoder's outputs: H, or 2H if it has two directions."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    @property
    def initial_weights(self) -> Initialization:
        """How its weights are drawn."""
        return Initialization(method=self.initialization, uniform_scale=self.uniform_scale)


class SequenceEncoder(nn.Module, ABC):
    """What reads windows of frames: outputs at every time step, and a last state.

    input_size: D, values of a frame; None for the stack of an unconditional decoder, which has no input.
    """

    input_size: int | None

    @property
    @abstractmethod
    def directions(self) -> list[Direction]:
        """Which of the outputs read forward, and which backward, in their order."""

    @property
    def hidden_size(self) -> int:
        """The width of the outputs."""
        return sum(direction.size for direction in self.directions)

    @abstractmethod
    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return the state before the first time step."""

    @abstractmethod
    def forward(self, inputs: Any, state: State = None, *, valid: Tensor | None = None) -> tuple[Tensor, State]:
        """Run over a sequence: inputs (T, B, D) -> the outputs, (T, B, hidden_size), and the last state.

        state: where to start, the initial state if None. valid: (T, B) bool, which time steps are frames rather than
        padding, which comes last; None if all are.
        """


class Encoder(SequenceEncoder):
    """A stack of L cells, each of which reads the output of the one below at the same time step.

    It reads in order of time. dropout: the probability of dropping a value that enters a cell, in training.
    """

    def __init__(
        self, input_size: int | None, spec: StackSpec, *, dropout: float = 0.0, numerics: Numerics | None = None
    ) -> None:
        super().__init__()
        numerics = numerics or Numerics()
        self.input_size, self.dropout = input_size, dropout
        self._directions = [Direction(spec.hidden_size)]
        self._recompute_every = numerics.recompute_every
        sizes = [input_size] + [spec.hidden_size] * (spec.num_layers - 1)
        cell: type[Cell] = CELLS[spec.cell]
        self.cells = nn.ModuleList(
            cell(size, spec.hidden_size, spec.settings, compute_dtype=numerics.compute_dtype) for size in sizes
        )
        for one in self._cells:
            one.reset_parameters(spec.initial_weights)

    @property
    def directions(self) -> list[Direction]:
        """The H outputs of the top cell."""
        return self._directions

    @property
    def _cells(self) -> list[Cell]:
        return [cell for cell in self.cells if isinstance(cell, Cell)]

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return the state before the first time step, one nest a layer."""
        return tuple(cell.initial_state(batch_size, device) for cell in self._cells)

    def forward(
        self, inputs: Tensor | None, state: State = None, *, valid: Tensor | None = None, num_steps: int | None = None
    ) -> tuple[Tensor, State]:
        """Run over a sequence: inputs (T, B, D) -> the top cell's outputs, (T, B, H), and the last state.

        state: where to start, the initial state if None. A stack without input takes `num_steps` and a state instead.
        valid: unused, since padding comes after all that it could change.
        """
        if inputs is None:
            if state is None or num_steps is None or self.input_size is not None:
                raise ValueError("without inputs, give a state and num_steps to a stack that has no input")
        else:
            num_steps = len(inputs)
            if state is None:
                state = self.initial_state(inputs.shape[1], inputs.device)
        return self._in_stretches(self._run, inputs, state, num_steps)

    def _in_stretches(
        self, run: Callable[[State, State, int], tuple[Tensor, State]], inputs: State, state: State, num_steps: int
    ) -> tuple[Tensor, State]:
        """Run at once or, to save memory, in stretches: only the states between them are kept for the gradient.

        run: takes inputs, a state and a number of time steps. inputs: a nest of tensors, (T, ...).
        """
        if not 0 < self._recompute_every < num_steps:
            return run(inputs, state, num_steps)
        outputs = []
        for start in range(0, num_steps, self._recompute_every):
            stop = min(start + self._recompute_every, num_steps)
            some = map_state(lambda tensor, chosen=slice(start, stop): tensor[chosen], inputs)
            if torch.is_grad_enabled():
                output, state = checkpoint(run, some, state, stop - start, use_reentrant=False)
            else:
                output, state = run(some, state, stop - start)
            outputs.append(output)
        return torch.cat(outputs), state

    def _run(self, inputs: Tensor | None, state: Sequence[State], num_steps: int) -> tuple[Tensor, State]:
        outputs, last = inputs, []
        for cell, of_cell in zip(self._cells, state, strict=True):
            if outputs is not None:
                outputs = F.dropout(outputs, self.dropout, self.training)
            outputs, of_cell = cell.sequence(outputs, of_cell, num_steps)
            last.append(of_cell)
        assert outputs is not None
        return outputs, tuple(last)
