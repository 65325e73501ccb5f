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
from vidrep.config.settings import OptimizerSettings, PretrainConfig
from vidrep.errors import Stopped
from vidrep.progress import Progress
from vidrep.sequences.window_batch import WindowBatch
from vidrep.training import captured_step, loop
from vidrep.training.optimizers import LearningRates
from vidrep.training.run_metrics import read_metrics

OPTIMIZERS = get_args(get_type_hints(OptimizerSettings)["name"])
BATCH = WindowBatch(torch.zeros(1, 1, 1))
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here to capture a step on")


@pytest.mark.parametrize(
    ("device", "state", "recompute_every", "may"),
    [
        ("cuda", {}, 0, True),
        ("cpu", {}, 0, False),
        ("mps", {}, 0, False),
        ("cuda", {"h": torch.zeros(1)}, 0, False),
        ("cuda", {}, 5, False),
    ],
)
def test_what_can_be_captured(device: str, state: dict[str, torch.Tensor], recompute_every: int, may: bool) -> None:
    settings = training_settings(recompute_every=recompute_every)
    assert captured_step.can_capture(torch.device(device), state, settings) is may


def capturing_that_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> captured_step.CapturedStep:
    """A captured step on no device, past its first ones."""
    monkeypatch.setattr(torch.cuda, "Stream", SimpleNamespace)
    monkeypatch.setattr(captured_step, "_NUM_EAGER_STEPS", 0)

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(captured_step.CapturedStep, "_capture", fail)
    optimizer: Any = SimpleNamespace(param_groups=[])
    step: Any = SimpleNamespace()
    return captured_step.CapturedStep(step, optimizer)


def test_a_lack_of_memory_for_a_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from_driver = RuntimeError("CUDA error: out of memory\nMore lines.")
    from_capture = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    from_capture.__context__ = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    for error in (from_driver, from_capture):
        step = capturing_that_raises(error, monkeypatch)
        with pytest.raises(torch.OutOfMemoryError):
            step(BATCH, LearningRates(encoder=0.1, others=0.1))
    other = capturing_that_raises(RuntimeError("CUDA error: operation not permitted"), monkeypatch)
    with pytest.raises(RuntimeError, match="not permitted") as caught:
        other(BATCH, LearningRates(encoder=0.1, others=0.1))
    assert type(caught.value) is RuntimeError


def train(folder: Path, name: str, *, precision: str = "fp32", resume: bool = False, **others: Any) -> list[float]:
    """Train a small composite model for 12 steps on the GPU; return the losses that were reported."""
    optimizer: dict[str, Any] = others.pop("optimizer", {})
    config = vidrep.load_recipe(
        PretrainConfig,
        "modern-mnist-2layer-conditional",
        changes={
            "moving_mnist.canvas": 32,
            "windows.context": 4,
            "windows.num_future": 4,
            "encoder.hidden_size": 48,
            "training.steps": 12,
            "training.batch_size": 6,
            "training.validate_every": 6,
            "optimizer.warmup_steps": 3,
            **others.pop("settings", {}),
        },
    )
    config = replace(config, optimizer=replace(config.optimizer, **optimizer))
    losses: list[float] = []
    listener = others.pop("on_progress", lambda progress: losses.append(progress.metrics["loss"]))
    vidrep.train(
        None,
        folder / name,
        config,
        mnist=folder,
        device="cuda",
        precision=precision,
        resume=resume,
        on_progress=listener,
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
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_captured_steps_are_those_they_stand_for(folder: Path, monkeypatch: pytest.MonkeyPatch, name: Any) -> None:
    # The encoder's rate changes after the capture.
    rates = {"learning_rate": 1e-3, "encoder_rate_factor": 0.5, "head_warmup_steps": 6}
    optimizer = {"name": name, "weight_decay": 0.01, **rates}
    captured = train(folder, "captured", optimizer=optimizer)
    monkeypatch.setattr(loop, "can_capture", lambda *_: False)
    eager = train(folder, "eager", optimizer=optimizer)
    assert len(set(captured)) == 12
    assert captured == pytest.approx(eager, rel=1e-5)
    torch.testing.assert_close(weights_of(folder, "captured"), weights_of(folder, "eager"), rtol=1e-4, atol=1e-5)


@on_a_gpu
def test_constraints_are_kept_between_captured_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"cell.lstm.stable": True, "cell.lstm.peepholes": False}
    captured = train(folder, "captured", settings=settings)
    monkeypatch.setattr(loop, "can_capture", lambda *_: False)
    assert captured == pytest.approx(train(folder, "eager", settings=settings), rel=1e-5)
    for line in read_metrics(folder / "captured"):
        assert all(value < 1 for name, value in line["bounded"].items() if name.endswith("contraction"))


@on_a_gpu
def test_a_step_is_captured_once_and_replayed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captures = count()
    capture: Callable[..., Any] = captured_step.CapturedStep._capture

    def counted(*passed: Any) -> Any:
        next(captures)
        return capture(*passed)

    monkeypatch.setattr(captured_step.CapturedStep, "_capture", counted)
    assert len(set(train(folder, "run", precision="bf16"))) == 12
    assert next(captures) == 1


@on_a_gpu
def test_a_captured_training_goes_on(folder: Path) -> None:
    straight = train(folder, "straight")
    asked = count(1)
    with pytest.raises(Stopped):
        train(folder, "stopped", should_stop=lambda: next(asked) == 8)
    later = train(folder, "stopped", resume=True)
    assert later == pytest.approx(straight[8:], rel=1e-5)


@on_a_gpu
def test_metrics_are_not_overwritten_by_later_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = train(folder, "each")
    monkeypatch.setitem(loop._STEPS_READ_AT_ONCE, "cuda", 20)
    reports: list[Progress] = []
    train(folder, "later", on_progress=reports.append)
    lines = [(folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines() for name in ("each", "later")]
    assert len(each) == len(reports) == 12
    assert [line.split('"speed"')[0] for line in lines[0]] == [line.split('"speed"')[0] for line in lines[1]]
