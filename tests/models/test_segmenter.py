"""The network that labels frames: its losses against NumPy in float64, what counts in them, and what it predicts."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_networks import lstm_spec, random, randomized
from torch import Tensor

from vidrep.config.doors import settings_of_names
from vidrep.models.inputs import InputTransforms
from vidrep.models.segmenter import Segmenter, balanced_weights, positive_weights
from vidrep.sequences.frame_targets import UNKNOWN
from vidrep.sequences.window_batch import WindowBatch

T, B, D, H, K = 5, 3, 4, 6, 3
Floats = NDArray[np.float64]
WEIGHTS = torch.tensor([0.5, 2.0, 1.25], dtype=torch.float64)


def segmenter(*, bidirectional: bool = False, **settings: Any) -> Segmenter:
    stack = lstm_spec(hidden_size=H, bidirectional=bidirectional)
    return randomized(Segmenter(encoders=[(D, stack)], num_labels=K, **settings))


def inputs_of(**transforms: dict[str, Any]) -> InputTransforms:
    return InputTransforms(D, settings_of_names("transform", list(transforms), transforms))


class SameFrames(InputTransforms):
    """Frames as they are, in their own precision."""

    def __init__(self) -> None:
        super().__init__(D, {})

    def forward(self, stored: Tensor, observed: Tensor | None = None) -> Tensor:
        return stored


def batch_of(*, several_labels: bool, seed: int = 0) -> WindowBatch:
    """Return random frames whose targets are unknown here and there; the second window is padded from frame 3 on."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(-1, 2 if several_labels else K, (T, B, K) if several_labels else (T, B))
    valid = torch.ones(T, B, dtype=torch.bool)
    valid[3:, 1] = False
    targets[3:, 1] = UNKNOWN
    num_known = torch.tensor((targets != UNKNOWN).sum() / B)
    return WindowBatch(random(T, B, D), valid=valid, targets=torch.from_numpy(targets), num_known=num_known)


def probabilities_of(model: Segmenter, batch: WindowBatch) -> Floats:
    found: Floats = model(batch.frames, valid=batch.valid)[0].detach().numpy()
    return found


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_loss_of_one_label_is_the_weighted_cross_entropy_of_known_frames(weights: Tensor | None) -> None:
    model, batch = segmenter(weights=weights), batch_of(several_labels=False)
    losses = model.losses(SameFrames(), batch)
    factors = np.ones(K) if weights is None else weights.numpy()
    expected, num_known = 0.0, 0
    probabilities, targets = probabilities_of(model, batch), batch.targets
    assert targets is not None
    for step, window in np.ndindex(T, B):
        if (target := int(targets[step, window])) != UNKNOWN:
            expected -= factors[target] * np.log(probabilities[step, window, target])
            num_known += 1
    loss = losses.by_name["loss"]
    np.testing.assert_allclose(loss.total.detach(), expected, rtol=1e-12)
    assert float(loss.num_frames) * B == pytest.approx(num_known)
    assert (losses.weights, losses.state) == ({"loss": 1.0}, None)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_loss_of_several_labels_is_the_binary_cross_entropy_of_what_is_known(weights: Tensor | None) -> None:
    model, batch = segmenter(several_labels=True, weights=weights), batch_of(several_labels=True)
    factors = np.ones(K) if weights is None else weights.numpy()
    expected = 0.0
    probabilities, targets = probabilities_of(model, batch), batch.targets
    assert targets is not None
    for step, window, label in np.ndindex(T, B, K):
        probability, target = probabilities[step, window, label], int(targets[step, window, label])
        if target == 1:
            expected -= float(factors[label] * np.log(probability))
        elif target == 0:
            expected -= float(np.log(1 - probability))
    loss = model.losses(SameFrames(), batch).by_name["loss"]
    np.testing.assert_allclose(loss.total.detach(), expected, rtol=1e-10)


