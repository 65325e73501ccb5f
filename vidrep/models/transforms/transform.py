"""The interface of an input transform.

Shapes: T time, B batch, D values of a frame before a transform, E after it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...config.checks import NoSettings
from ...shapes import repr_with_shapes

# A value whose deviation is below this fraction of its mean, or of 1, counts as one that never changes.
_CONSTANT = 1e-6
_VALUES_AT_ONCE = 1 << 17


class Statistics(NamedTuple):
    """Of each of a frame's D values over all frames: mean and standard deviation, (D,) float64.

    A value that never changes has the deviation 1.
    """

    mean: Tensor
    std: Tensor

    def __repr__(self) -> str:
        return repr_with_shapes(self)


class TrainingFrames(ABC):
    """The frames that a transform is fitted to: blocks of consecutive frames, each of one video.

    Iterating yields (T, 1, D) float32 blocks of bounded size; it can be repeated.
    """

    @abstractmethod
    def __iter__(self) -> Iterator[Tensor]:
        """Yield the blocks."""

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics, measured in float64 and as differences from the first frame, since rounding would otherwise
        exceed the deviation of large values that hardly change. Raises ValueError without a frame."""
        origin: NDArray[np.float64] | None = None
        count, total, squares = 0, np.zeros(()), np.zeros(())
        for frames in self._pieces():
            origin = frames[0] if origin is None else origin
            differences = frames - origin
            count += len(frames)
            total = total + differences.sum(axis=0)
            squares = squares + np.square(differences).sum(axis=0)
        if origin is None:
            raise ValueError("no frame to measure")
        mean = origin + total / count
        std = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
        std[std < _CONSTANT * np.maximum(1, np.abs(mean))] = 1.0
        return Statistics(torch.from_numpy(mean), torch.from_numpy(std))

    def _pieces(self) -> Iterator[NDArray[np.float64]]:
        """Yield (n, D) in float64, few frames at a time, to bound the memory that the copies take."""
        for block in self:
            frames = block.flatten(0, 1)
            rows = max(1, _VALUES_AT_ONCE // frames.shape[1])
            for start in range(0, len(frames), rows):
                yield frames[start : start + rows].double().numpy()


class Transform(nn.Module, ABC):
    """Changes frames before the model reads them; fitted to the training split and stored with the model.

    What `fit` measures is kept in buffers, which are registered in `__init__`, after `super().__init__(input_size,
    settings)`, so that a stored model can be loaded into it.
    input_size: D. settings: an instance of its `Settings`.
    """

    Settings: ClassVar[type[Any]] = NoSettings
    """A frozen dataclass of what can be set in `[transform.NAME]`."""
    is_invertible: ClassVar[bool] = False
    """Whether `inverse` restores frames, so that errors can be measured in original units."""
    reads_windows: ClassVar[bool] = False
    """Whether what a frame becomes depends on the other frames of its window, so that a window must be read at once."""
    num_before: ClassVar[int] = 0
    """How many frames before a frame it reads to transform that one; at the beginning of a window there are fewer."""

    def __init__(self, input_size: int, settings: Any) -> None:
        super().__init__()
        self.input_size, self.settings = input_size, settings

    def extra_repr(self) -> str:
        """Return the sizes and the settings, for the repr of a model."""
        return f"{self.input_size} -> {self.output_size}, {self.settings}"

    @property
    def output_size(self) -> int:
        """E: D unless a transform overrides it."""
        return self.input_size

    def fit(self, frames: TrainingFrames) -> None:
        """Measure the training frames; a transform that measures nothing does not override this."""

    @abstractmethod
    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        """Transform frames, (T, B, D) -> (T, B, E).

        observed: (T, B) bool, the frames that may be used to transform the others: neither padding nor the future;
        None if all may.
        """

    def inverse(self, frames: Tensor) -> Tensor:
        """Restore frames, (..., E) -> (..., D); raises NotImplementedError unless it is invertible."""
        raise NotImplementedError(f"{type(self).__name__} is not invertible")
