"""The network of a pretraining: the composite model and its variants against the paper's equations in NumPy."""

from typing import Any

import hypothesis
import numpy as np
import numpy_decoding as reference
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import lstm_spec, pretraining_network, random
from torch import Tensor, nn
from toy_cell import register_toy_cell, toy_spec

from vidrep.config.doors import settings_of_names
from vidrep.models.encoder import Numerics
from vidrep.models.inputs import InputTransforms
from vidrep.models.objectives.objective import Encoded, Loss, Objective, Window
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.state import detach, to_dict
from vidrep.registry import OBJECTIVES
from vidrep.sequences.window_batch import WindowBatch

T, F, B, D, H = 4, 3, 2, 5, 6

BOTH = {"reconstruction": {"conditional": True}, "future": {"conditional": True}}


def losses_of(network: PretrainingNetwork, context: Tensor, future: Tensor) -> dict[str, Tensor]:
    """Return the training loss of each objective, on frames as they are."""
    encoded, window = network.encode(context), Window(context, future)
    return {name: objective(encoded, window).total for name, objective in network.objectives.items()}


def check_against_numpy(network: PretrainingNetwork, frames: Tensor, *, settings: dict[str, Any]) -> None:
    """Compare the representation, both ways of decoding and all losses with the equations in NumPy, in float64."""
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    context, future = frames[: network.num_context], frames[network.num_context :]
    activation, likelihood = settings["activation"], settings["likelihood"]
    state = reference.encode(weights, context.numpy(), activation=activation)
    encoded, window = network.encode(context), Window(context, future)
    for layer, (h, c) in zip(encoded.state, state, strict=True):
        np.testing.assert_allclose(layer.h.detach().numpy(), h, atol=1e-12)
        np.testing.assert_allclose(layer.c.detach().numpy(), c, atol=1e-12)

    for name, target in (("reconstruction", context), ("future", future)):
        objective = network.frame_objectives[name]
        in_order = target.numpy()[::-1] if name == "reconstruction" else target.numpy()
        free, forced = (
            reference.decode(
                reference.part(weights, f"objectives.{name}.decoder."),
                state,
                len(target),
                conditional=settings[name],
                likelihood=likelihood,
                activation=activation,
                target=one,
            )
            for one in (None, in_order)
        )
        with torch.no_grad():
            found = [objective.predict(encoded, len(target), target=one) for one in (None, target)]
            losses = [objective.validation_loss(encoded, window), objective(encoded, window)]
        for output, loss, expected in zip(found, losses, (free, forced), strict=True):
            natural = expected[::-1] if name == "reconstruction" else expected
            np.testing.assert_allclose(output.numpy(), natural, rtol=0, atol=1e-12)
            assert loss.total.item() == pytest.approx(reference.frame_loss(expected, in_order, likelihood), rel=1e-12)
            assert (loss.num_frames, loss.num_values) == (len(target), target.shape[-1])


@given(
    sizes=st.fixed_dictionaries({"frame_size": st.integers(1, 7), "hidden_size": st.integers(1, 6)}),
    lengths=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)),
    settings=st.fixed_dictionaries(
        {
            "num_layers": st.integers(1, 3),
            "reconstruction": st.booleans(),
            "future": st.booleans(),
            "peepholes": st.booleans(),
            "activation": st.sampled_from(["tanh", "relu"]),
            "likelihood": st.sampled_from(["gaussian", "bernoulli"]),
        }
    ),
)
@hypothesis.settings(deadline=None, derandomize=True, max_examples=40, database=None)
def test_any_composite_model_is_the_papers_in_numpy(
    sizes: dict[str, int], lengths: tuple[int, int, int], settings: dict[str, Any]
) -> None:
    num_context, num_future, batch_size = lengths
    network = pretraining_network(
        frame_size=sizes["frame_size"],
        stack=lstm_spec(
            hidden_size=sizes["hidden_size"],
            num_layers=settings["num_layers"],
            peepholes=settings["peepholes"],
            activation=settings["activation"],
        ),
        objectives={name: {"conditional": settings[name]} for name in ("reconstruction", "future")},
        likelihood=settings["likelihood"],
        num_context=num_context,
    )
    frames = torch.rand(num_context + num_future, batch_size, sizes["frame_size"], dtype=torch.float64)
    check_against_numpy(network, frames, settings=settings)


