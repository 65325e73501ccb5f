"""A decoder: what it starts from, what it reads, and where its output starts."""

import numpy as np
import numpy_decoding as reference
import pytest
import torch
from numpy_lstm import Floats
from small_networks import lstm_spec, random, randomized
from torch import Tensor
from toy_cell import register_toy_cell, toy_spec

from vidrep.config.settings import Likelihood
from vidrep.models.cells.lstm import LSTMState
from vidrep.models.decoder import Decoder
from vidrep.models.encoder import Numerics
from vidrep.models.output_projection import frame_loss, output_to_frames

N, B, D, H = 4, 2, 5, 6


def decoder(
    *,
    num_layers: int = 1,
    conditional: bool = False,
    likelihood: Likelihood = "gaussian",
    recompute_every: int = 0,
) -> Decoder:
    return randomized(
        Decoder(
            lstm_spec(num_layers=num_layers),
            frame_size=D,
            likelihood=likelihood,
            conditional=conditional,
            numerics=Numerics(recompute_every=recompute_every),
        )
    )


def encoded(num_layers: int = 1) -> tuple[LSTMState, ...]:
    """Return a state such as an encoder leaves."""
    return tuple(LSTMState(h, c) for h, c in zip(random(num_layers, B, H), random(num_layers, B, H) + 1, strict=True))


def in_numpy(one: Decoder, state: tuple[LSTMState, ...], num_frames: int, target: Tensor | None = None) -> Floats:
    return reference.decode(
        {name: value.numpy() for name, value in one.state_dict().items()},
        [(layer.h.numpy(), layer.c.numpy()) for layer in state],
        num_frames,
        conditional=one.conditional,
        likelihood=one.likelihood,
        target=None if target is None else target.numpy(),
    )


def assert_equal(ours: Tensor, theirs: Floats | Tensor) -> None:
    torch.testing.assert_close(ours.detach(), torch.as_tensor(theirs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("conditional", [False, True])
def test_frames_are_the_equations(num_layers: int, likelihood: Likelihood, conditional: bool) -> None:
    one = decoder(num_layers=num_layers, likelihood=likelihood, conditional=conditional)
    state, target = encoded(num_layers), random(N, B, D).sigmoid()
    assert_equal(one(state, N), in_numpy(one, state, N))
    assert_equal(one(state, N, target=target), in_numpy(one, state, N, target))


def test_without_condition_a_target_changes_no_frame() -> None:
    one, state = decoder(), encoded()
    assert torch.equal(one(state, N), one(state, N, target=random(N, B, D)))
    assert one.stack.input_size is None


def test_the_first_frame_is_one_time_step_after_the_state() -> None:
    one, state = decoder(), encoded()
    with torch.no_grad():
        copied = one.projection(state[-1].h)
        assert (one(state, 1)[0] - copied).abs().max() > 1e-3


def test_a_teacher_forced_frame_depends_on_earlier_targets_only() -> None:
    one, state, target = decoder(conditional=True), encoded(), random(N, B, D)
    changed = target.clone()
    changed[2] += 1
    before, after = one(state, N, target=target), one(state, N, target=changed)
    assert torch.equal(before[:3], after[:3])
    assert (before[3] != after[3]).any()


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_running_free_is_being_forced_by_its_own_frames(likelihood: Likelihood) -> None:
    one, state = decoder(conditional=True, likelihood=likelihood), encoded()
    free = one(state, N)
    assert_equal(one(state, N, target=output_to_frames(free, likelihood)), free.detach())
    assert (one(state, N, target=random(N, B, D)) - free).abs().max() > 1e-2


def test_a_long_rollout_continues_a_short_one() -> None:
    one = decoder(conditional=True, num_layers=2)
    with torch.no_grad():
        long, short = one(encoded(2), 100), one(encoded(2), 7)
    assert long.shape == (100, B, D)
    assert_equal(long[:7], short)
    assert long.isfinite().all()


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("conditional", [False, True])
def test_the_loss_is_that_of_teacher_forced_frames(likelihood: Likelihood, conditional: bool) -> None:
    one, state = decoder(likelihood=likelihood, conditional=conditional), encoded()
    target = random(N, B, D).sigmoid()
    loss = one.loss(state, target)
    expected = reference.frame_loss(in_numpy(one, state, N, target), target.numpy(), likelihood)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert frame_loss(one(state, N, target=target), target, likelihood).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("recompute_every", [1, 3, 100])
@pytest.mark.parametrize("conditional", [False, True])
def test_recomputing_changes_neither_loss_nor_gradients(recompute_every: int, conditional: bool) -> None:
    found, target = [], random(N, B, D)
    for stretch in (0, recompute_every):
        one = decoder(num_layers=2, conditional=conditional, recompute_every=stretch)
        state = tuple(LSTMState(*(part.requires_grad_() for part in layer)) for layer in encoded(2))
        loss = one.loss(state, target)
        leaves = [*one.parameters(), *(part for layer in state for part in layer)]
        found.append([loss, *torch.autograd.grad(loss, leaves)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_an_untrained_decoder_emits_about_the_mean_frame() -> None:
    torch.manual_seed(0)
    spec, mean = lstm_spec(initialization="uniform"), torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    one = Decoder(spec, frame_size=D, likelihood="bernoulli", conditional=False, numerics=Numerics())
    state = one.stack.initial_state(B, mean.device)
    with torch.no_grad():
        before = output_to_frames(one(state, N), "bernoulli")
        one.init_output_bias(mean)
        after = output_to_frames(one(state, N), "bernoulli")
    torch.testing.assert_close(before, torch.full_like(before, 0.5), rtol=0, atol=2e-3)
    torch.testing.assert_close(after, mean.clamp(1e-3, 1 - 1e-3).expand_as(after), rtol=0, atol=2e-3)


def test_the_output_bias_of_gaussian_frames_starts_at_zero() -> None:
    one = Decoder(lstm_spec(), frame_size=D, likelihood="gaussian", conditional=False, numerics=Numerics())
    one.init_output_bias(torch.ones(D))
    assert one.projection.bias.tolist() == [0.0] * D


@pytest.mark.parametrize("conditional", [False, True])
def test_any_registered_cell_decodes_from_its_own_kind_of_state(
    conditional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_toy_cell(monkeypatch)
    one = randomized(
        Decoder(toy_spec(), frame_size=D, likelihood="gaussian", conditional=conditional, numerics=Numerics())
    )
    start = [random(B, H), random(B, H) + 1, random(B, H) - 1]
    state = ({"fast": start[0], "slow": start[1:]},)
    outputs = one(state, N).detach().numpy()
    assert outputs.shape == (N, B, D)

    weights = {name: value.numpy() for name, value in one.state_dict().items()}
    fast, first, second = (part.numpy() for part in start)
    frame = np.zeros((B, D))
    for output in outputs:
        read = frame @ weights["stack.cells.0.weight"] if conditional else 0
        fast = np.tanh(read + fast @ weights["stack.cells.0.recurrent"] + weights["stack.cells.0.bias"])
        first = (first + fast) / 2
        second = (second + first) / 2
        frame = (fast + first + second) @ weights["projection.weight"].T + weights["projection.bias"]
        np.testing.assert_allclose(output, frame, rtol=0, atol=1e-12)
