"""The optimizer step as one CUDA graph: the host starts it once, rather than kernel by kernel."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..config.settings import TrainingSettings
from ..sequences.window_batch import WindowBatch
from .optimizers import LearningRates, set_learning_rates
from .step import TrainingStep

# Steps done kernel by kernel first: they compile kernels, make the optimizer's state and choose matrix products.
_NUM_EAGER_STEPS = 3


def can_capture(device: torch.device, carried: dict[str, Tensor], settings: TrainingSettings) -> bool:
    """Return whether steps can be a CUDA graph: on CUDA, with nothing carried over them and nothing computed twice.

    carried: what is carried. A graph writes where it wrote before, so that state would be lost; and activation
    checkpointing, `training.recompute_every`, reads the state of random numbers, which a capture cannot give.
    """
    return device.type == "cuda" and not carried and settings.recompute_every == 0


class CapturedStep:
    """Does steps on CUDA: the first ones as `TrainingStep` does, one more to be captured, and that is replayed.

    All batches must have the same shapes; one that differs from the captured one, as with padded windows among whole
    ones, is computed kernel by kernel. All steps count, the first ones too. They and the capture have a stream of their
    own, as gradients are summed on the stream that first used their weights, and the default stream cannot be captured.

    A graph has one buffer each for its batch, its learning rates and its results: a batch is copied in, the learning
    rates written, and a copy of the results returned. Threads that prepare batches go on meanwhile.
    """

    def __init__(self, step: TrainingStep, optimizer: torch.optim.Optimizer) -> None:
        self._step, self._optimizer = step, optimizer
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._num_eager = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: list[Tensor] = []
        self._layout: list[tuple[torch.Size, torch.dtype] | None] = []
        self._names: list[str] = []
        self._metrics = torch.empty(0)

    def __call__(self, batch: WindowBatch, rates: LearningRates) -> dict[str, Tensor]:
        """Do a step; return the batch's metrics and "gradient_norm", scalars that may still be computed.

        Raises torch.OutOfMemoryError if the device has no room for the step or for its graph.
        """
        set_learning_rates(self._optimizer, rates)
        if self._num_eager < _NUM_EAGER_STEPS or (self._graph is not None and _layout(batch) != self._layout):
            self._num_eager += 1
            return self._run_eagerly(batch)
        with _raising_out_of_memory():
            if self._graph is None:
                self._graph = self._capture(batch)
            for buffer, item in zip(self._batch, (item for item in batch if item is not None), strict=True):
                buffer.copy_(item)
            self._graph.replay()
        return dict(zip(self._names, self._metrics.clone(), strict=True))

    def _run_eagerly(self, batch: WindowBatch) -> dict[str, Tensor]:
        outer = torch.cuda.current_stream()
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            metrics = self._step.run(batch)
        outer.wait_stream(self._stream)
        return metrics

    def _capture(self, batch: WindowBatch) -> torch.cuda.CUDAGraph:
        """Record a step, which is not done thereby."""
        buffers = WindowBatch(*(None if item is None else item.clone() for item in batch))  # type: ignore[arg-type]
        self._batch, self._layout = [item for item in buffers if item is not None], _layout(batch)
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate memory and use other streams: only this thread's mistakes are its own.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            metrics = self._step.run(buffers)
            self._names, self._metrics = list(metrics), torch.stack(list(metrics.values()))
        return graph


def _layout(batch: WindowBatch) -> list[tuple[torch.Size, torch.dtype] | None]:
    return [None if item is None else (item.shape, item.dtype) for item in batch]


@contextmanager
def _raising_out_of_memory() -> Iterator[None]:
    """Raise torch.OutOfMemoryError where the driver lacks memory for a graph, which torch reports as any other error.

    If a step lacks memory while it is captured, the error at the end of the capture would hide that.
    """
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error) or isinstance(error.__context__, torch.OutOfMemoryError):
            raise torch.OutOfMemoryError(str(error)) from error
        raise
