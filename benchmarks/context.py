"""How much memory a data set needs: accuracy against the frames that a classifier looks back on, recurrent or not.

    python benchmarks/context.py                      the demo's motions; docs/results/context.md
    python benchmarks/context.py --longer             some at the longest context, longer; context-longer.md
    VIDREP_DATA=... python benchmarks/context.py --tennis7 [FEATURES]         seven strokes; context-tennis7.md

The protocol, docs/results/context-protocol.md, was written before. `--seeds 1 --steps 10` is a quick try. FEATURES are
those that the page's command makes, if they are there already. Moving MNIST: benchmarks/context_mnist.py.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recording import Recording, real_data
from tennis7 import FRAME_FEATURES, write_annotations

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
TENNIS_CONTEXTS = (*CONTEXTS, 32)
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


def not_recurrent(contexts: Sequence[int]) -> Iterator[Model]:
    """Yield classifiers whose encoder is not recurrent; the convolution's contexts are those between the given ones."""
    for k in contexts:
        yield Model("last_frames", "last_frames", k, {"frames": k})
    for levels in range(1, len(contexts) - 1):
        field_ = 1 + 2 * (2**levels - 1)
        yield Model("causal_convolution", "causal_convolution", field_, {"kernel": 2, "levels": levels})


def models() -> Iterator[Model]:
    """Yield all classifiers of the protocol for the demo's motions."""
    yield from not_recurrent(CONTEXTS)
    for cell, settings in STABLE.items():
        for k in CONTEXTS:
            yield Model(cell, cell, k)
            yield Model(f"{cell}, stable", cell, k, settings)
    for cell in STABLE:
        for steps in TRUNCATIONS:
            yield Model(f"{cell}, gradient of {steps}", cell, LONGEST, {"classifier.backprop_steps": steps})


def tennis_models() -> Iterator[Model]:
    """Yield those for tennis7."""
    yield from not_recurrent(TENNIS_CONTEXTS)
    yield from (Model(cell, cell, k) for cell, k in product(STABLE, TENNIS_CONTEXTS))


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


PAIRS = (("rnn, stable", "rnn"), ("lstm, stable", "lstm"), ("last_frames", "lstm"), ("rnn", "lstm"))


def differences(results: Results, features: Features) -> str:
    """Say how much better one model is than another on the same test videos, at the longest context of both."""
    longest = max(context for _, context in results)
    groups = [f"{row.label} {row.group or row.path}" for row in features.videos if row.split == "test"]
    lines = [f"At k = {longest}, accuracy of the first minus that of the second, paired:\n"]
    for first, second in (pair for pair in PAIRS if all((label, longest) in results for label in pair)):
        one, other = (
            np.mean([measured.right for measured in results[label, longest]], axis=0) for label in (first, second)
        )
        paired = paired_difference(one, other, groups)
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


def demo_features(record: Recording) -> Features:
    """Make the demo's motions and patches of their frames."""
    record.run("vidrep sample -o clips --per-class 100 --size 32 --seed 7 -q")
    record.run("vidrep extract patches clips -o features.h5 --size 8 --labels clips/labels.csv -q")
    return open_features(record.folder / "features.h5")


def tennis_features(record: Recording) -> Features:
    """Extract features of whole frames of tennis7, in groups of ten clips."""
    write_annotations(real_data() / "tennis7", record.folder / "tennis.csv")
    record.run(FRAME_FEATURES)
    return open_features(record.folder / "frame.h5")


def main() -> None:
    """Train and test all classifiers, seed by seed, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=6.0, help="no further seed begins after so many")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--longer", action="store_true")
    parser.add_argument("--tennis7", nargs="?", const="", metavar="FEATURES")
    options = parser.parse_args()
    option = "longer" if options.longer else "" if options.tennis7 is None else "tennis7"
    chosen = {"": models, "longer": longer, "tennis7": tennis_models}[option]
    steps = LONGER * options.steps if options.longer else options.steps
    torch.set_num_threads(1)
    record = Recording("Context: how much memory a data set needs", real_data() if option == "tennis7" else None)
    if options.tennis7:
        features = open_features(Path(options.tennis7))
        record.add(f"Features were there already: `{FRAME_FEATURES}`.")
    else:
        features = (tennis_features if option == "tennis7" else demo_features)(record)
    began = time.monotonic()
    results, seeds = all_results(list(chosen()), features, record.folder, steps=steps, options=options)
    num_classes = len({row.label for row in features.videos})
    record.add(
        f"Made by `python benchmarks/context.py{f' --{option}' if option else ''}`, by the "
        f"[protocol](context-protocol.md), with {seeds} seeds, one "
        f"thread, {steps} steps, in {(time.monotonic() - began) / 60:.0f} min. Accuracy on the test videos, "
        f"and nats, the mean over seeds. By chance: {1 / num_classes:.3f} and {np.log(num_classes):.2f}."
    )
    record.add(table(results))
    record.add(differences(results, features))
    if option != "tennis7":
        record.add(bounds(results))
    record.save(f"context-{option}" if option else "context")


def all_results(
    classifiers: Sequence[Model], features: Features, folder: Path, *, steps: int, options: argparse.Namespace
) -> tuple[Results, int]:
    """Train and test all classifiers, seed by seed while there is time; return what they measure and how many seeds."""
    results: Results = defaultdict(list)
    began, seeds = time.monotonic(), 0
    while seeds < options.seeds and time.monotonic() - began < 60 * options.minutes:
        for number, model in enumerate(classifiers):
            measured = measure(model, features, folder / f"run-{seeds}-{number}", seed=seeds, steps=steps)
            results[model.label, model.context].append(measured)
            print(f"seed {seeds}, {model.label}, k = {model.context}: {measured.right.mean():.3f}", flush=True)
        seeds += 1
    return results, seeds


if __name__ == "__main__":
    main()
