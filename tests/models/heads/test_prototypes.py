"""Cosine prototypes, recomputed in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from small_networks import random

from vidrep.config.doors import settings_of_names
from vidrep.models.classifier import valid_frames
from vidrep.models.heads.prototypes import PrototypesHead

N, H, K = 7, 4, 3
CLASSES = np.array([0, 2, 2, 0, 0, 1, 2])


def fitted(num_classes: int = K, **settings: Any) -> PrototypesHead:
    made = settings_of_names("head", ["prototypes"], {"prototypes": settings})["prototypes"]
    head = PrototypesHead(H, num_classes, made).double()
    head.fit(random(N, H), torch.from_numpy(CLASSES))
    return head


def test_logits_are_cosines_to_class_means_divided_by_the_temperature() -> None:
    head, trained, others = fitted(temperature=0.2), random(N, H).numpy(), random(5, H).numpy()
    units = trained / np.linalg.norm(trained, axis=1, keepdims=True)
    prototypes = np.stack([units[one == CLASSES].mean(axis=0) for one in range(K)])
    np.testing.assert_allclose(head.prototypes.numpy(), prototypes, rtol=1e-12)
    cosines = np.array([[o @ p / np.linalg.norm(o) / np.linalg.norm(p) for p in prototypes] for o in others])
    found = head.logits(torch.from_numpy(others)).numpy()
    np.testing.assert_allclose(found, cosines / 0.2, rtol=1e-12)
    powers = np.exp(cosines / 0.2)
    outputs = torch.from_numpy(others).unsqueeze(0)
    probabilities = head.probabilities(outputs, None).numpy()
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("reads", ["last", "mean"])
def test_it_reads_the_last_output_or_the_mean_one(reads: str) -> None:
    head, outputs, lengths = fitted(reads=reads), random(5, 3, H), [5, 2, 1]
    for window, length in enumerate(lengths):
        frames = outputs[:length, window]
        read = frames[-1] if reads == "last" else frames.mean(dim=0)
        found = head(outputs, valid_frames(torch.tensor(lengths), 5))[window]
        torch.testing.assert_close(found, head.logits(read.unsqueeze(0))[0], rtol=1e-12, atol=0)


def test_lengths_do_not_count_and_a_class_without_a_window_is_similar_to_nothing() -> None:
    head = fitted(num_classes=4)
    torch.testing.assert_close(head.logits(3 * random(5, H)), head.logits(random(5, H)))
    assert not head.logits(random(5, H))[:, 3].any()


def test_it_has_no_parameters_and_its_prototypes_are_saved() -> None:
    head = fitted()
    assert head.is_fitted and not list(head.parameters())
    assert {name: tuple(one.shape) for name, one in head.state_dict().items()} == {"prototypes": (K, H)}
