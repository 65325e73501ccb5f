"""A cell that is not recurrent: a feed-forward network that sees the last frames.

Shapes: T time, B batch, D values of a frame, H hidden width.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from ...config.checks import Range, Settings
from ..state import State
from .causal_convolution import CausalConvolution, FrameReader


@dataclass(frozen=True, kw_only=True)
class LastFramesSettings(Settings):
    """What can be set in `[cell.last_frames]`."""

    frames: Annotated[int, Range(at_least=1)] = 8
    """How many it sees, the present one included; those before a video's first are zeros."""
    layers: Annotated[int, Range(at_least=1)] = 2
    """Of the network; each has the encoder's width."""


class LastFramesCell(FrameReader):
    """A feed-forward network of the last k frames, which remembers nothing else.

        h1(t) = relu(b1 + sum over i < k of W1[i] x(t - i)),    hl(t) = relu(Wl h(l-1)(t) + bl)

    (The truncated model that a stable recurrent one can be replaced by: Miller and Hardt 2019, arXiv 1805.10369,
    section 3, there with the recurrent model's own weights, here with weights of its own.) `compute_dtype` is not used.
    """

    Settings = LastFramesSettings

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        self.frames = CausalConvolution(input_size or hidden_size, hidden_size, kernel=settings.frames)
        self.layers = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(settings.layers - 1))

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return zeros in place of the frames before the first, (B, k - 1, D)."""
        return self.frames.initial_state(batch_size, device)

    def sequence(self, inputs: Tensor | None, state: State, num_steps: int) -> tuple[Tensor, State]:
        """Do T = num_steps time steps at once: inputs (T, B, D) -> outputs (T, B, H) and the last k - 1 frames."""
        assert inputs is not None
        outputs, state = self.frames(inputs, state)
        for layer in self.layers:
            outputs = layer(outputs.relu())
        return outputs.relu(), state
