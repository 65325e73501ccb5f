"""The network of a classifier: every frame counts, padding does not, whatever the head."""

from typing import Any

import pytest
import torch
from small_networks import lstm_spec, pretraining_network, random, randomized
from torch import Tensor

from vidrep.config.checks import NoSettings
from vidrep.config.doors import settings_of_names
from vidrep.models.classifier import Classifier, balanced_weights, valid_frames
from vidrep.models.heads.head import CrossEntropy, Head
from vidrep.models.inputs import InputTransforms
from vidrep.models.objectives.objective import Encoded, Window
from vidrep.models.pooling import last_valid
from vidrep.registry import HEADS
from vidrep.sequences.window_batch import WindowBatch

T, B, D, H, K = 5, 3, 4, 6, 3
LENGTHS, CLASSES = torch.tensor([2, 5, 1]), torch.tensor([0, 2, 1])


class LastFrameHead(Head):
    """Classifies a window by its last frame."""

    def __init__(self, input_size: int, num_classes: int, settings: Any) -> None:
        super().__init__(input_size, num_classes, settings)
        self.projection = torch.nn.Linear(input_size, num_classes)

    def forward(self, outputs: Tensor, valid: Tensor | None) -> Tensor:
        logits: Tensor = self.projection(last_valid(outputs, valid))
        return logits


@pytest.fixture(params=["every_step", "last_frame", "mean", "attention"])
def head(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(HEADS, "_registered", {})
    HEADS.register("last_frame")(LastFrameHead)
    return str(request.param)


def classifier(
    head: str = "every_step", *, num_layers: int = 1, dropout: float = 0.0, freeze: bool = False, **settings: Any
) -> Classifier:
    return randomized(
        Classifier(
            encoders=[(D, lstm_spec(hidden_size=H, num_layers=num_layers, dropout=dropout))],
            num_classes=K,
            head=head,
            head_settings=NoSettings(),
            dropout=dropout,
            transfer="frozen" if freeze else "init",
            **settings,
        )
    )


def inputs_of(**transforms: dict[str, Any]) -> InputTransforms:
    return InputTransforms(D, settings_of_names("transform", list(transforms), transforms))


def batch_of(frames: Tensor, lengths: Tensor = LENGTHS, classes: Tensor | None = CLASSES) -> WindowBatch:
    """Return a padded batch in float32; padding is 0 as batches are made."""
    valid = valid_frames(lengths, len(frames))
    return WindowBatch(
        (frames * valid.unsqueeze(-1)).float(), valid=valid, classes=classes, num_valid=lengths.float().mean()
    )


def test_lengths_become_a_mask_of_frames() -> None:
    assert valid_frames(torch.tensor([1, 3, 0]), 3).int().tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_a_short_window_is_classified_as_if_it_were_not_padded(head: str) -> None:
    model, frames = classifier(head, num_layers=2).eval(), random(T, B, D)
    valid = valid_frames(LENGTHS, T)
    probabilities = model(frames * valid.unsqueeze(-1), valid)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(B, dtype=torch.float64))
    for column, length in enumerate(LENGTHS.tolist()):
        alone = model(frames[:length, column : column + 1])
        torch.testing.assert_close(probabilities[column], alone[0], rtol=0, atol=1e-14)


def test_the_padding_changes_neither_loss_nor_gradients_nor_probabilities(head: str) -> None:
    model, valid = classifier(head).float(), valid_frames(LENGTHS, T)
    results = []
    for filling in (0.0, 100.0):
        batch = batch_of(random(T, B, D))
        batch = batch._replace(frames=torch.where(valid.unsqueeze(-1), batch.frames, filling))
        total = model.losses(inputs_of(), batch).by_name["loss"].total
        results.append([total, *torch.autograd.grad(total, list(model.parameters())), model(batch.frames, batch.valid)])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-6)


