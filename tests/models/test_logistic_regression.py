"""Linear classifiers are scikit-learn's on standardized rows, however wide; their regularization is chosen by group."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vidrep.metrics.cross_validation import cross_validate_linear
from vidrep.models.logistic_regression import COSTS, fit_linear, fit_linear_path
from vidrep.sequences.folds import Fold, grouped_folds

Floats = NDArray[np.float32]


def samples(num_rows: int, size: int, num_classes: int, *, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Rows of unlike scales and means, whose classes overlap."""
    rng = np.random.default_rng(seed)
    classes = np.arange(num_rows) % num_classes
    rows = rng.standard_normal((num_rows, size)) + rng.standard_normal((num_classes, size))[classes]
    return (rows * rng.uniform(0.1, 9, size) + rng.uniform(-5, 5, size)).astype(np.float32), classes


def reference(rows: Floats, classes: NDArray[np.int64], cost: float) -> LogisticRegression:
    model = LogisticRegression(C=cost, max_iter=5000, tol=1e-8)
    return make_pipeline(StandardScaler(), model).fit(rows.astype(np.float64), classes)


@pytest.mark.parametrize(("num_rows", "size"), [(60, 5), (30, 200)], ids=["tall", "wide"])
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("cost", [1e-4, 0.1])
def test_they_are_scikit_learns_on_standardized_rows(num_rows: int, size: int, num_classes: int, cost: float) -> None:
    rows, classes = samples(num_rows, size, num_classes)
    others, _ = samples(20, size, num_classes, seed=1)
    found = fit_linear(rows, classes, num_classes, C=cost)
    assert found.weight.dtype == found.bias.dtype == np.float32
    assert found.weight.shape == (num_classes, size)
    for some in (rows, others):
        expected = reference(rows, classes, cost).predict_proba(some.astype(np.float64))
        np.testing.assert_allclose(found.probabilities(some), expected, atol=2e-3)


def test_a_path_of_fits_gives_what_each_fit_gives() -> None:
    rows, classes = samples(40, 6, 3)
    for cost, found in zip((1e-3, 1.0), fit_linear_path(rows, classes, 3, (1e-3, 1.0)), strict=True):
        alone = fit_linear(rows, classes, 3, C=cost)
        np.testing.assert_allclose(found.probabilities(rows), alone.probabilities(rows), atol=2e-3)


def test_classes_without_rows_are_never_chosen_and_one_class_is_certain() -> None:
    rows, classes = samples(20, 3, 2)
    found = fit_linear(rows, classes * 2, 4, C=1.0).probabilities(rows)
    np.testing.assert_allclose(found[:, [0, 2]].sum(axis=1), 1, atol=1e-6)
    assert (found[:, [1, 3]] == 0).all()
    only = fit_linear(rows, np.ones(20, dtype=np.int64), 3, C=1.0)
    assert only.probabilities(rows[:2]).tolist() == [[0, 1, 0]] * 2


@pytest.mark.parametrize("size", [3, 50])
def test_rows_that_are_all_equal_give_the_shares_of_the_classes(size: int) -> None:
    rows, classes = np.full((20, size), 0.1, dtype=np.float32), np.arange(20) % 4 // 3
    np.testing.assert_allclose(fit_linear(rows, classes, 2, C=1.0).probabilities(rows)[0], [0.75, 0.25], atol=1e-3)


def test_the_cost_of_the_highest_accuracy_of_folds_is_chosen() -> None:
    rows, classes = samples(60, 90, 3)
    groups = [f"{number // 6}" for number in range(60)]
    folds = grouped_folds([str(one) for one in classes], groups, 5, seed=0)
    found = cross_validate_linear(rows, classes, 3, folds)
    expected = {}
    for cost in COSTS:
        probabilities = np.zeros((60, 3))
        for train, validation in folds:
            model = reference(rows[train], classes[train], cost)
            probabilities[validation] = model.predict_proba(rows[validation].astype(np.float64))
        loss = -np.log(probabilities[np.arange(60), classes].clip(1e-6)).mean()
        expected[cost] = (-(probabilities.argmax(axis=1) == classes).mean(), loss, probabilities)
    best = min(COSTS, key=lambda cost: expected[cost][:2])
    assert found.setting == best
    assert found.accuracy == pytest.approx(-expected[best][0])
    assert found.log_loss == pytest.approx(expected[best][1], abs=2e-3)
    np.testing.assert_allclose(found.probabilities, expected[best][2], atol=5e-3)


def test_videos_that_no_fold_validates_have_no_probabilities_and_do_not_count() -> None:
    rows, classes = samples(12, 4, 2)
    folds = [Fold(list(range(6)), list(range(6, 10))), Fold(list(range(6, 12)), list(range(6)))]
    found = cross_validate_linear(rows, classes, 2, folds)
    assert np.isnan(found.probabilities[10:]).all() and not np.isnan(found.probabilities[:10]).any()
    assert found.accuracy == (found.probabilities[:10].argmax(axis=1) == classes[:10]).mean()
