"""Fine-tuning: a classifier, from a pretrained encoder or from scratch."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..config.settings import EncoderSettings, FinetuneConfig, with_precision
from ..errors import ConfigError, OutputError
from ..extraction.compatibility import require_same_features
from ..features.annotations import Annotation
from ..features.store import Features, opened
from ..metrics.baselines import Baselines, fit_baselines, save_baselines, standardized_frames
from ..models.description import ModelDescription
from ..models.inputs import InputTransforms
from ..models.kinds import build_network
from ..models.pretrained import PretrainedEncoder
from ..models.saved import DESCRIPTION_NAME, TrainedModel
from ..progress import ProgressListener, ignore_progress
from .finetuning_data import FinetuneData, data_of_labeled
from .loop import TrainingOutcome, never
from .preparation import choose_likelihood, choose_transforms, frames_of
from .run import RunFolder
from .session import Prepared, SessionContext, SessionOptions, run_session

# What an encoder's weights depend on; dropout and initialization do not change their shapes.
_ARCHITECTURE = ("cell", "hidden_size", "num_layers")


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """A finished fine-tuning: its run folder, how it went, its classes, and the videos in each split.

    from_scratch: whether no pretrained encoder was its start. Crops of one video count as one.
    """

    folder: Path
    outcome: TrainingOutcome
    from_scratch: bool
    classes: list[str]
    num_train_videos: int
    num_validation_videos: int
    num_test_videos: int


def finetune(
    features: Features | Path | str,
    output: Path | str,
    config: FinetuneConfig | None = None,
    *,
    pretrained: Path | str | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
) -> FinetuneResult:
    """Train a classifier on the labeled videos of features, or of the feature file at a path, into the run `output`.

    pretrained: a run of `train` (or of this function) whose encoder and input transforms the classifier starts from.
        The run keeps a copy, so that `resume` needs no other run.
    Videos of split "test" are not used. Without any split, some of each class's groups are held out for `evaluate`;
    some more, to choose the weights. See `train` for the other arguments.

    Raises LabelError if there are fewer than two classes, FeatureFileError if the features are not of the kind that
    the pretrained run was trained on, ConfigError for settings that contradict it, and whatever `train` raises.
    """
    config, videos = with_precision(config or FinetuneConfig(), precision), opened(features)
    run = RunFolder(Path(output))
    start = _read_pretrained(run, pretrained, resume=resume)
    if start is None and config.classifier.freeze_encoder:
        raise ConfigError("classifier.freeze_encoder without a pretrained run keeps random weights; give --from RUN")
    if start is not None:
        config = _with_architecture(config, start.description, f"{pretrained or run.path}")
    options = SessionOptions(
        device=device,
        threads=threads,
        resume=resume,
        overwrite=overwrite,
        should_stop=should_stop,
        on_progress=on_progress,
    )
    kept: list[FinetuneData] = []

    def prepare(context: SessionContext) -> Prepared:
        kept.append(data_of_labeled(videos, config, context, annotations=annotations, group_pattern=group_pattern))
        return _prepare(kept[0], start, context)

    def finish(context: SessionContext, prepared: Prepared) -> None:
        save_baselines(context.run.path, _fit_baselines(kept[0], prepared.model.inputs.cpu()))

    outcome, _, _ = run_session(run, config, options, prepare=prepare, finish=finish)
    data = kept[0]
    return FinetuneResult(
        folder=run.path,
        outcome=outcome,
        from_scratch=start is None,
        classes=data.classes,
        num_train_videos=data.videos.count("train"),
        num_validation_videos=data.videos.count("validation"),
        num_test_videos=data.videos.count("test"),
    )


def _read_pretrained(run: RunFolder, pretrained: Path | str | None, *, resume: bool) -> PretrainedEncoder | None:
    """Read the encoder to start from: that of the given run, or on resume the copy that this run keeps."""
    if pretrained is not None and Path(pretrained).resolve() == run.path.resolve():
        raise OutputError(f"{run.path} is the run to start from; give a new folder")
    if pretrained is not None:
        return PretrainedEncoder.load(Path(pretrained))
    return PretrainedEncoder.load(run.pretrained_path) if resume and run.pretrained_path.is_dir() else None


def _with_architecture(config: FinetuneConfig, pretrained: ModelDescription, where: str) -> FinetuneConfig:
    """Return the config with the cell, width, depth and transforms of a pretrained run.

    Raises ConfigError for a setting that was given and differs: it cannot be met.
    """
    brought: dict[str, Any] = {f"encoder.{name}": pretrained.encoder[name] for name in _ARCHITECTURE}
    brought |= {f"cell.{pretrained.encoder['cell']}.{name}": value for name, value in pretrained.cell.items()}
    for transform, settings in pretrained.transforms.items():
        brought |= {f"transform.{transform}.{name}": value for name, value in settings.items()}
    for key, value in brought.items():
        given, default = _value_and_default(config, key)
        if given != value and (key in config.given or given != default):
            raise ConfigError(f"{key} is {given!r}, but {where} has {value!r}; leave {key} out")
    if config.transforms != "auto" and list(config.transforms) != list(pretrained.transforms):
        raise ConfigError(
            f"transforms are {', '.join(config.transforms) or 'none'}, but {where} was trained with "
            f"{', '.join(pretrained.transforms) or 'none'}; leave transforms out"
        )
    architecture = {name: pretrained.encoder[name] for name in _ARCHITECTURE}
    encoder: EncoderSettings = replace(config.encoder, **architecture)
    return replace(
        config,
        encoder=encoder,
        cell={encoder.cell: pretrained.cell},
        transforms=tuple(pretrained.transforms),
        transform=pretrained.transforms,
    )


def _value_and_default(config: FinetuneConfig, key: str) -> tuple[Any, Any]:
    """Return what "encoder.KEY", "cell.NAME.KEY" or "transform.NAME.KEY" is and is by default; None if not in use."""
    section, *names = key.split(".")
    if section == "encoder":
        return getattr(config.encoder, names[0]), getattr(FinetuneConfig().encoder, names[0])
    settings = getattr(config, section).get(names[0])
    return (None, None) if settings is None else (getattr(settings, names[1]), getattr(type(settings)(), names[1]))


def _prepare(data: FinetuneData, start: PretrainedEncoder | None, context: SessionContext) -> Prepared:
    """Build the classifier, with a pretrained run's encoder and input transforms if there is one."""
    features, config = data.features, data.config
    if start is not None:
        require_same_features(
            features,
            settings=start.description.extractor,
            frame_shape=tuple(start.description.frame_shape),
            dtype=start.description.dtype,
        )
        inputs, likelihood = start.inputs(), start.description.likelihood
    else:
        # A classifier emits no frames, so that transforms may take them out of [0, 1].
        likelihood = choose_likelihood(features, "auto" if config.transforms in ("auto", ()) else "gaussian")
        config = replace(config, transforms=choose_transforms(config.transforms, likelihood))
        inputs = InputTransforms(features.frame_size, config.transform)
        inputs.fit(frames_of(features, data.split.train))
    head = config.classifier.head
    classes = data.numbers.classes
    assert classes is not None
    description = ModelDescription(
        kind="classifier",
        frame_shape=list(features.frame_shape),
        dtype=features.dtype,
        likelihood=likelihood,
        extractor=features.settings,
        transforms={name: asdict(settings) for name, settings in config.transform.items()},
        encoder=asdict(config.encoder),
        cell=asdict(config.cell[config.encoder.cell]),
        windows=asdict(config.windows),
        head={
            "name": head,
            "settings": asdict(config.head[head]),
            "dropout": config.classifier.dropout,
            "freeze_encoder": config.classifier.freeze_encoder,
        },
        classes=data.classes,
        class_counts=np.bincount(classes[data.split.train], minlength=len(data.classes)).tolist(),
    )
    network = build_network(description, inputs.output_size, context.numerics)
    if start is not None:
        start.give_weights_to(network.encoder)
    return Prepared(
        config=config,
        model=TrainedModel(inputs, network),
        description=description,
        data=data.task_data,
        videos=data.videos,
        source=features.settings,
        recorded=data.videos.recorded() | ({} if start is None else {"started_from": {"encoder_sha256": start.sha256}}),
        on_start=_keep_nothing if start is None else partial(_keep, start),
    )


def _keep(start: PretrainedEncoder, run: RunFolder) -> None:
    if not (run.pretrained_path / DESCRIPTION_NAME).is_file():  # which is written last
        start.save(run.pretrained_path)


def _keep_nothing(run: RunFolder) -> None:
    pass


def _fit_baselines(data: FinetuneData, inputs: InputTransforms) -> Baselines:
    fitted_on = data.split.train + data.split.validation
    assert data.numbers.classes is not None
    return fit_baselines(
        (standardized_frames(data.features, video, inputs) for video in fitted_on),
        lengths=[data.features.videos[video].length for video in fitted_on],
        classes=data.numbers.classes[fitted_on],
        num_classes=len(data.classes),
    )
