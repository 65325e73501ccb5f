"""Choosing among candidates, and what predicts, by cross-validation over whole groups.

In the run folder:
selection/plan.json             which candidates are tried on which folds, decided once
selection/NAME-FOLD.json        what a candidate makes of the videos of a fold
selection/results.json          how all candidates and linear baselines do

Shapes: S source videos, K classes.
"""

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.reader import to_mapping
from ..config.settings import FinetuneConfig
from ..devices import choose_device
from ..errors import ConfigError, InputError, LabelError, OutputError, TrainingError
from ..files import remove, write_text
from ..metrics.centering import center_groups, shared_groups
from ..metrics.classification import average_over_windows
from ..metrics.cross_validation import (
    CrossValidation,
    VideoRows,
    at_temperature,
    best_temperature,
    cross_validate_each,
    measured,
)
from ..metrics.paired import PairedDifference, paired_difference
from ..metrics.predictor import ClassifierRun, Predictor, PredictorKind
from ..metrics.representations import FrozenEncoder, represent
from ..metrics.video_features import VIDEO_FEATURES, every_video_rows, source_numbers
from ..models.logistic_regression import COSTS, fit_linear_path
from ..models.pretrained import PretrainedEncoders
from ..progress import Progress
from ..registry import HEADS
from ..sequences.folds import Fold, grouped_folds
from ..sequences.split import VideoSplit
from ..sequences.window_lengths import fit_finetune_windows
from .candidates import Candidate, candidates, is_given
from .classifier_training import train_classifier
from .collectives import Ranks
from .finetuning_data import FinetuneVideos, num_training_windows
from .preparation import DEFAULT_BATCH_SIZE
from .pretrained_start import with_clips
from .run import RunFolder
from .session import SessionOptions

_log = logging.getLogger(__name__)

SELECTION_FOLDER = "selection"
_TRIAL_STEPS = 8  # by which the time of a step is estimated
_BATCH_SIZE = 32
_MOST_ROWS = 4000  # that a linear baseline is fitted to on a fold
_REPRESENTATIONS = {"last h": "last", "mean h": "mean"}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was tried, and how it does on videos that it did not learn from.

    kind: "lstm", "linear" or "average". accuracy: share of right videos. log_loss: nats a video. setting: what was
    chosen on the folds beside it, '' for nothing. better: by how much the predictor that was chosen is better, paired.
    """

    name: str
    kind: PredictorKind
    accuracy: float
    log_loss: float
    setting: str = ""
    better: PairedDifference | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What cross-validation chose.

    config: of the classifier to train, on all videos. from_run: whether it starts from the pretrained encoders.
    num_videos, num_groups, num_folds: of the cross-validation; 0 if there could be none, and then nothing was tried.
    """

    config: FinetuneConfig
    candidate: str
    from_run: bool
    predictor: Predictor
    tried: tuple[Tried, ...] = ()
    num_videos: int = 0
    num_groups: int = 0
    num_folds: int = 0

    @property
    def verdict(self) -> str:
        """One sentence on what predicts, and on what it is worth beside the best linear baseline."""
        if not self.tried:
            return f"nothing could be cross-validated: the {self.predictor} ({self.candidate}) predicts, untested"
        chosen = next(one for one in self.tried if one.better is None)
        linear = max((one for one in self.tried if one.kind == "linear"), key=_rank)
        where = f"of {self.num_videos} videos in {self.num_groups} groups, each left out once"
        asked = "" if self.config.predictor == "auto" else ", as was asked for"
        head = f"{chosen.name} predicts{asked}: {chosen.accuracy:.3f} {where}"
        if self.predictor.kind == "linear":
            lstm = max((one for one in self.tried if one.kind == "lstm"), key=_rank)
            wins = "It is" if asked else "The linear baseline wins:"
            return f"{head}. {wins} {_by(lstm)} better than the best LSTM, {lstm.name}"
        return f"{head}; {_by(linear)} better than the best linear baseline, {linear.name}"


def _by(tried: Tried) -> str:
    better = tried.better
    if better is None:
        return "0.000"
    interval = "" if better.low is None else f" ({better.low:+.3f} to {better.high:+.3f})"
    return f"{better.difference:+.3f}{interval}"


def _rank(tried: Tried) -> tuple[float, float]:
    return tried.accuracy, -tried.log_loss


