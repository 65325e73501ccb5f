"""The composite model that benchmarks measure, and a training of it on one batch of frames.

Shapes: T frames of context, as many that follow, B batch, D values of a frame.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from vidrep.config.settings import EncoderSettings, TrainingSettings
from vidrep.models.cells.lstm import LSTMCell, LSTMSettings
from vidrep.models.description import ModelDescription
from vidrep.models.encoder import Numerics
from vidrep.models.objectives.objective import Window
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.saved import TrainedModel
from vidrep.sequences.window_batch import WindowBatch
from vidrep.sequences.windows import WindowSet
from vidrep.training.task import Task, TaskData


@dataclass(frozen=True, kw_only=True)
class CompositeSpec:
    """A composite model: reconstruction and future prediction of `num_frames` frames each, Bernoulli cross-entropy."""

    frame_size: int
    hidden_size: int
    num_frames: int
    num_layers: int = 1
    peepholes: bool = True
    conditional_future: bool = False

    @property
    def description(self) -> ModelDescription:
        """What vidrep builds it from. Weights start by Xavier: orthogonal matrices of 2048 units take seconds."""
        encoder = EncoderSettings(
            hidden_size=self.hidden_size, num_layers=self.num_layers, initialization="xavier", dropout=0.0
        )
        windows = {"context": self.num_frames, "num_future": self.num_frames, "num_reconstructed": 0, "stride": 1}
        objectives: Mapping[str, dict[str, Any]] = {
            "reconstruction": {},
            "future": {"conditional": self.conditional_future},
        }
        return ModelDescription(
            kind="pretraining",
            frame_shape=[self.frame_size],
            dtype="float32",
            likelihood="bernoulli",
            extractor={},
            transforms={},
            encoder=asdict(encoder),
            cell=asdict(LSTMSettings(peepholes=self.peepholes)),
            windows=windows,
            objectives=dict(objectives),
        )

    def build(self, compute_dtype: torch.dtype | None = None, *, use_reference: bool = False) -> TrainedModel:
        """Build it with fresh weights.

        compute_dtype: of the operands of matrix products, float32 if None. use_reference: compute recurrences in
        autograd's own operations.
        """
        model = TrainedModel.build(self.description, Numerics(compute_dtype=compute_dtype))
        for module in model.modules():
            if isinstance(module, LSTMCell):
                module.use_reference = use_reference
        return model


def network_of(model: TrainedModel) -> PretrainingNetwork:
    """Return the network of a composite model."""
    assert isinstance(model.network, PretrainingNetwork)
    return model.network


def window_of(frames: Tensor) -> Window:
    """Divide frames, (2 T, B, D), into context and future."""
    half = len(frames) // 2
    return Window(frames[:half], frames[half:])


def total_loss(model: TrainedModel, frames: Tensor) -> Tensor:
    """Return the loss of frames, (2 T, B, D), in nats, summed over everything."""
    network, window = network_of(model), window_of(frames)
    encoded = network.encode(window.context)
    return torch.stack([objective(encoded, window).total for objective in network.objectives.values()]).sum()


class FixedBatches:
    """The same batch of frames, (2 T, B, D), at every step."""

    def __init__(self, frames: Tensor) -> None:
        self._batch = WindowBatch(frames)

    def batch(self, step: int) -> WindowBatch:
        """Return the batch."""
        return self._batch


class NoWindows:
    """Nothing to validate on."""

    num_frames = 0

    @property
    def windows(self) -> WindowSet:
        """There are none."""
        raise LookupError("a benchmark validates on nothing")

    def __len__(self) -> int:
        return 0

    def batch(self, indices: Any) -> WindowBatch:
        """There is none."""
        raise LookupError("a benchmark validates on nothing")


def task_of(model: TrainedModel, spec: CompositeSpec, frames: Tensor) -> Task:
    """Return the task of a training whose every batch is these frames, (2 T, B, D)."""
    return Task(
        model,
        spec.description,
        TaskData(
            batches=FixedBatches(frames),
            batch_size=frames.shape[1],
            window_length=len(frames),
            validation=NoWindows(),
        ),
        TrainingSettings(),
        reduction="mean",
        device=frames.device,
    )
