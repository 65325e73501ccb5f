"""What each choice of the composite model and of its training changes, at a small size, with three seeds.

    VIDREP_DATA=... python benchmarks/ablation.py [--steps N] [--seeds N] [--only NAME ...] [--dry-run]

writes docs/results/ablation.md. Moving MNIST with one digit on a small canvas, so that all variants learn something
within half a minute; figures are of free-running predictions on sequences of MNIST's test digits, which choose nothing.
--dry-run tries learning rates and variants as asked, and prints the page instead.
"""

import argparse
import math
import multiprocessing
import statistics
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from recording import Recording, real_data

import vidrep
from vidrep.errors import TrainingError
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.training.loop import TrainingOutcome

TUNING_SEED = 100
JOBS = 2  # processes side by side, one thread each
NUM_SEQUENCES = 500
BASE: dict[str, Any] = {
    "likelihood": "bernoulli",
    "encoder.hidden_size": 128,
    "windows.context": 10,
    "windows.num_future": 10,
    "moving_mnist.num_digits": 1,
    "moving_mnist.canvas": 40,
    "optimizer.name": "adamw",
    "training.batch_size": 32,
    "training.validation_fraction": 0.02,
    "training.patience": 0,
}
# Learning rates to choose from, by the loss on held-out digits.
RATES = {
    "adamw": (1e-3, 3e-3, 1e-2),
    "adam": (1e-3, 3e-3, 1e-2),
    "rmsprop": (3e-4, 1e-3, 3e-3),
    "adagrad": (5e-3, 2e-2, 5e-2),
    "sgd": (10.0, 50.0, 250.0),
    "srivastava": (1e-5, 1e-4, 1e-3),
}
# The paper's settings at this size.
FAITHFUL: dict[str, Any] = {
    "cell.lstm.peepholes": True,
    "cell.lstm.forget_bias": 0.0,
    "encoder.initialization": "uniform",
    "decoder.init_output_bias": False,
    "optimizer.name": "srivastava",
    "optimizer.weight_decay": 1e-4,
    "optimizer.reduction": "sum",
    "optimizer.clip_norm": 0.0,
    "optimizer.warmup_steps": 0,
    "optimizer.lr_schedule": "step",
}
VARIANTS: dict[str, Mapping[str, Any]] = {
    "base: composite, unconditional, 1 layer, AdamW": {},
    "future predictor alone": {"objectives": ["future"]},
    "conditional future decoder": {"objective.future.conditional": True},
    "conditional reconstruction decoder": {"objective.reconstruction.conditional": True},
    "both decoders conditional": {
        "objective.future.conditional": True,
        "objective.reconstruction.conditional": True,
    },
    "2 layers": {"encoder.num_layers": 2},
    "peepholes": {"cell.lstm.peepholes": True},
    "Xavier initialization": {"encoder.initialization": "xavier"},
    "uniform initialization": {"encoder.initialization": "uniform"},
    "Adam": {"optimizer.name": "adam"},
    "RMSprop": {"optimizer.name": "rmsprop", "optimizer.momentum": 0.0},
    "AdaGrad": {"optimizer.name": "adagrad"},
    "SGD with momentum": {"optimizer.name": "sgd"},
    "faithful: the paper's optimizer, start and peepholes": FAITHFUL,
    "autoencoder": {"objectives": ["reconstruction"], "windows.num_future": 0},
}


def train_once(changes: Mapping[str, Any], steps: int, seed: int, mnist: Path, folder: Path) -> TrainingOutcome:
    """Train once, with one thread."""
    settings = {**BASE, **changes, "training.steps": steps, "training.seed": seed, "training.validate_every": steps}
    config = vidrep.load_recipe(vidrep.PretrainConfig, changes=settings)
    return vidrep.train(None, folder, config, mnist=mnist, device="cpu", precision="fp32", threads=1).outcome


def held_out_loss(optimizer: str, rate: float, steps: int, mnist: Path) -> float:
    """Return the loss that a learning rate reaches on held-out digits, infinite if it diverges."""
    changes = dict(FAITHFUL) if optimizer == "srivastava" else {"optimizer.name": optimizer}
    changes |= {"optimizer.learning_rate": rate}
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        try:
            return train_once(changes, steps, TUNING_SEED, mnist, Path(folder) / "run").best_loss
        except TrainingError:
            return math.inf