def select(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    start: PretrainedEncoders | None,
    options: SessionOptions,
    ranks: Ranks,
    *,
    budget_minutes: float | None = None,
) -> Selection:
    """Try the candidates on the training and validation videos of a run, and choose; killed, it goes on.

    budget_minutes: leaves out candidates, the last first, that would make everything take longer, by an estimate that
    is made once.
    """
    labeled = _Labeled.of(videos)
    offered = candidates(config, start, frame_size=videos.features.frame_size)
    every = [_with_fitted_windows(one, start, labeled) for one in offered]
    try:
        folds = grouped_folds(labeled.labels, labeled.groups, config.selection.folds, config.training.seed)
    except LabelError as error:
        _log.warning("nothing can be cross-validated: %s", error)
        only = every[0]
        return Selection(
            config=_for_all(only.config, videos),
            candidate=only.name,
            from_run=only.from_run,
            predictor=Predictor.without_choice(config.predictor),
        )
    trials = _Trials(run, labeled, config, start, options, ranks, folds)
    chosen = trials.planned(every, budget_minutes)
    found = [(one, trials.probabilities(one)) for one in map(trials.with_penalty, chosen)]
    of_lstm = {one.name: probabilities for one, probabilities in found if probabilities is not None}
    if not of_lstm:
        raise TrainingError(f"{run.path}: no candidate could be trained; see the warnings above")
    of_linear = ranks.call_on_rank_zero(lambda: _linear_baselines(labeled, folds))
    trained = [one for one, _ in found if one.name in of_lstm]
    selection = _choose(labeled, trained, of_lstm, of_linear, config, len(folds))
    ranks.call_on_rank_zero(lambda: _write_results(run, selection))
    return replace(selection, config=_for_all(selection.config, videos))


@dataclass(frozen=True)
class _Labeled:
    """The source videos that are cross-validated, of the splits train and validation.

    rows: (V,) the features' videos, crops among them. number: (V,) the source of each. classes: (S,). labels, groups:
    of each source.
    """

    videos: FinetuneVideos
    rows: list[int]
    number: NDArray[np.int64]
    classes: NDArray[np.int64]
    labels: list[str]
    groups: list[str]

    @classmethod
    def of(cls, videos: FinetuneVideos) -> "_Labeled":
        lengths = [row.length for row in videos.features.videos]
        rows = [video for video in sorted(videos.split.train + videos.split.validation) if lengths[video]]
        first, number = source_numbers(videos.features, rows)
        assert videos.numbers.classes is not None
        sources = [rows[position] for position in first]
        return cls(
            videos,
            rows,
            number,
            videos.numbers.classes[sources],
            [videos.annotated.labels[video] for video in sources],
            [videos.annotated.groups[video] for video in sources],
        )

    def centered(self, samples: VideoRows) -> VideoRows:
        """Center representations of the videos by group, as a classifier does, and others by the mean of all.

        Folds divide no group, so each group has its mean in every fold.
        """
        videos = np.array(self.rows)[samples.videos]
        numbers = shared_groups(self.videos.features, videos, self.videos.numbers.groups)
        return replace(samples, rows=center_groups(samples.rows - samples.rows.mean(axis=0), numbers))

    def rows_of(self, sources: Sequence[int]) -> list[int]:
        """Return the features' videos of some sources."""
        chosen = np.isin(self.number, sources)
        return [row for row, is_chosen in zip(self.rows, chosen, strict=True) if is_chosen]

    def split(self, fold: Fold) -> FinetuneVideos:
        """Return the videos with a fold's training and validation videos as their splits."""
        split = VideoSplit(train=self.rows_of(fold.train), validation=self.rows_of(fold.validation), test=[])
        return self.videos.with_split(split)


def _with_fitted_windows(candidate: Candidate, start: PretrainedEncoders | None, labeled: _Labeled) -> Candidate:
    """Return a candidate whose windows are not "auto", but fitted to all videos, so that all folds have the same."""
    config = candidate.config
    if candidate.from_run and start is not None:
        config = with_clips(config, start.description)
    lengths = [labeled.videos.features.videos[row].length for row in labeled.rows]
    return replace(candidate, config=replace(config, windows=fit_finetune_windows(config.windows, lengths)))


