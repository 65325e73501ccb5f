"""Nearest neighbors and class means by cosine similarity, against plain loops and scikit-learn."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from vidrep.metrics.cosine import fit_class_means, fit_nearest_neighbors


def samples() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 40)
    rows = rng.standard_normal((40, 6)) + 2 * rng.standard_normal((3, 6))[classes]
    return (rows * 5 + 3).astype(np.float32), classes, (rng.standard_normal((25, 6)) * 8 + 3).astype(np.float32)


def test_neighbors_vote_by_their_similarity() -> None:
    rows, classes, others = samples()
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    for found, k in zip(fit_nearest_neighbors(rows, classes, 4, (1, 5, 99)), (1, 5, 40), strict=True):
        assert int(found.num_neighbors) == k
        theirs = KNeighborsClassifier(
            n_neighbors=k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07)
        ).fit((rows - mean) / std, classes)
        probabilities = found.probabilities(others)
        np.testing.assert_allclose(probabilities[:, :3], theirs.predict_proba((others - mean) / std), atol=1e-4)
        assert (probabilities[:, 3] == 0).all()


def test_prototypes_are_means_of_unit_rows() -> None:
    rows, classes, others = samples()
    (found,) = fit_class_means(rows, classes, 4, (0.0,))

    def unit(some: NDArray[np.float32]) -> NDArray[np.float64]:
        standardized = (some.astype(np.float64) - rows.mean(axis=0)) / rows.std(axis=0)
        return np.stack([one / np.sqrt(one @ one) for one in standardized])

    expected = np.zeros((25, 4))
    for number, one in enumerate(unit(others)):
        for name in range(3):
            mean = unit(rows)[classes == name].mean(axis=0)
            expected[number, name] = np.exp(one @ mean / np.sqrt(mean @ mean) / 0.07)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.probabilities(others), expected, atol=1e-4)


def test_rows_that_are_all_equal_are_classified_without_a_warning() -> None:
    rows, classes = np.ones((6, 3), dtype=np.float32), np.arange(6) % 2
    for fit in (fit_nearest_neighbors, fit_class_means):
        np.testing.assert_allclose(fit(rows, classes, 2, (6,))[0].probabilities(rows[:1]), [[0.5, 0.5]])


def test_no_rows_give_no_probabilities() -> None:
    rows, classes, _ = samples()
    for fit in (fit_nearest_neighbors, fit_class_means):
        assert fit(rows, classes, 3, (1,))[0].probabilities(rows[:0]).shape == (0, 3)
