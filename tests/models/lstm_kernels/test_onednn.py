"""Torch's LSTM as the recurrence of a layer: against the plain one in float64, and when it is chosen."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from vidrep.models.lstm_kernels import dispatch
from vidrep.models.lstm_kernels.dispatch import choose_sequence
from vidrep.models.lstm_kernels.onednn import onednn_sequence
from vidrep.models.lstm_kernels.reference import LayerWeights, reference_sequence

T, B, D, H = 5, 3, 4, 6
Layer = tuple[Tensor | None, Tensor, Tensor, LayerWeights]


def layer(*, with_input: bool, turned: bool = False) -> Layer:
    """Return inputs, h, c and weights in float64; turned: not contiguous in memory."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Tensor:
        values = torch.from_numpy(rng.standard_normal(shape))
        return values.transpose(0, -1).contiguous().transpose(0, -1) if turned else values

    inputs, input_weight = (drawn(T, B, D), drawn(4 * H, D)) if with_input else (None, None)
    return inputs, drawn(B, H), drawn(B, H), LayerWeights(input_weight, drawn(4 * H, H), drawn(4 * H), None)


def leaf(values: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if values is None else values.to(dtype).requires_grad_()


def leaves_of(given: Layer, dtype: torch.dtype) -> Layer:
    inputs, h, c, weights = given
    h, c = h.to(dtype).requires_grad_(), c.to(dtype).requires_grad_()
    return leaf(inputs, dtype), h, c, LayerWeights(*(leaf(weight, dtype) for weight in weights))  # type: ignore[arg-type]


@pytest.mark.parametrize(("with_input", "turned"), list(product((True, False), repeat=2)))
def test_values_and_gradients_are_those_of_the_plain_recurrence(*, with_input: bool, turned: bool) -> None:
    given = layer(with_input=with_input, turned=turned)
    results = []
    for sequence, dtype in ((onednn_sequence, torch.float32), (reference_sequence, torch.float64)):
        leaves = leaves_of(given, dtype)
        outputs, c = sequence(*leaves, num_steps=T)
        torch.autograd.backward(outputs.square().sum() + c.exp().sum())
        inputs, h, c_first, weights = leaves
        tensors = [tensor for tensor in (inputs, h, c_first, *weights) if tensor is not None]
        results.append([outputs.detach(), c.detach(), *(tensor.grad for tensor in tensors)])
    for found, expected in zip(*results, strict=True):
        assert found is not None and expected is not None
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_bits_are_the_same_without_gradients_and_at_every_call() -> None:
    leaves = leaves_of(layer(with_input=True), torch.float32)
    outputs, c = onednn_sequence(*leaves, num_steps=T)
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            again = onednn_sequence(*leaves, num_steps=T)
        assert torch.equal(again[0], outputs) and torch.equal(again[1], c)


def test_it_does_as_many_time_steps_as_it_is_asked_for() -> None:
    inputs, h, c, weights = leaves_of(layer(with_input=True), torch.float32)
    whole, _ = onednn_sequence(inputs, h, c, weights, num_steps=T)
    first, _ = onednn_sequence(inputs, h, c, weights, num_steps=2)
    torch.testing.assert_close(first, whole[:2], rtol=0, atol=1e-6)


def chosen(*, input_size: int | None, hidden_size: int, batch_size: int, peepholes: bool = False, relu: bool = False,
           dtype: torch.dtype = torch.float32, compute_dtype: torch.dtype | None = None) -> str:  # fmt: skip
    weights = LayerWeights(
        None if input_size is None else torch.empty(4 * hidden_size, input_size),
        torch.empty(4 * hidden_size, hidden_size),
        torch.empty(4 * hidden_size),
        torch.empty(3, hidden_size) if peepholes else None,
    )
    h = torch.empty(batch_size, hidden_size, dtype=dtype)
    return choose_sequence(h, weights, "relu" if relu else "tanh", compute_dtype).__name__


def test_it_is_chosen_for_small_layers_by_their_sizes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "library", lambda dtype, device: "oneDNN" if dtype == torch.float32 else "torch")
    for input_size in (None, 128, 256):
        assert chosen(input_size=input_size, hidden_size=128, batch_size=64) == "onednn_sequence"
        assert chosen(input_size=input_size, hidden_size=256, batch_size=32) == "onednn_sequence"
    # A wide input, M of the benchmark, peepholes, relu, float64.
    assert chosen(input_size=257, hidden_size=128, batch_size=64) == "cpu_sequence"
    assert chosen(input_size=512, hidden_size=512, batch_size=80) == "cpu_sequence"
    assert chosen(input_size=None, hidden_size=128, batch_size=64, peepholes=True) == "cpu_sequence"
    assert chosen(input_size=None, hidden_size=128, batch_size=64, relu=True) == "cpu_sequence"
    assert chosen(input_size=None, hidden_size=128, batch_size=64, dtype=torch.float64) == "cpu_sequence"


def test_without_input_it_is_chosen_for_larger_layers_whose_products_are_in_fp32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "library", lambda dtype, device: "oneDNN")
    assert chosen(input_size=None, hidden_size=512, batch_size=80) == "onednn_sequence"
    assert chosen(input_size=None, hidden_size=1024, batch_size=64, compute_dtype=torch.float32) == "onednn_sequence"
    assert chosen(input_size=None, hidden_size=1024, batch_size=65) == "cpu_sequence"
    assert chosen(input_size=None, hidden_size=512, batch_size=80, compute_dtype=torch.bfloat16) == "cpu_sequence"


def test_it_is_not_chosen_where_onednn_is_not_called_for_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "library", lambda dtype, device: "torch")
    assert chosen(input_size=None, hidden_size=128, batch_size=64) == "cpu_sequence"