class TotalLoss(nn.Module):
    """The sum of all training losses of frames, as a module whose weights can be replaced."""

    def __init__(self, network: PretrainingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        losses = losses_of(self.network, frames[:T], frames[T:])
        return torch.stack(list(losses.values())).sum()


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("conditional", [False, True])
def test_gradients_of_the_losses_are_those_of_finite_differences(conditional: bool, likelihood: str) -> None:
    objectives = {name: {"conditional": conditional} for name in ("reconstruction", "future")}
    total = TotalLoss(
        pretraining_network(stack=lstm_spec(peepholes=True), objectives=objectives, likelihood=likelihood)
    )
    frames = random(T + F, B, D).sigmoid()
    names, weights = zip(*total.named_parameters(), strict=True)

    def loss(*changed: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(total, dict(zip(names, changed, strict=True)), (frames,))
        return found

    leaves = tuple(weight.detach().requires_grad_() for weight in weights)
    assert torch.autograd.gradcheck(loss, leaves, fast_mode=True)


@pytest.mark.parametrize("names", [("reconstruction", "future"), ("reconstruction",), ("future",)])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_network_has_the_objectives_that_are_named(names: tuple[str, ...], num_layers: int) -> None:
    network = pretraining_network(stack=lstm_spec(num_layers=num_layers), objectives={name: {} for name in names})
    assert tuple(network.frame_objectives) == tuple(network.metric_names) == names
    parts = {".".join(name.split(".")[:2]) for name in network.state_dict()}
    assert parts == {"encoder.cells", *(f"objectives.{name}" for name in names)}
    assert not network.needs_whole_batch
    representation = to_dict(network.encode(random(T, B, D)).state)
    assert [value.shape for value in representation.values()] == [(B, H)] * 2 * num_layers


@pytest.mark.parametrize(("num_context", "num_future"), [(1, 1), (2, 7), (9, 1)])
def test_lengths_are_free(num_context: int, num_future: int) -> None:
    network = pretraining_network(stack=lstm_spec(num_layers=2))
    encoded = network.encode(random(num_context, B, D))
    for name, num_frames in (("reconstruction", num_context), ("future", num_future)):
        assert network.frame_objectives[name].predict(encoded, num_frames).shape == (num_frames, B, D)


def test_parameter_names_are_final() -> None:
    stack = ["recurrent_weight", "bias"]
    decoder = [f"stack.cells.0.{name}" for name in stack] + ["projection.weight", "projection.bias"]
    assert list(pretraining_network().state_dict()) == [
        *(f"encoder.cells.0.{name}" for name in ["input_weight", *stack]),
        *(f"objectives.reconstruction.decoder.{name}" for name in decoder),
        *(f"objectives.future.decoder.{name}" for name in decoder),
    ]


def test_the_encoder_continues_from_a_state() -> None:
    network, context = pretraining_network(stack=lstm_spec(num_layers=2)), random(6, B, D)
    whole, first = network.encode(context), network.encode(context[:4])
    second = network.encode(context[4:], first.state)
    torch.testing.assert_close(second.state, whole.state, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat([first.outputs, second.outputs]), whole.outputs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("recompute_every", [1, 2, 3, 100])
def test_recomputing_changes_nothing_but_memory(recompute_every: int) -> None:
    frames, found = random(T + F, B, D), []
    for stretch in (0, recompute_every):
        network = pretraining_network(
            stack=lstm_spec(num_layers=2), objectives=BOTH, numerics=Numerics(recompute_every=stretch)
        )
        losses = losses_of(network, frames[:T], frames[T:])
        total = torch.stack(list(losses.values())).sum()
        found.append([total, *torch.autograd.grad(total, list(network.parameters()))])
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


# From stored frames to losses, in float32 as in a training.


def stored_batch(num_frames: int = T + F, **parts: Tensor) -> WindowBatch:
    return WindowBatch(random(num_frames, B, D).float(), **parts)


def float_network(**settings: Any) -> PretrainingNetwork:
    return pretraining_network(num_context=T, **settings).float()


def inputs_of(transforms: dict[str, Any] | None = None) -> InputTransforms:
    given = transforms or {}
    return InputTransforms(D, settings_of_names("transform", list(given), given))


def test_training_is_teacher_forced_and_validation_runs_free() -> None:
    network, batch = float_network(objectives=BOTH), stored_batch()
    context, future = batch.frames[:T], batch.frames[T:]
    training = network.losses(inputs_of(), batch)
    validation, metrics = network.validation(inputs_of(), batch)
    assert metrics == {}
    forced = losses_of(network, context, future)
    encoded = network.encode(context)
    for name, target in (("reconstruction", context), ("future", future)):
        free = network.frame_objectives[name].predict(encoded, len(target))
        torch.testing.assert_close(training.by_name[name].total, forced[name])
        torch.testing.assert_close(validation.by_name[name].total, (free - target).square().sum())
        assert not torch.isclose(training.by_name[name].total, validation.by_name[name].total)


def test_weights_of_the_objectives_come_with_the_losses() -> None:
    network = float_network(objectives={"future": {"weight": 0.25}, "reconstruction": {}})
    losses = network.losses(inputs_of(), stored_batch())
    assert losses.weights == {"future": 0.25, "reconstruction": 1.0}
    assert list(losses.by_name) == ["future", "reconstruction"]


def test_a_stateful_window_continues_where_the_one_before_ended() -> None:
    network, batch = float_network(objectives={"reconstruction": {}}), stored_batch(2 * T)
    first, second = (WindowBatch(batch.frames[start : start + T]) for start in (0, T))
    state = detach(network.losses(inputs_of(), first).state)
    continued = network.losses(inputs_of(), second, state)
    torch.testing.assert_close(continued.state, network.encode(batch.frames).state)
    from_zero = network.losses(inputs_of(), second)
    assert not torch.allclose(continued.by_name["reconstruction"].total, from_zero.by_name["reconstruction"].total)


def test_no_frame_of_the_future_changes_what_the_encoder_reads() -> None:
    network, batch = float_network(objectives={"reconstruction": {}}), stored_batch()
    other = batch._replace(frames=torch.cat([batch.frames[:T], batch.frames[T:] + 5]))
    inputs = inputs_of({"center_clip": {}})
    losses = [network.losses(inputs, one).by_name["reconstruction"].total for one in (batch, other)]
    assert torch.equal(*losses)
    frames = network.transformed(inputs, batch.frames)
    torch.testing.assert_close(frames, batch.frames - batch.frames[:T].mean(dim=0))
    torch.testing.assert_close(
        network.transformed(inputs, batch.frames, 2), batch.frames - batch.frames[:2].mean(dim=0)
    )


class Pairs(Objective):
    """An objective of the whole batch: windows of one video should be nearer to each other than to others."""

    needs_whole_batch = True

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        assert window.video is not None and window.group is not None
        last = encoded.outputs[-1]
        distances = (last[:, None] - last).square().sum(dim=-1)
        same = (window.video[:, None] == window.video) & (window.group[:, None] == window.group)
        return Loss(torch.where(same, distances, -distances).sum())


def test_a_registered_objective_gets_the_whole_batch_with_its_videos_and_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(OBJECTIVES, "_registered", {})
    OBJECTIVES.register("pairs")(Pairs)
    network = float_network(objectives={"pairs": {"weight": 2.0}})
    assert network.needs_whole_batch and network.frame_objectives == {}
    batch = stored_batch(T, video=torch.tensor([3, 3]), group=torch.tensor([0, 1]))
    training, (validation, _) = network.losses(inputs_of(), batch), network.validation(inputs_of(), batch)
    last = network.encode(batch.frames).outputs[-1]
    expected = -2 * (last[0] - last[1]).square().sum()
    for losses in (training, validation):
        torch.testing.assert_close(losses.by_name["pairs"].total, expected)
        assert losses.weights == {"pairs": 2.0}
        assert (losses.by_name["pairs"].num_frames, losses.by_name["pairs"].num_values) == (1, 1)


def test_any_registered_cell_trains_both_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_cell(monkeypatch)
    network = float_network(stack=toy_spec(num_layers=2), objectives=BOTH)
    optimizer, batch = torch.optim.Adam(network.parameters(), lr=0.02), stored_batch()
    found = []
    for _ in range(60):
        losses = network.losses(inputs_of(), batch)
        total = torch.stack([one.total for one in losses.by_name.values()]).sum()
        found.append(total.item())
        optimizer.zero_grad()
        torch.autograd.backward(total)
        optimizer.step()
    assert found[-1] < 0.2 * found[0]


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_all_decoders_start_at_the_mean_frame(likelihood: str) -> None:
    network, mean = float_network(likelihood=likelihood), torch.tensor([0.1, 0.2, 0.5, 0.9, 0.3])
    before = {name: one.decoder.projection.bias.clone() for name, one in network.frame_objectives.items()}
    network.init_output_bias(mean)
    for name, objective in network.frame_objectives.items():
        expected = mean.logit() if likelihood == "bernoulli" else before[name]
        torch.testing.assert_close(objective.decoder.projection.bias.detach(), expected.detach())
