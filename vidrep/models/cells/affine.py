"""What cells have in common whose gates and candidates are affine maps of the input and of h.

Shapes: T time, B batch, D input width, H hidden width, N maps of a cell.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..initialization import Initialization
from ..state import State
from .cell import Cell
from .products import RecurrentProduct, affine


class AffineCell(Cell):
    """A cell of N maps W x + U h' + b, one a gate or candidate; h' is h of the time step before.

    Parameters have the rows of one map after those of another: input_weight (N H, D), absent without input;
    recurrent_weight (N H, H); bias (N H,). The state is h, (B, H), unless a cell overrides `initial_state`.
    """

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        num_rows = self.num_maps * hidden_size
        self.input_weight = None if input_size is None else nn.Parameter(torch.empty(num_rows, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(num_rows, hidden_size))
        self.bias = nn.Parameter(torch.empty(num_rows))

    @property
    @abstractmethod
    def num_maps(self) -> int:
        """N, which may depend on the settings."""

    def rows_of(self, number: int) -> slice:
        """Return the rows of a map, the first of which has the number 0."""
        return slice(number * self.hidden_size, (number + 1) * self.hidden_size)

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew, one map at a time; biases become 0."""
        for number in range(self.num_maps):
            rows = self.rows_of(number)
            initialization.reset(self.recurrent_weight[rows], recurrent=True)
            if self.input_weight is not None:
                initialization.reset(self.input_weight[rows])
        self.bias.zero_()

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return zeros, (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, dtype=self.bias.dtype, device=device)

    def forward(self, inputs: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Do one time step: inputs (B, D) or None -> output (B, H) and the next state."""
        outputs, state = self.sequence(None if inputs is None else inputs[None], state, 1)
        return outputs[0], state

    def input_maps(self, inputs: Tensor | None, num_steps: int) -> Iterable[Tensor]:
        """Return W x + b of each time step, (B, N H), or b without input: inputs (T, B, D) or None."""
        if inputs is None or self.input_weight is None:
            return [self.bias] * num_steps
        return affine(inputs, self.input_weight, self.bias, compute_dtype=self.compute_dtype).unbind()

    def loop(
        self,
        step: Callable[[Tensor, Tensor | None, Tensor], tuple[Tensor, Tensor]],
        inputs: Tensor | None,
        h: Tensor,
        num_steps: int,
    ) -> tuple[Tensor, Tensor]:
        """Do time step after time step: inputs (T, B, D) or None, h (B, H) -> outputs (T, B, H) and the last h.

        step: returns the output and the next h, (B, H) each, from W x + U h' + b, (B, N H), x (B, D) or None, and h'.
        """
        product = RecurrentProduct(self.recurrent_weight, compute_dtype=self.compute_dtype)
        frames = [None] * num_steps if inputs is None else inputs.unbind()
        outputs = []
        for start, x in zip(self.input_maps(inputs, num_steps), frames, strict=True):
            output, h = step(product(start, h), x, h)
            outputs.append(output)
        return torch.stack(outputs), h
