"""The optimizer step as one CUDA graph: the device does all of it without being told kernel by kernel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..config import OptimizerSettings, TrainingSettings
from .optimizer_step import Objective, OptimizerStep
from .optimizers import set_learning_rate

# Steps done kernel by kernel first: they compile kernels, make the optimizer's state and choose products.
_NUM_EAGER_STEPS = 3


def can_capture(objective: Objective[Any], state: dict[str, Tensor], settings: TrainingSettings) -> bool:
    """Say whether steps can be a CUDA graph: on CUDA, with nothing carried over them and nothing computed twice.

    state: what is carried. What a graph replays writes where it wrote before, so that state would be lost; and what is
    computed twice, with `training.recompute_every`, asks for the state of random numbers, which a capture cannot give.
    """
    device = next(objective.model.parameters()).device
    return device.type == "cuda" and not state and settings.recompute_every == 0


class CapturedStep(OptimizerStep):
    """Does steps as `OptimizerStep`, on CUDA: the first ones so, one more to be captured, and that is replayed.

    Batches are NamedTuples of tensors on the device, each of the same shape in all of them; a task whose batches hold
    something else, which Python has to look at, is not captured. All steps count, the first ones too: nothing has to
    be undone. They and the capture have a stream of their own, as gradients are added up on the stream on which their
    weights were first seen, and the stream that all else runs on cannot be captured.

    A graph holds its batch, its learning rate and what it returns in one place each: a batch is copied in, the learning
    rate written, and a copy of what it returns is given out. Threads that prepare batches go on meanwhile.
    """

    def __init__(
        self, objective: Objective[Any], optimizer: torch.optim.Optimizer, settings: OptimizerSettings
    ) -> None:
        super().__init__(objective, optimizer, settings)
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._num_eager = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: list[Tensor] = []
        self._names: list[str] = []
        self._figures = torch.empty(0)

    def __call__(self, batch: Any, learning_rate: float) -> dict[str, Tensor]:
        """Do a step; return the batch's figures and "gradient_norm", scalars that nobody has waited for yet.

        Raises torch.OutOfMemoryError if the device has no room for the step or for its graph.
        """
        if not all(item is None or (isinstance(item, Tensor) and item.is_cuda) for item in batch):
            return super().__call__(batch, learning_rate)
        set_learning_rate(self._optimizer, learning_rate)
        if self._num_eager < _NUM_EAGER_STEPS:
            self._num_eager += 1
            return self._do_eagerly(batch)
        with _naming_lack_of_memory():
            if self._graph is None:
                self._graph = self._capture(batch)
            for held, item in zip(self._batch, (item for item in batch if item is not None), strict=True):
                held.copy_(item)
            self._graph.replay()
        return dict(zip(self._names, self._figures.clone(), strict=True))

    def _do_eagerly(self, batch: Any) -> dict[str, Tensor]:
        around = torch.cuda.current_stream()
        self._stream.wait_stream(around)
        with torch.cuda.stream(self._stream):
            figures = self._do(batch)
        around.wait_stream(self._stream)
        return figures

    def _capture(self, batch: Any) -> torch.cuda.CUDAGraph:
        """Record a step, which is not done thereby."""
        held = type(batch)(*(None if item is None else item.clone() for item in batch))
        self._batch = [item for item in held if item is not None]
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate memory and use other streams: only this thread's mistakes are its own.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            figures = self._do(held)
            self._names, self._figures = list(figures), torch.stack(list(figures.values()))
        return graph


@contextmanager
def _naming_lack_of_memory() -> Iterator[None]:
    """Raise torch.OutOfMemoryError where the driver lacks memory for a graph, which torch tells as any of its errors.

    Where a step that is being captured lacks it, what comes of the capture's end would hide that.
    """
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error) or isinstance(error.__context__, torch.OutOfMemoryError):
            raise torch.OutOfMemoryError(str(error)) from error
        raise
