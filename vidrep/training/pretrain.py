"""Pretraining: an encoder learns without labels, by objectives such as reconstruction and future prediction."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..config.kinds import with_precision
from ..config.settings import PretrainConfig, TrainingSettings
from ..errors import ConfigError
from ..features.annotations import Annotation
from ..features.groups import GroupRule
from ..features.store import Features, opened
from ..metrics.prediction import PredictionMetrics, filmstrip_rows, prediction_metrics
from ..models.description import ModelDescription
from ..models.kinds import build_network
from ..models.pretraining import PretrainingNetwork
from ..models.saved import TrainedModel, load_model
from ..progress import ProgressListener, ignore_progress
from ..viewing.filmstrip import can_be_shown, write_filmstrip
from .earlier_run import EarlierRun, keep_earlier, read_earlier
from .ensemble import finish_members, run_of_several, train_members
from .history import Origin
from .loop import TrainingOutcome, never
from .overfitting import Overfitting, find_overfitting
from .pretraining_data import NO_VIDEOS, PretrainData, data_of_features, data_of_mnist, videos_of_features
from .ranks import joined_ranks
from .resuming import settings_of
from .run import RunFolder
from .session import Prepared, SessionContext, SessionOptions, ignore_run, run_session

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """A finished pretraining: its run folder, how it went, and the best weights' metrics on held-out videos.

    num_labeled_videos: of those that train. num_models: of an ensemble, of which the others are those of the first.
    """

    folder: Path
    outcome: TrainingOutcome
    validation: PredictionMetrics = field(repr=False)
    num_train_videos: int
    num_labeled_videos: int
    num_validation_videos: int
    num_parameters: int
    num_models: int = 1

    @property
    def verdict(self) -> str:
        """One sentence on what the frames that it predicts for held-out videos are worth."""
        return self.validation.verdict

    @property
    def overfitting(self) -> Overfitting | None:
        """How the training overfits, by the run's metrics; None if it does not."""
        return find_overfitting(self.folder)


def train(
    features: Features | Path | str | None,
    output: Path | str,
    config: PretrainConfig | None = None,
    *,
    pretrained: Path | str | None = None,
    mnist: Path | str | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    group_blocks: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
    origin: Origin | None = None,
) -> PretrainResult:
    """Pretrain an encoder without labels into the run folder `output`, on features or on Moving MNIST.

    features: videos of an opened feature file, or of one at a path, whose split is "test" are not used; some of the
    others are held out, by group, to choose the weights. mnist: in place of features, a folder with the files of
    MNIST, from which sequences are generated without end; some of its training digits are held out.
    config: None takes the defaults; with `resume`, the settings of the run. There, a given one must agree with these,
    but for more `training.steps`: the schedule is that of so many steps from the current one on.
    pretrained: a run of this function, whose model, with its input transforms, learns on, from the first step of a new
    schedule; None of `config` takes its settings. Videos that trained it do not validate.
    annotations, group_pattern, group_blocks: labels, splits and groups in place of the file's, see
        `vidrep.features.annotations` and `GroupRule`.
    precision: in place of `training.precision` of the config; None keeps that.
    device, threads, resume, overwrite, should_stop, on_progress, origin: see `SessionOptions`.
    Processes that torchrun starts train together; each calls this, gets the same result and reports its own progress.

    Raises InputError if there is no window to train on, FeatureFileError for damaged rows and values that are not
    finite, ConfigError for settings that do not go together, OutputError for a folder that is in use or a resumed run
    that was another, TrainingError for a loss that is not finite, Stopped if it was asked to stop.
    """
    run = RunFolder(Path(output))
    source = None if pretrained is None else Path(pretrained)
    config = with_precision(settings_of(config, PretrainConfig, run.path if resume else source), precision)
    if (features is None) == (mnist is None):
        raise ConfigError("give features, or the folder of MNIST's files with --mnist: one of the two")
    rule = GroupRule(group_pattern, group_blocks)
    if mnist is not None and (annotations or rule.is_given):
        raise ConfigError("labels, splits and groups are of features; generated sequences have none, leave them out")

    videos = None if features is None else opened(features)
    with joined_ranks() as ranks:
        earlier = ranks.call_on_rank_zero(lambda: read_earlier(run, source, config, videos, resume=resume))
    splitting: dict[str, Any] = {
        "annotations": annotations,
        "group_rule": rule,
        "trained": earlier[0].trained if earlier else frozenset(),
    }

    def read(config: PretrainConfig, context: SessionContext) -> PretrainData:
        if videos is None:
            return data_of_mnist(Path(str(mnist)), config, context)
        return data_of_features(videos, config, context, **splitting)

    options = SessionOptions(
        device=device,
        threads=threads,
        resume=resume,
        overwrite=overwrite,
        should_stop=should_stop,
        on_progress=on_progress,
        origin=origin or Origin(),
    )

    def train_one(run: RunFolder, training: TrainingSettings, options: SessionOptions) -> PretrainResult:
        start = earlier[training.member] if earlier else None
        prepare = partial(_prepare, replace(config, training=training), read, start)
        outcome, prepared, metrics = run_session(
            run, replace(config, training=training), options, prepare=prepare, finish=_measure
        )
        count = partial(prepared.videos.count, at_least=int(prepared.config.windows.length))
        return PretrainResult(
            folder=run.path,
            outcome=outcome,
            validation=metrics,
            num_train_videos=count("train"),
            num_labeled_videos=count("train", labeled=True),
            num_validation_videos=count("validation"),
            num_parameters=sum(parameter.numel() for parameter in prepared.model.parameters()),
        )

    if config.training.ensemble == 1:
        return train_one(run, config.training, options)
    with joined_ranks() as ranks:
        table = NO_VIDEOS if videos is None else videos_of_features(videos, config, **splitting)
        recorded = earlier[0].recorded() if earlier else {}
        with run_of_several(run, config, table, options, ranks, recorded=recorded):
            if earlier:
                ranks.call_on_rank_zero(lambda: keep_earlier(earlier, run))
            results = train_members(run, config.training, options, ranks, train_one)
            finish_members(run, len(results), ranks)
    return replace(results[0], folder=run.path, num_models=len(results))