def test_the_padding_is_not_part_of_a_clips_mean(head: str) -> None:
    model, batch = classifier(head).float(), batch_of(random(T, B, D) + 3)
    inputs, valid = inputs_of(center_clip={}), batch.valid
    assert valid is not None
    losses = model.losses(inputs, batch)
    centered = batch.frames - torch.stack([batch.frames[:n, b].mean(dim=0) for b, n in enumerate(LENGTHS.tolist())])
    expected = model.head.loss(model._outputs(centered), valid, CLASSES, batch.num_valid, CrossEntropy())
    torch.testing.assert_close(losses.by_name["loss"].total, expected.total)


def test_losses_and_validation_are_those_of_the_head(head: str) -> None:
    model, batch = classifier(head).float().eval(), batch_of(random(T, B, D))
    training, (validation, metrics) = model.losses(inputs_of(), batch), model.validation(inputs_of(), batch)
    for losses in (training, validation):
        assert losses.by_name.keys() == losses.weights.keys() == {"loss"}
        assert losses.weights["loss"] == 1.0
        assert losses.state is None
    torch.testing.assert_close(training.by_name["loss"].total, validation.by_name["loss"].total)
    right = model(batch.frames, batch.valid).argmax(dim=1) == CLASSES
    assert metrics.keys() == {"window_accuracy"}
    assert int(metrics["window_accuracy"]) == int(right.sum())
    assert model.metric_names == ["loss", "window_accuracy"]
    everything_right = batch._replace(classes=model(batch.frames, batch.valid).argmax(dim=1))
    assert int(model.validation(inputs_of(), everything_right)[1]["window_accuracy"]) == B


def test_a_batch_without_classes_is_refused(head: str) -> None:
    model, batch = classifier(head).float(), batch_of(random(T, B, D), classes=None)
    for compute in (model.losses, model.validation):
        with pytest.raises(ValueError, match="without classes"):
            compute(inputs_of(), batch)


def test_dropout_is_for_training_only(head: str) -> None:
    model, frames = classifier(head, dropout=0.5), random(T, B, D)
    torch.manual_seed(0)
    assert not torch.equal(model(frames), model(frames))
    model.eval()
    assert torch.equal(model(frames), model(frames))


def test_dropout_drops_what_enters_the_encoder_and_what_enters_the_head() -> None:
    model, frames = classifier(dropout=0.5), random(T, B, D)
    torch.manual_seed(3)
    found = model._outputs(frames)
    torch.manual_seed(3)
    expected, _ = model.encoder(frames)
    expected = torch.nn.functional.dropout(expected, 0.5)
    assert torch.equal(found, expected)
    assert 0.3 < float((found == 0).double().mean()) < 0.7
    assert model.encoder.dropout == 0.5


def test_a_frozen_encoder_does_not_learn_and_the_head_does() -> None:
    learning = {name: one.requires_grad for name, one in classifier(freeze=True).named_parameters()}
    assert learning == {
        "encoder.cells.0.input_weight": False,
        "encoder.cells.0.recurrent_weight": False,
        "encoder.cells.0.bias": False,
        "head.projection.weight": True,
        "head.projection.bias": True,
    }
    assert all(one.requires_grad for one in classifier().parameters())


def test_noise_is_added_to_the_frames_in_training_only(head: str) -> None:
    model, batch = classifier(head, input_noise=0.3).float(), batch_of(random(T, B, D))
    torch.manual_seed(5)
    found = model.losses(inputs_of(), batch).by_name["loss"].total
    torch.manual_seed(5)
    noisy = batch._replace(frames=batch.frames + 0.3 * torch.randn(T, B, D))
    model.eval()
    torch.testing.assert_close(found, model.losses(inputs_of(), noisy).by_name["loss"].total, rtol=0, atol=0)
    state = torch.get_rng_state()
    model.losses(inputs_of(), batch)
    model.train().validation(inputs_of(), batch)
    assert torch.equal(torch.get_rng_state(), state)


