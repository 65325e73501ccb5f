"""Fine-tuning: a classifier, from pretrained encoders or from scratch."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config.kinds import with_precision
from ..config.settings import FinetuneConfig, TrainingSettings
from ..devices import choose_device
from ..errors import ConfigError
from ..features.annotations import Annotation
from ..features.groups import GroupRule
from ..features.store import Features, opened
from ..metrics.baselines import baseline_encoders, fit_baselines, save_baselines
from ..metrics.classification import average_over_windows
from ..metrics.cross_validation import best_temperature
from ..metrics.predictor import ClassifierRun, Predictor
from ..metrics.video_features import video_rows
from ..models.logistic_regression import fit_linear
from ..models.members import member_folder
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
from .nested_validation import FoldsResult, measure_on_folds, require_testable
from .overfitting import Overfitting, find_overfitting
from .pretrained_start import keep_start, read_start, recorded_start
from .ranks import joined_ranks
from .resuming import recorded_settings, settings_of
from .run import RunFolder
from .selection import Selection, select
from .session import SessionOptions

_log = logging.getLogger(__name__)

# Of fewer validation videos the best temperature is a matter of luck: where all are right, it is the lowest.
_LEAST_CALIBRATION_VIDEOS = 20


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """A finished fine-tuning: its run folder, how it went, its classes, and the videos in each split.

    from_scratch: whether no pretrained encoder was its start. Crops of one video count as one. selection: what
    cross-validation chose, None if nothing was to be chosen. outcome: of the first model of an ensemble. folds: how
    good classifiers are that were trained on the other folds, None without `test_folds`. rarely_tested: classes with
    too few test videos to be measured, and how many. most_folds: that could test all labeled videos.
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
    folds: FoldsResult | None = None
    rarely_tested: Mapping[str, int] = field(default_factory=dict)
    most_folds: int = 0

    @property
    def verdict(self) -> str:
        """One sentence on what predicts, by cross-validation."""
        if self.selection is None:
            return "not cross-validated: evaluate shows whether it is better than mean feature and single frame"
        return self.selection.verdict

    @property
    def overfitting(self) -> Overfitting | None:
        """How the training overfits, by the run's metrics; None if it does not."""
        return find_overfitting(self.folder)


def finetune(
    features: Features | Path | str,
    output: Path | str,
    config: FinetuneConfig | None = None,
    *,
    pretrained: Path | str | Sequence[Path | str] | None = None,
    budget_minutes: float | None = None,
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
) -> FinetuneResult:
    """Train a classifier on the labeled videos of features, or of the feature file at a path, into the run `output`.

    Head, transforms and windows are chosen by cross-validation over whole groups, and with them what predicts: the
    LSTM, the best linear baseline, or the average of both; see `SelectionSettings`.

    pretrained: a run of `train` (or of this function) whose encoder and input transforms the classifier starts from, or
        several runs, whose outputs stand side by side; all encoders of an ensemble. The run keeps a copy, so that
        `resume` needs no other run.
    budget_minutes: fewer candidates are tried if all would take longer, by an estimate that is made once.
    Videos of split "test" are not used. Without any split, some of each class's groups are held out for `evaluate`;
    without cross-validation some more, to choose the weights. See `train` for the other arguments.

    With `config.test_folds` there is no test split: for each fold of whole groups, all of this is done with the other
    folds, and tested on it; then with all labeled videos. The result has what the folds found.

    Raises LabelError if there are fewer than two classes or a class has fewer groups than folds, FeatureFileError if
    the features are not of the kind that the pretrained run was trained on, ConfigError for settings that contradict
    it, and whatever `train` raises.
    """
    config = with_precision(settings_of(config, FinetuneConfig, Path(output) if resume else None), precision)
    if resume:
        config = _with_final_steps(config, Path(output))
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
        start = read_start(run, pretrained, resume=resume)
        check_classifier(config, start)
        if budget_minutes is not None and not config.selection.enabled:
            raise ConfigError("a budget is for choosing among candidates, which selection.enabled (--auto) would do")
        if budget_minutes is not None and budget_minutes <= 0:
            raise ConfigError(f"a budget of {budget_minutes:g} minutes; give more than 0")
        rule = GroupRule(group_pattern, group_blocks)
        videos = labeled_videos(opened(features), config, annotations=annotations, group_rule=rule)
        trained = _train(run, videos, config, start, options, ranks, budget_minutes)
    selection, outcomes = trained.selection, trained.outcomes
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
        folds=trained.folds,
        rarely_tested=videos.rarely_tested,
        most_folds=videos.least_groups,
    )


