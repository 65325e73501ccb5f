"""Fine-tuning: an LSTM classifier, from a pretrained encoder or from scratch."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import FinetuneConfig
from ..devices import choose_device, choose_precision, set_threads
from ..errors import ConfigError, OutputError
from ..extraction.compatibility import require_same_features
from ..features.annotations import Annotation
from ..features.store import Features
from ..metrics.baselines import Baselines, fit_baselines, save_baselines
from ..models.classifier import Classifier, every_step_loss, window_probabilities
from ..models.saved import ModelDescription, ScaledModel, load_model, read_description
from ..models.scaling import FrameScaler
from ..progress import ProgressListener, ignore_progress
from ..sequences.batches import Prefetcher
from ..sequences.resident import CopiedWindows, DeviceWindows, windows_on
from ..sequences.samplers import InfiniteSampler
from ..sequences.windows import Windows, batches_of
from .finetuning_data import FinetuneData, data_of_labelled
from .loop import TrainingOutcome, never, train
from .optimizer_step import Piece, piece_slices
from .preparation import choose_values, fit_scaler, naming_lack_of_memory, seeded
from .ranks import Ranks, joined_ranks
from .run import RunFolder

_log = logging.getLogger(__name__)

# Settings of an encoder that a classifier takes over; runs of earlier versions lack the last ones.
_ENCODER_SETTINGS = ("hidden_size", "num_layers", "peepholes", "activation")


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What fine-tuning came to: its run folder, how it went, its classes, and videos in each part."""

    folder: Path
    outcome: TrainingOutcome
    classes: list[str]
    num_train_videos: int
    num_validation_videos: int
    num_test_videos: int


def finetune(
    features: Features,
    output: Path | str,
    config: FinetuneConfig | None = None,
    *,
    pretrained: Path | str | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
) -> FinetuneResult:
    """Train an LSTM classifier on the labelled videos of features into the run folder `output`.

    pretrained: a run of `pretrain` (or of this function) whose encoder and scaler the classifier starts from; None
        takes the config's.
    Videos of split "test" are not touched. Without any split, a part of each class's videos is held out for
    `evaluate`; another part, to choose the weights. See `pretrain` for the other arguments.

    Raises LabelError if there are fewer than two classes, FeatureFileError if the features are not of the kind that
    the pretrained run was trained on, and whatever `pretrain` raises.
    """
    config = _with_pretrained(config or FinetuneConfig(), pretrained)
    if config.pretrained and Path(config.pretrained).resolve() == Path(output).resolve():
        raise OutputError(f"{output} is the run to start from; give a new folder")
    run = RunFolder(Path(output))
    with joined_ranks() as ranks:
        set_threads(threads)
        torch_device = ranks.device(choose_device(device))
        precision, products = choose_precision(precision, torch_device)
        ranks.require_same(resume=resume, device=torch_device.type, precision=precision, settings=config)
        ranks.call_on_rank_zero(lambda: run.require_usable(resume=resume, overwrite=overwrite))
        with ranks.on_rank_zero(run.locked()), naming_lack_of_memory(), seeded(config.training.seed, torch_device):
            data = data_of_labelled(features, config, annotations=annotations)
            task = _build_task(data, config, torch_device, ranks, products=products if precision == "bf16" else None)
            ranks.require_same(data=(features.settings, data.videos.table()))
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
            ranks.call_on_rank_zero(lambda: save_baselines(run.path, _fit_baselines(data, task.model.scaler.cpu())))
    return FinetuneResult(
        folder=run.path,
        outcome=outcome,
        classes=data.classes,
        num_train_videos=len(data.parts.train),
        num_validation_videos=len(data.parts.validation),
        num_test_videos=len(data.parts.test),
    )


def _fit_baselines(data: FinetuneData, scaler: FrameScaler) -> Baselines:
    fitted_on = data.parts.train + data.parts.validation
    return fit_baselines(
        (standardized_frames(data.features, video, scaler) for video in fitted_on),
        lengths=[data.features.videos[video].length for video in fitted_on],
        classes=data.video_classes[fitted_on],
        num_classes=len(data.classes),
    )


def standardized_frames(features: Features, video: int, scaler: FrameScaler) -> Tensor:
    """Return all frames of a video, (N, D), each value with mean 0 and deviation 1 over the training frames."""
    stored = np.array(features.rows(video)).reshape(-1, features.frame_size)
    return (scaler.original(torch.from_numpy(stored)) - scaler.mean) / scaler.std


def _with_pretrained(config: FinetuneConfig, pretrained: Path | str | None) -> FinetuneConfig:
    """Write down the run to start from, and the kind of LSTM that its encoder is."""
    given = pretrained if pretrained is not None else config.pretrained
    if not given:
        if config.model.freeze:
            raise ConfigError("model.freeze without a pretrained run would keep random weights; give --from RUN")
        return config
    run = Path(given).resolve()  # however it is spelled when the training goes on
    encoder = read_description(run).arguments
    brought = {name: encoder[name] for name in _ENCODER_SETTINGS if name in encoder}
    return replace(config, pretrained=str(run), model=replace(config.model, **brought))


def _build_task(
    data: FinetuneData, config: FinetuneConfig, device: torch.device, ranks: Ranks, *, products: torch.dtype | None
) -> "_FinetuneTask":
    """Build the classifier, from a pretrained run's encoder and scaler if there is one, and what trains it."""
    features = data.features
    arguments: dict[str, Any] = {
        "frame_size": features.frame_size,
        "num_classes": len(data.classes),
        **asdict(config.model),
    }
    classifier = Classifier(**arguments)
    if config.pretrained:
        scaler = _take_over(config.pretrained, classifier, features)
    else:
        scaler = fit_scaler(features, data.parts.train, choose_values(features, "auto"))
    classifier.encoder.products, classifier.encoder.segment = products, config.training.recompute_every
    description = ModelDescription(
        kind="classifier",
        arguments=arguments,
        frame_shape=list(features.frame_shape),
        dtype=features.dtype,
        values=scaler.values,
        extractor=features.settings,
        windows=asdict(config.windows),
        classes=data.classes,
        class_counts=np.bincount(data.video_classes[data.parts.train], minlength=len(data.classes)).tolist(),
    )
    return _FinetuneTask(ScaledModel(scaler, classifier).to(device), description, config, data, device, ranks)


