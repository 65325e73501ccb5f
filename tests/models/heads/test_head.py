"""What a head has that defines logits of windows only: probabilities, a loss, no logits of frames."""

import numpy as np
import pytest
import torch
from small_networks import random
from torch import Tensor
from torch.nn import functional as F

from vidrep.config.checks import NoSettings
from vidrep.models.heads.head import CrossEntropy, Head

T, B, K = 4, 3, 2


class SumHead(Head):
    """Its logits are sums over time; the width of the outputs is the number of classes."""

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        return outputs.sum(dim=0)


@pytest.fixture
def head() -> SumHead:
    return SumHead(K, K, NoSettings())


def test_probabilities_are_the_softmax_of_the_logits(head: SumHead) -> None:
    outputs = random(T, B, K)
    powers = np.exp(outputs.numpy().sum(axis=0))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.probabilities(outputs, None).numpy(), expected, rtol=1e-12)
    assert head.frame_logits(outputs) is None


def test_the_loss_has_one_term_a_window(head: SumHead) -> None:
    outputs, classes = random(T, B, K), torch.tensor([1, 0, 1])
    expected = -head.probabilities(outputs, None)[torch.arange(B), classes].log().sum()
    loss = head.loss(outputs, None, classes, torch.tensor(2.5), CrossEntropy())
    torch.testing.assert_close(loss.total, expected)
    assert (loss.num_frames, loss.num_values) == (1, 1)


def test_cross_entropy_is_that_of_torch() -> None:
    logits, classes, weights = random(7, 4), torch.tensor([0, 3, 1, 1, 2, 0, 3]), random(4).exp()
    for smoothing in (0.0, 0.1):
        for some in (None, weights):
            expected = F.cross_entropy(logits, classes, weight=some, label_smoothing=smoothing, reduction="none")
            assert torch.equal(CrossEntropy(smoothing, some)(logits, classes), expected)


def test_label_smoothing_spreads_a_share_of_the_target_over_all_classes() -> None:
    logits, classes = random(6, 4), np.array([0, 3, 1, 2, 2, 0])
    targets = 0.9 * np.eye(4)[classes] + 0.1 / 4
    expected = -(targets * (logits - logits.logsumexp(dim=1, keepdim=True)).numpy()).sum(axis=1)
    found = CrossEntropy(label_smoothing=0.1)(logits, torch.from_numpy(classes))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_a_class_weight_multiplies_the_loss_of_its_windows(head: SumHead) -> None:
    outputs, classes = random(T, B, K), torch.tensor([1, 0, 1])
    one_by_one = [-head.probabilities(outputs, None)[window, of].log() for window, of in enumerate(classes.tolist())]
    weights = torch.tensor([5.0, 0.25], dtype=torch.float64)
    loss = head.loss(outputs, None, classes, None, CrossEntropy(class_weights=weights))
    torch.testing.assert_close(loss.total, 0.25 * one_by_one[0] + 5 * one_by_one[1] + 0.25 * one_by_one[2])
