"""The benchmark's objective loses the gradient that the released code loses, and nothing else."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from vidrep.models.cells.lstm import LSTMSettings, LSTMState
from vidrep.models.encoder import StackSpec
from vidrep.models.objectives.frame_objective import FrameObjectiveSettings
from vidrep.models.objectives.objective import Encoded, Window
from vidrep.models.pretraining import PretrainingNetwork

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
LAYERS = 2


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("lost_gradient")


def network(name: str, *, conditional: bool) -> PretrainingNetwork:
    torch.manual_seed(0)
    settings = FrameObjectiveSettings(conditional=conditional)
    stack = StackSpec(cell="lstm", settings=LSTMSettings(peepholes=True), hidden_size=5, num_layers=LAYERS)
    return PretrainingNetwork(
        frame_size=4,
        stack=stack,
        objectives={name: settings, "future": settings},
        likelihood="gaussian",
        num_context=3,
    ).double()


def window() -> Window:
    frames = torch.randn(5, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Window(frames[:3], frames[3:])


def losses(model: PretrainingNetwork, encoded: Encoded) -> dict[str, Tensor]:
    return {name: one(encoded, window()).total for name, one in model.frame_objectives.items()}


@pytest.mark.parametrize("conditional", [False, True])
def test_the_last_c_gets_the_future_decoders_gradient_alone(benchmark: ModuleType, conditional: bool) -> None:
    name = benchmark.WITHOUT
    whole, losing = network("reconstruction", conditional=conditional), network(name, conditional=conditional)
    assert all(map(torch.equal, whole.parameters(), losing.parameters()))  # one seed, the same weights
    outputs, state = whole.encode(window().context)[:2]
    leaves = [one.detach().requires_grad_() for layer in state for one in layer]
    layers = tuple(LSTMState(*leaves[2 * layer : 2 * layer + 2]) for layer in range(LAYERS))
    encoded = Encoded(outputs.detach(), layers)
    of_whole, of_losing = losses(whole, encoded), losses(losing, encoded)
    assert torch.equal(of_losing[name], of_whole["reconstruction"])
    assert torch.equal(of_losing["future"], of_whole["future"])
    first, second = (torch.autograd.grad(of_whole[one], leaves) for one in ("reconstruction", "future"))
    found = torch.autograd.grad(of_losing[name] + of_losing["future"], leaves)
    for number, (one, other, both) in enumerate(zip(first, second, found, strict=True)):
        is_c = number % 2 == 1
        assert one.abs().max() > 1e-3
        torch.testing.assert_close(both, other if is_c else one + other, rtol=1e-12, atol=1e-14)


def test_the_encoder_loses_what_went_through_c_and_decoders_lose_nothing(benchmark: ModuleType) -> None:
    whole, losing = network("reconstruction", conditional=True), network(benchmark.WITHOUT, conditional=True)
    encoder = list(whole.encoder.parameters())
    encoded = whole.encode(window().context)
    cells = [layer.c for layer in encoded.state]
    kept = losses(whole, encoded)
    through = torch.autograd.grad(kept["reconstruction"], cells, retain_graph=True)
    lost = torch.autograd.grad(cells, encoder, through, retain_graph=True)
    # What reaches c of the lower layer through the decoder is `through`; through the encoder's own later steps, `lost`.
    gradients = torch.autograd.grad(sum(kept.values()), list(whole.parameters()))  # type: ignore[arg-type]
    sum(losses(losing, losing.encode(window().context)).values()).backward()  # type: ignore[union-attr]
    expected = dict(zip([name for name, _ in whole.named_parameters()], gradients, strict=True))
    for (name, _), part in zip(whole.encoder.named_parameters(), lost, strict=True):
        assert part.abs().max() > 1e-4
        expected[f"encoder.{name}"] = expected[f"encoder.{name}"] - part
    for (name, _), parameter in zip(whole.named_parameters(), losing.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-9, atol=1e-12)
