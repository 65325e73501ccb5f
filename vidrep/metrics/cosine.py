"""Classifiers by cosine similarity, on rows that are standardized on their own: nearest neighbors and class means.

Shapes: N rows, D values of a row, M rows that were fitted on, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.logistic_regression import Floats, Scaler, softmax

NUM_NEIGHBORS = (1, 5, 15)
"""The numbers of neighbors among which cross-validation chooses."""

# Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination", section 3.4.
_TEMPERATURE = 0.07
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class NearestNeighbors:
    """A vote of the k most similar rows, each with weight exp(cosine / 0.07) (Wu et al. 2018, arXiv 1805.01978).

    mean, scale: (D,), what standardizes rows. rows: (M, D) of unit length. votes: (M, K), 1 for the class of each.
    num_neighbors: k.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    rows: NDArray[np.float32]
    votes: NDArray[np.uint8]
    num_neighbors: NDArray[np.int64]

    def probabilities(self, rows: Floats) -> NDArray[np.float64]:
        """Classify rows: (N, D) -> (N, K)."""
        blocks = (rows[start : start + _ROWS_AT_ONCE] for start in range(0, max(1, len(rows)), _ROWS_AT_ONCE))
        return np.concatenate([self._of_block(block) for block in blocks])

    def _of_block(self, rows: Floats) -> NDArray[np.float64]:
        similarities = _unit_rows(rows, Scaler(self.mean, self.scale)) @ self.rows.T
        nearest = np.argsort(-similarities, axis=1, kind="stable")[:, : int(self.num_neighbors)]
        weights = softmax(np.take_along_axis(similarities, nearest, axis=1) / _TEMPERATURE)
        probabilities: NDArray[np.float64] = np.einsum("nk,nkc->nc", weights, self.votes[nearest].astype(np.float64))
        return probabilities


@dataclass(frozen=True)
class ClassMeans:
    """Softmax of the cosine to each class's mean, over 0.07; the mean is of rows of unit length (prototypes).

    mean, scale: (D,), what standardizes rows. prototypes: (K, D) of unit length. bias: (K,), 0, or -inf for a class
    without rows.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    prototypes: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, rows: Floats) -> NDArray[np.float64]:
        """Classify rows: (N, D) -> (N, K)."""
        return softmax(_unit_rows(rows, Scaler(self.mean, self.scale)) @ self.prototypes.T / _TEMPERATURE + self.bias)


def fit_nearest_neighbors(
    rows: Floats, classes: NDArray[np.int64], num_classes: int, settings: Sequence[float]
) -> list[NearestNeighbors]:
    """Keep rows (N, D) of classes (N,) to vote; settings: numbers of neighbors, as far as there are rows."""
    scaler = Scaler.of(rows)
    kept = _unit_rows(rows, scaler).astype(np.float32)
    votes = np.eye(num_classes, dtype=np.uint8)[classes]
    return [NearestNeighbors(*scaler, kept, votes, np.array(min(int(k), len(rows)))) for k in settings]


def fit_class_means(
    rows: Floats, classes: NDArray[np.int64], num_classes: int, settings: Sequence[float]
) -> list[ClassMeans]:
    """Take the mean of each class of rows (N, D), classes (N,); there is nothing to set, so settings are ignored."""
    scaler = Scaler.of(rows)
    sums = np.zeros((num_classes, rows.shape[1]))
    np.add.at(sums, classes, _unit_rows(rows, scaler))
    bias = np.where(np.bincount(classes, minlength=num_classes) > 0, 0, -np.inf).astype(np.float32)
    return [ClassMeans(*scaler, _unit(sums).astype(np.float32), bias)] * len(settings)


def _unit_rows(rows: Floats, scaler: Scaler) -> NDArray[np.float64]:
    return _unit(scaler(rows))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to unit length; one of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1)
    return unit