def _take_over(run: str, classifier: Classifier, features: Features) -> FrameScaler:
    """Give a classifier the weights of a pretrained run's encoder; return the run's scaler."""
    source, description = load_model(run)
    require_same_features(
        features,
        settings=description.extractor,
        frame_shape=tuple(description.frame_shape),
        dtype=description.dtype,
    )
    classifier.encoder.load_state_dict(source.model.encoder.state_dict())
    return source.scaler


class _Batch(NamedTuple):
    """Stored frames (T, B, D) and the classes (B,) of windows, on the device; frames of each, (B,), on the host.

    num_frames: of all windows of the step, other ranks' included.
    """

    stored: Tensor
    classes: Tensor
    lengths: NDArray[np.int64]
    num_frames: int


class _LabelledWindows:
    """Windows on a device, with the classes of their videos."""

    def __init__(
        self, windows: Windows, rows: DeviceWindows, video_classes: NDArray[np.int64], device: torch.device
    ) -> None:
        self._windows, self._rows, self._video_classes, self._device = windows, rows, video_classes, device

    def gather(self, indices: NDArray[np.int64]) -> _Batch:
        classes = torch.from_numpy(self._video_classes[self._windows.videos[indices]]).to(self._device)
        lengths = self._windows.lengths[indices]
        return _Batch(self._rows.gather(indices), classes, lengths, num_frames=int(lengths.sum()))


class _Batches:
    """The windows of every step that are one rank's; it knows no task, whose model would else outlive the training."""

    def __init__(self, data: FinetuneData, seed: int, device: torch.device, part: slice) -> None:
        rows = windows_on(data.windows, device)
        self._windows = _LabelledWindows(data.windows, rows, data.video_classes, device)
        self._lengths, self._part = data.windows.lengths, part
        self._sampler = InfiniteSampler(len(data.windows), data.batch_size, seed)

    def batch(self, step: int) -> _Batch:
        indices = self._sampler.batch(step)
        return self._windows.gather(indices[self._part])._replace(num_frames=int(self._lengths[indices].sum()))


class _FinetuneTask:
    """The classifier's loss: cross-entropy at every time step that is a frame, in nats, their mean or their sum."""

    def __init__(
        self,
        model: ScaledModel,
        description: ModelDescription,
        config: FinetuneConfig,
        data: FinetuneData,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        self.model, self.description = model, description
        self._validation, self._video_classes, self._device = data.validation, data.video_classes, device
        self._ranks, self._part = ranks, ranks.part(data.batch_size)
        self._reduction = config.optimizer.reduction
        self._pieces = piece_slices(self._part.stop - self._part.start, config.training.gradient_accumulation)
        # No more memory than a step takes, and the same on all ranks, whose parts may differ by a window.
        self._look_size = piece_slices(data.batch_size // ranks.size, config.training.gradient_accumulation)[0].stop
        self.frames_per_step = data.batch_size * config.windows.length  # padding included
        self.batch = Prefetcher(_Batches(data, config.training.seed, device, self._part).batch, device)

    def pieces(self, batch: _Batch) -> Iterator[Piece]:
        """Classify a batch piece by piece."""
        for part in self._pieces:
            piece = _Batch(batch.stored[:, part], batch.classes[part], batch.lengths[part], batch.num_frames)
            mean = self._mean_cost(self._classify(piece), piece)
            share = mean * (int(piece.lengths.sum()) / batch.num_frames)
            objective = share if self._reduction == "mean" else share * batch.num_frames
            yield Piece(objective, {"loss": share.detach()}, is_last=part.stop == len(batch.lengths))

    def state(self) -> dict[str, Tensor]:
        """Carry nothing from step to step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from nothing."""

    def validate(self) -> dict[str, float]:
        """Return the loss over all frames of the held-out windows, and the accuracy per window."""
        loss, correct = torch.zeros(2, dtype=torch.float64)
        rows = CopiedWindows(self._validation, self._device)
        windows = _LabelledWindows(self._validation, rows, self._video_classes, self._device)
        batches = batches_of(self._validation, self._look_size)
        for indices in islice(batches, self._ranks.rank, None, self._ranks.size):
            batch = windows.gather(indices)
            logits = self._classify(batch)
            loss += float(self._mean_cost(logits, batch)) * batch.num_frames
            probabilities = window_probabilities(logits, torch.from_numpy(batch.lengths).to(self._device))
            correct += float((probabilities.argmax(dim=-1) == batch.classes).sum())
        totals = self._ranks.all_reduce({"loss": loss, "correct": correct})
        num_frames, num_windows = int(self._validation.lengths.sum()), len(self._validation)
        return {"loss": float(totals["loss"]) / num_frames, "window_accuracy": float(totals["correct"]) / num_windows}

    def _classify(self, batch: _Batch) -> Tensor:
        """Return the logits of a batch, (T, B, K)."""
        logits: Tensor = self.model.model(self.model.scaler(batch.stored))
        return logits

    def _mean_cost(self, logits: Tensor, batch: _Batch) -> Tensor:
        return every_step_loss(logits, batch.classes, torch.from_numpy(batch.lengths).to(self._device))
