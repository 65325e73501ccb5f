"""Segments beside anchors in a long window: their losses against NumPy, how far gradients go, what memory it takes."""

from pathlib import Path
from typing import Any

import numpy_decoding as reference
import pytest
import torch
from small_features import circles, features_of, finetune_config
from small_networks import lstm_spec, pretraining_network, random, randomized
from torch import Tensor
from toy_training import KilledError, assert_same, killed_after, tree_of

import vidrep
from vidrep.config.settings import ClassifierSettings
from vidrep.errors import ConfigError
from vidrep.models.classifier import Classifier
from vidrep.models.inputs import InputTransforms
from vidrep.models.objectives.anchored import AnchoredObjective, AnchoredSettings
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.stretches import read_stretches
from vidrep.sequences.window_batch import WindowBatch

T, B, D, N = 12, 3, 5, 3
NAMES = ("past_segment", "next_segment")
RUN: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


class Unchanged(InputTransforms):
    """Leaves frames in float64, which those of runs turn into float32."""

    def forward(self, stored: Tensor, observed: Tensor | None = None) -> Tensor:
        return stored


UNCHANGED = Unchanged(D, {})


def network(name: str, *, num_context: int = T, **settings: Any) -> PretrainingNetwork:
    return pretraining_network(objectives={name: {"frames": N} | settings}, num_context=num_context)


def objective_of(model: PretrainingNetwork) -> AnchoredObjective:
    (objective,) = model.objectives.values()
    assert isinstance(objective, AnchoredObjective)
    return objective


def loss_of(model: PretrainingNetwork, frames: Tensor, *, validation: bool = False) -> Tensor:
    batch = WindowBatch(frames)
    losses = model.validation(UNCHANGED, batch)[0] if validation else model.losses(UNCHANGED, batch)
    (loss,) = losses.by_name.values()
    return loss.total


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_that_of_numpy(name: str, conditional: bool) -> None:
    model, frames = network(name, anchors=2, conditional=conditional).eval(), random(T, B, D)
    anchors = objective_of(model).anchors(T)
    assert len(anchors) == 2
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    decoder = reference.part(weights, f"objectives.{name}.decoder.")
    expected = {True: 0.0, False: 0.0}
    for anchor in anchors:
        start = anchor - N if name == "past_segment" else anchor
        target, state = frames.numpy()[start : start + N], reference.encode(weights, frames.numpy()[:anchor])
        for free, forced in ((True, None), (False, target)):
            output = reference.decode(decoder, state, N, conditional=conditional, target=forced)
            expected[free] += reference.frame_loss(output, target, "gaussian")
    assert loss_of(model, frames).item() == pytest.approx(expected[False], rel=1e-12)
    assert loss_of(model, frames, validation=True).item() == pytest.approx(expected[True], rel=1e-12)


def test_gradients_go_back_through_the_segment() -> None:
    model, frames = network("next_segment", num_context=T, anchors=1).eval(), random(T, 2, D)
    (anchor,) = objective_of(model).anchors(T)
    assert anchor == 5
    before, after = frames[:anchor].requires_grad_(), frames[anchor:]
    constant, learned = before[: anchor - N].detach(), before[anchor - N :].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda some: loss_of(model, torch.cat([constant, some, after])), (learned,))
    (gradient,) = torch.autograd.grad(loss_of(model, torch.cat([before, after])), before)
    assert not gradient[: anchor - N].any()
    assert gradient[anchor - N :].any(dim=2).all()


@pytest.mark.parametrize("name", NAMES)
def test_anchors_are_drawn_in_training_and_stand_still_in_validation(name: str) -> None:
    objective = objective_of(network(name))
    low, high = (N, T) if name == "past_segment" else (1, T - N)
    drawn = {anchor for _ in range(300) for anchor in objective.anchors(T)}
    assert drawn == set(range(low, high + 1))
    objective.eval()
    assert objective.anchors(T) == objective.anchors(T)
    with pytest.raises(ConfigError, match=r"segments of 3 frames beside an anchor do not fit windows of 2"):
        objective.anchors(2)


def test_pieces_give_the_outputs_of_the_whole() -> None:
    encoder, frames = network("past_segment").encoder, random(T, B, D)
    outputs, state = encoder(frames)
    states = {anchor: encoder(frames[:anchor])[1] for anchor in (4, 9)}
    read = read_stretches(encoder, frames, None, anchors={4: 2, 9: 3}, last=5)
    torch.testing.assert_close(read.outputs, outputs[-5:], rtol=0, atol=1e-14)
    torch.testing.assert_close(read.state, state, rtol=0, atol=1e-14)
    torch.testing.assert_close(dict(read.anchors), states, rtol=0, atol=1e-14)


