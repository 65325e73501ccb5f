"""The classifier: every time step counts, padding does not."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vidrep.models.classifier import Classifier, every_step_loss, is_there, window_probabilities

T, B, D, H, K = 5, 3, 4, 6, 3


def classifier(**settings: float) -> Classifier:
    torch.manual_seed(0)
    return Classifier(frame_size=D, num_classes=K, hidden_size=H, **settings).double()  # type: ignore[arg-type]


@pytest.fixture
def frames() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((T, B, D)))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_short_window_is_classified_as_if_it_were_not_padded(frames: Tensor) -> None:
    model, lengths = classifier(num_layers=2).eval(), torch.tensor([2, 5, 1])
    padded = frames * is_there(lengths, T).unsqueeze(-1)
    probabilities = window_probabilities(model(padded), lengths)
    for column, length in enumerate(lengths.tolist()):
        alone = window_probabilities(model(frames[:length, column : column + 1]), torch.tensor([length]))
        torch.testing.assert_close(probabilities[column], alone[0], rtol=0, atol=1e-14)


def test_what_is_in_the_padding_changes_neither_loss_nor_gradient_nor_probabilities(frames: Tensor) -> None:
    model, lengths, classes = classifier(), torch.tensor([2, 5, 1]), torch.tensor([0, 2, 1])
    there = is_there(lengths, T).unsqueeze(-1)
    results = []
    for filling in (0.0, 100.0):
        logits = model(torch.where(there, frames, filling))
        model.zero_grad()
        loss = every_step_loss(logits, classes, lengths)
        loss.backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters()]
        results.append([loss.detach(), window_probabilities(logits, lengths).detach(), *gradients])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


def test_a_time_step_depends_on_no_later_frame(frames: Tensor) -> None:
    model = classifier(num_layers=2).eval()
    changed = frames.clone()
    changed[3:] += 1
    assert torch.equal(model(frames)[:3], model(changed)[:3])
    assert not torch.equal(model(frames)[3], model(changed)[3])


def test_the_loss_is_the_mean_over_frames_and_the_probability_the_mean_over_a_windows() -> None:
    rng = np.random.default_rng(1)
    logits, classes, lengths = rng.standard_normal((T, B, K)), np.array([2, 0, 1]), np.array([4, 5, 1])
    probabilities = softmax(logits)
    costs = [-np.log(probabilities[t, b, classes[b]]) for b in range(B) for t in range(lengths[b])]
    given = (torch.from_numpy(logits), torch.from_numpy(classes), torch.from_numpy(lengths))
    assert every_step_loss(*given).item() == pytest.approx(np.mean(costs), rel=1e-12)
    expected = np.stack([probabilities[: lengths[b], b].mean(axis=0) for b in range(B)])
    np.testing.assert_allclose(window_probabilities(given[0], given[2]).numpy(), expected, rtol=1e-12)


def test_lengths_say_which_frames_are_there() -> None:
    assert is_there(torch.tensor([1, 3, 0]), 3).int().tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_dropout_is_for_training_alone(frames: Tensor) -> None:
    model = classifier(dropout=0.5)
    torch.manual_seed(0)
    assert not torch.equal(model(frames), model(frames))
    model.eval()
    assert torch.equal(model(frames), model(frames))


def test_a_frozen_encoder_does_not_learn_and_the_readout_does() -> None:
    learning = {name: one.requires_grad for name, one in classifier(freeze=True).named_parameters()}
    assert learning == {
        "encoder.layers.0.input_weight": False,
        "encoder.layers.0.recurrent_weight": False,
        "encoder.layers.0.bias": False,
        "readout.weight": True,
        "readout.bias": True,
    }
    assert all(one.requires_grad for one in classifier().parameters())
