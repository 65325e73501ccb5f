"""Pretraining: the composite model learns, without labels, to reconstruct the past and predict the future.

Shapes: T frames of a window, B batch, D values of a frame, H hidden width, L layers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import PretrainConfig
from ..devices import choose_device, torch_settings
from ..errors import ConfigError
from ..features.annotations import Annotation
from ..features.store import Features
from ..metrics.prediction import PredictionMetrics, filmstrip_rows, prediction_metrics, windows_at_once
from ..models.composite import CompositeModel
from ..models.lstm import LSTMState
from ..models.output_projection import frame_loss
from ..models.saved import ModelDescription, ScaledModel, load_model
from ..progress import ProgressListener, ignore_progress
from ..sequences.batches import Prefetcher, WindowBatch
from ..sequences.windows import batches_of
from ..viewing.filmstrip import can_be_shown, write_filmstrip
from .collectives import Ranks
from .loop import TrainingOutcome, never, train
from .optimizer_step import Piece, piece_slices
from .preparation import naming_lack_of_memory, seeded
from .pretraining_data import PretrainData, data_of_features, data_of_mnist
from .ranks import joined_ranks
from .run import RunFolder


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """What a pretraining came to: its run folder, how it went, and the best weights' figures on held-out videos."""

    folder: Path
    outcome: TrainingOutcome
    validation: PredictionMetrics
    num_train_videos: int
    num_validation_videos: int
    num_parameters: int


def pretrain(
    features: Features | None,
    output: Path | str,
    config: PretrainConfig | None = None,
    *,
    mnist: Path | str | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
    should_stop: Callable[[], bool] = never,
) -> PretrainResult:
    """Train a composite model without labels into the run folder `output`, on features or on Moving MNIST.

    features: videos whose split is "test" are not touched; a part of the others is held out, by video, to choose the
    weights. mnist: in place of features, a folder with the files of MNIST, from which sequences are generated without
    end; a part of its training digits is held out.
    device: "auto", "cpu", "cuda" or "mps". precision: "auto", "fp32" or "bf16", of matrix products; "auto" is bf16
    where that is native. listed: labels and splits laid over the file's. resume: go on from the run's checkpoint.
    overwrite: start anew where a run is. should_stop: asked after every step; then a checkpoint is written.
    Processes that torchrun starts train together; each calls this, gets the same result and hears of its own progress.

    Raises InputError if there is no window to train on, FeatureFileError for damaged rows and values that are not
    finite, ConfigError for settings that do not go together, OutputError for a folder that is in use or a resumed run
    that was another, TrainingError for a loss that is not finite, Stopped if it was asked to stop.
    """
    config = config or PretrainConfig()
    run = RunFolder(Path(output))
    with (
        joined_ranks() as ranks,
        torch_settings(ranks.device(choose_device(device)), precision=precision, threads=threads) as settings,
    ):
        torch_device, precision, products = settings
        ranks.require_same(resume=resume, device=torch_device.type, precision=precision, settings=config)
        ranks.call_on_rank_zero(lambda: run.require_usable(resume=resume, overwrite=overwrite))
        with ranks.on_rank_zero(run.locked()), naming_lack_of_memory(), seeded(config.training.seed, torch_device):
            data = _read(features, mnist, config, annotations=annotations, device=torch_device, ranks=ranks)
            task = _build_task(data, config, torch_device, ranks, products=products if precision == "bf16" else None)
            ranks.require_same(data=(data.settings, data.videos.table()))
            prepared = run.prepared(
                config,
                data.videos,
                resume=resume,
                overwrite=overwrite,
                device=torch_device,
                num_ranks=ranks.size,
            )
            with ranks.on_rank_zero(prepared), naming_lack_of_memory(data.batch_size):
                outcome = train(
                    task,
                    run,
                    config.training,
                    config.optimizer,
                    precision=precision,
                    resume=resume,
                    on_progress=on_progress,
                    should_stop=should_stop,
                    ranks=ranks,
                )
            metrics = ranks.call_on_rank_zero(lambda: _measure(run, data, config, torch_device))
    parts = data.videos.parts
    return PretrainResult(
        folder=run.path,
        outcome=outcome,
        validation=metrics,
        num_train_videos=len(parts.train),
        num_validation_videos=len(parts.validation),
        num_parameters=sum(parameter.numel() for parameter in task.model.parameters()),
    )