def saved_bytes(model: PretrainingNetwork | Classifier, batch: WindowBatch) -> int:
    """Return how many bytes are kept for the backward pass."""
    total = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    torch.manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model.losses(UNCHANGED, batch)
    return total


def classifier(**settings: Any) -> Classifier:
    return randomized(
        Classifier(
            encoders=[(D, lstm_spec())], num_classes=2, **{"head": "last_step", "head_settings": None} | settings
        )
    )


@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_length(name: str) -> None:
    sizes = {saved_bytes(network(name, num_context=length), WindowBatch(random(length, B, D))) for length in (40, 400)}
    assert len(sizes) == 1
    batches = [WindowBatch(random(length, B, D), classes=torch.zeros(B, dtype=torch.int64)) for length in (40, 400)]
    assert len({saved_bytes(classifier(backprop_steps=7, objectives=None), batch) for batch in batches}) == 1
    whole = [saved_bytes(classifier(), batch) for batch in batches]
    assert whole[1] > 8 * whole[0]


def test_the_gradient_of_a_classification_goes_back_so_far() -> None:
    frames = random(T, B, D).requires_grad_()
    batch = WindowBatch(frames, classes=torch.zeros(B, dtype=torch.int64))
    model = classifier(backprop_steps=4)
    (gradient,) = torch.autograd.grad(model.losses(UNCHANGED, batch).by_name["loss"].total, frames)
    assert not gradient[: T - 4].any()
    assert gradient[T - 4 :].any(dim=2).all()
    torch.testing.assert_close(model.eval()(frames), classifier().eval()(frames), rtol=0, atol=1e-14)
    valid = torch.arange(T).unsqueeze(1) < torch.tensor([T, T, T - 4])
    with pytest.raises(ConfigError, match=r"a window of 8 frames beside one of 12 has none among the last 4"):
        model(frames, valid)


def test_a_loss_of_frames_is_a_mean_over_those_that_the_head_reads() -> None:
    frames, lengths = random(T, B, D), torch.tensor([T, T - 1, T - 3])
    valid = torch.arange(T).unsqueeze(1) < lengths
    batch = WindowBatch(frames, valid, classes=torch.arange(B) % 2, num_valid=lengths.double().mean())
    model = classifier(head="every_step", backprop_steps=4)
    loss = model.losses(UNCHANGED, batch).by_name["loss"]
    logits = model.head.frame_logits(model.encoder(frames)[0][-4:])
    assert logits is not None
    terms = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.classes.repeat(4) if batch.classes is not None else lengths, reduction="none"
    )
    kept = valid[-4:].flatten()
    torch.testing.assert_close(loss.total / (B * loss.num_frames), terms[kept].mean(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("settings", [{"backprop_steps": 3}, {"objectives": {"past_segment": AnchoredSettings()}}])
def test_what_attends_to_a_whole_window_is_not_read_in_pieces(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"read a window piece by piece, and classifier.transfer 'collocation'"):
        classifier(transfer="collocation", **settings)


def test_an_encoder_that_reads_backward_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"encoder.bidirectional is true"):
        pretraining_network(objectives={"past_segment": {}}, stack=lstm_spec(bidirectional=True))
    with pytest.raises(ConfigError, match=r"classifier.backprop_steps is of an encoder that reads forward alone"):
        Classifier(
            encoders=[(D, lstm_spec(bidirectional=True))],
            num_classes=2,
            head="last_step",
            head_settings=None,
            backprop_steps=3,
        )


@pytest.mark.parametrize("name", NAMES)
def test_it_is_learned_beside_a_truncated_classification_and_goes_on(name: str, tmp_path: Path) -> None:
    config = finetune_config(
        settings={"objectives": (name,), "objective": {name: {"frames": 2}}},
        classifier=ClassifierSettings(backprop_steps=2, head="last_step"),
        steps=4,
        validate_every=2,
    )
    features = features_of(tmp_path, circles(4))
    run = vidrep.finetune(features, tmp_path / "run", config, **RUN).folder
    with pytest.raises(KilledError):
        vidrep.finetune(features, tmp_path / "killed", config, **RUN, on_progress=killed_after(2))
    vidrep.finetune(features, tmp_path / "killed", None, **RUN, resume=True)
    assert_same(tree_of(tmp_path / "killed"), tree_of(run))
