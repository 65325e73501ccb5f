"""Classes without an example, which scikit-learn does not take."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from small_networks import random

from vidrep.models.logistic_regression import fit_logistic_regression

INPUTS = random(8, 3).numpy()


@pytest.mark.parametrize("present", [[1], [0, 3], [1, 2, 3]])
def test_a_class_without_an_example_has_the_probability_zero(present: list[int]) -> None:
    classes = np.array(present)[np.arange(8) % len(present)]
    weight, bias = fit_logistic_regression(INPUTS, classes, num_classes=4, inverse_penalty=2.0)
    powers = np.exp(INPUTS @ weight.T + bias)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    assert not np.delete(probabilities, present, axis=1).any()
    if len(present) == 1:
        np.testing.assert_array_equal(probabilities[:, present], 1)
    else:
        expected = LogisticRegression(C=2.0, max_iter=1000).fit(INPUTS, classes).predict_proba(INPUTS)
        np.testing.assert_allclose(probabilities[:, present], expected, rtol=1e-9)
