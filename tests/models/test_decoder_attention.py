"""A decoder's attention over the encoder's outputs, recomputed in NumPy; and decoders that have it."""

import numpy as np
import numpy_decoding as reference
import pytest
import torch
from numpy_lstm import Floats
from small_networks import lstm_spec, pretraining_network, random, randomized
from torch import Tensor

from vidrep.models.attention import DecoderAttention
from vidrep.models.decoder import Decoder
from vidrep.models.encoder import Numerics
from vidrep.models.objectives.objective import Window
from vidrep.models.output_projection import frame_loss

T, N, B, D, H, M = 5, 4, 2, 5, 6, 3


def attended(weights: dict[str, Floats], hidden: Floats, memory: Floats) -> tuple[Floats, Floats]:
    """Return the weights of frames and h~ of one window at one time step: hidden (H,), memory (T, M)."""
    scores = np.array([hidden @ (weights["query"].T @ one) for one in memory])
    shares = np.exp(scores) / np.exp(scores).sum()
    mixed = np.tanh(weights["mix"] @ np.concatenate([shares @ memory, hidden]))
    return shares, mixed


def test_weights_and_outputs_are_the_equations() -> None:
    attention = randomized(DecoderAttention(H, M, lstm_spec().initial_weights))
    weights = {name: one.detach().numpy() for name, one in attention.named_parameters()}
    hidden, memory = random(N, B, H), random(T, B, M)
    shares, outputs = attention.weights(hidden, memory).detach().numpy(), attention(hidden, memory).detach().numpy()
    assert (shares.shape, outputs.shape) == ((B, N, T), (N, B, H))
    for step in range(N):
        for window in range(B):
            expected = attended(weights, hidden[step, window].numpy(), memory[:, window].numpy())
            np.testing.assert_allclose(shares[window, step], expected[0], rtol=0, atol=1e-12)
            np.testing.assert_allclose(outputs[step, window], expected[1], rtol=0, atol=1e-12)
    assert shares.max() > 0.6


def test_gradients() -> None:
    attention = randomized(DecoderAttention(3, 2, lstm_spec().initial_weights))

    def outputs(hidden: Tensor, memory: Tensor, query: Tensor, mix: Tensor) -> Tensor:
        given = {"query": query, "mix": mix}
        result: Tensor = torch.func.functional_call(attention, given, (hidden, memory))
        return result

    leaves = [random(2, 2, 3), random(3, 2, 2), attention.query.detach(), attention.mix.detach()]
    assert torch.autograd.gradcheck(outputs, [one.clone().requires_grad_() for one in leaves])


def decoder(*, conditional: bool, recompute_every: int = 0) -> Decoder:
    numerics = Numerics(recompute_every=recompute_every)
    return randomized(
        Decoder(
            lstm_spec(),
            frame_size=D,
            likelihood="gaussian",
            conditional=conditional,
            attention=True,
            numerics=numerics,
        )
    )


def decoded(one: Decoder, state: reference.LayerStates, memory: Floats, target: Floats | None) -> Floats:
    """Return the frames that it emits, one time step after the other, in NumPy."""
    weights = {name: value.numpy() for name, value in one.state_dict().items()}
    own, layers = reference.part(weights, "attention."), reference.layers_of(reference.part(weights, "stack."))
    frame, outputs = np.zeros((B, D)), []
    for step in range(N):
        state = reference.one_step(layers, frame if one.conditional else None, state, "tanh")
        mixed = np.stack([attended(own, state[-1][0][window], memory[:, window])[1] for window in range(B)])
        outputs.append(mixed @ weights["projection.weight"].T + weights["projection.bias"])
        frame = outputs[-1] if target is None else target[step]
    return np.stack(outputs)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_decoder_with_attention_emits_the_frames_of_the_equations(conditional: bool) -> None:
    memory, target = random(T, B, H), random(N, B, D)
    one, start = decoder(conditional=conditional), [(random(B, H), random(B, H) + 1)]
    in_numpy = [(h.numpy(), c.numpy()) for h, c in start]
    state = tuple(type(layer)(*start[0]) for layer in one.stack.initial_state(B, memory.device))
    for forced in (None, target):
        found = one(state, N, target=forced, memory=memory).detach().numpy()
        expected = decoded(one, in_numpy, memory.numpy(), None if forced is None else forced.numpy())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    loss = one.loss(state, target, memory=memory)
    emitted = one(state, N, target=target, memory=memory)
    torch.testing.assert_close(loss, frame_loss(emitted, target, "gaussian"))
    stretched = decoder(conditional=conditional, recompute_every=3).loss(state, target, memory=memory)
    torch.testing.assert_close(stretched, loss)


def test_it_needs_the_encoder_s_outputs() -> None:
    one = decoder(conditional=False)
    with pytest.raises(ValueError, match="give them as memory"):
        one(one.stack.initial_state(B, torch.device("cpu")), N)


def test_an_objective_reads_all_outputs_with_attention_and_the_last_state_alone_without() -> None:
    window = Window(random(T, B, D), random(N, B, D))
    for attention in (False, True):
        given = {name: {"attention": attention} for name in ("reconstruction", "future")}
        network = pretraining_network(objectives=given)
        encoded = network.encode(window.context)
        other = encoded._replace(outputs=encoded.outputs + 1)
        for objective in network.frame_objectives.values():
            for loss in (objective, objective.validation_loss):
                assert torch.equal(loss(encoded, window).total, loss(other, window).total) is not attention
            assert (objective.decoder.attention is not None) is attention
