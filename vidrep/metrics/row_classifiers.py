"""The classifiers that are put on features and on frozen representations, each fitted with what folds choose.

Shapes: N rows, D values of a row, V videos, K classes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError
from ..models.logistic_regression import COSTS, DEFAULT_COST, LinearClassifier, fit_linear_path
from ..sequences.folds import Fold, grouped_folds
from .cosine import NUM_NEIGHBORS, ClassMeans, NearestNeighbors, fit_class_means, fit_nearest_neighbors
from .cross_validation import CrossValidation, Fit, RowClassifier, VideoRows, cross_validate, most_accurate

_log = logging.getLogger(__name__)

NUM_FOLDS = 5
# Rows times values times classes that a setting is chosen by, so that choosing takes seconds, for sets of many classes
# minutes; but not fewer rows than the second number.
_MAX_PRODUCTS, _FEWEST_ROWS = 1 << 23, 2000


@dataclass(frozen=True, kw_only=True)
class ClassifierKind:
    """A kind of classifier: how it is fitted, what it can be fitted with, and with what where folds cannot choose.

    setting_name: what the literature calls the setting, None if there is none. fitted: the class of the result.
    """

    fit: Fit
    setting_name: str | None
    settings: Sequence[float]
    default: float
    fitted: type[LinearClassifier] | type[NearestNeighbors] | type[ClassMeans]


CLASSIFIER_KINDS = {
    "linear": ClassifierKind(
        fit=fit_linear_path, setting_name="C", settings=COSTS, default=DEFAULT_COST, fitted=LinearClassifier
    ),
    "kNN": ClassifierKind(
        fit=fit_nearest_neighbors, setting_name="k", settings=NUM_NEIGHBORS, default=1, fitted=NearestNeighbors
    ),
    "prototypes": ClassifierKind(
        fit=fit_class_means, setting_name=None, settings=(0.0,), default=0.0, fitted=ClassMeans
    ),
}
"""The kinds by the names that tables show."""


@dataclass(frozen=True)
class LabeledVideos:
    """What classifiers are fitted to: classes (V,), of K, and the folds that choose, none if there can be none."""

    classes: NDArray[np.int64]
    num_classes: int
    folds: list[Fold]

    @classmethod
    def of(cls, classes: NDArray[np.int64], groups: Sequence[str], num_classes: int, *, seed: int) -> "LabeledVideos":
        """Make folds of whole groups; where that cannot be done it is logged, and defaults are taken."""
        try:
            folds = grouped_folds([str(one) for one in classes], groups, NUM_FOLDS, seed)
        except LabelError as error:
            _log.warning("baselines are fitted with defaults (C %g, 1 neighbor): %s", DEFAULT_COST, error)
            folds = []
        return cls(classes, num_classes, folds)


@dataclass(frozen=True, kw_only=True)
class FittedClassifier:
    """A classifier fitted to all labeled videos.

    kind: a name of CLASSIFIER_KINDS. reads: the name of the rows that it reads. setting: what it was fitted with.
    validation_accuracy: of the folds, None if there were none.
    """

    kind: str
    reads: str
    setting: float
    validation_accuracy: float | None
    classifier: RowClassifier


def fit_best(kind: str, candidates: Mapping[str, VideoRows], labeled: LabeledVideos) -> FittedClassifier:
    """Fit a kind of classifier to those rows, and with that setting, that do best on the folds.

    candidates: rows by name, of which the first is taken where nothing can be chosen.
    """
    of_kind = CLASSIFIER_KINDS[kind]
    chosen: dict[str, CrossValidation] = {}
    if labeled.folds:
        chosen = {reads: _validate(of_kind, reads, rows, labeled) for reads, rows in candidates.items()}
    best = most_accurate(chosen.values()) if chosen else None
    reads = next((name for name, one in chosen.items() if one is best), next(iter(candidates)))
    setting = of_kind.default if best is None else best.setting
    rows = candidates[reads]
    (classifier,) = of_kind.fit(rows.rows, labeled.classes[rows.videos], labeled.num_classes, (setting,))
    return FittedClassifier(
        kind=kind,
        reads=reads,
        setting=setting,
        validation_accuracy=None if best is None else best.accuracy,
        classifier=classifier,
    )


def refit(
    fitted: FittedClassifier, rows: NDArray[np.floating], classes: NDArray[np.int64], num_classes: int
) -> FittedClassifier:
    """Fit a classifier to other rows, (N, D), with the setting that it has."""
    (classifier,) = CLASSIFIER_KINDS[fitted.kind].fit(rows, classes, num_classes, (fitted.setting,))
    return replace(fitted, classifier=classifier)


def _validate(kind: ClassifierKind, reads: str, samples: VideoRows, labeled: LabeledVideos) -> CrossValidation:
    most = max(_FEWEST_ROWS, _MAX_PRODUCTS // (samples.rows.shape[1] * labeled.num_classes))
    if len(samples.rows) > most:
        _log.info("%s: settings are chosen by %d of %d rows, evenly spread", reads, most, len(samples.rows))
    few = samples.subsample(most)
    return cross_validate(kind.fit, few, labeled.classes, labeled.num_classes, labeled.folds, kind.settings)
