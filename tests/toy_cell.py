"""A cell as a plug-in would have it: its state is a dictionary with a list in it, and starts at other values than 0."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from numpy_lstm import Floats
from torch import Tensor, nn

from vidrep.config.checks import Range, Settings
from vidrep.models.cells.cell import Cell
from vidrep.models.encoder import StackSpec
from vidrep.models.state import State
from vidrep.registry import CELLS

START = 0.25


@dataclass(frozen=True, kw_only=True)
class ToySettings(Settings):
    decay: Annotated[float, Range(at_least=0, below=1)] = 0.5


class ToyCell(Cell):
    """fast = tanh(x W + fast' U + b); slow is a running mean of it, and slow[1] one of slow[0]; the output is all."""

    Settings = ToySettings

    def __init__(self, input_size: int | None, hidden_size: int, settings: Any, **options: Any) -> None:
        super().__init__(input_size, hidden_size, settings, **options)
        self.weight = None if input_size is None else nn.Parameter(torch.empty(input_size, hidden_size))
        self.recurrent = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        start = torch.full((batch_size, self.hidden_size), START, dtype=self.bias.dtype, device=device)
        return {"fast": start, "slow": [start, start]}

    def forward(self, inputs: Tensor | None, state: State) -> tuple[Tensor, State]:
        total = state["fast"] @ self.recurrent + self.bias
        fast = (total if inputs is None or self.weight is None else total + inputs @ self.weight).tanh()
        decay, (first, second) = self.settings.decay, state["slow"]
        first = decay * first + (1 - decay) * fast
        second = decay * second + (1 - decay) * first
        return fast + first + second, {"fast": fast, "slow": [first, second]}


def register_toy_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register it under "toy" for one test."""
    monkeypatch.setattr(CELLS, "_registered", {})
    CELLS.register("toy")(ToyCell)


def toy_spec(*, hidden_size: int = 6, num_layers: int = 1, decay: float = 0.5) -> StackSpec:
    return StackSpec(cell="toy", settings=ToySettings(decay=decay), hidden_size=hidden_size, num_layers=num_layers)


def toy_outputs(cell: ToyCell, inputs: Floats) -> tuple[Floats, Floats]:
    """Return the outputs of a sequence, (T, B, H), and the last slow[1], in NumPy."""
    weights = {name: value.numpy() for name, value in cell.state_dict().items()}
    fast, first, second = (np.full((inputs.shape[1], cell.hidden_size), START) for _ in range(3))
    decay, outputs = cell.settings.decay, []
    for frame in inputs:
        fast = np.tanh(frame @ weights["weight"] + fast @ weights["recurrent"] + weights["bias"])
        first = decay * first + (1 - decay) * fast
        second = decay * second + (1 - decay) * first
        outputs.append(fast + first + second)
    return np.stack(outputs), second
