"""Several encoders side by side, each behind its own input transforms, as one encoder.

Shapes: T time, B batch, D values of a stored frame, E of a frame after one encoder's transforms, H width of an encoder.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .encoder import SequenceEncoder
from .inputs import InputTransforms
from .pooling import Direction
from .state import State


class JoinedInputs(InputTransforms):
    """The input transforms of several encoders, which return frames side by side: (T, B, D) -> (T, B, sum of E).

    mean, std: those of the first, for baselines and metrics.
    """

    is_invertible = False

    def __init__(self, parts: Sequence[InputTransforms]) -> None:
        super().__init__(parts[0].mean.numel(), {})
        self.mean.copy_(parts[0].mean)
        self.std.copy_(parts[0].std)
        self.parts = nn.ModuleList(parts)
        self.part_sizes = tuple(part.output_size for part in parts)
        self.output_size = sum(self.part_sizes)

    @property
    def reads_windows(self) -> bool:
        """Whether those of one of its parts do."""
        return any(part.reads_windows for part in self.parts if isinstance(part, InputTransforms))

    @property
    def num_before(self) -> int:
        """The most that one of its parts reads."""
        return max(part.num_before for part in self.parts if isinstance(part, InputTransforms))

    def forward(self, stored: Tensor, observed: Tensor | None = None) -> Tensor:
        """Turn stored frames into those of all encoders, side by side."""
        return torch.cat([part(stored, observed) for part in self.parts], dim=-1)


class JoinedEncoder(SequenceEncoder):
    """Several encoders, each of which reads its own share of a frame's values; their outputs stand side by side.

    The state is a tuple of theirs.
    """

    def __init__(self, parts: Sequence[SequenceEncoder]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.sizes = [int(part.input_size or 0) for part in parts]
        self.input_size = sum(self.sizes)

    @property
    def _encoders(self) -> list[SequenceEncoder]:
        return [part for part in self.parts if isinstance(part, SequenceEncoder)]

    @property
    def directions(self) -> list[Direction]:
        """Those of its parts."""
        return [direction for part in self._encoders for direction in part.directions]

    def initial_state(self, batch_size: int, device: torch.device) -> State:
        """Return the state before the first time step, one nest an encoder."""
        return tuple(part.initial_state(batch_size, device) for part in self._encoders)

    def forward(self, inputs: Tensor, state: State = None, *, valid: Tensor | None = None) -> tuple[Tensor, State]:
        """Run over a sequence: (T, B, sum of E) -> the outputs, (T, B, sum of H), and the last states."""
        states = [None] * len(self.parts) if state is None else state
        shares = torch.split(inputs, self.sizes, dim=-1)
        ran = [
            one(share.contiguous(), before, valid=valid)
            for one, share, before in zip(self.parts, shares, states, strict=True)
        ]
        return torch.cat([outputs for outputs, _ in ran], dim=-1), tuple(last for _, last in ran)
