"""An encoder that reads each window in both directions, and the state that a decoder gets of it.

Shapes: T time, B batch, D input width, H hidden width of a direction.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .encoder import Encoder, Numerics, SequenceEncoder, StackSpec
from .initialization import Initialization
from .pooling import Direction
from .state import State, map_state, to_dict


class BidirectionalState(NamedTuple):
    """The last state of each direction: that of the backward one has read the window's first frame last."""

    forward: State
    backward: State


class BidirectionalEncoder(SequenceEncoder):
    """Two stacks of cells, one of which reads each window from its last frame to its first.

    Their outputs for a frame stand side by side (Schuster and Paliwal 1997). A layer reads the layer below of its own
    direction alone, so that the forward stack is an encoder of one direction; `torch.nn.LSTM` differs there, whose
    layers read both. In one layer both are the same.
    """

    def __init__(
        self, input_size: int, spec: StackSpec, *, dropout: float = 0.0, numerics: Numerics | None = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.forward_stack = Encoder(input_size, spec, dropout=dropout, numerics=numerics)
        self.backward_stack = Encoder(input_size, spec, dropout=dropout, numerics=numerics)

    @property
    def directions(self) -> list[Direction]:
        """The H outputs of the forward stack, then those of the backward one."""
        size = self.forward_stack.hidden_size
        return [Direction(size), Direction(size, is_backward=True)]

    def initial_state(self, batch_size: int, device: torch.device) -> BidirectionalState:
        """Return the state of both directions before the first time step."""
        stacks = (self.forward_stack, self.backward_stack)
        return BidirectionalState(*(stack.initial_state(batch_size, device) for stack in stacks))

    def forward(
        self, inputs: Tensor, state: BidirectionalState | None = None, *, valid: Tensor | None = None
    ) -> tuple[Tensor, BidirectionalState]:
        """Run over a sequence: inputs (T, B, D) -> the outputs, (T, B, 2H), and the last states.

        valid: the backward stack starts at the last valid frame of each window.
        """
        start = BidirectionalState(None, None) if state is None else state
        outputs, last = self.forward_stack(inputs, start.forward)
        backward_outputs, first = self.backward_stack(reversed_in_time(inputs, valid), start.backward)
        both = torch.cat([outputs, reversed_in_time(backward_outputs, valid)], dim=-1)
        return both, BidirectionalState(last, first)


def reversed_in_time(frames: Tensor, valid: Tensor | None) -> Tensor:
    """Reverse the valid frames of each window, and leave the padding behind them: (T, B, D), valid (T, B) or None."""
    if valid is None:
        return frames.flip(0)
    num_frames, steps = valid.sum(dim=0), torch.arange(len(frames), device=frames.device).unsqueeze(1)
    order = torch.where(steps < num_frames, num_frames - 1 - steps, steps)
    return frames.gather(0, order.unsqueeze(-1).expand_as(frames))


class StateProjection(nn.Module):
    """Makes the first state of a decoder of the last states of both directions, by a learned affine map.

    s = P [s_forward; s_backward] + b for each tensor s of the state, such as h and c of every layer.

    like: a state of one direction.
    """

    def __init__(self, like: State, initialization: Initialization) -> None:
        super().__init__()
        widths = [tensor.shape[-1] for tensor in to_dict(like).values()]
        projections = [nn.Linear(2 * width, width) for width in widths]
        for projection in projections:
            initialization.reset_linear(projection)
        self.projections = nn.ModuleList(projections)

    def forward(self, state: BidirectionalState) -> State:
        """Return a state of one direction."""
        projections = iter(self.projections)
        return map_state(lambda *both: next(projections)(torch.cat(both, dim=-1)), state.forward, state.backward)


def build_encoder(
    input_size: int, spec: StackSpec, *, dropout: float = 0.0, numerics: Numerics | None = None
) -> SequenceEncoder:
    """Build the encoder of a specification, with fresh weights: of one direction, or of both."""
    kind = BidirectionalEncoder if spec.bidirectional else Encoder
    return kind(input_size, spec, dropout=dropout, numerics=numerics)