def _build_task(
    data: PretrainData, config: PretrainConfig, device: torch.device, ranks: Ranks, *, products: torch.dtype | None
) -> "_PretrainTask":
    """Build the model, with fresh weights, and what trains it."""
    arguments = {"frame_size": data.scaler.mean.numel(), **asdict(config.model)}
    init_output_bias = arguments.pop("init_output_bias")  # no matter to who loads the model
    composite = CompositeModel(values=data.scaler.values, **arguments)
    if init_output_bias and data.scaler.values == "probability":
        composite.set_output_bias(data.scaler.mean)
    composite.set_computation(products=products, segment=config.training.recompute_every)
    model = ScaledModel(data.scaler, composite).to(device)
    description = ModelDescription(
        kind="composite",
        arguments=arguments,
        frame_shape=list(data.frame_shape),
        dtype=data.dtype,
        values=data.scaler.values,
        extractor=data.settings,
        windows=asdict(config.windows),
    )
    return _PretrainTask(model, description, config, data, device, ranks)


def _measure(run: RunFolder, data: PretrainData, config: PretrainConfig, device: torch.device) -> PredictionMetrics:
    """Measure the best weights on the held-out windows; draw some of these, if their frames are pictures."""
    best, _ = load_model(run.path)
    spans: dict[str, Any] = {
        "seen": config.windows.seen,
        "predicted": config.windows.predicted,
        "reconstructed": config.windows.num_reconstructed,
        "frame_shape": data.frame_shape,
        "device": device,
    }
    if can_be_shown(data.frame_shape, data.dtype):
        strips = filmstrip_rows(best, data.validation, **spans)
        write_filmstrip(run.filmstrip_path, strips, num_seen=config.windows.seen)
    return prediction_metrics(best, data.validation, **spans)


def _read(
    features: Features | None,
    mnist: Path | str | None,
    config: PretrainConfig,
    *,
    annotations: Mapping[str, Annotation] | None,
    device: torch.device,
    ranks: Ranks,
) -> PretrainData:
    if features is not None and mnist is None:
        return data_of_features(features, config, annotations=annotations, device=device, ranks=ranks)
    if features is not None or mnist is None:
        raise ConfigError("give features, or the folder of MNIST's files with --mnist: one of the two")
    if annotations:
        raise ConfigError("labels and splits are of features; generated sequences have none, leave them out")
    return data_of_mnist(Path(mnist), config, device=device, ranks=ranks)


