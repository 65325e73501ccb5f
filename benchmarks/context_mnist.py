"""How much memory Moving MNIST needs: nats of the next frame against the frames that a model may look back on.

VIDREP_DATA=... python benchmarks/context_mnist.py [--steps N]      writes docs/results/context-mnist.md

The protocol, docs/results/context-protocol.md, was written before. `--steps 10` is a quick try.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from recording import Recording, real_data

import vidrep
from vidrep.config.settings import PretrainConfig
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.metrics.prediction import TEACHER_FORCED

CONTEXTS = (1, 2, 4, 8)
TEST_SEQUENCES = 500
ON_CPU: dict[str, Any] = {"mnist": real_data() / "mnist", "device": "cpu", "threads": 1}
COMMON = {
    "objectives": ["future"],
    "objective.future.conditional": True,
    "encoder.hidden_size": 128,
    "windows.num_future": 1,
    "moving_mnist.num_digits": 1,
    "moving_mnist.canvas": 48,
    "optimizer.name": "adam",
    "optimizer.learning_rate": 0.003,
    "training.batch_size": 32,
    "training.validate_every": 250,
    "training.precision": "fp32",
}


@dataclass(frozen=True)
class Model:
    """A predictor of the next frame: its cell, the frames of its context, and the settings of its cell."""

    cell: str
    context: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, steps: int) -> PretrainConfig:
        """Return its training."""
        of_cell = {f"cell.{self.cell}.{name}": value for name, value in self.settings.items()}
        changes = {"encoder.cell": self.cell, "windows.context": self.context, "training.steps": steps}
        return vidrep.load_recipe(PretrainConfig, changes={**COMMON, **of_cell, **changes})


def models() -> Iterator[Model]:
    """Yield all models of the protocol.

    What is not recurrent looks back on one time step more, that of the zeros which a decoder reads first.
    """
    yield from (Model("last_frames", k, {"frames": k + 1}) for k in CONTEXTS)
    for levels in (1, 2):
        yield Model("causal_convolution", 2 * (2**levels - 1), {"kernel": 2, "levels": levels})
    yield from (Model(cell, k) for cell in ("rnn", "lstm") for k in CONTEXTS)


def frame_nats(model: Model, folder: Path, steps: int) -> dict[str, float]:
    """Train a model; return the nats of the next frame by it and by what predicts without learning."""
    run = vidrep.train(None, folder, model.config(steps), **ON_CPU).folder
    found = vidrep.evaluate(run, num_sequences=TEST_SEQUENCES, **ON_CPU)
    assert isinstance(found, PredictionEvaluation)
    nats = found.metrics.by_objective["future"]["nats"]
    return {name: curve.mean for name, curve in nats.items() if name != TEACHER_FORCED}  # of one frame, the model's own


def main() -> None:
    """Train and test all models, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=800)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    record = Recording("Context: how much memory Moving MNIST needs", real_data())
    found: dict[str, dict[int, float]] = {}
    began = time.monotonic()
    for number, model in enumerate(models()):
        of_model = frame_nats(model, record.folder / str(number), steps)
        found.setdefault(model.cell, {})[model.context] = of_model.pop("model")
        for name, value in of_model.items():
            found.setdefault(name, {})[model.context] = value
        print(f"{model.cell}, k = {model.context}: {found[model.cell][model.context]:.1f}", flush=True)
    record.add(
        "Made by `python benchmarks/context_mnist.py`, by the [protocol](context-protocol.md), seed 0, one thread, "
        f"{steps} steps, in {(time.monotonic() - began) / 60:.0f} min. Nats of the frame after k frames of context, "
        f"{TEST_SEQUENCES} sequences of test digits."
    )
    contexts = sorted({k for row in found.values() for k in row})
    lines = ["| | " + " | ".join(f"k = {k}" for k in contexts) + " |", "|---" * (len(contexts) + 1) + "|"]
    for name, row in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[k]:.1f}" if k in row else "" for k in contexts) + " |")
    record.add("\n".join(lines))
    record.save("context-mnist")


if __name__ == "__main__":
    main()
