"""The head that reads out at the last frame, recomputed in NumPy."""

import numpy as np
import torch

from vidrep.config.checks import NoSettings
from vidrep.models.heads.head import CrossEntropy
from vidrep.models.heads.last_step import LastStepHead


def test_logits_are_those_of_the_last_frame_of_each_window() -> None:
    head = LastStepHead(3, 2, NoSettings()).double()
    outputs = torch.randn(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([5, 1, 3, 2])
    valid = torch.arange(5)[:, None] < lengths
    weight, bias = (parameter.detach().numpy() for parameter in (head.projection.weight, head.projection.bias))
    last = np.stack([outputs[length - 1, window].numpy() for window, length in enumerate(lengths.tolist())])
    np.testing.assert_allclose(head(outputs, valid).detach().numpy(), last @ weight.T + bias, rtol=1e-12)
    whole = outputs[-1].numpy() @ weight.T + bias
    np.testing.assert_allclose(head(outputs, None).detach().numpy(), whole, rtol=1e-12)


def test_the_loss_is_one_cross_entropy_a_window() -> None:
    head = LastStepHead(3, 2, NoSettings())
    outputs, classes = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 1, 0])
    loss = head.loss(outputs, None, classes, None, CrossEntropy())
    expected = torch.nn.functional.cross_entropy(head(outputs, None), classes, reduction="sum")
    assert loss.num_frames == 1
    torch.testing.assert_close(loss.total, expected)
    assert head.frame_logits(outputs) is None
