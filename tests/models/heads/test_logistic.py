"""Logistic regression as a head: scikit-learn's probabilities."""

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
    expected = LogisticRegression(C=C, max_iter=1000).fit(random(N, H).numpy(), classes.numpy())
    outputs = random(3, 5, H)
    found = head.probabilities(outputs, None).numpy()
    np.testing.assert_allclose(found, expected.predict_proba(outputs[-1].numpy()), rtol=1e-9)


def test_it_minimizes_the_penalized_cross_entropy() -> None:
    """The gradient of C times the summed cross-entropy plus half the squared weights is zero."""
    head, classes = fitted(3, C=0.5)
    weight, bias = (one.clone().requires_grad_() for one in (head.weight, head.bias))
    logits = random(N, H) @ weight.T + bias
    loss = 0.5 * torch.nn.functional.cross_entropy(logits, classes, reduction="sum") + weight.square().sum() / 2
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 1e-3


def test_equal_representations_give_equal_weights_which_are_saved() -> None:
    one, other = fitted(3)[0], fitted(3)[0]
    assert torch.equal(one.weight, other.weight)
    assert one.is_fitted and not list(one.parameters())
    assert {name: tuple(value.shape) for name, value in one.state_dict().items()} == {"weight": (3, H), "bias": (3,)}
