"""The batch of every optimiser step, on the device that trains: a pure function of the step.

Where several processes train together, each makes only its `part` of the batch.

Shapes: T time, B batch, D values of a frame.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ..features.moving_mnist import MovingMnist
from .generated import generated_batch
from .resident import DeviceWindows
from .samplers import ConsecutiveSampler, EndlessSampler

Item = TypeVar("Item")

WHOLE = slice(None)


class WindowBatch(NamedTuple):
    """Windows of stored frames, (T, B, D), and which of them begin a video or an epoch, (B,): all, if that is None."""

    windows: Tensor
    begins: Tensor | None = None


class Batches(Protocol):
    """Where a training gets its batches from."""

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""


class ShuffledBatches:
    """Windows of features, in an order shuffled anew every epoch."""

    def __init__(self, windows: DeviceWindows, sampler: EndlessSampler, part: slice = WHOLE) -> None:
        self._windows, self._sampler, self._part = windows, sampler, part

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        return WindowBatch(self._windows.gather(self._sampler.batch(step)[self._part]))


class ConsecutiveBatches:
    """Windows of features, those of one video one after the other at the same place of the batch."""

    def __init__(
        self, windows: DeviceWindows, sampler: ConsecutiveSampler, device: torch.device, part: slice = WHOLE
    ) -> None:
        self._windows, self._sampler, self._device, self._part = windows, sampler, device, part

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        indices, begins = self._sampler.batch(step)
        begins_here = torch.from_numpy(begins[self._part]).to(self._device)
        return WindowBatch(self._windows.gather(indices[self._part]), begins_here)


class GeneratedBatches:
    """Moving MNIST sequences, none of them ever twice."""

    def __init__(
        self, generator: MovingMnist, batch_size: int, seed: int, device: torch.device, part: slice = WHOLE
    ) -> None:
        self._generator, self._batch_size, self._seed, self._device = generator, batch_size, seed, device
        self._part = part

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        stored = generated_batch(self._generator, self._batch_size, seed=self._seed, step=step, part=self._part)
        return WindowBatch(torch.from_numpy(stored).to(self._device))


class Ahead(Generic[Item]):
    """Makes the item of the next step in a thread while the one of this step is used.

    Items are pure functions of the step, so that asking for another step than the next costs time and nothing else.
    """

    def __init__(self, make: Callable[[int], Item]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vidrep-batches")
        self._next: tuple[int, Future[Item]] | None = None

    def __call__(self, step: int) -> Item:
        """Return the item of a step."""
        expected, future = self._next or (-1, None)
        item = future.result() if future is not None and expected == step else self._make(step)
        self._next = step + 1, self._thread.submit(self._make, step + 1)
        return item