def _for_all(config: FinetuneConfig, videos: FinetuneVideos) -> FinetuneConfig:
    """Return the settings for a training on all videos, of which none chooses weights."""
    return _with_steps(config, videos, videos.split.train + videos.split.validation)


def _with_steps(config: FinetuneConfig, videos: FinetuneVideos, rows: Sequence[int]) -> FinetuneConfig:
    """Return the settings with the batch size and the number of steps for some videos; the last weights are kept."""
    training, selection = config.training, config.selection
    num_windows = num_training_windows(videos.features, rows, config)
    batch_size = training.batch_size or min(_BATCH_SIZE, DEFAULT_BATCH_SIZE, num_windows)
    steps = training.steps
    if not is_given(config, "training.steps"):
        epochs = math.ceil(selection.epochs * num_windows / batch_size)
        steps = min(max(epochs, selection.least_steps), selection.most_steps)
    return replace(
        config,
        training=replace(
            training,
            steps=steps,
            batch_size=min(batch_size, num_windows),
            validate_every=steps,
            patience=0,
            keep="last",
        ),
    )


class _Trials:
    """The trainings of candidates on folds, each in a folder that is removed once its probabilities are written."""

    def __init__(
        self,
        run: RunFolder,
        labeled: _Labeled,
        config: FinetuneConfig,
        start: PretrainedEncoders | None,
        options: SessionOptions,
        ranks: Ranks,
        folds: Sequence[Fold],
    ) -> None:
        self._folder = run.path / SELECTION_FOLDER
        self._labeled, self._config, self._start = labeled, config, start
        self._options, self._ranks, self._folds = options, ranks, folds
        self._penalty: dict[str, Any] | None = None
        self._done = self._total = 0

    def planned(self, every: Sequence[Candidate], budget_minutes: float | None) -> list[Candidate]:
        """Return which candidates are tried: as planned before, or as many as the budget allows."""
        self._ranks.call_on_rank_zero(self._remove_leftovers)
        path = self._folder / "plan.json"
        plan = self._ranks.call_on_rank_zero(partial(_read_if_there, path))
        if plan is None:
            plan = self._plan(every, budget_minutes)
            self._ranks.call_on_rank_zero(lambda: _write_json(path, plan))
        chosen = [one for one in every if one.name in plan["candidates"]]
        if {one.name: to_mapping(one.config) for one in chosen} != plan["candidates"]:
            raise OutputError(
                f"{path.parent.parent}: resumed with other settings than those that the run began with; resume with "
                "the same recipe and --set, or give a new folder"
            )
        self._total = sum(self._steps(one) for one in chosen) * len(self._folds)
        return chosen

    def _remove_leftovers(self) -> None:
        """Remove what a killed process was training, or was about to publish."""
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix != ".json":
                remove(path)

    def _plan(self, every: Sequence[Candidate], budget_minutes: float | None) -> dict[str, Any]:
        timed = {one.name: self._seconds_if_possible(one) for one in every}
        seconds = self._ranks.call_on_rank_zero(lambda: {name: one for name, one in timed.items() if one is not None})
        kept = [one for one in every if one.name in seconds]
        if not kept:
            raise TrainingError(f"{self._folder.parent}: no candidate could be trained; see the warnings above")
        # The training on all videos takes as long as that of a candidate on about one fold more.
        num_trainings = len(self._folds) + self._config.training.ensemble

        def minutes() -> float:
            last = max(seconds[one.name] for one in kept) * self._config.training.ensemble
            return (sum(seconds[one.name] * len(self._folds) for one in kept) + last) / 60

        while budget_minutes is not None and len(kept) > 1 and minutes() > budget_minutes:
            left_out = kept.pop()
            _log.info("%s is not tried: with it, all would take longer than %g min", left_out.name, budget_minutes)
        _log.info(
            "%d candidates on %d folds, then %d training%s on all videos: about %.1f min",
            len(kept),
            len(self._folds),
            num_trainings - len(self._folds),
            "s" if num_trainings - len(self._folds) > 1 else "",
            minutes(),
        )
        settings = {one.name: to_mapping(one.config) for one in kept}
        return {"candidates": settings, "seconds_a_fold": seconds, "minutes": minutes()}

    def _seconds_if_possible(self, candidate: Candidate) -> float | None:
        """Estimate the time of a candidate on a fold; None for one that cannot be trained, which is logged."""
        try:
            return self._seconds(self._on_first_fold(candidate))
        except (TrainingError, ConfigError) as error:
            if self._ranks.size > 1:  # it may be the failure of another rank
                raise
            _log.warning("%s is left out: %s", candidate.name, error)
            return None

    def _on_first_fold(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the batch size and the steps that it has on the first fold."""
        videos = self._labeled.split(self._folds[0])
        return replace(candidate, config=_with_steps(candidate.config, videos, videos.split.train))

    def _steps(self, candidate: Candidate) -> int:
        if HEADS[candidate.config.classifier.head].is_fitted:
            return 0
        fold = self._folds[0]
        return _with_steps(candidate.config, self._labeled.videos, self._labeled.rows_of(fold.train)).training.steps

    def _seconds(self, candidate: Candidate) -> float:
        """Estimate the time of a candidate on one fold: what surrounds its steps, and the median of a few of these."""
        path = self._folder / f"trial-{candidate.name}"
        self._ranks.call_on_rank_zero(lambda: shutil.rmtree(path, ignore_errors=True))
        training = replace(candidate.config.training, steps=_TRIAL_STEPS, validate_every=_TRIAL_STEPS, keep="last")
        times = [time.monotonic()]
        options = replace(self._quiet(), on_progress=lambda progress: times.append(time.monotonic()))
        videos = self._labeled.split(self._folds[0])
        with _without_notes():
            train_classifier(
                RunFolder(path),
                videos,
                replace(candidate.config, training=training),
                self._start_of(candidate),
                options,
            )
        self._ranks.call_on_rank_zero(lambda: shutil.rmtree(path, ignore_errors=True))
        total, steps = time.monotonic() - times[0], self._steps(candidate)
        if not steps:
            return total
        return total - (times[-1] - times[1]) + steps * float(np.median(np.diff(times[1:])))

    def _quiet(self) -> SessionOptions:
        return replace(self._options, resume=False, overwrite=False, on_progress=lambda progress: None)

    def _start_of(self, candidate: Candidate) -> PretrainedEncoders | None:
        return self._start if candidate.from_run else None

    def with_penalty(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the penalty and the representation that do best on the folds, if it chooses them."""
        if not candidate.chooses_penalty:
            return candidate
        if self._penalty is None:
            self._penalty = self._ranks.call_on_rank_zero(self._kept_penalty)
        return replace(candidate, config=replace(candidate.config, head={"logistic": self._penalty}))

    def _kept_penalty(self) -> dict[str, Any]:
        """Return what was chosen before, or choose: on other threads its last bits could differ."""
        path = self._folder / "penalty.json"
        found: dict[str, Any] | None = _read_if_there(path)
        if found is None:
            found = self._choose_penalty()
            _write_json(path, found)
        return found

    def _choose_penalty(self) -> dict[str, Any]:
        assert self._start is not None
        labeled = self._labeled
        device = choose_device(self._options.device)
        rows = represent(FrozenEncoder.pretrained(self._start), labeled.videos.features, labeled.rows, device=device)
        if self._config.classifier.center_groups:
            rows = {name: labeled.centered(of_videos) for name, of_videos in rows.items()}
        num_classes = len(labeled.videos.classes)
        found = [
            (name, one)
            for name in _REPRESENTATIONS
            for samples in [rows[name].renumbered(labeled.number, len(labeled.classes))]
            for one in cross_validate_each(fit_linear_path, samples, labeled.classes, num_classes, self._folds, COSTS)
        ]
        least = _within_one_error([one.accuracy for _, one in found], len(labeled.classes))
        name, best = min((pair for pair in found if pair[1].accuracy >= least), key=lambda pair: pair[1].log_loss)
        return {"C": best.setting, "reads": _REPRESENTATIONS[name]}

    def probabilities(self, candidate: Candidate) -> NDArray[np.float64] | None:
        """Return what a candidate makes of each source when it is left out, (S, K), NaN where it never is.

        None for one whose training diverges, which is logged.
        """
        try:
            return self._probabilities(candidate)
        except TrainingError as error:
            if self._ranks.size > 1:  # it may be the failure of another rank
                raise
            _log.warning("%s is left out: %s", candidate.name, error)
            return None

    def _probabilities(self, candidate: Candidate) -> NDArray[np.float64]:
        found = np.full((len(self._labeled.classes), len(self._labeled.videos.classes)), np.nan)
        for number, fold in enumerate(self._folds, start=1):
            path = self._folder / f"{candidate.name}-{number}.json"
            content = self._ranks.call_on_rank_zero(partial(_read_if_there, path))
            if content is None:
                content = self._try(candidate, fold, path)
            found[fold.validation] = content["probabilities"]
        return found

    def _try(self, candidate: Candidate, fold: Fold, path: Path) -> dict[str, Any]:
        folder = path.with_suffix("")
        self._ranks.call_on_rank_zero(lambda: shutil.rmtree(folder, ignore_errors=True))
        videos = self._labeled.split(fold)
        config = _with_steps(candidate.config, videos, videos.split.train)
        before = self._done

        def on_progress(progress: Progress) -> None:
            self._done = before + progress.done
            self._options.on_progress(replace(progress, done=self._done, total=max(self._total, self._done)))

        options = replace(
            self._quiet(), on_progress=on_progress if config.training.steps else self._quiet().on_progress
        )
        with _without_notes():
            train_classifier(RunFolder(folder), videos, config, self._start_of(candidate), options)
            content: dict[str, Any] = self._ranks.call_on_rank_zero(lambda: self._classified(folder, videos, path))
        return content

    def _classified(self, folder: Path, videos: FinetuneVideos, path: Path) -> dict[str, Any]:
        trained = ClassifierRun.load(folder)
        windows = trained.windows(videos.features, videos.split.validation)
        device = choose_device(self._options.device)
        of_windows = trained.classify(windows, device=device, groups=videos.annotated.groups)
        of_videos = average_over_windows(windows, of_windows)
        keys = [videos.features.videos[video].source_key for video in of_videos]
        content = {"videos": keys, "probabilities": [one.tolist() for one in of_videos.values()]}
        _write_json(path, content)
        shutil.rmtree(folder, ignore_errors=True)
        return content


@contextmanager
def _without_notes() -> Iterator[None]:
    """Let the trainings of candidates log warnings alone, which the run's own training repeats anyway."""
    log = logging.getLogger("vidrep")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _linear_baselines(labeled: _Labeled, folds: Sequence[Fold]) -> dict[str, list[CrossValidation]]:
    """Cross-validate logistic regression on each feature of videos, with each penalty."""
    validated = {}
    for name in VIDEO_FEATURES:
        samples = every_video_rows(labeled.videos.features, labeled.rows, name, about=_MOST_ROWS)
        validated[name] = cross_validate_each(
            fit_linear_path,
            samples.renumbered(labeled.number, len(labeled.classes)),
            labeled.classes,
            len(labeled.videos.classes),
            folds,
            COSTS,
            most_rows=_MOST_ROWS,
        )
    return validated


class _Found(NamedTuple):
    """A way to predict: how it does, what it says of the validated videos, (S, K), and which parts it is made of."""

    tried: Tried
    probabilities: NDArray[np.float64]
    candidate: str = ""
    predictor: Predictor = Predictor()


def _choose(
    labeled: _Labeled,
    every: Sequence[Candidate],
    of_lstm: dict[str, NDArray[np.float64]],
    of_linear: dict[str, list[CrossValidation]],
    config: FinetuneConfig,
    num_folds: int,
) -> Selection:
    """Choose the candidate, and whether it, a linear baseline or the average of both predicts."""
    is_validated = ~np.isnan(next(iter(of_lstm.values()))[:, 0])
    true = labeled.classes[is_validated]
    groups = [group for group, kept in zip(labeled.groups, is_validated, strict=True) if kept]
    lstms = [_of_candidate(one, of_lstm[one.name][is_validated], true) for one in every]
    linears = [
        _found("linear", name, one.probabilities[is_validated], true, predictor=Predictor("linear", name, one.setting))
        for name, validated in of_linear.items()
        for one in [min(validated, key=lambda one: (-one.accuracy, one.log_loss))]
    ]
    averages = _averages(lstms, of_linear, is_validated, true)
    # By the log loss, which distinguishes more than the accuracy of few videos.
    with_lstm = min([*lstms, *averages], key=lambda one: one.tried.log_loss)
    linear = max(linears, key=_rank_found)
    kinds: dict[PredictorKind, _Found] = {
        "lstm": max((one for one in lstms if one.candidate == with_lstm.candidate), key=_rank_found),
        "average": min(
            (one for one in averages if one.candidate == with_lstm.candidate), key=lambda one: one.tried.log_loss
        ),
        "linear": linear,
    }
    best = _simplest(kinds, len(true)) if config.predictor == "auto" else kinds[config.predictor]
    # A linear predictor has the LSTM beside it, to be used and measured too.
    chosen = next(one for one in every if one.name == with_lstm.candidate)
    is_right = best.probabilities.argmax(axis=1) == true
    rows = [
        one.tried
        if one is best
        else replace(one.tried, better=paired_difference(is_right, one.probabilities.argmax(axis=1) == true, groups))
        for one in [*lstms, kinds["average"], *linears]
    ]
    return Selection(
        config=chosen.config,
        candidate=chosen.name,
        from_run=chosen.from_run,
        predictor=best.predictor,
        tried=tuple(sorted(rows, key=_rank, reverse=True)),
        num_videos=len(true),
        num_groups=len(set(groups)),
        num_folds=num_folds,
    )


def _simplest(kinds: Mapping[PredictorKind, _Found], num_videos: int) -> _Found:
    """Return the LSTM if it is within one standard error of the best and no worse than the linear baseline.

    Otherwise the better of that baseline and of the average.
    """
    least = _within_one_error([found.tried.accuracy for found in kinds.values()], num_videos)
    if kinds["lstm"].tried.accuracy >= max(least, kinds["linear"].tried.accuracy):
        return kinds["lstm"]
    return max(kinds["average"], kinds["linear"], key=_rank_found)


def _within_one_error(accuracies: Sequence[float], num_videos: int) -> float:
    """Return the accuracy that is one standard error below the best."""
    best = max(accuracies)
    return best - math.sqrt(best * (1 - best) / num_videos)


def _averages(
    lstms: Sequence[_Found],
    of_linear: dict[str, list[CrossValidation]],
    is_validated: NDArray[np.bool_],
    true: NDArray[np.int64],
) -> list[_Found]:
    """Return the average of each LSTM with each linear baseline, whose penalty is that of the lowest log loss.

    The penalty of the highest accuracy is often so small that certain probabilities drown those of the LSTM.
    """
    averages = []
    for lstm in lstms:
        for name, validated in of_linear.items():
            linear = min(validated, key=lambda one: one.log_loss)
            mean = (lstm.probabilities + linear.probabilities[is_validated]) / 2
            predictor = replace(lstm.predictor, kind="average", reads=name, C=linear.setting)
            both = f"average of {lstm.candidate} and {name}"
            averages.append(_found("average", both, mean, true, candidate=lstm.candidate, predictor=predictor))
    return averages


def _of_candidate(candidate: Candidate, probabilities: NDArray[np.float64], true: NDArray[np.int64]) -> _Found:
    """Measure a candidate whose probabilities are as certain as serves them best."""
    temperature = best_temperature(probabilities, true)
    scaled = at_temperature(probabilities, temperature)
    predictor = Predictor(temperature=temperature)
    setting = _penalty_of(candidate)
    return _found("lstm", candidate.name, scaled, true, candidate=candidate.name, predictor=predictor, setting=setting)


def _found(
    kind: PredictorKind,
    name: str,
    probabilities: NDArray[np.float64],
    true: NDArray[np.int64],
    *,
    predictor: Predictor,
    candidate: str = "",
    setting: str = "",
) -> _Found:
    found = measured(0.0, probabilities, true)
    setting = setting or (f"C {predictor.C:g}" if predictor.reads else "")
    tried = Tried(name=name, kind=kind, accuracy=found.accuracy, log_loss=found.log_loss, setting=setting)
    return _Found(tried, probabilities, candidate, predictor)


def _rank_found(found: _Found) -> tuple[float, float]:
    return _rank(found.tried)


def _penalty_of(candidate: Candidate) -> str:
    if not candidate.chooses_penalty:
        return ""
    settings = candidate.config.head["logistic"]
    return f"C {settings.C:g}, {settings.reads}"


def _write_results(run: RunFolder, selection: Selection) -> None:
    content = {name: value for name, value in asdict(selection).items() if name != "config"}
    del content["predictor"]["linear"]
    _write_json(run.path / SELECTION_FOLDER / "results.json", content | {"verdict": selection.verdict})


def _read_if_there(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, and --resume tries that again") from error


def _write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
