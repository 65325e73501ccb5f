"""Nested cross-validation: how good a fine-tuning is, where there are too few videos for a test split.

Labeled videos are divided into folds of whole groups. Each fold tests a classifier that learned from the others, among
which alone its settings were chosen (Varma and Simon 2006, "Bias in error estimation when using cross-validation for
model selection"). In the run folder:
folds/1/, 2/, ...       a run for each fold, finished like any other
folds/1.json, ...       what the run and its baselines make of the videos of the fold, written once
folds/results.json      all folds together

Shapes: S source videos, K classes.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..config.settings import FinetuneConfig
from ..devices import choose_device
from ..errors import InputError
from ..metrics.classification import Accuracy, average_over_windows
from ..metrics.paired import PairedDifference, paired_difference
from ..metrics.predictor import ClassifierRun
from ..sequences.folds import Fold, grouped_folds, require_groups
from .collectives import Ranks
from .finetuning_data import FinetuneVideos, with_test_videos
from .run import RunFolder
from .session import SessionOptions
from .trials import LabeledSources, read_if_there, write_json

_log = logging.getLogger(__name__)

FOLDS_FOLDER, RESULTS_NAME = "folds", "results.json"
LSTM, MAJORITY = "LSTM", "majority class"


@dataclass(frozen=True, kw_only=True)
class FoldsResult:
    """What classifiers make of videos that they did not learn from, each video tested once.

    predicted: of what predicts in each fold; predictors: its names, fold by fold; by_fold: its accuracies. baselines:
    of the LSTM alone, where something else predicts, and of all that a run is measured against. differences: the
    accuracy of what predicts minus each of theirs. confusion: (K, K) videos, rows true, columns predicted.
    """

    classes: list[str]
    num_videos: int
    num_groups: int
    predicted: Accuracy
    predictors: list[str]
    by_fold: list[float]
    baselines: dict[str, Accuracy]
    differences: dict[str, PairedDifference]
    confusion: list[list[int]]

    @property
    def verdict(self) -> str:
        """One sentence on how good the classifiers are, and on whether that is more than the best baseline."""
        found = self.predicted
        interval = "no interval, fewer than 5 groups" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"
        name = max(
            (one for one in self.baselines if one != LSTM),
            key=lambda one: (self.baselines[one].accuracy, self.baselines[one].balanced_accuracy),
        )
        return (
            f"{found.accuracy:.3f} ({interval}) of {self.num_videos} videos in {self.num_groups} groups are right, "
            f"each tested once, by a classifier that learned from other groups; {_compared(self.differences[name])} "
            f"the best baseline, {name}"
        )


def _compared(paired: PairedDifference) -> str:
    """Return "+0.100 (+0.020 to +0.180), better than", or what else an interval shows."""
    if paired.low is None or paired.high is None:
        return f"{paired.difference:+.3f} (no interval, fewer than 5 groups) against"
    shown = "better than" if paired.low > 0 else "worse than" if paired.high < 0 else "not shown to differ from"
    return f"{paired.difference:+.3f} ({paired.low:+.3f} to {paired.high:+.3f}), {shown}"


def require_testable(videos: FinetuneVideos, num_folds: int) -> None:
    """Raise LabelError if a class is in fewer groups than there are folds."""
    labeled = LabeledSources.of(videos)
    require_groups(labeled.labels, labeled.groups, num_folds)


def measure_on_folds(
    run: RunFolder,
    videos: FinetuneVideos,
    config: FinetuneConfig,
    options: SessionOptions,
    ranks: Ranks,
    train_one: Callable[[RunFolder, FinetuneVideos, SessionOptions], None],
) -> FoldsResult:
    """Train a run on the other folds for each of `config.test_folds`, and test it on the fold; killed, it goes on.

    train_one: trains a run on videos of split "train" and "validation", or goes on with it, to its end.
    """
    labeled = LabeledSources.of(videos)
    folds = grouped_folds(labeled.labels, labeled.groups, config.test_folds, config.training.seed)
    tested = []
    for number, fold in enumerate(folds, start=1):
        path = run.path / FOLDS_FOLDER / f"{number}.json"
        content = ranks.call_on_rank_zero(partial(read_if_there, path))
        if content is None:
            _log.info(
                "fold %d of %d: %d videos train, %d test", number, len(folds), len(fold.train), len(fold.validation)
            )
            content = _tested(path, labeled, fold, config, options, ranks, train_one)
        _require_same_videos(content, labeled, fold, path)
        tested.append(content)
    result = _together(labeled, folds, tested)
    written = asdict(result) | {"num_folds": len(folds), "verdict": result.verdict}
    ranks.call_on_rank_zero(lambda: write_json(run.path / FOLDS_FOLDER / RESULTS_NAME, written))
    return result


def _tested(
    path: Path,
    labeled: LabeledSources,
    fold: Fold,
    config: FinetuneConfig,
    options: SessionOptions,
    ranks: Ranks,
    train_one: Callable[[RunFolder, FinetuneVideos, SessionOptions], None],
) -> dict[str, Any]:
    """Train the run of a fold, unless it is finished, and write what it makes of the fold's videos."""
    of_fold = RunFolder(path.with_suffix(""))
    train, test = (labeled.rows_of(some) for some in fold)
    videos = with_test_videos(labeled.videos, train, test, config)
    has_begun = ranks.call_on_rank_zero(of_fold.has_begun)
    train_one(of_fold, videos, replace(options, resume=has_begun, overwrite=False))

    def measure() -> dict[str, Any]:
        content = _measured(of_fold.path, videos, choose_device(options.device))
        write_json(path, content)
        return content

    return ranks.call_on_rank_zero(measure)


