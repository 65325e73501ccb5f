"""Steps as one CUDA graph: when they may be, and on a GPU, that they are the steps that they stand for."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
import torch
from golden_losses import write_digits
from safetensors.torch import load_file
from small_features import training_settings

import vidrep
from vidrep.config import OptimizerSettings, PretrainConfig
from vidrep.errors import Stopped
from vidrep.progress import Progress
from vidrep.training import captured_step, loop

OPTIMISERS = get_args(get_type_hints(OptimizerSettings)["name"])
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here to capture a step on")


def objective_on(device: str) -> Any:
    parameters = [SimpleNamespace(device=torch.device(device))]
    return SimpleNamespace(model=SimpleNamespace(parameters=lambda: iter(parameters)))


@pytest.mark.parametrize(
    ("device", "state", "segment", "may"),
    [
        ("cuda", {}, 0, True),
        ("cpu", {}, 0, False),
        ("mps", {}, 0, False),
        ("cuda", {"h": torch.zeros(1)}, 0, False),
        ("cuda", {}, 5, False),
    ],
)
def test_what_can_be_captured(device: str, state: dict[str, torch.Tensor], segment: int, may: bool) -> None:
    settings = training_settings(recompute_every=segment)
    assert captured_step.can_capture(objective_on(device), state, settings) is may


def capturing_that_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> captured_step.CapturedStep:
    """A captured step on no device, past its first ones."""
    monkeypatch.setattr(torch.cuda, "Stream", SimpleNamespace)
    monkeypatch.setattr(captured_step, "_NUM_EAGER_STEPS", 0)

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(captured_step.CapturedStep, "_capture", fail)
    optimizer: Any = SimpleNamespace(param_groups=[])
    return captured_step.CapturedStep(objective_on("cuda"), optimizer, OptimizerSettings())


def test_a_lack_of_memory_for_a_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told_by_driver = RuntimeError("CUDA error: out of memory\nMore lines.")
    hidden_by_capture = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    hidden_by_capture.__context__ = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    for error in (told_by_driver, hidden_by_capture):
        step = capturing_that_raises(error, monkeypatch)
        with pytest.raises(torch.OutOfMemoryError):
            step((None,), 0.1)
    other = capturing_that_raises(RuntimeError("CUDA error: operation not permitted"), monkeypatch)
    with pytest.raises(RuntimeError, match="not permitted") as caught:
        other((None,), 0.1)
    assert type(caught.value) is RuntimeError


def pretrain(folder: Path, name: str, *, precision: str = "fp32", resume: bool = False, **others: Any) -> list[float]:
    """Train a small composite model for 12 steps on the GPU; return the losses that were told."""
    optimizer: dict[str, Any] = others.pop("optimizer", {})
    config = vidrep.load_recipe(
        PretrainConfig,
        "modern-mnist-2layer-conditional",
        changes={
            "moving_mnist.canvas": 32,
            "windows.seen": 4,
            "windows.predicted": 4,
            "model.hidden_size": 48,
            "training.steps": 12,
            "training.batch_size": 6,
            "training.validate_every": 6,
            "optimizer.warmup_steps": 3,
        },
    )
    config = replace(config, optimizer=replace(config.optimizer, **optimizer))
    losses: list[float] = []
    told = others.pop("on_progress", lambda progress: losses.append(progress.metrics["loss"]))
    vidrep.train(
        None,
        folder / name,
        config,
        mnist=folder,
        device="cuda",
        precision=precision,
        resume=resume,
        on_progress=told,
        **others,
    )
    return losses


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(loop._STEPS_READ_AT_ONCE, "cuda", 1)
    write_digits(tmp_path)
    return tmp_path


def weights_of(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / name / "model.safetensors")


@on_a_gpu
@pytest.mark.parametrize("name", OPTIMISERS)
def test_captured_steps_are_those_they_stand_for(folder: Path, monkeypatch: pytest.MonkeyPatch, name: Any) -> None:
    optimizer = {"name": name, "learning_rate": 1e-3, "weight_decay": 0.01}
    captured = pretrain(folder, "captured", optimizer=optimizer)
    monkeypatch.setattr(loop, "can_capture", lambda *_: False)
    eager = pretrain(folder, "eager", optimizer=optimizer)
    assert len(set(captured)) == 12
    assert captured == pytest.approx(eager, rel=1e-5)
    torch.testing.assert_close(weights_of(folder, "captured"), weights_of(folder, "eager"), rtol=1e-4, atol=1e-5)


@on_a_gpu
def test_a_step_is_captured_once_and_replayed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captures = count()
    capture: Callable[..., Any] = captured_step.CapturedStep._capture

    def counted(*passed: Any) -> Any:
        next(captures)
        return capture(*passed)

    monkeypatch.setattr(captured_step.CapturedStep, "_capture", counted)
    assert len(set(pretrain(folder, "run", precision="bf16"))) == 12
    assert next(captures) == 1


@on_a_gpu
def test_a_captured_training_goes_on(folder: Path) -> None:
    straight = pretrain(folder, "straight")
    asked = count(1)
    with pytest.raises(Stopped):
        pretrain(folder, "stopped", should_stop=lambda: next(asked) == 8)
    later = pretrain(folder, "stopped", resume=True)
    assert later == pytest.approx(straight[8:], rel=1e-5)


@on_a_gpu
def test_figures_are_not_overwritten_by_later_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = pretrain(folder, "each")
    monkeypatch.setitem(loop._STEPS_READ_AT_ONCE, "cuda", 20)
    told: list[Progress] = []
    pretrain(folder, "later", on_progress=told.append)
    lines = [(folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines() for name in ("each", "later")]
    assert len(each) == len(told) == 12
    assert [line.split('"speed"')[0] for line in lines[0]] == [line.split('"speed"')[0] for line in lines[1]]
