"""Fine-tuning: an LSTM classifier, from a pretrained encoder or from scratch."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import FinetuneConfig
from ..devices import choose_device, set_threads
from ..errors import ConfigError, LabelError, OutputError, some_names
from ..features.labels import Labelling
from ..features.store import Features
from ..models.classifier import Classifier, every_step_loss, window_probabilities
from ..models.saved import ModelDescription, ScaledModel, load_model, read_description, require_fitting_features
from ..models.scaling import FrameScaler
from ..progress import ProgressListener, ignore_progress
from ..sequences.partition import Partition, partition_videos
from ..sequences.resident import CopiedWindows, DeviceWindows, windows_on
from ..sequences.samplers import EndlessSampler
from ..sequences.windows import Windows, cut_windows
from .baselines import fit_baselines, save_baselines
from .loop import TrainingOutcome, train
from .preparation import (
    building_model,
    choose_batch_size,
    choose_values,
    fit_scaler,
    lay_over,
    require_sound,
    require_windows,
    seeded,
    thin_out,
)
from .run import RunFolder, RunVideos

_log = logging.getLogger(__name__)


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
    threads: int | None = None,
    listed: Mapping[str, Labelling] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
) -> FinetuneResult:
    """Train an LSTM classifier on the labelled videos of features into the run folder `output`.

    pretrained: a run of `pretrain` (or of this function) whose encoder and scaler the classifier starts from; None
        takes the config's.
    Videos of split "test" are not touched. Without any split, a part of each class's videos is held apart for
    `evaluate`; another part, to choose the weights. See `pretrain` for the other arguments.

    Raises LabelError if there are fewer than two classes, FeatureFileError if the features are not of the kind that
    the pretrained run was trained on, and whatever `pretrain` raises.
    """
    config = _with_pretrained(config or FinetuneConfig(), pretrained)
    if config.pretrained and Path(config.pretrained).resolve() == Path(output).resolve():
        raise OutputError(f"{output} is the run to start from; give a new folder")
    run = RunFolder(Path(output))
    run.require_usable(resume=resume, overwrite=overwrite)
    set_threads(threads)
    torch_device = choose_device(device)
    videos = lay_over(features, listed)
    labelled = [index for index, label in enumerate(videos.labels) if label]
    if not labelled:
        raise LabelError(f"{features.path}: no video has a label; give --labels FILE.csv or --splits FILE")
    parts = _labelled_partition(features, videos.labels, videos.splits, labelled, config)
    classes = sorted({videos.labels[index] for index in parts.train})
    _check_classes(features, videos.labels, parts, classes)
    class_of = {name: number for number, name in enumerate(classes)}
    video_classes = np.array([class_of.get(label, -1) for label in videos.labels], dtype=np.int64)
    windows, validation_windows = (
        cut_windows(features, part, length=config.windows.length, stride=config.windows.stride, keep_short=True)
        for part in (parts.train, parts.validation)
    )
    require_windows(windows, name="training", advice="use other videos")
    if len(validation_windows) == 0:
        _log.warning("no video can be held apart: the weights are chosen by the loss on the training videos")
        validation_windows = windows
    require_sound(features, parts.train + parts.validation)
    with seeded(config.training.seed, torch_device):
        with building_model():
            model, arguments = _build(features, parts.train, config, len(classes))
            model.to(torch_device)
        run.prepare(
            config,
            RunVideos(features.videos, videos.labels, parts),
            resume=resume,
            overwrite=overwrite,
            device=torch_device,
        )
        batch_size = choose_batch_size(windows, config.training.batch_size)
        task = _FinetuneTask(
            model=model,
            description=ModelDescription(
                kind="classifier",
                arguments=arguments,
                frame_shape=list(features.frame_shape),
                dtype=features.dtype,
                values=model.scaler.values,
                extractor=features.settings,
                windows=asdict(config.windows),
                classes=classes,
                class_counts=np.bincount(video_classes[parts.train], minlength=len(classes)).tolist(),
            ),
            windows=windows,
            rows=windows_on(windows, torch_device),
            validation_windows=thin_out(validation_windows),
            classes=video_classes,
            batch_size=batch_size,
            sampler=EndlessSampler(len(windows), batch_size, config.training.seed),
            device=torch_device,
        )
        outcome = train(task, run, config.training, config.optimiser, resume=resume, on_progress=on_progress)
    fitted_on, scaler = parts.train + parts.validation, model.scaler.cpu()
    baselines = fit_baselines(
        (standardised_frames(features, video, scaler) for video in fitted_on),
        lengths=[features.videos[video].length for video in fitted_on],
        classes=video_classes[fitted_on],
        num_classes=len(classes),
    )
    save_baselines(run.path, baselines)
    return FinetuneResult(
        folder=run.path,
        outcome=outcome,
        classes=classes,
        num_train_videos=len(parts.train),
        num_validation_videos=len(parts.validation),
        num_test_videos=len(parts.test),
    )


def standardised_frames(features: Features, video: int, scaler: FrameScaler) -> Tensor:
    """Return all frames of a video, (N, D), each value with mean 0 and deviation 1 over the training frames."""
    stored = np.array(features.rows(video)).reshape(-1, features.frame_size)
    return (scaler.original(torch.from_numpy(stored)) - scaler.mean) / scaler.std


def _labelled_partition(
    features: Features, labels: Sequence[str], splits: Sequence[str], labelled: Sequence[int], config: FinetuneConfig
) -> Partition:
    """Divide the videos that have a label; the others take no part."""
    chosen = partition_videos(
        [features.videos[index].path for index in labelled],
        [labels[index] for index in labelled],
        [splits[index] for index in labelled],
        groups=[features.videos[index].source_sha256 or features.videos[index].path for index in labelled],
        validation_fraction=config.training.validation_fraction,
        test_fraction=config.test_fraction,
        seed=config.training.seed,
    )
    return Partition(
        **{part: [labelled[position] for position in getattr(chosen, part)] for part in ("train", "validation", "test")}
    )


def _check_classes(features: Features, labels: Sequence[str], parts: Partition, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise LabelError(
            f"{features.path}: the training videos have one label only, {classes[0]!r}; a classifier needs two or more"
        )
    counts = {name: sum(labels[index] == name for index in parts.train + parts.validation) for name in classes}
    single = [name for name, count in counts.items() if count == 1]
    if single:
        _log.warning("classes with one training video only: %s", some_names(single))
    unknown = sorted({labels[index] for index in parts.validation} - set(classes))
    if unknown:
        raise LabelError(
            f"{features.path}: validation videos have labels that no training video has: {some_names(unknown)}"
        )


def _with_pretrained(config: FinetuneConfig, pretrained: Path | str | None) -> FinetuneConfig:
    """Write down the run to start from, and the width and depth that its encoder brings."""
    run = str(pretrained) if pretrained is not None else config.pretrained
    if not run:
        if config.model.freeze:
            raise ConfigError("model.freeze without a pretrained run would keep random weights; give --from RUN")
        return config
    encoder = read_description(Path(run)).arguments
    sizes = {name: encoder[name] for name in ("hidden_size", "num_layers")}
    return replace(config, pretrained=run, model=replace(config.model, **sizes))


def _build(
    features: Features, train_videos: Sequence[int], config: FinetuneConfig, num_classes: int
) -> tuple[ScaledModel, dict[str, Any]]:
    """Build the classifier, from a pretrained run's encoder and scaler if there is one; return its arguments too."""
    arguments: dict[str, Any] = {
        "frame_size": features.frame_size,
        "num_classes": num_classes,
        **asdict(config.model),
    }
    if not config.pretrained:
        scaler = fit_scaler(features, train_videos, choose_values(features, "auto"))
        return ScaledModel(scaler, Classifier(**arguments)), arguments
    source, description = load_model(config.pretrained)
    require_fitting_features(
        description,
        where=str(features.path),
        frame_shape=features.frame_shape,
        dtype=features.dtype,
        settings=features.settings,
    )
    classifier = Classifier(**arguments)
    classifier.encoder.load_state_dict(source.model.encoder.state_dict())
    return ScaledModel(source.scaler, classifier), arguments