def _measured(folder: Path, videos: FinetuneVideos, device: torch.device) -> dict[str, Any]:
    """Return the class probabilities of a fold's source videos, (S, K), by all that the run has."""
    features, test = videos.features, videos.split.test
    trained = ClassifierRun.load(folder)
    windows = trained.windows(features, test)
    of_windows = trained.classify(windows, device=device, groups=videos.annotated.groups)
    of_videos = average_over_windows(windows, of_windows)
    of_lstm = np.stack(list(of_videos.values()))
    majority = np.zeros_like(of_lstm)
    majority[:, np.argmax(trained.description.class_counts)] = 1
    baselines = {LSTM: of_lstm, MAJORITY: majority, **trained.baselines(features, test, device=device)}
    return {
        "videos": [features.videos[video].source_key for video in of_videos],
        "predictor": str(trained.predictor),
        "predicted": trained.predictor.combined(of_lstm, features, test).tolist(),
        "baselines": {_in_all_folds(name): found.tolist() for name, found in baselines.items()},
    }


def _in_all_folds(name: str) -> str:
    """Name a classifier on an encoder by its kind alone: what it reads of the encoder may differ between folds."""
    reads, *of_encoder = name.split(", ")
    return ", ".join([reads, *of_encoder[-1:]])


def _require_same_videos(content: dict[str, Any], labeled: LabeledSources, fold: Fold, path: Path) -> None:
    if content["videos"] != [labeled.keys[source] for source in fold.validation]:
        raise InputError(f"{path}: of other videos than those of its fold; remove it, and --resume tests them again")


def _together(labeled: LabeledSources, folds: Sequence[Fold], tested: Sequence[dict[str, Any]]) -> FoldsResult:
    """Measure what all folds found as one."""
    sources = [source for fold in folds for source in fold.validation]
    true, classes = labeled.classes[sources], labeled.videos.classes
    groups = [labeled.groups[source] for source in sources]
    predicted = _classes_of([one["predicted"] for one in tested])
    predictors = [one["predictor"] for one in tested]
    baselines = {
        name: _classes_of([one["baselines"][name] for one in tested])
        for name in tested[0]["baselines"]
        if name != LSTM or set(predictors) != {LSTM}
    }
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (true, predicted), 1)
    ends = np.cumsum([len(fold.validation) for fold in folds])
    return FoldsResult(
        classes=classes,
        num_videos=len(true),
        num_groups=len(set(groups)),
        predicted=Accuracy.of(true, predicted, groups),
        predictors=predictors,
        by_fold=[float(right.mean()) for right in np.split(predicted == true, ends[:-1])],
        baselines={name: Accuracy.of(true, found, groups) for name, found in baselines.items()},
        differences={
            name: paired_difference(predicted == true, found == true, groups) for name, found in baselines.items()
        },
        confusion=confusion.tolist(),
    )


def _classes_of(every: Sequence[list[list[float]]]) -> NDArray[np.int64]:
    """Return the likeliest class of each source video of all folds, whose probabilities are (S, K)."""
    return np.concatenate([np.array(one).argmax(axis=1) for one in every])
