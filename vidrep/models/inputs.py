"""From the frames of a feature file to those that a model reads: original units, then the input transforms.

Shapes: T time, B batch, D values of a stored frame, E values of a frame after all transforms.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import TRANSFORMS
from .transforms.transform import Statistics, TrainingFrames, Transform


def to_original_units(stored: Tensor) -> Tensor:
    """Turn stored frames, (..., D), into float32 in original units: uint8 in [0, 1], others as they are."""
    return stored.float() / 255 if stored.dtype == torch.uint8 else stored.float()


class InputTransforms(nn.Module):
    """Turns stored frames into those that a model reads: original units, then each transform in its order.

    transforms: settings by registered name. mean, std: (D,) of the training frames in original units, for metrics; the
    std of a value that never changes is 1. They are saved with the model, as what the transforms measured.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, frame_size: int, transforms: Mapping[str, Any]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(frame_size))
        self.register_buffer("std", torch.ones(frame_size))
        chain: dict[str, Transform] = {}
        size = frame_size
        for name, settings in transforms.items():
            chain[name] = TRANSFORMS[name](size, settings)
            size = chain[name].output_size
        self.transforms = nn.ModuleDict(chain)
        self.output_size = size
        self.part_sizes: tuple[int, ...] = (size,)

    @property
    def _chain(self) -> list[Transform]:
        return [one for one in self.transforms.values() if isinstance(one, Transform)]

    @property
    def is_invertible(self) -> bool:
        """Whether frames can be turned back into original units."""
        return all(transform.is_invertible for transform in self._chain)

    @property
    def reads_windows(self) -> bool:
        """Whether what a frame becomes depends on the other frames of its window."""
        return any(transform.reads_windows for transform in self._chain)

    @property
    def num_before(self) -> int:
        """How many frames before a frame are read to transform it."""
        return sum(transform.num_before for transform in self._chain)

    def fit(self, stored: Callable[[], Iterator[Tensor]]) -> None:
        """Fit every transform to the training frames as the transforms before it return them.

        stored: returns an iterator over blocks of consecutive stored frames of a video, (n, D), at every call.
        """
        frames: TrainingFrames = _TransformedFrames(stored, [])
        self._keep_statistics(frames.statistics)
        for number, transform in enumerate(self._chain):
            transform.fit(frames)
            if number + 1 < len(self._chain):
                frames = _TransformedFrames(stored, self._chain[: number + 1])

    def _keep_statistics(self, statistics: Statistics) -> None:
        self.mean.copy_(statistics.mean)
        self.std.copy_(statistics.std)

    def forward(self, stored: Tensor, observed: Tensor | None = None) -> Tensor:
        """Turn stored frames, (T, B, D), into what the model reads, (T, B, E).

        observed: (T, B) bool, see `Transform`.
        """
        frames = to_original_units(stored)
        for transform in self._chain:
            frames = transform(frames, observed)
        return frames

    def inverse(self, frames: Tensor) -> Tensor:
        """Turn the model's frames, (..., E), back into original units, (..., D), if all transforms are invertible."""
        for transform in reversed(self._chain):
            frames = transform.inverse(frames)
        return frames


class _TransformedFrames(TrainingFrames):
    """The training frames after some transforms."""

    def __init__(self, stored: Callable[[], Iterator[Tensor]], transforms: list[Transform]) -> None:
        self._stored, self._transforms = stored, transforms

    @torch.no_grad()
    def __iter__(self) -> Iterator[Tensor]:
        for block in self._stored():
            frames = to_original_units(block).unsqueeze(1)
            for transform in self._transforms:
                frames = transform(frames)
            yield frames
