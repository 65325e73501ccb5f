"""The composite model: what its decoders start from, which way round they emit, and which of them there are."""

import numpy as np
import pytest
import torch
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
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        reconstruction = model(seen, 0).reconstruction
        loss = (reconstruction - seen).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
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
