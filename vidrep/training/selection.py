"""Choosing among candidates, and what predicts, by cross-validation over whole groups.

selection/results.json of a run says how all candidates and linear baselines do, and what was chosen; see `trials` for
the other files there.

Shapes: S source videos, K classes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import FinetuneConfig
from ..errors import ConfigError, LabelError, TrainingError
from ..metrics.cross_validation import (
    CrossValidation,
    at_temperature,
    best_temperature,
    cross_validate_each,
    measured,
    most_accurate,
    one_error_below_best,
)
from ..metrics.paired import PairedDifference, paired_difference
from ..metrics.predictor import Predictor
from ..metrics.predictor_file import PredictorKind
from ..metrics.video_features import VIDEO_FEATURES, every_video_rows
from ..models.logistic_regression import COSTS, fit_linear_path
from ..models.pretrained import PretrainedEncoders
from ..registry import HEADS
from ..sequences.folds import Fold, grouped_folds
from .candidates import Candidate, candidates
from .collectives import Ranks
from .finetuning_data import FinetuneVideos
from .run import RunFolder
from .session import SessionOptions
from .trials import SELECTION_FOLDER, LabeledSources, Trials, with_fitted_windows, with_steps, write_json

_log = logging.getLogger(__name__)

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
    labeled = LabeledSources.of(videos)
    final_steps = config.selection.final_steps
    config = replace(config, selection=replace(config.selection, final_steps=0))  # the trials do not depend on it
    offered = candidates(config, start, frame_size=videos.features.frame_size)
    every = [with_fitted_windows(one, start, labeled) for one in offered]
    try:
        folds = grouped_folds(labeled.labels, labeled.groups, config.selection.folds, config.training.seed)
    except LabelError as error:
        _log.warning("nothing can be cross-validated: %s", error)
        only = every[0]
        return Selection(
            config=_for_all(only.config, videos, final_steps),
            candidate=only.name,
            from_run=only.from_run,
            predictor=Predictor.without_choice(config.predictor),
        )
    # First, since all later times can be estimated and this one cannot.
    of_linear = ranks.call_on_rank_zero(lambda: _linear_baselines(labeled, folds))
    trials = Trials(run, labeled, config, start, options, ranks, folds)
    chosen = trials.planned(every, budget_minutes)
    found = [(one, trials.probabilities(one)) for one in map(trials.with_penalty, chosen)]
    of_lstm = {one.name: probabilities for one, probabilities in found if probabilities is not None}
    if not of_lstm:
        raise TrainingError(f"{run.path}: no candidate could be trained; see the warnings above")
    trained = [one for one, _ in found if one.name in of_lstm]
    selection = _choose(labeled, trained, of_lstm, of_linear, config, len(folds))
    ranks.call_on_rank_zero(lambda: _write_results(run, selection))
    return replace(selection, config=_for_all(selection.config, videos, final_steps))


def _for_all(config: FinetuneConfig, videos: FinetuneVideos, final_steps: int) -> FinetuneConfig:
    """Return the settings for a training on all videos, of which none chooses weights.

    final_steps: 0 for as many as the candidate has. Raises ConfigError for some that would not be more.
    """
    chosen = with_steps(config, videos, videos.split.train + videos.split.validation)
    if final_steps:
        if HEADS[chosen.classifier.head].is_fitted:
            raise ConfigError(
                f"{final_steps} steps: cross-validation chose the head {chosen.classifier.head}, which is fitted at "
                "once; leave the steps out"
            )
        if final_steps < chosen.training.steps:
            raise ConfigError(
                f"{final_steps} steps: what cross-validation chose is trained for {chosen.training.steps}; give more"
            )
        # Validated where it was before, so that a run that goes on has the same settings but for its steps.
        chosen = replace(chosen, training=replace(chosen.training, steps=final_steps))
    if chosen.training.batch_size < config.training.batch_size:
        there = chosen.training.batch_size
        _log.warning("training.batch_size %d: lowered to all %d windows", config.training.batch_size, there)
    return chosen


def _linear_baselines(labeled: LabeledSources, folds: Sequence[Fold]) -> dict[str, list[CrossValidation]]:
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
    labeled: LabeledSources,
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
        for one in [most_accurate(validated)]
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
        predictor=_calibrated(best, true),
        tried=tuple(sorted(rows, key=_rank, reverse=True)),
        num_videos=len(true),
        num_groups=len(set(groups)),
        num_folds=num_folds,
    )


def _calibrated(best: _Found, true: NDArray[np.int64]) -> Predictor:
    """Return what predicts with the temperature that serves it best on the folds; an LSTM has its own already."""
    if best.predictor.kind == "lstm":
        return best.predictor
    return replace(best.predictor, final_temperature=best_temperature(best.probabilities, true))


def _simplest(kinds: Mapping[PredictorKind, _Found], num_videos: int) -> _Found:
    """Return the LSTM if it is within one standard error of the best and no worse than the linear baseline.

    Otherwise the better of that baseline and of the average.
    """
    least = one_error_below_best([found.tried.accuracy for found in kinds.values()], num_videos)
    if kinds["lstm"].tried.accuracy >= max(least, kinds["linear"].tried.accuracy):
        return kinds["lstm"]
    return max(kinds["average"], kinds["linear"], key=_rank_found)


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
    write_json(run.path / SELECTION_FOLDER / "results.json", content | {"verdict": selection.verdict})
