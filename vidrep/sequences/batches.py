"""The batch of every optimizer step, on the device that trains: a pure function of the step.

Where several processes train together, each makes only its shard of the batch.

Shapes: T time, B batch, D values of a frame, V videos.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..devices import to_device
from ..synthetic.moving_mnist import MovingMnist
from ..synthetic.rendering import GeneratedWindows, draws_of_step, renderer_on
from .frame_targets import FrameTargets
from .resident import CopiedWindows, DeviceWindows
from .samplers import ConsecutiveSampler, InfiniteSampler
from .window_batch import WindowBatch
from .windows import VideoWindows, Windows, WindowSet

Item = TypeVar("Item", bound=tuple[Any, ...])

WHOLE = slice(None)


class Batches(Protocol):
    """Where a training gets its batches from."""

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""


@dataclass(frozen=True)
class VideoNumbers:
    """What batches carry of each video, (V,) int64: the number of its group, and of its class if videos have some."""

    groups: NDArray[np.int64]
    classes: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, groups: Sequence[str], classes: NDArray[np.int64] | None = None) -> "VideoNumbers":
        """Number the groups of V videos, given by name."""
        return cls(np.unique(groups, return_inverse=True)[1].astype(np.int64), classes)


class BatchMaker:
    """Makes batches of chosen windows on a device; targets: of their frames, if these are what is learned."""

    def __init__(
        self,
        windows: VideoWindows,
        on_device: DeviceWindows,
        numbers: VideoNumbers,
        device: torch.device,
        targets: FrameTargets | None = None,
    ) -> None:
        self._windows, self._on_device, self._numbers, self._device = windows, on_device, numbers, device
        self._targets = targets

    def batch(
        self, indices: NDArray[np.int64], shard: slice = WHOLE, *, frames: NDArray[np.generic] | None = None
    ) -> WindowBatch:
        """Return a shard of the batch whose windows are `indices`, (B,).

        frames: (T, B', D), those of the shard if they are not the windows' own.
        """
        here = indices[shard]
        videos, classes = self._windows.videos[here], self._numbers.classes
        return WindowBatch(
            self._on_device.gather(here) if frames is None else to_device(frames, self._device),
            valid=self._valid(indices, here),
            video=to_device(videos, self._device),
            group=to_device(self._numbers.groups[videos], self._device),
            classes=None if classes is None else to_device(classes[videos], self._device),
            num_valid=self._num_valid(indices),
            targets=self._targets_of(here),
            num_known=self.num_known(indices),
        )

    def _targets_of(self, here: NDArray[np.int64]) -> Tensor | None:
        if self._targets is None or not isinstance(self._windows, Windows):
            return None
        return to_device(self._targets.of(self._windows, here), self._device)

    def num_known(self, indices: NDArray[np.int64]) -> Tensor | None:
        """Return how many targets of each of some windows are known, on average; None without targets."""
        if self._targets is None or not isinstance(self._windows, Windows):
            return None
        mean = self._targets.num_known(self._windows, indices).mean()
        return torch.tensor(mean, dtype=torch.float32).to(self._device)

    def _valid(self, indices: NDArray[np.int64], here: NDArray[np.int64]) -> Tensor | None:
        if self._are_whole(indices):
            return None
        return to_device(np.arange(self._windows.length)[:, np.newaxis] < self._windows.lengths[here], self._device)

    def _num_valid(self, indices: NDArray[np.int64]) -> Tensor | None:
        if self._are_whole(indices):
            return None
        return torch.tensor(self._windows.lengths[indices].mean(), dtype=torch.float32).to(self._device)

    def _are_whole(self, indices: NDArray[np.int64]) -> bool:
        return bool((self._windows.lengths[indices] == self._windows.length).all())


class ShuffledBatches:
    """Windows of features, in an order shuffled anew every epoch."""

    def __init__(self, maker: BatchMaker, sampler: InfiniteSampler, shard: slice = WHOLE) -> None:
        self._maker, self._sampler, self._shard = maker, sampler, shard

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        return self._maker.batch(self._sampler.batch(step), self._shard)


class ConsecutiveBatches:
    """Windows of features, those of one video one after the other at the same position of the batch."""

    def __init__(
        self, maker: BatchMaker, sampler: ConsecutiveSampler, device: torch.device, shard: slice = WHOLE
    ) -> None:
        self._maker, self._sampler, self._device, self._shard = maker, sampler, device, shard

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        indices, is_first = self._sampler.batch(step)
        return self._maker.batch(indices, self._shard)._replace(is_first=to_device(is_first[self._shard], self._device))


class BatchSet(Protocol):
    """A fixed number of windows whose batches come in any order, to validate on.

    windows: the same, as stored frames. num_frames: of a window, and of the views that come with it.
    """

    @property
    def num_frames(self) -> int:
        """Frames that a batch has of each window, those of its views included."""

    @property
    def windows(self) -> WindowSet:
        """The windows."""

    def __len__(self) -> int:
        """Return W, the number of windows."""

    def batch(self, indices: NDArray[np.int64]) -> WindowBatch:
        """Return a batch of chosen windows, (B,); `num_valid` and `num_known` are those of all W."""


class FeatureBatchSet:
    """All windows of some features. numbers: of all their videos. targets: of their frames, see `BatchMaker`."""

    def __init__(
        self,
        windows: VideoWindows,
        numbers: VideoNumbers,
        device: torch.device,
        targets: FrameTargets | None = None,
    ) -> None:
        self.windows, self.numbers = windows, numbers
        self._maker = BatchMaker(windows, CopiedWindows(windows, device), numbers, device, targets)
        self._num_known = self._maker.num_known(np.arange(len(windows)))
        has_short = (windows.lengths < windows.length).any()
        mean = torch.tensor(windows.lengths.mean(), dtype=torch.float32).to(device)
        self._num_valid = mean if has_short else None
        self.num_frames = windows.length

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, indices: NDArray[np.int64]) -> WindowBatch:
        """Return a batch of chosen windows."""
        return self._maker.batch(indices)._replace(num_valid=self._num_valid, num_known=self._num_known)


class GeneratedBatchSet:
    """A fixed number of generated sequences; each is a video and a group of its own."""

    def __init__(self, windows: GeneratedWindows, device: torch.device) -> None:
        self.windows, self._device = windows, device
        self.num_frames = windows.length

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, indices: NDArray[np.int64]) -> WindowBatch:
        """Return a batch of chosen sequences."""
        numbers = to_device(indices, self._device)
        return WindowBatch(to_device(self.windows.gather(indices), self._device), video=numbers, group=numbers)


class GeneratedBatches:
    """Moving MNIST sequences, none of them ever twice."""

    def __init__(
        self, generator: MovingMnist, batch_size: int, seed: int, device: torch.device, shard: slice = WHOLE
    ) -> None:
        self._generator, self._batch_size, self._seed, self._shard = generator, batch_size, seed, shard
        self._device, self._renderer = device, renderer_on(generator, device)

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step; every sequence is a video and a group of its own."""
        draws = draws_of_step(self._generator, self._batch_size, seed=self._seed, step=step)
        videos = to_device((step * self._batch_size + np.arange(self._batch_size))[self._shard], self._device)
        return WindowBatch(self._renderer.render(draws[self._shard]), video=videos, group=videos)


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