def _prepare(
    config: PretrainConfig,
    read: Callable[[PretrainConfig, SessionContext], PretrainData],
    start: EarlierRun | None,
    context: SessionContext,
) -> Prepared:
    """Read the data and build the model, with fresh weights or those of the run to start from."""
    data = read(config, context)
    description = ModelDescription(
        kind="pretraining",
        frame_shape=list(data.frame_shape),
        dtype=data.dtype,
        likelihood=data.likelihood,
        extractor=data.settings,
        transforms={name: asdict(settings) for name, settings in data.config.transform.items()},
        encoder=asdict(data.config.encoder),
        cell=asdict(data.config.cell[data.config.encoder.cell]),
        windows=asdict(data.config.windows),
        clips=asdict(data.config.views) if data.config.contrasts_views else {},
        objectives={name: asdict(data.config.objective[name]) for name in data.config.objectives},
    )
    network = build_network(description, data.inputs.part_sizes, context.numerics)
    assert isinstance(network, PretrainingNetwork)
    if data.config.encoder.bidirectional:
        _log_forward_starts(network)
    if data.config.decoder.init_output_bias:
        network.init_output_bias(data.inputs.mean)
    model = TrainedModel(data.inputs, network)
    if start is not None:
        start.give_weights_to(model, description)
    return Prepared(
        config=data.config,
        model=model,
        description=description,
        data=data.task_data,
        videos=data.videos,
        source=data.settings,
        recorded=data.videos.recorded() | (start.recorded() if start else {}),
        on_start=partial(keep_earlier, [start]) if start else ignore_run,
        stateful=data.config.windows.stateful,
    )


def _log_forward_starts(network: PretrainingNetwork) -> None:
    """Report which decoders do not start from what a backward direction has read."""
    names = [name for name, objective in network.frame_objectives.items() if not objective.reads_backward]
    if names:
        _log.info("the forward direction alone gives the first state of decoders: %s", ", ".join(names))


def _measure(context: SessionContext, prepared: Prepared) -> PredictionMetrics:
    """Measure the best weights on the held-out windows; draw some of these, if their frames are pictures."""
    best, description = load_model(context.run.path)
    validation = prepared.data.validation
    frame_shape = tuple(description.frame_shape)
    lengths: dict[str, Any] = {
        "num_context": description.windows["context"],
        "num_future": description.windows["num_future"],
        "frame_shape": frame_shape,
        "device": context.device,
    }
    if can_be_shown(frame_shape, description.dtype):
        strips = filmstrip_rows(best, validation.windows, **lengths)
        if strips:
            write_filmstrip(context.run.filmstrip_path, strips, num_context=description.windows["context"])
    return prediction_metrics(best, validation, **lengths)
