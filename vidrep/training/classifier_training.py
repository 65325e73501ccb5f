"""The training of one classifier in one run folder."""

from dataclasses import asdict, replace
from functools import partial

import numpy as np

from ..config.settings import ClassifierSettings, FinetuneConfig
from ..errors import ConfigError
from ..extraction.compatibility import require_same_features
from ..models.classifier import Classifier
from ..models.description import ModelDescription
from ..models.inputs import InputTransforms
from ..models.kinds import build_network
from ..models.pretrained import PretrainedEncoders
from ..models.saved import TrainedModel
from ..registry import HEADS, OBJECTIVES
from .finetuning_data import FinetuneData, FinetuneVideos, data_of_labeled
from .loop import TrainingOutcome
from .preparation import choose_likelihood, choose_transforms, frames_of
from .pretrained_start import keep_start, recorded_start, with_architecture, with_clips
from .run import RunFolder
from .session import Prepared, SessionContext, SessionOptions, run_session


def train_classifier(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    *,
    keeps_start: bool = True,
) -> TrainingOutcome:
    """Train a classifier on the videos of split "train", with weights that those of "validation" choose.

    start: encoders to start from, none from scratch; keeps_start: whether the run keeps a copy. Raises as `finetune`.
    """
    check_classifier(config, start)
    if start is not None:
        config = with_clips(config, start.description)
        config = with_architecture(config, start.description, f"{start.parts[0].folder}")

    def prepare(context: SessionContext) -> Prepared:
        prepared = _prepare(data_of_labeled(videos, config, context), start, context)
        return replace(prepared, on_start=partial(keep_start, start)) if start and keeps_start else prepared

    outcome, _, _ = run_session(run, config, options, prepare=prepare, finish=_nothing)
    return outcome


def _nothing(context: SessionContext, prepared: Prepared) -> None:
    pass


def check_classifier(config: FinetuneConfig, start: PretrainedEncoders | None) -> None:
    """Raise ConfigError for settings that do not go together, or not with encoders to start from."""
    _check_classifier(config.classifier, from_scratch=start is None)
    _check_centering(config, from_scratch=start is None)
    _check_objectives(config)
    if start is not None and len(start.parts) > 1 and config.objectives:
        raise ConfigError(
            f"objectives {', '.join(config.objectives)} read the frames of one encoder, but there are "
            f"{len(start.parts)} to start from; leave objectives out"
        )
    if start is not None:
        with_architecture(config, start.description, f"{start.parts[0].folder}")


def _check_classifier(settings: ClassifierSettings, *, from_scratch: bool) -> None:
    """Raise ConfigError for settings of a classifier that do not go together."""
    if HEADS[settings.head].is_fitted:
        fitted = f"the head {settings.head} is fitted to the outputs of a frozen encoder"
        if settings.transfer != "frozen":
            raise ConfigError(f"{fitted}; set classifier.transfer to 'frozen' (--freeze), or choose another head")
        for name in ("label_smoothing", "class_weights", "input_noise"):
            value = getattr(settings, name)
            if value != getattr(ClassifierSettings(), name):
                raise ConfigError(f"{fitted}, which classifier.{name} {value!r} does not change; leave it out")
    if from_scratch and settings.transfer != "init":
        raise ConfigError(
            f"classifier.transfer is {settings.transfer!r}, but there is no pretrained run to transfer from; give "
            "--from RUN"
        )


def _check_centering(config: FinetuneConfig, *, from_scratch: bool) -> None:
    """Raise ConfigError if groups are to be centered, but no head is fitted, nor chosen among fitted ones."""
    if not config.classifier.center_groups:
        return
    centers = "classifier.center_groups centers what a head that is fitted reads of a pretrained encoder"
    if from_scratch:
        raise ConfigError(f"{centers}; give --from RUN")
    head = config.classifier.head
    is_given = "classifier.head" in config.given or head != ClassifierSettings().head
    if not HEADS[head].is_fitted and (is_given or not config.selection.enabled):
        fitted = " or ".join(name for name in HEADS.names() if HEADS[name].is_fitted)
        raise ConfigError(f"{centers}, but classifier.head is {head}; set it to {fitted}")


def _check_objectives(config: FinetuneConfig) -> None:
    """Raise ConfigError for objectives that a classifier cannot learn from its windows, or whose encoder is frozen."""
    for name in config.objectives:
        if OBJECTIVES[name].needs_future or OBJECTIVES[name].needs_whole_batch:
            raise ConfigError(
                f"objectives: {name} needs more than the window that is classified; give objectives that do not, such "
                "as reconstruction"
            )
    if config.objectives and config.classifier.transfer == "frozen":
        raise ConfigError(
            f"objectives {', '.join(config.objectives)} train the encoder, which classifier.transfer 'frozen' keeps "
            "as it is; leave one of the two out"
        )


def _prepare(data: FinetuneData, start: PretrainedEncoders | None, context: SessionContext) -> Prepared:
    """Build the classifier, with a pretrained run's encoder and input transforms if there is one."""
    videos, config = data.videos, data.config
    features = videos.features
    if start is not None:
        require_same_features(features, start.description)
        inputs, likelihood = start.inputs(), start.description.likelihood
    else:
        # A classifier emits no frames, so that transforms may take them out of [0, 1].
        likelihood = choose_likelihood(features, "auto" if config.transforms in ("auto", ()) else "gaussian")
        config = replace(
            config,
            transforms=choose_transforms(config.transforms, likelihood, frame_size=features.frame_size),
        )
        inputs = InputTransforms(features.frame_size, config.transform)
        inputs.fit(frames_of(features, videos.split.train))
    length, stride = config.windows.length, config.windows.stride
    assert length != "auto" and stride != "auto"
    others = asdict(config.classifier)
    head = others.pop("head")
    classes = videos.numbers.classes
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
        windows={"length": length, "stride": stride, "to_the_end": config.windows.to_the_end},
        clips={"num_frames": length, "clip_seconds": config.windows.clip_seconds} if config.windows.resample else {},
        joined=[] if start is None else start.description.joined,
        objectives={name: asdict(config.objective[name]) for name in config.objectives},
        head={"name": head, "settings": asdict(config.head[head])} | others,
        classes=videos.classes,
        class_counts=np.bincount(classes[videos.split.train], minlength=len(videos.classes)).tolist(),
    )
    network = build_network(description, inputs.part_sizes, context.numerics)
    assert isinstance(network, Classifier)
    network.init_output_bias(inputs.mean)
    if start is not None:
        start.give_weights_to(network.encoder)
    return Prepared(
        config=config,
        model=TrainedModel(inputs, network),
        description=description,
        data=data.task_data,
        videos=videos.of_run,
        source=features.settings,
        fitted_to=data.training if HEADS[head].is_fitted else None,
        recorded=videos.of_run.recorded() | recorded_start(start),
    )
