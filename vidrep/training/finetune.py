"""Fine-tuning: a classifier, from pretrained encoders or from scratch."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.settings import FinetuneConfig, TrainingSettings, with_precision
from ..devices import choose_device
from ..errors import ConfigError
from ..features.annotations import Annotation
from ..features.store import Features, opened
from ..metrics.baselines import baseline_encoders, fit_baselines, save_baselines
from ..metrics.predictor import Predictor
from ..metrics.video_features import video_rows
from ..models.logistic_regression import fit_linear
from ..models.pretrained import PretrainedEncoders
from ..progress import ProgressListener, ignore_progress
from ..registry import HEADS
from ..sequences.split import VideoSplit
from .classifier_training import check_classifier, train_classifier
from .collectives import Ranks
from .ensemble import finish_members, run_of_several, train_members
from .finetuning_data import FinetuneVideos, labeled_videos
from .history import Origin
from .loop import TrainingOutcome, never
from .pretrained_start import keep_start, read_start, recorded_start
from .ranks import joined_ranks
from .resuming import settings_of
from .run import RunFolder
from .selection import Selection, select
from .session import SessionOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """A finished fine-tuning: its run folder, how it went, its classes, and the videos in each split.

    from_scratch: whether no pretrained encoder was its start. Crops of one video count as one. selection: what
    cross-validation chose, None if nothing was to be chosen. outcome: of the first model of an ensemble.
    """

    folder: Path
    outcome: TrainingOutcome
    from_scratch: bool
    classes: list[str]
    num_train_videos: int
    num_validation_videos: int
    num_test_videos: int
    selection: Selection | None = None
    num_models: int = 1


def finetune(
    features: Features | Path | str,
    output: Path | str,
    config: FinetuneConfig | None = None,
    *,
    pretrained: Path | str | Sequence[Path | str] | None = None,
    budget_minutes: float | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
    origin: Origin | None = None,
) -> FinetuneResult:
    """Train a classifier on the labeled videos of features, or of the feature file at a path, into the run `output`.

    Head, transforms and windows are chosen by cross-validation over whole groups, and with them what predicts: the
    LSTM, the best linear baseline, or the average of both; see `SelectionSettings`.

    pretrained: a run of `train` (or of this function) whose encoder and input transforms the classifier starts from, or
        several runs, whose outputs stand side by side; all encoders of an ensemble. The run keeps a copy, so that
        `resume` needs no other run.
    budget_minutes: fewer candidates are tried if all would take longer, by an estimate that is made once.
    Videos of split "test" are not used. Without any split, some of each class's groups are held out for `evaluate`;
    some more, to choose the weights. See `train` for the other arguments.

    Raises LabelError if there are fewer than two classes, FeatureFileError if the features are not of the kind that
    the pretrained run was trained on, ConfigError for settings that contradict it, and whatever `train` raises.
    """
    config = with_precision(settings_of(config, FinetuneConfig, Path(output) if resume else None), precision)
    run = RunFolder(Path(output))
    options = SessionOptions(
        device=device,
        threads=threads,
        resume=resume,
        overwrite=overwrite,
        should_stop=should_stop,
        on_progress=on_progress,
        origin=origin or Origin(),
    )
    with joined_ranks() as ranks:
        start = read_start(run, _folders(pretrained), resume=resume)
        check_classifier(config, start)
        if budget_minutes is not None and not config.selection.enabled:
            raise ConfigError("a budget is for choosing among candidates, which selection.enabled (--auto) would do")
        if budget_minutes is not None and budget_minutes <= 0:
            raise ConfigError(f"a budget of {budget_minutes:g} minutes; give more than 0")
        videos = labeled_videos(opened(features), config, annotations=annotations, group_pattern=group_pattern)
        if config.selection.enabled or config.training.ensemble > 1:
            selection, outcomes = _train_several(run, videos, config, start, options, ranks, budget_minutes)
        else:
            selection, outcomes = None, [train_classifier(run, videos, config, start, options)]
            ranks.call_on_rank_zero(lambda: _finish(run, videos, config, start, options, selection))
    # What cross-validation has chosen is trained on the validation videos too.
    table = (videos if selection is None else _for_training(videos)).of_run
    return FinetuneResult(
        folder=run.path,
        outcome=outcomes[0],
        from_scratch=start is None or (selection is not None and not selection.from_run),
        classes=videos.classes,
        num_train_videos=table.count("train"),
        num_validation_videos=table.count("validation"),
        num_test_videos=table.count("test"),
        selection=selection,
        num_models=len(outcomes),
    )


def _folders(pretrained: Path | str | Sequence[Path | str] | None) -> list[Path]:
    if pretrained is None:
        return []
    return [Path(pretrained)] if isinstance(pretrained, Path | str) else [Path(one) for one in pretrained]


def _train_several(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    ranks: Ranks,
    budget_minutes: float | None,
) -> tuple[Selection | None, list[TrainingOutcome]]:
    """Choose what to train if that is wanted, and train the models, each in a folder of its own within the run."""
    with run_of_several(run, config, videos.of_run, options, ranks, recorded=recorded_start(start)):
        if start is not None:
            ranks.call_on_rank_zero(lambda: keep_start(start, run))
        selection = None
        if config.selection.enabled:
            selection = select(run, videos, config, start, options, ranks, budget_minutes=budget_minutes)
        outcomes = _train_models(run, videos, config, selection, start, options, ranks)
        ranks.call_on_rank_zero(lambda: _finish(run, videos, config, start, options, selection))
        finish_members(run, len(outcomes), ranks)
    return selection, outcomes


def _for_training(videos: FinetuneVideos) -> FinetuneVideos:
    """Return the videos with those of split "validation" in split "train"."""
    split = videos.split
    return videos.with_split(VideoSplit(train=sorted(split.train + split.validation), validation=[], test=split.test))


def _train_models(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    selection: Selection | None,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    ranks: Ranks,
) -> list[TrainingOutcome]:
    """Train the models: on all videos if cross-validation chose how, else with weights that some of them choose."""
    if selection is not None:
        config, videos = selection.config, _for_training(videos)
        start = start if selection.from_run else None
    training = config.training
    if training.ensemble > 1 and HEADS[config.classifier.head].is_fitted:
        _log.info(
            "one model, not %d: nothing is random in fitting the head %s", training.ensemble, config.classifier.head
        )
        training = replace(training, ensemble=1)

    def train_one(member: RunFolder, training: TrainingSettings, options: SessionOptions) -> TrainingOutcome:
        return train_classifier(member, videos, replace(config, training=training), start, options, keeps_start=False)

    return train_members(run, training, options, ranks, train_one)


def _finish(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    selection: Selection | None,
) -> None:
    """Fit the baselines to the videos that trained the classifier or chose its weights, and save what predicts."""
    used = sorted(videos.split.train + videos.split.validation)
    fitted_on = [video for video in used if videos.features.videos[video].length]
    assert videos.numbers.classes is not None
    baselines = fit_baselines(
        videos.features,
        fitted_on,
        classes=videos.numbers.classes[fitted_on],
        groups=[videos.annotated.groups[video] for video in fitted_on],
        num_classes=len(videos.classes),
        encoders=baseline_encoders(start),
        chosen={} if selection is None else selection.linear,
        seed=config.training.seed,
        device=choose_device(options.device),
    )
    save_baselines(run.path, baselines)
    predictor = Predictor.without_choice(config.predictor) if selection is None else selection.predictor
    _fitted(predictor, videos, fitted_on).save(run.path)


def _fitted(predictor: Predictor, videos: FinetuneVideos, fitted_on: Sequence[int]) -> Predictor:
    """Fit the linear part of what predicts, if it has one."""
    if predictor.kind == "lstm":
        return predictor
    assert videos.numbers.classes is not None
    rows = video_rows(videos.features, fitted_on, predictor.reads)
    classes = videos.numbers.classes[fitted_on][rows.videos]
    return replace(predictor, linear=fit_linear(rows.rows, classes, len(videos.classes), predictor.C))
