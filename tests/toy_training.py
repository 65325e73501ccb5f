"""A training that takes milliseconds: a tiny classifier with dropout, noise for data, and losses by a script."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from small_features import training_settings
from torch import Tensor

from vidrep.config import OptimizerSettings
from vidrep.models.classifier import Classifier
from vidrep.models.saved import ModelDescription, ScaledModel
from vidrep.models.scaling import FrameScaler
from vidrep.progress import Progress, ignore_progress
from vidrep.training.loop import TrainingOutcome, train
from vidrep.training.optimizer_step import Piece, piece_slices
from vidrep.training.run import RunFolder

ARGUMENTS = {"frame_size": 3, "num_classes": 2, "hidden_size": 4, "dropout": 0.5}


class KilledError(Exception):
    pass


def killed_after(step: int) -> Callable[[Progress], None]:
    def listen(progress: Progress) -> None:
        if progress.done == step:
            raise KilledError

    return listen


@dataclass
class ToyTask:
    """Batches of 6 windows of 3 frames, whose squared error depends on what the step before left."""

    model: ScaledModel
    gradient_accumulation: int = 1
    reduction: str = "mean"
    losses: dict[int, float] = field(default_factory=dict)  # validation losses by step; else 1 / (steps so far)
    frames_per_step: int = 18
    step: int = -1
    carried: Tensor = field(default_factory=lambda: torch.zeros(2))
    description: ModelDescription = field(
        default_factory=lambda: ModelDescription(
            kind="classifier",
            arguments=ARGUMENTS,
            frame_shape=[3],
            dtype="float32",
            values="real",
            extractor={},
            windows={"length": 3, "stride": 3},
            classes=["a", "b"],
            class_counts=[1, 1],
        )
    )

    def batch(self, step: int) -> Tensor:
        self.step = step
        return torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(step))

    def pieces(self, batch: Tensor) -> Iterator[Piece]:
        carried = []
        for part in piece_slices(6, self.gradient_accumulation):
            logits = self.model.model(batch[:, part])
            cost = (logits - 1 - self.carried).square().sum()
            carried.append(logits.detach().sum(dim=(0, 1)) / 18)
            mean = cost / (3 * 6 * 2)
            metrics = {"loss": mean.detach(), "twice": 2 * mean.detach()}
            yield Piece(mean if self.reduction == "mean" else cost, metrics, is_last=part.stop == 6)
        self.carried = torch.stack(carried).sum(dim=0)

    def validate(self) -> dict[str, float]:
        return {"loss": self.losses.get(self.step + 1, 1 / (self.step + 1))}

    def state(self) -> dict[str, Tensor]:
        return {"carried": self.carried}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.carried = state["carried"]


def toy_task(*, dropout: float = 0.5, **options: Any) -> ToyTask:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ScaledModel(FrameScaler(3, "real"), Classifier(**ARGUMENTS | {"dropout": dropout}))
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
    clock: Callable[[], float] | None = None,
    **training: float,
) -> TrainingOutcome:
    """Train for 10 steps, looking after every 2, without patience."""
    path.mkdir(exist_ok=True, parents=True)
    settings = training_settings(**{"validate_every": 2, "patience": 0} | training)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return train(
            task or toy_task(gradient_accumulation=settings.gradient_accumulation),
            RunFolder(path),
            settings,
            optimizer or OptimizerSettings(warmup_steps=2),
            resume=resume,
            on_progress=on_progress,
            should_stop=should_stop,
            **({} if clock is None else {"clock": clock}),
        )


def tree_of(run: Path) -> dict[str, Any]:
    """Return all that must be the same bits in two equal runs: the newest checkpoint, the model, the metrics."""
    newest = sorted(path for path in (run / "checkpoints").iterdir() if path.suffix == ".pt")[-1]
    looks = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for look in looks:
        speed = look.pop("speed")
        assert speed.keys() == {"frames_per_second", "data_share"}
        assert all(math.isfinite(figure) and figure >= 0 for figure in speed.values())
    return {
        "step": newest.stem,
        "checkpoint": torch.load(newest, weights_only=True),
        "model": load_file(run / "model.safetensors"),
        "description": json.loads((run / "model.json").read_text(encoding="utf-8")),
        "metrics": looks,
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
