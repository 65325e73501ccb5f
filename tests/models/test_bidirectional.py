"""Encoders that read each window in both directions: what they read where, padding, and the states of decoders."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy_decoding import layers_of
from numpy_lstm import results, run
from small_features import circles, features_of, finetune_config, pretrain_config
from small_networks import lstm_spec, pretraining_network, random, randomized
from torch import Tensor, nn

import vidrep
from vidrep.config.reader import load_recipe
from vidrep.config.settings import COMPOSITE, EncoderSettings, FinetuneConfig, PretrainConfig, PretrainWindows
from vidrep.errors import ConfigError
from vidrep.models.bidirectional import BidirectionalEncoder, BidirectionalState, StateProjection, build_encoder
from vidrep.models.classifier import Classifier, valid_frames
from vidrep.models.encoder import Encoder, StackSpec
from vidrep.models.initialization import Initialization
from vidrep.models.joined import JoinedEncoder
from vidrep.models.objectives.frame_objective import FrameObjective
from vidrep.models.objectives.objective import Encoded
from vidrep.models.pooling import Direction, last_valid
from vidrep.registry import HEADS

T, B, D, H = 5, 3, 4, 6
LENGTHS = torch.tensor([2, 5, 1])


def bidirectional_spec(**settings: Any) -> StackSpec:
    return lstm_spec(hidden_size=H, bidirectional=True, **settings)


def encoder(**settings: Any) -> BidirectionalEncoder:
    built = randomized(build_encoder(D, bidirectional_spec(**settings)))
    assert isinstance(built, BidirectionalEncoder)
    return built


def test_each_direction_is_the_equations_in_its_order_of_time() -> None:
    built = encoder(num_layers=2)
    frames = random(T, B, D)
    outputs, state = built(frames)
    for direction, stack, its_frames, last in (
        ("forward", outputs[..., :H], frames, state.forward),
        ("backward", outputs[..., H:].flip(0), frames.flip(0), state.backward),
    ):
        weights = getattr(built, f"{direction}_stack").state_dict()
        layers = layers_of({name: value.numpy() for name, value in weights.items()})
        zeros = np.zeros((2, B, H))
        expected, h, c = results(run(layers, its_frames.numpy(), zeros, zeros, num_steps=T))
        np.testing.assert_allclose(stack.detach(), expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(torch.stack([one.h for one in last]).detach(), h, rtol=0, atol=1e-12)
        np.testing.assert_allclose(torch.stack([one.c for one in last]).detach(), c, rtol=0, atol=1e-12)


def test_one_layer_is_torchs() -> None:
    built, theirs = encoder(), randomized(nn.LSTM(D, H, bidirectional=True))
    with torch.no_grad():
        for stack, suffix in ((built.forward_stack, ""), (built.backward_stack, "_reverse")):
            cell: Any = stack.cells[0]
            cell.input_weight.copy_(theirs.get_parameter(f"weight_ih_l0{suffix}"))
            cell.recurrent_weight.copy_(theirs.get_parameter(f"weight_hh_l0{suffix}"))
            biases = [theirs.get_parameter(f"bias_{kind}_l0{suffix}") for kind in ("ih", "hh")]
            cell.bias.copy_(sum(biases, torch.zeros(())))
    frames = random(T, B, D)
    torch.testing.assert_close(built(frames)[0], theirs(frames)[0], rtol=0, atol=1e-14)


def test_the_backward_direction_starts_at_the_last_valid_frame() -> None:
    built, frames, valid = encoder(num_layers=2), random(T, B, D), valid_frames(LENGTHS, T)
    outputs, _ = built(frames, valid=valid)
    padded, _ = built(frames.masked_fill(~valid.unsqueeze(-1), 1e3), valid=valid)
    for window, length in enumerate(LENGTHS.tolist()):
        alone, _ = built(frames[:length, window : window + 1])
        torch.testing.assert_close(outputs[:length, window], alone[:, 0], rtol=0, atol=1e-14)
        torch.testing.assert_close(padded[:length, window], alone[:, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("head", HEADS.names())
def test_a_classifiers_padding_changes_nothing(head: str) -> None:
    def probabilities(frames: Tensor, valid: Tensor | None) -> Tensor:
        found: Tensor = network(frames, valid)
        return found

    settings = HEADS[head].Settings()
    network = randomized(
        Classifier(encoders=[(D, bidirectional_spec())], num_classes=3, head=head, head_settings=settings)
    ).eval()
    frames, valid = random(T, B, D), valid_frames(LENGTHS, T)
    together = probabilities(frames, valid)
    for window, length in enumerate(LENGTHS.tolist()):
        alone = probabilities(frames[:length, window : window + 1], None)
        torch.testing.assert_close(together[window], alone[0], rtol=0, atol=1e-14)


def test_gradients_are_those_of_finite_differences() -> None:
    built = randomized(build_encoder(2, lstm_spec(hidden_size=2, bidirectional=True)))
    valid = valid_frames(torch.tensor([2, 3]), 3)
    names = [name for name, _ in built.named_parameters()]

    def outputs(frames: Tensor, *parameters: Tensor) -> Tensor:
        weights = dict(zip(names, parameters, strict=True))
        found: Tensor = torch.func.functional_call(built, weights, (frames,), {"valid": valid})[0]
        return found

    tensors = [random(3, 2, 2), *(parameter.detach().clone() for parameter in built.parameters())]
    assert torch.autograd.gradcheck(outputs, [one.requires_grad_() for one in tensors])


def test_it_goes_on_from_a_state() -> None:
    built, frames = encoder(), random(T, B, D)
    zero = built.initial_state(B, frames.device)
    assert torch.equal(built(frames, zero)[0], built(frames)[0])
    state = BidirectionalState(*(tuple(type(one)(one.h + 1, one.c + 1) for one in stack) for stack in zero))
    assert not torch.equal(built(frames, state)[0], built(frames)[0])


def test_joined_encoders_keep_their_directions() -> None:
    joined = JoinedEncoder([encoder(), randomized(Encoder(2, lstm_spec(hidden_size=3)))])
    assert joined.directions == [Direction(H), Direction(H, is_backward=True), Direction(3)]
    assert joined.hidden_size == 2 * H + 3
    frames, valid = random(T, B, D + 2), valid_frames(LENGTHS, T)
    outputs, _ = joined(frames, valid=valid)
    assert torch.equal(outputs[..., : 2 * H], encoder()(frames[..., :D].contiguous(), valid=valid)[0])
    assert torch.equal(last_valid(outputs, valid, joined.directions)[:, H : 2 * H], outputs[0][:, H : 2 * H])


def test_a_projection_of_both_states_starts_a_decoder() -> None:
    states: list[dict[str, Any]] = [{"h": random(B, 2), "more": [random(B, 3, 4)]} for _ in range(2)]
    states[1] = {"h": states[1]["h"] + 1, "more": [states[1]["more"][0] - 1]}
    projection = randomized(StateProjection(states[0], Initialization()))
    found = projection(BidirectionalState(*states))
    first, second = (one for one in projection.projections if isinstance(one, nn.Linear))
    h = torch.cat([states[0]["h"], states[1]["h"]], dim=1)
    torch.testing.assert_close(found["h"], h @ first.weight.T + first.bias, rtol=0, atol=1e-14)
    assert found["more"][0].shape == (B, 3, 4)
    assert second.weight.shape == (4, 8)


def test_reconstruction_reads_both_directions_and_the_future_the_forward_one_alone() -> None:
    network = pretraining_network(frame_size=D, stack=bidirectional_spec(num_layers=2), num_context=T)
    encoded = network.encode(random(T, B, D))
    backward = network.encode(random(T, B, D) + 1).state.backward
    other = encoded._replace(state=BidirectionalState(encoded.state.forward, backward))

    def frames(name: str, encoded: Encoded) -> Tensor:
        objective = network.objectives[name]
        assert isinstance(objective, FrameObjective)
        return objective.predict(encoded, 2)

    assert torch.equal(frames("future", encoded), frames("future", other))
    assert not torch.allclose(frames("reconstruction", encoded), frames("reconstruction", other))
    names = {name.split(".")[2] for name, _ in network.objectives.named_parameters(prefix="objectives")}
    assert names == {"decoder", "start"}


def test_the_log_names_decoders_that_start_from_the_forward_direction(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = features_of(tmp_path, circles(3))
    config = pretrain_config(encoder=EncoderSettings(hidden_size=5, bidirectional=True), steps=1)
    with caplog.at_level(logging.INFO):
        vidrep.train(features, tmp_path / "run", config, device="cpu")
    assert "the forward direction alone gives the first state of decoders: future" in caplog.messages
    given = finetune_config(encoder=EncoderSettings(hidden_size=5), steps=1)
    one_way = FinetuneConfig(encoder=given.encoder, given=frozenset({"encoder.bidirectional"}))
    with pytest.raises(ConfigError, match=r"encoder\.bidirectional is False, but .* has True; leave "):
        vidrep.finetune(features, tmp_path / "other", one_way, pretrained=tmp_path / "run", device="cpu")


def test_what_a_bidirectional_encoder_contradicts_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        PretrainConfig(
            objectives=COMPOSITE,
            encoder=EncoderSettings(bidirectional=True),
            windows=PretrainWindows(context=3, stateful=True),
        )
    assert str(caught.value) == (
        "windows.stateful carries the state on to the window that follows, which encoder.bidirectional reads from its "
        "end; set one of them to false"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(PretrainConfig, changes={"decoder.bidirectional": True})
    assert str(caught.value) == (
        "the settings: decoder.bidirectional: a decoder emits one frame after the other and cannot read later ones; "
        "only an encoder is bidirectional, by encoder.bidirectional"
    )
