"""The trials of candidates: each is trained on every fold, and classifies the videos that the fold leaves out.

In the run folder, each written once, so that a killed selection goes on:
selection/plan.json             which candidates are tried, with their settings, and the estimated times
selection/penalty.json          the penalty and the representation that logistic regression on the encoder has
selection/NAME-FOLD.json        what a candidate makes of the videos that a fold leaves out

Shapes: V videos of the features, S source videos, K classes.
"""

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.reader import to_mapping
from ..config.settings import FinetuneConfig
from ..devices import choose_device
from ..errors import ConfigError, InputError, OutputError, Stopped, TrainingError
from ..files import remove, write_text
from ..metrics.centering import center_groups, shared_groups
from ..metrics.classification import average_over_windows
from ..metrics.cross_validation import VideoRows, cross_validate_each, one_error_below_best
from ..metrics.predictor import ClassifierRun
from ..metrics.representations import FrozenEncoder, represent
from ..metrics.video_features import source_numbers
from ..models.logistic_regression import COSTS, fit_linear_path
from ..models.pretrained import PretrainedEncoders
from ..progress import Progress, ignore_progress
from ..registry import HEADS
from ..sequences.folds import Fold
from ..sequences.split import VideoSplit
from ..sequences.window_lengths import fit_finetune_windows
from .candidates import Candidate, is_given
from .classifier_training import train_classifier
from .collectives import Ranks
from .finetuning_data import FinetuneVideos, num_training_windows
from .pretrained_start import with_clips
from .run import RunFolder
from .session import SessionOptions

_log = logging.getLogger(__name__)

SELECTION_FOLDER = "selection"
_TRIAL_STEPS = 8  # by which the time of a step is estimated
_BATCH_SIZE = 32
_REPRESENTATIONS = {"last h": "last", "mean h": "mean"}


@dataclass(frozen=True)
class LabeledSources:
    """The source videos that are cross-validated, of the splits train and validation.

    rows: (V,) the features' videos, crops among them. number: (V,) the source of each. classes: (S,). keys, labels,
    groups: of each source.
    """

    videos: FinetuneVideos
    rows: list[int]
    number: NDArray[np.int64]
    classes: NDArray[np.int64]
    keys: list[str]
    labels: list[str]
    groups: list[str]

    @classmethod
    def of(cls, videos: FinetuneVideos) -> "LabeledSources":
        """Return the sources of videos that have frames."""
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
            [videos.features.videos[video].source_key for video in sources],
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


def with_fitted_windows(candidate: Candidate, start: PretrainedEncoders | None, labeled: LabeledSources) -> Candidate:
    """Return a candidate whose windows are not "auto", but fitted to all videos, so that all folds have the same."""
    config = candidate.config
    if candidate.from_run and start is not None:
        config = with_clips(config, start.description)
    lengths = [labeled.videos.features.videos[row].length for row in labeled.rows]
    return replace(candidate, config=replace(config, windows=fit_finetune_windows(config.windows, lengths)))


def with_steps(config: FinetuneConfig, videos: FinetuneVideos, rows: Sequence[int]) -> FinetuneConfig:
    """Return the settings with the batch size and the number of steps for some videos; the last weights are kept."""
    training, selection = config.training, config.selection
    num_windows = num_training_windows(videos.features, rows, config)
    batch_size = training.batch_size or min(_BATCH_SIZE, num_windows)
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


class Trials:
    """The trainings of candidates on folds, each in a folder that is removed once its probabilities are written."""

    def __init__(
        self,
        run: RunFolder,
        labeled: LabeledSources,
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
        plan = self._ranks.call_on_rank_zero(partial(read_if_there, path))
        if plan is None:
            plan = self._plan(every, budget_minutes)
            self._ranks.call_on_rank_zero(lambda: write_json(path, plan))
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
            _log.info("%s is not tried: with it, all would take longer than %.3g min", left_out.name, budget_minutes)
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
        return replace(candidate, config=with_steps(candidate.config, videos, videos.split.train))

    def _steps(self, candidate: Candidate) -> int:
        if HEADS[candidate.config.classifier.head].is_fitted:
            return 0
        fold = self._folds[0]
        return with_steps(candidate.config, self._labeled.videos, self._labeled.rows_of(fold.train)).training.steps

    def _seconds(self, candidate: Candidate) -> float:
        """Estimate the time of a candidate on one fold: what surrounds its steps, and the median of a few of these."""
        path = self._folder / f"trial-{candidate.name}"
        self._ranks.call_on_rank_zero(lambda: shutil.rmtree(path, ignore_errors=True))
        training = replace(candidate.config.training, steps=_TRIAL_STEPS, validate_every=_TRIAL_STEPS, keep="last")
        times = [time.monotonic()]
        options = replace(self._quiet(), on_progress=lambda progress: times.append(time.monotonic()))
        videos = self._labeled.split(self._folds[0])
        with without_notes(), _stopping_between_trials():
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
        return replace(self._options, resume=False, overwrite=False, on_progress=ignore_progress)

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
        found: dict[str, Any] | None = read_if_there(path)
        if found is None:
            found = self._choose_penalty()
            write_json(path, found)
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
        least = one_error_below_best([one.accuracy for _, one in found], len(labeled.classes))
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
            content = self._ranks.call_on_rank_zero(partial(read_if_there, path))
            if content is None:
                content = self._try(candidate, fold, path)
            self._require_same_videos(content, fold, path)
            found[fold.validation] = content["probabilities"]
            self._done += self._steps(candidate)
        return found

    def _require_same_videos(self, content: dict[str, Any], fold: Fold, path: Path) -> None:
        expected = [self._labeled.keys[source] for source in fold.validation]
        if content["videos"] != expected:
            raise InputError(
                f"{path}: of other videos than those of its fold; remove it, and --resume tries that again"
            )

    def _try(self, candidate: Candidate, fold: Fold, path: Path) -> dict[str, Any]:
        folder = path.with_suffix("")
        self._ranks.call_on_rank_zero(lambda: shutil.rmtree(folder, ignore_errors=True))
        videos = self._labeled.split(fold)
        config = with_steps(candidate.config, videos, videos.split.train)

        def on_progress(progress: Progress) -> None:
            done = self._done + progress.done
            self._options.on_progress(replace(progress, done=done, total=max(self._total, done)))

        # A head that is fitted at once counts windows, not steps.
        is_fitted = HEADS[config.classifier.head].is_fitted
        options = self._quiet() if is_fitted else replace(self._quiet(), on_progress=on_progress)
        with without_notes(), _stopping_between_trials():
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
        write_json(path, content)
        shutil.rmtree(folder, ignore_errors=True)
        return content


@contextmanager
def without_notes() -> Iterator[None]:
    """Log nothing of the trainings of candidates: what they warn of, the run's own training warns of too."""
    log = logging.getLogger("vidrep")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _stopping_between_trials() -> Iterator[None]:
    """Say of a stop what goes on with --resume: a training of a candidate starts anew."""
    try:
        yield
    except Stopped as error:
        raise Stopped("stopped while candidates were tried; --resume goes on with what is left of them") from error


def read_if_there(path: Path) -> Any:
    """Read a file of JSON, None if it is not there; raises InputError if it is damaged."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, and --resume tries that again") from error


def write_json(path: Path, content: Any) -> None:
    """Write what a resumed run reads again; raises OutputError if that is impossible."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