@pytest.mark.parametrize("several_labels", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_are_those_of_the_loss(several_labels: bool, bidirectional: bool) -> None:
    model = segmenter(several_labels=several_labels, bidirectional=bidirectional, weights=WEIGHTS)
    batch = batch_of(several_labels=several_labels)

    def loss(*parameters: Tensor) -> Tensor:
        return model.losses(SameFrames(), batch).by_name["loss"].total

    assert torch.autograd.gradcheck(loss, tuple(model.parameters()))


@pytest.mark.parametrize("several_labels", [False, True])
def test_unknown_targets_have_no_gradient(several_labels: bool) -> None:
    """Frames after the last known one change nothing, and windows without a known one neither."""
    model, batch = segmenter(several_labels=several_labels), batch_of(several_labels=several_labels)
    targets, frames = batch.targets, batch.frames.requires_grad_()
    assert targets is not None
    targets[3:] = UNKNOWN
    targets[:, 2] = UNKNOWN
    model.losses(SameFrames(), batch._replace(frames=frames)).by_name["loss"].total.backward()  # type: ignore[no-untyped-call]
    gradient = frames.grad
    assert gradient is not None
    assert torch.count_nonzero(gradient[3:]) == torch.count_nonzero(gradient[:, 2]) == 0
    assert torch.count_nonzero(gradient[:3, :2]) > 0


@pytest.mark.parametrize("several_labels", [False, True])
def test_validation_has_the_same_loss_and_the_share_of_known_targets_that_are_met(several_labels: bool) -> None:
    model = segmenter(several_labels=several_labels, dropout=0.9, input_noise=5.0).eval()
    batch = batch_of(several_labels=several_labels)
    losses, others = model.validation(SameFrames(), batch)
    without_noise = segmenter(several_labels=several_labels)
    without_noise.load_state_dict(model.state_dict())
    expected = without_noise.losses(SameFrames(), batch).by_name["loss"].total
    assert torch.equal(losses.by_name["loss"].total, expected)
    probabilities = probabilities_of(model, batch)
    assert batch.targets is not None
    targets = batch.targets.numpy()
    found = probabilities > 0.5 if several_labels else probabilities.argmax(axis=-1)
    known = targets != UNKNOWN
    np.testing.assert_allclose(others["frame_accuracy"] / B, (found == targets)[known].mean(), rtol=1e-6)
    assert [*losses.by_name, *others] == model.metric_names


def test_dropout_and_noise_are_of_training_alone() -> None:
    model, batch = segmenter(dropout=0.5, input_noise=0.3), batch_of(several_labels=False)
    drawn = {float(model.losses(SameFrames(), batch).by_name["loss"].total.detach()) for _ in range(3)}
    assert len(drawn) == 3
    model.eval()
    assert len({float(model.losses(SameFrames(), batch).by_name["loss"].total.detach()) for _ in range(3)}) == 1


def test_probabilities_sum_to_1_or_stand_alone() -> None:
    batch = batch_of(several_labels=False)
    one, several = (segmenter(several_labels=several_labels) for several_labels in (False, True))
    np.testing.assert_allclose(probabilities_of(one, batch).sum(axis=-1), 1)
    found = probabilities_of(several, batch)
    assert ((found > 0) & (found < 1)).all()
    assert (abs(found.sum(axis=-1) - 1) > 0.01).any()


def test_reading_on_from_a_state_is_reading_at_once() -> None:
    model, frames = segmenter().eval(), random(T, B, D)
    first, state = model(frames[:2])
    second, _ = model(frames[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), model(frames)[0], rtol=0, atol=1e-14)
    assert model.reads_forward
    assert not segmenter(bidirectional=True).reads_forward


def test_a_frozen_encoder_does_not_learn() -> None:
    model = segmenter(transfer="frozen")
    assert {name for name, one in model.named_parameters() if one.requires_grad} == {
        "projection.weight",
        "projection.bias",
    }


def test_stored_frames_go_through_the_input_transforms() -> None:
    model, batch = segmenter().float(), batch_of(several_labels=False)
    stored = torch.randint(0, 256, (T, B, D), dtype=torch.uint8)
    found = model.losses(inputs_of(), batch._replace(frames=stored)).by_name["loss"].total
    expected = model.losses(inputs_of(), batch._replace(frames=stored.float() / 255)).by_name["loss"].total
    assert torch.equal(found, expected)
    with pytest.raises(ValueError, match="a batch without targets of frames cannot train"):
        model.losses(inputs_of(), batch._replace(targets=None))


def test_weights_of_labels() -> None:
    counts = np.array([100, 25, 0])
    inverse = 1 / np.sqrt(np.maximum(counts, 1))
    expected = inverse / (inverse @ counts / counts.sum())
    found = balanced_weights(torch.from_numpy(counts))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found.numpy() @ counts / counts.sum(), 1, rtol=1e-6)
    ratios = positive_weights(torch.tensor([4, 100, 0]), torch.tensor([64, 1, 9]))
    np.testing.assert_allclose(ratios, [4, 0.1, 3])