def measure(changes: Mapping[str, Any], steps: int, seed: int, mnist: Path) -> dict[str, float]:
    """Train once: return the losses a frame of both decoders and of the baselines, and the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        run = Path(folder) / "run"
        metrics = {"seconds": train_once(changes, steps, seed, mnist, run).seconds}
        found = vidrep.evaluate(run, mnist=mnist, num_digits=1, num_sequences=NUM_SEQUENCES, device="cpu", threads=1)
    assert isinstance(found, PredictionEvaluation)
    for objective, by_metric in found.metrics.by_objective.items():
        for metric in ("nats", "squared_error"):
            for predictor, curve in by_metric[metric].items():
                metrics[f"{objective} {metric} {predictor}"] = curve.mean
    return metrics


def main() -> None:
    """Choose learning rates, train every variant with every seed, seeds outermost, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3, help="how many, 0 being the first")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--dry-run", action="store_true", help="one learning rate an optimizer; write no page")
    given = parser.parse_args()
    mnist, seeds = real_data() / "mnist", tuple(range(given.seeds))
    tried = {name: rates[:1] if given.dry_run else rates for name, rates in RATES.items()}
    with ProcessPoolExecutor(JOBS, multiprocessing.get_context("spawn")) as pool:
        tuned = {
            (optimizer, rate): pool.submit(held_out_loss, optimizer, rate, given.steps, mnist)
            for optimizer, rates in tried.items()
            for rate in rates
        }
        rates = {name: min(of, key=lambda rate: tuned[name, rate].result()) for name, of in tried.items()}
        print(rates, {key: round(future.result(), 1) for key, future in tuned.items()}, flush=True)
        waiting = {
            (seed, name): pool.submit(measure, with_rate(VARIANTS[name], rates), given.steps, seed, mnist)
            for seed in seeds
            for name in given.only
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in given.only}
        for (seed, name), future in waiting.items():
            found[name].append(future.result())
            print(seed, name, {key: round(value, 1) for key, value in found[name][-1].items()}, flush=True)
    record = Recording("Ablation at a small size", real_data())
    record.add(
        "Moving MNIST generated as training goes, one digit on a canvas of 40x40 pixels, 10 frames of context and "
        f"10 predicted; 128 units, batches of 32, {given.steps} steps, fp32, {JOBS} processes of one thread; seeds "
        f"{seeds}. Figures are means over {NUM_SEQUENCES} sequences of test digits (seed 1), free running, and over "
        "the seeds, with the smallest and largest of them; seconds are those of the steps and one "
        "validation (other work ran beside: compare the smallest). A variant differs from the base as its name "
        "describes; without weight decay Adam is AdamW. Made by "
        f"`python benchmarks/ablation.py --steps {given.steps}`."
    )
    record.add(table(found))
    record.add(
        f"Learning rates, of which the one with the smallest loss on held-out training digits was taken (seed "
        f"{TUNING_SEED}, the base's model, or the faithful one; a loss is both decoders' nats a frame):"
    )
    record.add(rates_table({key: future.result() for key, future in tuned.items()}, rates))
    if not given.dry_run:
        record.save("ablation")


def with_rate(changes: Mapping[str, Any], rates: Mapping[str, float]) -> dict[str, Any]:
    """Add the learning rate that was chosen for the optimizer."""
    return {**changes, "optimizer.learning_rate": rates[changes.get("optimizer.name", BASE["optimizer.name"])]}


def rates_table(losses: Mapping[tuple[str, float], float], chosen: Mapping[str, float]) -> str:
    """Return the table of the losses that learning rates led to."""
    lines = ["| optimizer | learning rate: loss | taken |", "|---|---|---|"]
    for name, rates in RATES.items():
        shown = ", ".join(f"{rate:g}: {losses[name, rate]:.1f}" for rate in rates if (name, rate) in losses)
        lines.append(f"| {name} | {shown} | {chosen[name]:g} |")
    return "\n".join(lines)


def table(found: Mapping[str, list[dict[str, float]]]) -> str:
    """Return the table of the figures, baselines first."""
    head = "| variant | future, nats/frame | future, squared error/frame | reconstruction, nats/frame | training, s |"
    lines = [head, "|---|---|---|---|---|"]
    first = next(runs for runs in found.values() if "future nats model" in runs[0])
    for predictor in ("entropy floor", "mean frame", "persistence", "zeros"):
        cells = [
            f"{first[0][key]:.1f}" if (key := f"future {metric} {predictor}") in first[0] else "-"
            for metric in ("nats", "squared_error")
        ]
        lines.append(f"| *{predictor}* | {cells[0]} | {cells[1]} | | |")
    for name, runs in found.items():
        keys = ("future nats model", "future squared_error model", "reconstruction nats model", "seconds")
        lines.append(
            f"| {name} | " + " | ".join(spread([run[key] for run in runs if key in run]) for key in keys) + " |"
        )
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return the mean, the smallest and the largest, in words."""
    if not values:
        return "-"
    return f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
