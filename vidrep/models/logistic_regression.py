"""Logistic regression on rows that are standardized on their own, by scikit-learn.

Shapes: N rows, D values of a row, K classes, R directions.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

Floats = NDArray[np.floating]

COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""The values of C among which cross-validation chooses, from much regularization to little."""

DEFAULT_COST = 1e-2
"""C where nothing can be cross-validated."""

_MAX_ITERATIONS = 300
# A value whose deviation is a smaller share of its mean is constant up to the rounding of float32.
_SMALLEST_DEVIATION = 1e-6
# Directions of a smaller share of the largest one's variance are rounding.
_SMALLEST_VARIANCE = 1e-12
_COLUMNS_AT_ONCE = 2048


@dataclass(frozen=True)
class LinearClassifier:
    """Softmax regression: weight (K, D), bias (K,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, rows: Floats) -> NDArray[np.float64]:
        """Classify rows: (N, D) -> (N, K)."""
        return softmax((rows @ self.weight.T + self.bias).astype(np.float64))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities: (N, K) -> (N, K)."""
    likelihoods = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    return probabilities


class Scaler(NamedTuple):
    """What standardizes rows: mean (D,), scale (D,), which is 1 where a value never changes."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Floats) -> "Scaler":
        """Measure rows, (N, D)."""
        mean = rows.mean(axis=0, dtype=np.float64)
        deviation = np.concatenate([rows[:, some].std(axis=0, dtype=np.float64) for some in _column_blocks(rows)])
        return cls(mean, np.where(deviation > _SMALLEST_DEVIATION * np.abs(mean), deviation, 1.0))

    def __call__(self, rows: Floats, columns: slice = slice(None)) -> NDArray[np.float64]:
        """Standardize rows, or some columns of them: (N, D) -> (N, D)."""
        standardized: NDArray[np.float64] = (rows[:, columns] - self.mean[columns]) / self.scale[columns]
        return standardized


def _column_blocks(rows: Floats) -> Iterator[slice]:
    """Yield slices of D, so that a block of columns in float64 takes little memory."""
    for start in range(0, rows.shape[1], _COLUMNS_AT_ONCE):
        yield slice(start, start + _COLUMNS_AT_ONCE)


def fit_linear(rows: Floats, classes: NDArray[np.int64], num_classes: int, C: float) -> LinearClassifier:  # noqa: N803
    """Fit logistic regression to rows (N, D) of classes (N,), each value standardized over these rows.

    C: of scikit-learn, the inverse of the L2 penalty on the weights for standardized rows. A class without rows
    has probability 0. Rows of more than N values are rotated into N, which changes nothing about the solution.
    """
    return fit_linear_path(rows, classes, num_classes, (C,))[0]


def fit_linear_path(
    rows: Floats, classes: NDArray[np.int64], num_classes: int, settings: Sequence[float]
) -> list[LinearClassifier]:
    """Fit logistic regression with each of some values of C, ascending; see `fit_linear`."""
    present = np.unique(classes)
    if len(present) == 1:
        bias = np.full(num_classes, -np.inf, dtype=np.float32)
        bias[present] = 0
        return [LinearClassifier(np.zeros((num_classes, rows.shape[1]), dtype=np.float32), bias)] * len(settings)
    # In one thread: most products are so small that several threads would wait for each other longer than compute.
    with threadpool_limits(1), warnings.catch_warnings():
        # On separable data more iterations only make a certain classifier more certain.
        warnings.simplefilter("ignore", ConvergenceWarning)
        scaler = Scaler.of(rows)
        is_wide = rows.shape[1] > len(rows)
        inputs, dual = _rotated(rows, scaler) if is_wide else (scaler(rows), None)
        fitted = []
        for weights, intercepts in _fit_path(inputs, classes, settings):
            unrotated = weights if dual is None else _times_standardized(weights @ dual, rows, scaler)
            fitted.append(_unscaled(unrotated, intercepts, scaler, present, num_classes))
    return fitted


def _fit_path(
    inputs: NDArray[np.float64], classes: NDArray[np.int64], settings: Sequence[float]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield scikit-learn's weights and intercepts for each C; one fit starts from the one before."""
    model = LogisticRegression(max_iter=_MAX_ITERATIONS, warm_start=True)
    for setting in settings:
        model.set_params(C=setting).fit(inputs, classes)
        yield model.coef_, model.intercept_


def _rotated(rows: Floats, scaler: Scaler) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Express standardized rows, (N, D) with D > N, in R directions of the space that they span.

    Returns (N, R), and (R, N): the directions as sums of rows. An L2 penalty leaves the weights in that space, and does
    not change with a rotation.
    """
    products = np.zeros((len(rows), len(rows)))
    for columns in _column_blocks(rows):
        block = scaler(rows, columns)
        products += block @ block.T
    variances, directions = np.linalg.eigh(products)
    kept = variances > _SMALLEST_VARIANCE * variances[-1]
    kept[-1] = True  # where all rows are equal
    lengths = np.sqrt(variances[kept].clip(min=np.finfo(np.float64).tiny))
    return directions[:, kept] * lengths, (directions[:, kept] / lengths).T


def _times_standardized(factors: NDArray[np.float64], rows: Floats, scaler: Scaler) -> NDArray[np.float64]:
    """Multiply (K, N) by standardized rows, (N, D): (K, D)."""
    return np.concatenate([factors @ scaler(rows, columns) for columns in _column_blocks(rows)], axis=1)


def _unscaled(
    weights: NDArray[np.float64],
    intercepts: NDArray[np.float64],
    scaler: Scaler,
    present: NDArray[np.int64],
    num_classes: int,
) -> LinearClassifier:
    """Return the classifier of rows as they are, and of all K classes, from scikit-learn's of standardized ones."""
    if len(present) == 2:  # scikit-learn keeps one row: the second class against the first
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    weight = np.zeros((num_classes, weights.shape[1]), dtype=np.float32)
    bias = np.full(num_classes, -np.inf, dtype=np.float32)
    unscaled = weights / scaler.scale
    weight[present] = unscaled
    bias[present] = intercepts - unscaled @ scaler.mean
    return LinearClassifier(weight, bias)