class _PretrainTask:
    """The composite model's objective: what the frames of both decoders cost, added 1:1.

    Figures are per frame, summed over its values: nats for probabilities, else squared error in standardized units.
    """

    def __init__(
        self,
        model: ScaledModel,
        description: ModelDescription,
        config: PretrainConfig,
        data: PretrainData,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        self.model, self.description = model, description
        self._windows, self._reduction = config.windows, config.optimizer.reduction
        self._batch_size, self._validation, self._device = data.batch_size, data.validation, device
        self._ranks, self._part = ranks, ranks.shard(data.batch_size)
        self._num_windows = self._part.stop - self._part.start
        self._pieces = piece_slices(self._num_windows, config.training.gradient_accumulation)
        # A look may take no more memory than a step; ranks, whose parts may differ by a window, share the same batches.
        piece = piece_slices(data.batch_size // ranks.size, config.training.gradient_accumulation)[0]
        self._look_size = min(piece.stop, windows_at_once(data.validation.length, data.scaler.mean.numel()))
        self.batch = Prefetcher(data.batches.batch, device)
        self.frames_per_step = data.batch_size * config.windows.length
        self._carried = _zero_state(self._composite, self._num_windows, device) if config.windows.stateful else None

    @property
    def _composite(self) -> CompositeModel:
        assert isinstance(self.model.model, CompositeModel)
        return self.model.model

    def pieces(self, batch: WindowBatch) -> Iterator[Piece]:
        """Compute the objective of this rank's part of a batch, some of its windows at a time."""
        start = None if self._carried is None else _cleared(self._carried, batch.begins)
        states: list[LSTMState] = []
        for chosen in self._pieces:
            frames = self.model.scaler(batch.windows[:, chosen])
            state = None if start is None else LSTMState(start.h[:, chosen], start.c[:, chosen])
            representation = self._composite.encode(frames[: self._windows.seen], state)
            states.append(representation.detach())
            yield self._piece(representation, frames, is_last=chosen.stop == self._num_windows)
        if self._carried is not None:
            self._carried = LSTMState(*(torch.cat(parts, dim=1) for parts in zip(*states, strict=True)))

    def _piece(self, representation: LSTMState, frames: Tensor, *, is_last: bool) -> Piece:
        seen, coming = frames[: self._windows.seen], frames[self._windows.seen :]
        seen = seen[self._windows.seen - self._windows.num_reconstructed :]
        costs = self._composite.costs(representation, seen=seen, coming=coming)
        lengths = {"reconstruction": len(seen), "future": len(coming)}
        per_frame = {name: cost / (lengths[name] * self._batch_size) for name, cost in costs.items()}
        shares = costs if self._reduction == "sum" else {name: c / frames.shape[-1] for name, c in per_frame.items()}
        metrics = {name: cost.detach() for name, cost in per_frame.items()}
        return Piece(
            objective=torch.stack(list(shares.values())).sum(),
            metrics={"loss": torch.stack(list(metrics.values())).sum(), **metrics},
            is_last=is_last,
        )

    def validate(self) -> dict[str, float]:
        """Return the costs of the held-out windows, free running, in all and of each decoder."""
        composite = self._composite
        decoders = {"reconstruction": composite.reconstruction_decoder, "future": composite.future_decoder}
        totals = {name: torch.zeros((), dtype=torch.float64) for name, one in decoders.items() if one is not None}
        batches = batches_of(self._validation, self._look_size)
        for indices in islice(batches, self._ranks.rank, None, self._ranks.size):
            stored = torch.from_numpy(self._validation.gather(indices)).to(self._device)
            frames = self.model.scaler(stored)
            seen, coming = frames[: self._windows.seen], frames[self._windows.seen :]
            prediction = composite(seen, len(coming), num_reconstructed=self._windows.num_reconstructed)
            seen = seen[self._windows.seen - self._windows.num_reconstructed :]
            for name, emitted, truth in (
                ("reconstruction", prediction.reconstruction, seen),
                ("future", prediction.future, coming),
            ):
                if emitted is not None:
                    share = len(truth) * len(self._validation)
                    totals[name] += float(frame_loss(emitted, truth, self._composite.values)) / share
        costs = {name: float(total) for name, total in self._ranks.all_reduce(totals).items()}
        return {"loss": sum(costs.values()), **costs}

    def state(self) -> dict[str, Tensor]:
        """Return the encoder's state that is carried from step to step, of the whole batch, if windows are stateful."""
        if self._carried is None:
            return {}
        whole = _zero_state(self._composite, self._batch_size, self._device)
        for all_ranks, here in zip(whole, self._carried, strict=True):
            all_ranks[:, self._part] = here
            self._ranks.start_all_reduce(all_ranks)
        self._ranks.finish_all_reduces()
        return whole._asdict()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a state that `state` returned."""
        if self._carried is not None:
            self._carried = LSTMState(*(state[name][:, self._part].to(self._device) for name in ("h", "c")))


def _zero_state(composite: CompositeModel, batch_size: int, device: torch.device) -> LSTMState:
    encoder = composite.encoder
    shape = (encoder.num_layers, batch_size, encoder.hidden_size)
    return LSTMState(torch.zeros(shape, device=device), torch.zeros(shape, device=device))


def _cleared(state: LSTMState, begins: Tensor | None) -> LSTMState:
    """Return the state, zero where a video begins: begins (B,) bool."""
    if begins is None:
        return state
    return LSTMState(*(part.masked_fill(begins[:, None], 0.0) for part in state))
