"""Softmax regression with an L2 penalty, by scikit-learn.

Shapes: N examples, D values of each, K classes.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

_MAX_ITERATIONS = 1000


def fit_logistic_regression(
    inputs: NDArray[np.float64], classes: NDArray[np.int64], *, num_classes: int, inverse_penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit scikit-learn's LogisticRegression, inputs (N, D) and classes (N,); return weight (K, D) and bias (K,).

    inverse_penalty: scikit-learn's C. A class without an example has the bias -inf, so that its probability
    is 0.
    """
    weight, bias = np.zeros((num_classes, inputs.shape[1])), np.full(num_classes, -np.inf)
    present = np.unique(classes)
    if len(present) == 1:
        bias[present] = 0.0
        return weight, bias
    model = LogisticRegression(C=inverse_penalty, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        # On separable data more iterations only make a certain classifier more certain.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, classes)
    # With two classes scikit-learn keeps one row: the second class against the first.
    weight[present[-len(model.coef_) :]], bias[present] = model.coef_, 0.0
    bias[present[-len(model.coef_) :]] = model.intercept_
    return weight, bias
