"""Reconstruction and future prediction: which frames each emits, and in which order."""

import pytest
import torch
from small_networks import lstm_spec, pretraining_network, random
from torch import Tensor

from vidrep.config.doors import settings_of_names
from vidrep.models.objectives.frame_objective import FrameObjective
from vidrep.models.objectives.objective import ObjectiveSettings, Window
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.registry import OBJECTIVES

T, F, B, D = 5, 3, 2, 5


def objective(name: str, *, num_reconstructed: int = 0) -> tuple[PretrainingNetwork, FrameObjective]:
    objectives = {name: {"conditional": True}}
    network = pretraining_network(objectives=objectives, num_context=T, num_reconstructed=num_reconstructed)
    return network, network.frame_objectives[name]


def window() -> Window:
    frames = random(T + F, B, D)
    return Window(frames[:T], frames[T:])


def test_the_future_is_what_follows_the_context() -> None:
    _, future = objective("future")
    assert future.span(T, F) == (T, T + F)
    assert torch.equal(future.target(window()), window().future)
    assert torch.equal(future.in_emission_order(window().future), window().future)
    assert future.needs_future and future.predicts_frames


@pytest.mark.parametrize(("num_reconstructed", "start"), [(0, 0), (2, 3), (T, 0)])
def test_reconstruction_is_of_the_last_frames_of_the_context(num_reconstructed: int, start: int) -> None:
    _, reconstruction = objective("reconstruction", num_reconstructed=num_reconstructed)
    assert reconstruction.span(T, F) == (start, T)
    assert torch.equal(reconstruction.target(window()), window().context[start:])
    assert torch.equal(reconstruction.in_emission_order(window().context), window().context.flip(0))
    assert reconstruction.predicts_frames and not reconstruction.needs_future


def test_the_last_frames_are_the_same_however_many_are_reconstructed() -> None:
    network, reconstruction = objective("reconstruction")
    context = window().context
    encoded = network.encode(context)
    for target in (None, context):
        every = reconstruction.predict(encoded, T, target=target)
        last = reconstruction.predict(encoded, 2, target=None if target is None else target[3:])
        assert last.shape == (2, B, D)
        assert torch.equal(last, every[3:])


def test_fewer_reconstructed_frames_have_the_loss_of_these() -> None:
    network, reconstruction = objective("reconstruction", num_reconstructed=2)
    one = window()
    encoded = network.encode(one.context)
    loss = reconstruction(encoded, one)
    forced = reconstruction.predict(encoded, 2, target=one.context[3:])
    torch.testing.assert_close(loss.total, (forced - one.context[3:]).square().sum(), rtol=1e-12, atol=0)
    free = reconstruction.predict(encoded, 2)
    validation = reconstruction.validation_loss(encoded, one)
    torch.testing.assert_close(validation.total, (free - one.context[3:]).square().sum(), rtol=1e-12, atol=0)
    assert (loss.num_frames, validation.num_frames) == (2, 2)


def unit_frames() -> Tensor:
    """Return 4 frames, (4, B, D), of which frame t is the t-th unit vector."""
    return torch.eye(D).repeat_interleave(B, dim=0).view(D, B, D)[:4]


def test_a_trained_reconstruction_is_in_natural_order_and_its_decoder_emits_in_reverse() -> None:
    torch.manual_seed(0)
    network = PretrainingNetwork(
        frame_size=D,
        stack=lstm_spec(hidden_size=24),
        objectives=settings_of_names("objective", ["reconstruction"], {}),
        likelihood="gaussian",
        num_context=4,
    )
    context, reconstruction = unit_frames(), network.frame_objectives["reconstruction"]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(200):
        loss = reconstruction(network.encode(context), Window(context, context[:0])).total
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    encoded = network.encode(context)
    assert reconstruction.predict(encoded, 4).argmax(dim=-1).tolist() == [[t] * B for t in range(4)]
    assert reconstruction.decoder(encoded.state, 4).argmax(dim=-1).tolist() == [[t] * B for t in reversed(range(4))]


def test_settings_of_frame_objectives_are_checked_and_have_defaults() -> None:
    for name in ("reconstruction", "future"):
        settings = settings_of_names("objective", [name], {})[name]
        assert (settings.weight, settings.conditional, settings.attention) == (1.0, False, False)
        assert issubclass(OBJECTIVES[name].Settings, ObjectiveSettings)
