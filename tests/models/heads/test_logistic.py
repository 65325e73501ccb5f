"""Logistic regression as a head: scikit-learn's probabilities for rows that are standardized."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from small_networks import random

from vidrep.config.doors import settings_of_names
from vidrep.models.heads.logistic import LogisticHead

N, H = 12, 4


def fitted(num_classes: int, **settings: Any) -> tuple[LogisticHead, torch.Tensor]:
    made = settings_of_names("head", ["logistic"], {"logistic": settings})["logistic"]
    head, classes = LogisticHead(H, num_classes, made).double(), torch.arange(N) % num_classes
    head.fit(random(N, H), classes)
    return head, classes


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("C", [0.01, 1.0, 30.0])
def test_its_probabilities_are_those_of_scikit_learn(num_classes: int, C: float) -> None:  # noqa: N803
    head, classes = fitted(num_classes, C=C)
    rows, outputs = random(N, H).numpy(), random(3, 5, H)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    expected = LogisticRegression(C=C, max_iter=1000).fit((rows - mean) / deviation, classes.numpy())
    found = head.probabilities(outputs, None).numpy()
    np.testing.assert_allclose(found, expected.predict_proba((outputs[-1].numpy() - mean) / deviation), rtol=1e-6)


def test_it_minimizes_the_penalized_cross_entropy() -> None:
    """The gradient of C times the summed cross-entropy plus half the squared weights is zero.

    Both weights and rows are those of standardized values.
    """
    head, classes = fitted(3, C=0.5)
    rows = random(N, H)
    mean, deviation = rows.mean(dim=0), rows.std(dim=0, correction=0)
    weight = (head.weight * deviation).requires_grad_()
    bias = (head.bias + head.weight @ mean).requires_grad_()
    logits = (rows - mean) / deviation @ weight.T + bias
    loss = 0.5 * torch.nn.functional.cross_entropy(logits, classes, reduction="sum") + weight.square().sum() / 2
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 1e-3


def test_equal_representations_give_equal_weights_which_are_saved() -> None:
    one, other = fitted(3)[0], fitted(3)[0]
    assert torch.equal(one.weight, other.weight)
    assert one.is_fitted and not list(one.parameters())
    assert {name: tuple(value.shape) for name, value in one.state_dict().items()} == {"weight": (3, H), "bias": (3,)}
