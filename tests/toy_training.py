"""A training that takes milliseconds: a tiny classifier with dropout, noise for data, and losses by a script."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from small_features import training_settings
from torch import Tensor

from vidrep.config.settings import OptimizerSettings
from vidrep.models.description import ModelDescription
from vidrep.models.saved import TrainedModel
from vidrep.progress import Progress, ignore_progress
from vidrep.training.loop import TrainingOutcome, run_training
from vidrep.training.run import RunFolder
from vidrep.training.task import MicroLoss, Task, divide_batch


class KilledError(Exception):
    pass


def killed_after(step: int) -> Callable[[Progress], None]:
    def listen(progress: Progress) -> None:
        if progress.done == step:
            raise KilledError

    return listen


def toy_description(*, dropout: float = 0.5) -> ModelDescription:
    return ModelDescription(
        kind="classifier",
        frame_shape=[3],
        dtype="float32",
        likelihood="gaussian",
        extractor={},
        transforms={"standardize": {}},
        encoder={
            "cell": "lstm",
            "hidden_size": 4,
            "num_layers": 1,
            "dropout": dropout,
            "initialization": "orthogonal",
            "uniform_scale": 0.01,
        },
        cell={"peepholes": False, "activation": "tanh", "forget_bias": 1.0},
        windows={"length": 3, "stride": 3},
        head={"name": "every_step", "settings": {}, "dropout": dropout, "transfer": "init"},
        classes=["a", "b"],
        class_counts=[1, 1],
    )


@dataclass
class ToyTask(Task):
    """Batches of 6 windows of 3 frames, whose squared error depends on what the step before left."""

    model: TrainedModel
    gradient_accumulation: int = 1
    reduction: str = "mean"
    scripted: dict[int, float] = field(default_factory=dict)  # validation losses by step; else 1 / (steps so far)
    frames_per_step: int = 18
    step: int = -1
    carried: Tensor = field(default_factory=lambda: torch.zeros(2))
    description: ModelDescription = field(default_factory=toy_description)

    def batch(self, step: int) -> Any:  # type: ignore[override]
        self.step = step
        return torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(step))

    def losses(self, batch: Any) -> Iterator[MicroLoss]:
        carried = []
        for chosen in divide_batch(6, self.gradient_accumulation):
            logits = self._logits(batch[:, chosen])
            total = (logits - 1 - self.carried).square().sum()
            carried.append(logits.detach().sum(dim=(0, 1)) / 18)
            mean = total / (3 * 6 * 2)
            metrics = {"loss": mean.detach(), "twice": 2 * mean.detach()}
            yield MicroLoss(mean if self.reduction == "mean" else total, metrics, is_last=chosen.stop == 6)
        self.carried = torch.stack(carried).sum(dim=0)

    def _logits(self, frames: Tensor) -> Tensor:
        network: Any = self.model.network
        logits: Tensor = network.head.frame_logits(network._outputs(frames))
        return logits

    def validate(self) -> dict[str, float]:
        return {"loss": self.scripted.get(self.step + 1, 1 / (self.step + 1))}

    def state(self) -> dict[str, Tensor]:
        return {"carried": self.carried}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.carried = state["carried"]


def toy_task(*, dropout: float = 0.5, **options: Any) -> ToyTask:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TrainedModel.build(toy_description(dropout=dropout))
    return ToyTask(model, **options)


def train_toy(
    path: Path,
    optimizer: OptimizerSettings | None = None,
    *,
    task: ToyTask | None = None,
    resume: bool = False,
    seed: int = 0,
    on_progress: Callable[[Progress], None] = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    **training: Any,
) -> TrainingOutcome:
    """Train for 10 steps, validating after every 2, without patience."""
    path.mkdir(exist_ok=True, parents=True)
    settings = training_settings(**{"validate_every": 2, "patience": 0} | training)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return run_training(
            task or toy_task(gradient_accumulation=settings.gradient_accumulation),
            RunFolder(path),
            settings,
            optimizer or OptimizerSettings(warmup_steps=2),
            resume=resume,
            on_progress=on_progress,
            should_stop=should_stop,
            clock=clock,
        )


def tree_of(run: Path) -> dict[str, Any]:
    """Return all that must be the same bits in two equal runs: the newest checkpoint, the model, the metrics."""
    newest = sorted(path for path in (run / "checkpoints").iterdir() if path.suffix == ".pt")[-1]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        speed = line.pop("speed")
        assert speed.keys() == {"frames_per_second", "data_share"}
        assert all(math.isfinite(value) and value >= 0 for value in speed.values())
    return {
        "step": newest.stem,
        "checkpoint": torch.load(newest, weights_only=True),
        "model": load_file(run / "model.safetensors"),
        "description": json.loads((run / "model.json").read_text(encoding="utf-8")),
        "metrics": lines,
    }


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Compare trees of tensors bit for bit."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{where}.{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where