def test_validation_is_weighted_as_training_is_and_not_smoothed(head: str) -> None:
    weights, batch = torch.tensor([3.0, 1.0, 0.5]), batch_of(random(T, B, D))
    plain = classifier(head).float()
    model = classifier(head, label_smoothing=0.2, class_weights=weights).float()
    outputs = plain._outputs(batch.frames)

    def expected(cross_entropy: CrossEntropy) -> Tensor:
        return plain.head.loss(outputs, batch.valid, CLASSES, batch.num_valid, cross_entropy).total

    training, validation = model.losses(inputs_of(), batch), model.validation(inputs_of(), batch)[0]
    torch.testing.assert_close(training.by_name["loss"].total, expected(CrossEntropy(0.2, weights)))
    torch.testing.assert_close(validation.by_name["loss"].total, expected(CrossEntropy(0.0, weights)))
    assert not torch.isclose(expected(CrossEntropy(0.2, weights)), expected(CrossEntropy(0.0, weights)))


def test_balanced_weights_are_inversely_proportional_to_the_videos_of_a_class() -> None:
    """6 videos of 3 classes: 6 / (3 * 1), 6 / (3 * 2), 6 / (3 * 3); their mean over all videos is 1."""
    weights = balanced_weights([1, 2, 3])
    torch.testing.assert_close(weights, torch.tensor([2.0, 1.0, 2 / 3]))
    assert float(weights @ torch.tensor([1.0, 2.0, 3.0])) / 6 == pytest.approx(1)
    assert torch.equal(balanced_weights([5, 5]), torch.ones(2))


def test_only_a_fitted_head_reads_representations() -> None:
    with pytest.raises(TypeError, match="EveryStepHead is no FittedHead"):
        classifier().representations(random(T, B, D))
    with pytest.raises(ValueError, match="the head every_step is not fitted, and reads no representations to be cent"):
        classifier(center_groups=True)


def test_objectives_learn_beside_the_classification_and_do_not_choose_the_weights() -> None:
    """Its losses and gradients are those of a network for each."""
    settings = settings_of_names("objective", ["reconstruction"], {"reconstruction": {"weight": 0.25}})
    model = classifier(objectives=settings, input_noise=0.5).float().eval()
    batch = WindowBatch(random(T, B, D).float(), classes=CLASSES)
    alone, pretraining = classifier().float(), pretraining_network(frame_size=D, objectives=settings, num_context=T)
    state = model.state_dict()
    alone.load_state_dict({name: value for name, value in state.items() if not name.startswith("objectives.")})
    pretraining.float().load_state_dict({name: one for name, one in state.items() if not name.startswith("head.")})
    expected = {
        "classification": alone.losses(inputs_of(), batch).by_name["loss"],
        "reconstruction": pretraining.losses(inputs_of(), batch).by_name["reconstruction"],
    }
    training, (validation, metrics) = model.losses(inputs_of(), batch), model.validation(inputs_of(), batch)
    for losses in (training, validation):
        torch.testing.assert_close(losses.by_name, expected)
    assert training.weights == {"classification": 1.0, "reconstruction": 0.25}
    assert validation.weights == {"classification": 1.0, "reconstruction": 0.0}
    assert model.metric_names == ["loss", "classification", "reconstruction", *metrics]


def test_objectives_learn_to_emit_frames_without_the_noise() -> None:
    settings = settings_of_names("objective", ["reconstruction"], {})
    model = classifier(objectives=settings, input_noise=0.5).float()
    batch = WindowBatch(random(T, B, D).float(), classes=CLASSES)
    torch.manual_seed(2)
    found = model.losses(inputs_of(), batch).by_name["reconstruction"].total
    torch.manual_seed(2)
    encoded = Encoded(*model.encoder(batch.frames + 0.5 * torch.randn(T, B, D)))
    reconstruction = model.objectives["reconstruction"]
    torch.testing.assert_close(found, reconstruction(encoded, Window(batch.frames, batch.frames[:0])).total)