@dataclass
class _FinetuneTask:
    """The classifier's loss: cross-entropy at every time step, in nats."""

    model: ScaledModel
    description: ModelDescription
    windows: Windows
    rows: DeviceWindows
    validation_windows: Windows
    classes: NDArray[np.int64]
    batch_size: int
    sampler: EndlessSampler
    device: torch.device

    def loss(self, step: int) -> Tensor:
        """Return the loss of the step's batch."""
        logits, classes, lengths = self._classify(self.windows, self.rows, self.sampler.batch(step))
        return every_step_loss(logits, classes, lengths)

    def validate(self) -> dict[str, float]:
        """Return the loss over all frames of the held-apart windows, and the accuracy per window."""
        loss = num_frames = correct = 0.0
        rows = CopiedWindows(self.validation_windows, self.device)
        for indices in self.validation_windows.batches(self.batch_size):
            logits, classes, lengths = self._classify(self.validation_windows, rows, indices)
            loss += float(every_step_loss(logits, classes, lengths)) * int(lengths.sum())
            num_frames += int(lengths.sum())
            correct += float((window_probabilities(logits, lengths).argmax(dim=-1) == classes).sum())
        return {"loss": loss / num_frames, "window_accuracy": correct / len(self.validation_windows)}

    def _classify(
        self, windows: Windows, rows: DeviceWindows, indices: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (T, B, K), true classes (B,) and lengths (B,) of some windows."""
        logits: Tensor = self.model.model(self.model.scaler(rows.gather(indices)))
        classes = torch.from_numpy(self.classes[windows.videos[indices]]).to(self.device)
        return logits, classes, torch.from_numpy(windows.lengths[indices]).to(self.device)
