"""The interface of a recurrent cell: one layer of an encoder or a decoder.

Shapes: T time, B batch, D input width, H hidden width. Time comes first: a time step is contiguous in memory.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...config.checks import NoSettings
from ..initialization import Initialization
from ..state import State


class Cell(nn.Module, ABC):
    """One recurrent layer.

    A cell makes its parameters in `__init__`, after `super().__init__(...)`, and draws them in `reset_parameters`.
    `initial_state` and `forward`, one time step, are all that it must have; a cell with a faster way over a whole
    sequence overrides `sequence`; one whose weights are constrained, `project` and `bounded`.

    input_size: D, None for a decoder's first layer, which has no input. hidden_size: H, the width of its output.
    settings: an instance of its `Settings`. compute_dtype: the type of the operands of matrix products, that of the
    state if None; a cell may ignore it.
    """

    Settings: ClassVar[type[Any]] = NoSettings
    """A frozen dataclass of what can be set in `[cell.NAME]`."""

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.settings = input_size, hidden_size, settings
        self.compute_dtype = compute_dtype

    @abstractmethod
    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return the state before the first time step: a nest of tensors (B, ...)."""

    @abstractmethod
    def forward(self, inputs: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Do one time step: inputs (B, D), None for a cell without input -> output (B, H) and the next state."""

    def sequence(self, inputs: Tensor | None, state: State, num_steps: int) -> tuple[Tensor, State]:
        """Do T = num_steps time steps: inputs (T, B, D) or None -> outputs (T, B, H) and the last state."""
        outputs = []
        for step in range(num_steps):
            output, state = self(None if inputs is None else inputs[step], state)
            outputs.append(output)
        return torch.stack(outputs), state

    def project(self) -> None:
        """Put the weights back into what the settings allow, before a training and after each of its steps."""

    def bounded(self) -> dict[str, Tensor]:
        """Return what `project` keeps below a bound, scalars by name, for the metrics of a run."""
        return {}

    def extra_repr(self) -> str:
        """Return the sizes and the settings, for the repr of a model."""
        return f"{self.input_size} -> {self.hidden_size}, {self.settings}"

    @torch.no_grad()
    def reset_parameters(self, initialization: Initialization) -> None:
        """Draw the weights anew: matrices as the initialization does, all else 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.zero_()
            else:
                initialization.reset(parameter, recurrent="recurrent" in name)
