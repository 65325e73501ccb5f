"""The composite model: what its decoders start from, which way round they emit, and which of them there are."""

from typing import Any

import hypothesis
import numpy as np
import numpy_composite as reference
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from vidrep.models.composite import CompositeModel, Decoder

T, F, B, D, H = 4, 3, 2, 5, 6


def composite(**settings: object) -> CompositeModel:
    torch.manual_seed(0)
    model = CompositeModel(frame_size=D, hidden_size=H, **settings).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def frames(num_frames: int = T) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((num_frames, B, D)))


def emitted_in_numpy(
    decoder: Decoder, h: NDArray[np.float64], c: NDArray[np.float64], steps: int
) -> NDArray[np.float64]:
    """One layer: LSTM steps whose input is zero, from a state; a readout of every step. Gates stand i, f, a, o."""
    state = {name: value.numpy() for name, value in decoder.state_dict().items()}
    emitted = []
    for _ in range(steps):
        gates = h @ state["lstm.layers.0.recurrent_weight"].T + state["lstm.layers.0.bias"]
        i, f, a, o = np.split(gates, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(a) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        emitted.append(h @ state["readout.weight"].T + state["readout.bias"])
    return np.stack(emitted)


def test_decoders_take_steps_without_input_from_the_encoders_state() -> None:
    model = composite()
    seen = frames()
    h, c = (one[0].detach().numpy() for one in model.encode(seen))
    prediction = model(seen, F)
    assert prediction.reconstruction is not None
    assert prediction.future is not None
    assert model.reconstruction_decoder is not None
    assert model.future_decoder is not None
    backwards = emitted_in_numpy(model.reconstruction_decoder, h, c, T)
    future = emitted_in_numpy(model.future_decoder, h, c, F)
    np.testing.assert_allclose(prediction.reconstruction.detach().numpy(), backwards[::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(prediction.future.detach().numpy(), future, rtol=0, atol=1e-12)


def test_the_first_decoded_step_is_not_the_encoders_state_itself() -> None:
    model = composite(reconstruct=False)
    assert model.future_decoder is not None
    copied = model.future_decoder.readout(model.encode(frames()).h[-1])
    assert (model(frames(), 1).future[0] - copied).abs().max() > 1e-3


def test_reconstruction_comes_in_natural_order() -> None:
    torch.manual_seed(0)
    model = CompositeModel(frame_size=D, hidden_size=24, future=False)
    seen = torch.eye(D).repeat_interleave(B, dim=0).view(D, B, D)[:T]  # frame t is the t-th unit vector
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        reconstruction = model(seen, 0).reconstruction
        loss = (reconstruction - seen).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(seen, 0).reconstruction.argmax(dim=-1).tolist() == [[t] * B for t in range(T)]
    # Out of the decoder itself, the last frame seen comes first.
    assert model.reconstruction_decoder is not None
    emitted = model.reconstruction_decoder(model.encode(seen), T)
    assert emitted.argmax(dim=-1).tolist() == [[t] * B for t in reversed(range(T))]


@pytest.mark.parametrize(("reconstruct", "future"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_variants_have_the_decoders_they_are_named_for(reconstruct: bool, future: bool, num_layers: int) -> None:
    model = composite(reconstruct=reconstruct, future=future, num_layers=num_layers)
    prediction = model(frames(), F)
    assert (prediction.reconstruction is not None, prediction.future is not None) == (reconstruct, future)
    parts = {name.partition(".")[0] for name in model.state_dict()}
    expected = {"encoder": True, "reconstruction_decoder": reconstruct, "future_decoder": future}
    assert parts == {name for name, there in expected.items() if there}
    representation = model.encode(frames())
    assert representation.h.shape == representation.c.shape == (num_layers, B, H)


@pytest.mark.parametrize(("num_seen", "num_predicted"), [(1, 1), (2, 7), (9, 1)])
def test_lengths_are_free(num_seen: int, num_predicted: int) -> None:
    prediction = composite(num_layers=2)(frames(num_seen), num_predicted)
    assert prediction.reconstruction.shape == (num_seen, B, D)
    assert prediction.future.shape == (num_predicted, B, D)


def test_parameter_names_are_final() -> None:
    assert set(composite().state_dict()) == {
        "encoder.layers.0.input_weight",
        "encoder.layers.0.recurrent_weight",
        "encoder.layers.0.bias",
        "reconstruction_decoder.lstm.layers.0.recurrent_weight",
        "reconstruction_decoder.lstm.layers.0.bias",
        "reconstruction_decoder.readout.weight",
        "reconstruction_decoder.readout.bias",
        "future_decoder.lstm.layers.0.recurrent_weight",
        "future_decoder.lstm.layers.0.bias",
        "future_decoder.readout.weight",
        "future_decoder.readout.bias",
    }


def test_probabilities_are_the_sigmoid_of_what_is_emitted_and_real_values_are_it() -> None:
    emitted = frames()
    expected = 1 / (1 + np.exp(-emitted.numpy()))
    np.testing.assert_allclose(composite(values="probability").frames(emitted).numpy(), expected, rtol=1e-12)
    assert composite(values="real").frames(emitted) is emitted


def check_against_numpy(model: CompositeModel, whole: Tensor, num_seen: int, *, settings: dict[str, Any]) -> None:
    """Compare the representation, both ways of decoding and the costs with the equations in NumPy, in float64."""
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    seen, coming = whole[:num_seen], whole[num_seen:]
    values, activation = settings["values"], settings["activation"]
    state = reference.encode(
        weights,
        seen.numpy(),
        num_layers=model.encoder.num_layers,
        hidden_size=model.encoder.hidden_size,
        activation=activation,
    )
    representation = model.encode(seen)
    np.testing.assert_allclose(representation.h.detach().numpy(), np.stack([h for h, _ in state]), atol=1e-12)
    np.testing.assert_allclose(representation.c.detach().numpy(), np.stack([c for _, c in state]), atol=1e-12)

    def emitted(decoder: str, truth: NDArray[np.float64], *, forced: bool) -> NDArray[np.float64]:
        return reference.decode(
            weights,
            f"{decoder}_decoder",
            state,
            len(truth),
            conditional=settings[f"conditional_{decoder}"],
            values=values,
            activation=activation,
            truth=truth if forced else None,
        )

    backwards = seen.numpy()[::-1]
    with torch.no_grad():
        free = model(seen, len(coming))
        forced = model.decode(
            representation, num_reconstructed=num_seen, num_predicted=len(coming), seen=seen, coming=coming
        )
        costs = model.costs(representation, seen=seen, coming=coming)
    for is_forced, prediction in ((False, free), (True, forced)):
        expected = emitted("reconstruction", backwards, forced=is_forced)[::-1]
        np.testing.assert_allclose(prediction.reconstruction.numpy(), expected, rtol=0, atol=1e-12)
        expected = emitted("future", coming.numpy(), forced=is_forced)
        np.testing.assert_allclose(prediction.future.numpy(), expected, rtol=0, atol=1e-12)
    for decoder, truth in (("reconstruction", backwards), ("future", coming.numpy())):
        expected_cost = reference.cost(emitted(decoder, truth, forced=True), truth, values)
        assert float(costs[decoder]) == pytest.approx(expected_cost, rel=1e-12)


@given(
    sizes=st.fixed_dictionaries({"frame_size": st.integers(1, 7), "hidden_size": st.integers(1, 6)}),
    lengths=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)),
    settings=st.fixed_dictionaries(
        {
            "num_layers": st.integers(1, 3),
            "conditional_reconstruction": st.booleans(),
            "conditional_future": st.booleans(),
            "peepholes": st.booleans(),
            "activation": st.sampled_from(["tanh", "relu"]),
            "values": st.sampled_from(["real", "probability"]),
        }
    ),
)
@hypothesis.settings(deadline=None, derandomize=True, max_examples=40, database=None)
def test_any_composite_model_is_the_papers_in_numpy(
    sizes: dict[str, int], lengths: tuple[int, int, int], settings: dict[str, Any]
) -> None:
    num_seen, num_predicted, batch_size = lengths
    torch.manual_seed(0)
    model = CompositeModel(**sizes, **settings).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    whole = torch.rand(num_seen + num_predicted, batch_size, sizes["frame_size"], dtype=torch.float64)
    check_against_numpy(model, whole, num_seen, settings=settings)


@pytest.mark.parametrize("values", ["real", "probability"])
@pytest.mark.parametrize("conditional", [False, True])
def test_gradients_of_the_costs_are_those_of_finite_differences(conditional: bool, values: str) -> None:
    model = composite(
        values=values, peepholes=True, conditional_reconstruction=conditional, conditional_future=conditional
    )
    whole = frames(T + F).sigmoid()
    names, weights = zip(*model.named_parameters(), strict=True)

    def cost(*changed: Tensor) -> Tensor:
        replaced = dict(zip(names, changed, strict=True))
        return torch.func.functional_call(model, replaced, (whole,))

    model.forward = (
        lambda whole: sum(  # type: ignore[method-assign, assignment]
            model.costs(model.encode(whole[:T]), seen=whole[:T], coming=whole[T:]).values()
        )
    )
    assert torch.autograd.gradcheck(cost, tuple(weight.detach().requires_grad_() for weight in weights), fast_mode=True)


def test_fewer_frames_are_reconstructed_than_were_seen_the_last_ones() -> None:
    model = composite(conditional_reconstruction=True)
    seen = frames(5)
    every = model(seen, F).reconstruction
    last = model(seen, F, num_reconstructed=2).reconstruction
    assert last.shape == (2, B, D)
    torch.testing.assert_close(last, every[3:], rtol=0, atol=0)
    forced = model.decode(model.encode(seen), num_reconstructed=2, num_predicted=F, seen=seen, coming=frames(F))
    every_forced = model.decode(model.encode(seen), num_reconstructed=5, num_predicted=F, seen=seen, coming=frames(F))
    torch.testing.assert_close(forced.reconstruction, every_forced.reconstruction[3:], rtol=0, atol=0)


def test_a_long_roll_out_goes_on_from_a_short_one() -> None:
    model = composite(conditional_future=True, num_layers=2)
    with torch.no_grad():
        long, short = model(frames(), 100).future, model(frames(), 7).future
    assert long.shape == (100, B, D)
    torch.testing.assert_close(long[:7], short, rtol=0, atol=1e-12)
    assert long.isfinite().all()


def test_the_encoder_goes_on_from_a_state() -> None:
    model = composite(num_layers=2)
    seen = frames(6)
    whole = model.encode(seen)
    in_two = model.encode(seen[4:], model.encode(seen[:4]))
    for one, other in zip(whole, in_two, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("segment", [1, 2, 3, 100])
def test_segments_change_nothing_but_memory(segment: int) -> None:
    gradients = []
    whole = frames(T + F)
    for size in (0, segment):
        model = composite(num_layers=2, conditional_future=True)
        model.set_computation(segment=size)
        costs = model.costs(model.encode(whole[:T]), seen=whole[:T], coming=whole[T:])
        torch.stack(list(costs.values())).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-12, atol=1e-12)


def test_decoders_start_at_the_mean_frame_where_they_are_told_to() -> None:
    model = CompositeModel(frame_size=D, hidden_size=H, values="probability", initialization="uniform")
    mean = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    model.set_output_bias(mean)
    with torch.no_grad():
        prediction = model(torch.rand(T, B, D), F)
    for emitted in prediction:
        expected = mean.clamp(1e-3, 1 - 1e-3).expand_as(emitted)
        torch.testing.assert_close(model.frames(emitted), expected, rtol=0, atol=2e-3)
