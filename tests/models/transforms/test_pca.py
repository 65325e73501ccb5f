"""Principal components against scikit-learn and NumPy."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy_lstm import Floats
from sklearn import decomposition
from small_networks import random
from torch import Tensor

from vidrep.errors import ConfigError
from vidrep.models.transforms.pca import PCA, PCASettings
from vidrep.models.transforms.transform import TrainingFrames

D = 5


class Frames(TrainingFrames):
    """Frames of two videos of unequal lengths."""

    def __iter__(self) -> Iterator[Tensor]:
        whole = torch.from_numpy(values()).float()
        yield whole[:13].unsqueeze(1)
        yield whole[13:].unsqueeze(1)


def values() -> Floats:
    """Return 40 frames of correlated values whose mean is not 0, exact in float32."""
    mixed = random(40, D).numpy() @ random(D, D).numpy() * np.array([5, 3, 2, 1, 0.5]) + np.arange(D)
    exact: Floats = mixed.astype(np.float32).astype(np.float64)
    return exact


def fitted(size: int) -> PCA:
    transform = PCA(D, PCASettings(size=size))
    transform.fit(Frames())
    return transform


@pytest.mark.parametrize("size", [1, 3, D])
def test_components_and_projections_are_those_of_scikit_learn(size: int) -> None:
    ours, theirs = fitted(size), decomposition.PCA(size, svd_solver="full").fit(values())
    signs = np.sign((ours.components.numpy() * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours.components.numpy() * signs[:, None], theirs.components_, atol=1e-5)
    np.testing.assert_allclose(ours.mean.numpy(), theirs.mean_, rtol=1e-6)
    given = random(6, 2, D)
    found = ours(given.float()).numpy() * signs
    np.testing.assert_allclose(found, theirs.transform(given.view(-1, D).numpy()).reshape(6, 2, size), atol=1e-4)
    assert ours.output_size == size


def test_components_are_orthonormal_with_the_largest_variance_first_and_no_whitening() -> None:
    transform = fitted(D)
    components = transform.components.double().numpy()
    np.testing.assert_allclose(components @ components.T, np.eye(D), atol=1e-6)
    variances = transform(torch.from_numpy(values()).float().unsqueeze(1))[:, 0].double().numpy().var(axis=0)
    assert list(variances) == sorted(variances, reverse=True)
    np.testing.assert_allclose(variances.sum(), values().var(axis=0).sum(), rtol=1e-5)


def test_signs_are_fixed_by_the_largest_entry() -> None:
    for row in fitted(D).components:
        assert row[row.abs().argmax()] > 0


def test_more_components_than_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"transform\.pca\.size is 6; give at most the 5 values of a frame"):
        PCA(D, PCASettings(size=6))
    with pytest.raises(ConfigError, match="size is 0; it takes a whole number at least 1"):
        PCASettings(size=0)


def test_it_is_not_invertible() -> None:
    with pytest.raises(NotImplementedError, match="PCA is not invertible"):
        fitted(D).inverse(torch.zeros(D))