def _with_final_steps(config: FinetuneConfig, run: Path) -> FinetuneConfig:
    """Take other steps than a run began with as those of what its cross-validation chose, if it was cross-validated.

    Raises ConfigError where folds have tested classifiers of fewer steps.
    """
    if not config.selection.enabled:
        return config
    with joined_ranks() as ranks:
        before = ranks.call_on_rank_zero(lambda: recorded_settings(FinetuneConfig, run))
    steps = config.training.steps
    if steps == before.training.steps or not before.selection.enabled:
        return config
    if config.test_folds:
        raise ConfigError(
            f"{run}: resumed with {steps} steps, but its folds test classifiers of fewer; leave them out, or give a "
            "new folder"
        )
    return replace(
        config,
        training=replace(config.training, steps=before.training.steps),
        selection=replace(config.selection, final_steps=steps),
        given=before.given,
    )


class _Trained(NamedTuple):
    """What a finished run was trained with, and how; see FinetuneResult."""

    outcomes: list[TrainingOutcome]
    selection: Selection | None = None
    folds: FoldsResult | None = None


def _train(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    ranks: Ranks,
    budget_minutes: float | None,
) -> _Trained:
    """Train one model into the run folder, or several things into folders within it."""
    if config.test_folds or config.selection.enabled or config.training.ensemble > 1:
        return _train_several(run, videos, config, start, options, ranks, budget_minutes)
    outcome = train_classifier(run, videos, config, start, options)
    ranks.call_on_rank_zero(lambda: _finish(run, [run.path], videos, config, start, options, None))
    return _Trained([outcome])


def _train_several(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    ranks: Ranks,
    budget_minutes: float | None,
) -> _Trained:
    """Test on folds and choose what to train, if that is wanted, and train the models, each in a folder of its own."""
    if config.test_folds:
        require_testable(videos, config.test_folds)
    budget = budget_minutes if budget_minutes is None else budget_minutes / (config.test_folds + 1)

    def train_fold(of_fold: RunFolder, videos: FinetuneVideos, options: SessionOptions) -> None:
        _train(of_fold, videos, replace(config, test_folds=0), start, options, ranks, budget)

    with run_of_several(run, config, videos.of_run, options, ranks, recorded=recorded_start(start)):
        if start is not None:
            ranks.call_on_rank_zero(lambda: keep_start(start, run))
        folds = measure_on_folds(run, videos, config, options, ranks, train_fold) if config.test_folds else None
        selection = None
        if config.selection.enabled:
            selection = select(run, videos, config, start, options, ranks, budget_minutes=budget)
        outcomes = _train_models(run, videos, config, selection, start, options, ranks)
        members = [member_folder(run.path, number + 1) for number in range(len(outcomes))]
        ranks.call_on_rank_zero(lambda: _finish(run, members, videos, config, start, options, selection))
        finish_members(run, len(outcomes), ranks)
    return _Trained(outcomes, selection, folds)


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
    members: Sequence[Path],
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
        device=choose_device(options.device),
    )
    save_baselines(run.path, baselines)
    predictor = _by_validation(run, members, videos, config, options) if selection is None else selection.predictor
    _fitted(predictor, videos, fitted_on).save(run.path)


def _by_validation(
    run: RunFolder,
    members: Sequence[Path],
    videos: FinetuneVideos,
    config: FinetuneConfig,
    options: SessionOptions,
) -> Predictor:
    """Return what predicts where nothing was cross-validated: its LSTM at the best temperature on validation videos.

    A linear part, which learns from these videos too, cannot be calibrated by them.
    """
    predictor = Predictor.without_choice(config.predictor)
    validated = [video for video in videos.split.validation if videos.features.videos[video].length]
    num_videos = len({*videos.features.source_videos[validated].tolist()})
    if predictor.kind == "linear" or num_videos < _LEAST_CALIBRATION_VIDEOS:
        return predictor
    classifier = ClassifierRun.of_members(run.path, members, predictor)
    windows = classifier.windows(videos.features, validated)
    device = choose_device(options.device)
    of_windows = classifier.classify(windows, device=device, groups=videos.annotated.groups)
    of_videos = average_over_windows(windows, of_windows)
    assert videos.numbers.classes is not None
    temperature = best_temperature(np.stack(list(of_videos.values())), videos.numbers.classes[list(of_videos)])
    return replace(predictor, temperature=temperature)


def _fitted(predictor: Predictor, videos: FinetuneVideos, fitted_on: Sequence[int]) -> Predictor:
    """Fit the linear part of what predicts, if it has one."""
    if predictor.kind == "lstm":
        return predictor
    assert videos.numbers.classes is not None
    rows = video_rows(videos.features, fitted_on, predictor.reads)
    classes = videos.numbers.classes[fitted_on][rows.videos]
    return replace(predictor, linear=fit_linear(rows.rows, classes, len(videos.classes), predictor.C))
