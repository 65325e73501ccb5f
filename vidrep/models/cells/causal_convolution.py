"""A cell that is not recurrent: dilated causal convolutions over the frames that it remembers.

Shapes: T time, B batch, C width of what enters, D of a frame, H hidden width, P time steps that are remembered.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...config.checks import Range, Settings
from ...errors import ConfigError
from ..state import State
from .cell import Cell


class CausalConvolution(nn.Module):
    """y(t) = b + sum over k of W[k] x(t - k d): a time step reads itself and those before it, d steps apart.

    weight: (H, C, kernel), the last of `kernel` taps being that of the present time step.
    """

    def __init__(self, input_size: int, output_size: int, *, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.num_remembered, self._dilation = (kernel - 1) * dilation, dilation
        self.weight = nn.Parameter(torch.empty(output_size, input_size, kernel))
        self.bias = nn.Parameter(torch.empty(output_size))

    def initial_state(self, batch_size: int, device: torch.device) -> Tensor:
        """Return zeros, (B, P, C): before the first frame there are none."""
        return self.weight.new_zeros(batch_size, self.num_remembered, self.weight.shape[1], device=device)

    def forward(self, inputs: Tensor, remembered: Tensor) -> tuple[Tensor, Tensor]:
        """Go over T time steps: inputs (T, B, C), remembered (B, P, C) -> outputs (T, B, H) and the next P inputs."""
        every = torch.cat([remembered.transpose(0, 1), inputs])
        outputs = self.bias.expand(*inputs.shape[:2], -1)
        for tap, weight in enumerate(self.weight.unbind(dim=2)):
            start = tap * self._dilation
            outputs = outputs + F.linear(every[start : start + len(inputs)], weight)
        return outputs, every[len(inputs) :].transpose(0, 1).contiguous()


class FrameReader(Cell):
    """A cell whose state is the inputs that it remembers: it cannot decode without any."""

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        if input_size is None:
            raise ConfigError(
                "encoder.cell is not recurrent, and reads frames alone: a decoder of such cells must read those that "
                "it emits; set objective.NAME.conditional = true, or learn without decoders (contrast)"
            )

    def forward(self, inputs: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Do one time step: inputs (B, D) -> output (B, H) and the next state."""
        assert inputs is not None
        outputs, state = self.sequence(inputs[None], state, 1)
        return outputs[0], state


@dataclass(frozen=True, kw_only=True)
class CausalConvolutionSettings(Settings):
    """What can be set in `[cell.causal_convolution]`."""

    levels: Annotated[int, Range(at_least=1, at_most=16)] = 4
    """Residual blocks, one above the other; the dilation doubles at each."""
    kernel: Annotated[int, Range(at_least=2)] = 3
    """Time steps that each convolution reads."""


class _Block(nn.Module):
    """a = relu(conv(x)), b = relu(conv(a)), y = relu(b + R x), where R is the identity if x is as wide as y."""

    def __init__(self, input_size: int, output_size: int, *, kernel: int, dilation: int) -> None:
        super().__init__()
        self.first = CausalConvolution(input_size, output_size, kernel=kernel, dilation=dilation)
        self.second = CausalConvolution(output_size, output_size, kernel=kernel, dilation=dilation)
        is_same_width = input_size == output_size
        self.residual_weight = None if is_same_width else nn.Parameter(torch.empty(output_size, input_size))

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        return self.first.initial_state(batch_size, device), self.second.initial_state(batch_size, device)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, of_first = self.first(inputs, state[0])
        hidden, of_second = self.second(hidden.relu(), state[1])
        residual = inputs if self.residual_weight is None else F.linear(inputs, self.residual_weight)
        return (hidden.relu() + residual).relu(), (of_first, of_second)


class CausalConvolutionCell(FrameReader):
    """A temporal convolutional network (Bai, Kolter and Koltun 2018, arXiv 1803.01271, section 3).

        a = relu(conv(x)),    b = relu(conv(a)),    y = relu(b + R x)        at each level l, with dilation 2^l

    It sees the last `1 + 2 (kernel - 1) (2^levels - 1)` frames. R is the identity where the widths are equal, else
    a matrix. What the source leaves open or does otherwise: no weight normalization; dropout enters below the cell, as
    with every cell, and not between its convolutions. The state of a layer is the frames that its convolutions still
    need, so going on from it equals one pass over the whole sequence up to rounding. `compute_dtype` is not used.
    """

    Settings = CausalConvolutionSettings

    def __init__(
        self, input_size: int | None, hidden_size: int, settings: Any, *, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, settings, compute_dtype=compute_dtype)
        sizes = [input_size or hidden_size] + [hidden_size] * (settings.levels - 1)
        self.blocks = nn.ModuleList(
            _Block(size, hidden_size, kernel=settings.kernel, dilation=2**level) for level, size in enumerate(sizes)
        )

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return zeros for each convolution, (B, P, C)."""
        return tuple(block.initial_state(batch_size, device) for block in self.blocks if isinstance(block, _Block))

    def sequence(self, inputs: Tensor | None, state: State, num_steps: int) -> tuple[Tensor, State]:
        """Do T = num_steps time steps at once: inputs (T, B, D) -> outputs (T, B, H) and the last state."""
        assert inputs is not None
        outputs, following = inputs, []
        for block, of_block in zip(self.blocks, state, strict=True):
            outputs, of_block = block(outputs, of_block)
            following.append(of_block)
        return outputs, tuple(following)
