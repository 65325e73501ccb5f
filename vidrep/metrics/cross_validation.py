"""Cross-validation: which of some settings a classifier is best fitted with, and what it says of videos left out.

Shapes: N rows, D values of a row, V videos, K classes. A video has one row, such as its mean feature, or several, such
as its frames; its probabilities are the mean over its rows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..models.logistic_regression import COSTS, Floats, fit_linear_path
from ..sequences.folds import Fold

SMALLEST_PROBABILITY = 1e-6
"""What a smaller probability of the true class counts as, so that one certain error costs 13.8 nats."""


class RowClassifier(Protocol):
    """A fitted classifier."""

    def probabilities(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Classify rows: (N, D) -> (N, K)."""


class Fit(Protocol):
    """Fits a classifier with each of some settings."""

    def __call__(
        self, rows: NDArray[np.floating], classes: NDArray[np.int64], num_classes: int, settings: Sequence[float]
    ) -> Sequence[RowClassifier]:
        """Fit to rows (N, D) of classes (N,); return a classifier for each setting, in their order."""


@dataclass(frozen=True)
class VideoRows:
    """Rows of V videos: rows (N, D), and the number of the video that each is of, (N,), 0 to V - 1."""

    rows: NDArray[np.float32]
    videos: NDArray[np.int64]
    num_videos: int

    def mean(self, of_rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average what each row has over the rows of each video: (N, ...) -> (V, ...), NaN for one without rows."""
        return mean_by_number(of_rows, self.videos, self.num_videos)

    def of(self, videos: Sequence[int]) -> "VideoRows":
        """Return the rows of some videos, whose numbers stay."""
        kept = np.isin(self.videos, videos)
        return VideoRows(self.rows[kept], self.videos[kept], self.num_videos)

    def renumbered(self, numbers: NDArray[np.int64], num_videos: int) -> "VideoRows":
        """Count several videos as one, such as crops of a video: numbers (V,), from 0 to num_videos - 1."""
        return VideoRows(self.rows, numbers[self.videos], num_videos)

    def subsample(self, most: int) -> "VideoRows":
        """Keep at most so many rows, evenly spread."""
        if len(self.rows) <= most:
            return self
        kept = evenly_spread(len(self.rows), most)
        return VideoRows(self.rows[kept], self.videos[kept], self.num_videos)


def mean_by_number(values: NDArray[np.float64], numbers: NDArray[np.int64], num_videos: int) -> NDArray[np.float64]:
    """Average values, (N, ...), over the rows of each video, whose numbers are (N,): (V, ...), NaN without rows."""
    totals = np.zeros((num_videos, *values.shape[1:]))
    np.add.at(totals, numbers, values)
    counts = np.bincount(numbers, minlength=num_videos).astype(np.float64)
    counts[counts == 0] = np.nan
    means: NDArray[np.float64] = totals / counts.reshape(-1, *[1] * (values.ndim - 1))
    return means


def evenly_spread(num: int, most: int) -> NDArray[np.int64]:
    """Return at most so many of the positions 0 to num - 1, evenly spread and with both ends."""
    return np.linspace(0, num - 1, min(num, most)).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """What a classifier is best fitted with, and how it does on the videos of each fold when fitted on the others.

    setting: the best. accuracy: share of right videos, 0 to 1. log_loss: nats a video. probabilities: (V, K), NaN for
    videos that no fold validates.
    """

    setting: float
    accuracy: float
    log_loss: float
    probabilities: NDArray[np.float64]


def most_accurate(every: Iterable[CrossValidation]) -> CrossValidation:
    """Return the one of the highest accuracy, of the lowest log loss among equals, else the first."""
    return min(every, key=lambda one: (-one.accuracy, one.log_loss))


def cross_validate(
    fit: Fit,
    samples: VideoRows,
    classes: NDArray[np.int64],
    num_classes: int,
    folds: Sequence[Fold],
    settings: Sequence[float],
) -> CrossValidation:
    """Return the setting of the highest accuracy over all folds, of the lowest log loss among equals, else the first.

    classes: (V,). folds: of the V videos. Accuracy and log loss are means over the videos that are validated.
    """
    return most_accurate(cross_validate_each(fit, samples, classes, num_classes, folds, settings))


def cross_validate_each(
    fit: Fit,
    samples: VideoRows,
    classes: NDArray[np.int64],
    num_classes: int,
    folds: Sequence[Fold],
    settings: Sequence[float],
    *,
    most_rows: int | None = None,
) -> list[CrossValidation]:
    """Return how a classifier does with each setting; see `cross_validate`.

    most_rows: that it is fitted to at most, evenly spread; all rows of the validated videos are read.
    """
    found = np.full((len(settings), samples.num_videos, num_classes), np.nan)
    for fold in folds:
        train, validation = samples.of(fold.train), samples.of(fold.validation)
        train = train if most_rows is None else train.subsample(most_rows)
        fitted = fit(train.rows, classes[train.videos], num_classes, settings)
        for number, classifier in enumerate(fitted):
            of_videos = validation.mean(classifier.probabilities(validation.rows))
            found[number, fold.validation] = of_videos[fold.validation]
    return [measured(setting, one, classes) for setting, one in zip(settings, found, strict=True)]


def measured(setting: float, probabilities: NDArray[np.float64], classes: NDArray[np.int64]) -> CrossValidation:
    """Measure what was said of videos left out, (V, K), NaN where nothing was; classes: (V,)."""
    is_validated = ~np.isnan(probabilities[:, 0])
    validated, true = probabilities[is_validated], classes[is_validated]
    of_truth = validated[np.arange(len(true)), true]
    return CrossValidation(
        setting=setting,
        accuracy=float((validated.argmax(axis=1) == true).mean()),
        log_loss=float(-np.log(of_truth.clip(min=SMALLEST_PROBABILITY)).mean()),
        probabilities=probabilities,
    )


def one_error_below_best(accuracies: Sequence[float], num_videos: int) -> float:
    """Return the accuracy that is one standard error below the best."""
    best = max(accuracies)
    return best - math.sqrt(best * (1 - best) / num_videos)


_TEMPERATURES = np.geomspace(0.5, 8.0, 25)


def at_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return probabilities, (V, K), whose logarithms were divided by a temperature: above 1 they are less certain.

    (Guo et al. 2017, arXiv 1706.04599, section 4.2.) Which class is the likeliest stays.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(probabilities.clip(min=SMALLEST_PROBABILITY)) / temperature
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    softened: NDArray[np.float64] = scaled / scaled.sum(axis=1, keepdims=True)
    return softened


def best_temperature(probabilities: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """Return the temperature of the lowest log loss on videos left out: probabilities (V, K), classes (V,)."""
    losses = [measured(0.0, at_temperature(probabilities, one), classes).log_loss for one in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def cross_validate_linear(
    rows: Floats,
    classes: NDArray[np.int64],
    num_classes: int,
    folds: Sequence[Fold],
    Cs: Sequence[float] = COSTS,  # noqa: N803
) -> CrossValidation:
    """Choose C by cross-validation over videos of one row each: rows (V, D), classes (V,); see `cross_validate`.

    Each fold's rows are standardized by those that it is fitted on.
    """
    samples = VideoRows(np.asarray(rows, dtype=np.float32), np.arange(len(rows)), len(rows))
    return cross_validate(fit_linear_path, samples, classes, num_classes, folds, Cs)
