"""The batch of every optimizer step, on the device that trains: a pure function of the step.

Where several processes train together, each makes only its `part` of the batch.

Shapes: T time, B batch, D values of a frame.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ..synthetic.moving_mnist import MovingMnist
from ..synthetic.rendering import draws_of_step, renderer_on
from .resident import DeviceWindows
from .samplers import ConsecutiveSampler, InfiniteSampler

Item = TypeVar("Item", bound=tuple[Any, ...])

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

    def __init__(self, windows: DeviceWindows, sampler: InfiniteSampler, part: slice = WHOLE) -> None:
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
        self._generator, self._batch_size, self._seed, self._part = generator, batch_size, seed, part
        self._renderer = renderer_on(generator, device)

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        draws = draws_of_step(self._generator, self._batch_size, seed=self._seed, step=step)
        return WindowBatch(self._renderer.render(draws[self._part]))


class Prefetcher(Generic[Item]):
    """Makes the item of the next step in a thread while the one of this step is used; on a GPU, beside its other work.

    Items are tuples of tensors and other things, and pure functions of the step, so that asking for another step than
    the next costs time and nothing else.
    """

    def __init__(self, make: Callable[[int], Item], device: torch.device) -> None:
        self._make, self._stream = make, None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            # What items are made of may still be on its way to the device.
            self._stream.wait_stream(torch.cuda.current_stream(device))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vidrep-batches")
        self._next: tuple[int, Future[tuple[Item, torch.cuda.Event | None]]] | None = None

    def __call__(self, step: int) -> Item:
        """Return the item of a step."""
        expected, future = self._next or (-1, None)
        item, made = future.result() if future is not None and expected == step else self._make_beside(step)
        self._next = step + 1, self._thread.submit(self._make_beside, step + 1)
        if self._stream is not None and made is not None:
            used_by = torch.cuda.current_stream(self._stream.device)
            used_by.wait_event(made)
            for tensor in item:
                if isinstance(tensor, Tensor) and tensor.is_cuda:
                    tensor.record_stream(used_by)  # else its memory could be given to the next item too early
        return item

    def _make_beside(self, step: int) -> tuple[Item, torch.cuda.Event | None]:
        """Make an item; on a GPU, return with it what happens when the device has it."""
        if self._stream is None:
            return self._make(step), None
        with torch.cuda.stream(self._stream):
            item = self._make(step)
            return item, self._stream.record_event()
