"""How much memory a data set needs: accuracy against the frames that a classifier looks back on, recurrent or not.

    python benchmarks/context.py [--seeds N] [--minutes M] [--steps N]      writes docs/results/context.md
    python benchmarks/context.py --longer     some at the longest context, longer; docs/results/context-longer.md

The protocol, docs/results/context-protocol.md, was written before. `--seeds 1 --steps 10` is a quick try.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recording import Recording

from vidrep.config.reader import load_recipe
from vidrep.config.settings import FinetuneConfig
from vidrep.features.store import Features, open_features
from vidrep.metrics.paired import paired_difference
from vidrep.metrics.predictor import ClassifierRun
from vidrep.training.classifier_training import train_classifier
from vidrep.training.finetuning_data import labeled_videos
from vidrep.training.run import RunFolder
from vidrep.training.run_metrics import read_metrics
from vidrep.training.session import SessionOptions

CONTEXTS = (1, 2, 4, 8, 16)
TRUNCATIONS = (1, 2, 4, 8)
LONGEST = CONTEXTS[-1]
LONGER = 4
CPU = torch.device("cpu")
COMMON = {
    "encoder.hidden_size": 32,
    "encoder.dropout": 0.0,
    "classifier.head": "last_step",
    "classifier.dropout": 0.0,
    "windows.stride": 1,
    "windows.resample": False,
    "transforms": ["standardize"],
    "optimizer.name": "adam",
    "optimizer.learning_rate": 0.003,
    "optimizer.clip_norm": 1.0,
    "training.batch_size": 32,
    "training.validate_every": 100,
    "training.precision": "fp32",
    "selection.enabled": False,
    "predictor": "lstm",
}


@dataclass(frozen=True)
class Model:
    """A classifier: its name in the table, its cell, the frames of its windows, and other settings."""

    label: str
    cell: str
    context: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, *, seed: int, steps: int) -> FinetuneConfig:
        """Return its training."""
        changes = {"encoder.cell": self.cell, "windows.length": self.context, "training.seed": seed}
        changes |= {f"cell.{self.cell}.{name}": value for name, value in self.settings.items() if "." not in name}
        changes |= {name: value for name, value in self.settings.items() if "." in name}
        return load_recipe(FinetuneConfig, changes={**COMMON, **changes, "training.steps": steps})


STABLE: dict[str, dict[str, Any]] = {"rnn": {"spectral_norm": 0.99}, "lstm": {"stable": True, "input_bound": 3.0}}


def models() -> Iterator[Model]:
    """Yield all classifiers of the protocol."""
    for k in CONTEXTS:
        yield Model("last_frames", "last_frames", k, {"frames": k})
    for levels in (1, 2, 3):
        field_ = 1 + 2 * (2**levels - 1)
        yield Model("causal_convolution", "causal_convolution", field_, {"kernel": 2, "levels": levels})
    for cell, settings in STABLE.items():
        for k in CONTEXTS:
            yield Model(cell, cell, k)
            yield Model(f"{cell}, stable", cell, k, settings)
    for cell in STABLE:
        for steps in TRUNCATIONS:
            yield Model(f"{cell}, gradient of {steps}", cell, LONGEST, {"classifier.backprop_steps": steps})


def longer() -> Iterator[Model]:
    """Yield what is trained `LONGER` times as long."""
    yield Model("last_frames", "last_frames", LONGEST, {"frames": LONGEST})
    for cell, settings in STABLE.items():
        yield Model(cell, cell, LONGEST)
        yield Model(f"{cell}, stable", cell, LONGEST, settings)


@dataclass(frozen=True)
class Measured:
    """Of one run: whether each test video is right, the nats of its class, and the largest of what is bounded."""

    right: NDArray[np.bool_]
    nats: float
    bounded: dict[str, float]


def measure(model: Model, features: Features, folder: Path, *, seed: int, steps: int) -> Measured:
    """Train a classifier and test it."""
    config = model.config(seed=seed, steps=steps)
    options = SessionOptions(device="cpu", threads=1)
    train_classifier(RunFolder(folder), labeled_videos(features, config), config, None, options)
    test = [number for number, row in enumerate(features.videos) if row.split == "test"]
    run = ClassifierRun.load(folder)
    true = np.array([run.description.classes.index(features.videos[video].label) for video in test])
    probabilities = np.stack(list(run.predict(features, test, device=CPU).values()))
    of_class = probabilities[np.arange(len(test)), true]
    bounded: dict[str, float] = {}
    for line in read_metrics(folder):
        for name, value in line.get("bounded", {}).items():
            quantity = name.rpartition(".")[2]
            bounded[quantity] = max(value, bounded.get(quantity, value))
    return Measured(probabilities.argmax(axis=1) == true, float(-np.log(of_class.clip(1e-12)).mean()), bounded)


Results = dict[tuple[str, int], list[Measured]]


def table(results: Results) -> str:
    """Lay out accuracy and nats of each model at each context."""
    contexts = sorted({context for _, context in results})
    by_label: dict[str, dict[int, list[Measured]]] = defaultdict(dict)
    for (label, context), measured in results.items():
        by_label[label][context] = measured
    head = ["| | " + " | ".join(f"k = {k}" for k in contexts) + " |", "|---" * (len(contexts) + 1) + "|"]
    return "\n".join(
        [
            *head,
            *(
                f"| {label} | " + " | ".join(_cell(row.get(k)) for k in contexts) + " |"
                for label, row in by_label.items()
            ),
        ]
    )


def _cell(measured: list[Measured] | None) -> str:
    if not measured:
        return ""
    return f"{np.mean([one.right.mean() for one in measured]):.3f}, {np.mean([one.nats for one in measured]):.2f}"


def differences(results: Results) -> str:
    """Say how much better one model is than another on the same test videos, at the longest context of both."""
    pairs = [("rnn, stable", "rnn"), ("lstm, stable", "lstm"), ("last_frames", "lstm"), ("rnn", "lstm")]
    lines = [f"At k = {LONGEST}, accuracy of the first minus that of the second, paired:\n"]
    for first, second in pairs:
        one, other = (
            np.mean([measured.right for measured in results[label, LONGEST]], axis=0) for label in (first, second)
        )
        paired = paired_difference(one, other, [str(video) for video in range(len(one))])
        lines.append(f"- {first} minus {second}: {paired.difference:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})")
    return "\n".join(lines)


def bounds(results: Results) -> str:
    """Say how large each bounded quantity became."""
    largest: dict[tuple[str, str], float] = {}
    for (label, _), measured in results.items():
        for one in measured:
            for quantity, value in one.bounded.items():
                largest[label, quantity] = max(value, largest.get((label, quantity), value))
    lines = ["The largest of each bounded quantity at any validation of any run:\n", "| | | largest |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {label} | {name} | {value:.6f} |" for (label, name), value in largest.items())])


def main() -> None:
    """Train and test all classifiers, seed by seed, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=6.0, help="no further seed begins after so many")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--longer", action="store_true")
    options = parser.parse_args()
    chosen, steps = (longer(), LONGER * options.steps) if options.longer else (models(), options.steps)
    classifiers = list(chosen)
    torch.set_num_threads(1)
    began = time.monotonic()
    record = Recording("Context: how much memory a data set needs")
    record.run("vidrep sample -o clips --per-class 100 --size 32 --seed 7 -q")
    record.run("vidrep extract patches clips -o features.h5 --size 8 --labels clips/labels.csv -q")
    features = open_features(record.folder / "features.h5")
    results: Results = defaultdict(list)
    seeds = 0
    while seeds < options.seeds and time.monotonic() - began < 60 * options.minutes:
        for number, model in enumerate(classifiers):
            folder = record.folder / f"run-{seeds}-{number}"
            measured = measure(model, features, folder, seed=seeds, steps=steps)
            results[model.label, model.context].append(measured)
            print(f"seed {seeds}, {model.label}, k = {model.context}: {measured.right.mean():.3f}", flush=True)
        seeds += 1
    record.add(
        f"Made by `python benchmarks/context.py{' --longer' if options.longer else ''}`, by the [protocol](context-protocol.md), with {seeds} seeds, one "
        f"thread, {steps} steps, in {(time.monotonic() - began) / 60:.0f} min. Accuracy on the test videos, "
        "and nats, the mean over seeds. By chance: 0.125 and 2.08."
    )
    record.add(table(results))
    record.add(differences(results))
    record.add(bounds(results))
    record.save("context-longer" if options.longer else "context")


if __name__ == "__main__":
    main()
