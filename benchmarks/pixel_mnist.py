"""Digits pixel by pixel, 784 time steps: what a truncated gradient loses, and what auxiliary losses give back.

VIDREP_DATA=... python benchmarks/pixel_mnist.py FOLDER [--minutes M]      writes docs/results/pixel-mnist.md

FOLDER keeps what each run came to; no run begins after M minutes, and the same command goes on. The protocol,
docs/results/pixel-mnist-protocol.md, was written before.
"""

import argparse
import gzip
import json
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recording import ROOT, facts, real_data

import vidrep
from vidrep.config.doors import settings_of_names
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.features.store import Features
from vidrep.files import write_text
from vidrep.models.classifier import Classifier
from vidrep.models.encoder import StackSpec
from vidrep.models.inputs import InputTransforms
from vidrep.registry import CELLS
from vidrep.sequences.window_batch import WindowBatch

NUM_TRAIN, NUM_TEST, SEEDS = 3000, 1000, (0, 1, 2)
UNITS, BATCH, BACKPROP, SEGMENT = 64, 32, 100, 50
PRETRAINING_STEPS, STEPS, THREADS = 150, 500, 1
METHODS = {"truncation alone": "", "r-LSTM": "past_segment", "p-LSTM": "next_segment"}
LENGTHS = (784, 1568, 3136, 6272, 16384)


def subset(folder: Path) -> Features:
    """Import the first digits of each split as sequences of pixels."""
    mnist = real_data() / "mnist"
    (folder / "digits").mkdir()
    for split, number in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
            content = gzip.decompress((mnist / f"{split}-{kind}-ubyte.gz").read_bytes())
            size = number * (28 * 28 if header == 16 else 1)
            packed = content[:4] + struct.pack(">I", number) + content[8 : header + size]
            (folder / "digits" / f"{split}-{kind}-ubyte").write_bytes(packed)
    vidrep.import_features(folder / "digits", folder / "pixels.h5")
    return vidrep.open_features(folder / "pixels.h5")


def accuracy(features: Features, folder: Path, objective: str, seed: int) -> tuple[float, float]:
    """Train one classifier, after an unsupervised phase if it has an auxiliary loss: its accuracy, and seconds."""
    began, pretrained = time.monotonic(), None
    training = {"training.batch_size": BATCH, "training.seed": seed, "training.precision": "fp32"}
    auxiliary = {"objectives": [objective], f"objective.{objective}.frames": SEGMENT} if objective else {}
    if objective:
        changes = {
            **auxiliary,
            **training,
            "likelihood": "gaussian",
            "transforms": ["standardize"],
            "encoder.hidden_size": UNITS,
            "windows.context": 784,
            "windows.num_future": 0,
            "training.steps": PRETRAINING_STEPS,
            "training.validate_every": PRETRAINING_STEPS,
            "training.keep": "last",
        }
        config = vidrep.load_recipe(PretrainConfig, "composite", changes=changes)
        pretrained = vidrep.train(features, folder / "pretrained", config, threads=THREADS, overwrite=True).folder
    scratch = {} if objective else {"transforms": ["standardize"], "encoder.hidden_size": UNITS}
    config_of_classifier = vidrep.load_recipe(
        FinetuneConfig,
        changes={
            **auxiliary,
            **training,
            **scratch,
            "selection.enabled": False,
            "encoder.dropout": 0.0,
            "classifier.dropout": 0.0,
            "classifier.head": "last_step",
            "classifier.backprop_steps": BACKPROP,
            "windows.length": 784,
            "windows.stride": 784,
            "windows.resample": False,
            "training.steps": STEPS,
            "training.validate_every": 100,
        },
    )
    run = vidrep.finetune(
        features, folder / "run", config_of_classifier, pretrained=pretrained, threads=THREADS, overwrite=True
    ).folder
    seconds = time.monotonic() - began
    test = [number for number, row in enumerate(features.videos) if row.split == "test"]
    classifier = vidrep.load_classifier(run)
    true = [features.videos[number].label for number in test]
    predicted: list[str] = []
    for start in range(0, len(test), 100):
        frames = np.stack([features[number] for number in test[start : start + 100]], axis=1)
        predicted += [classifier.classes[number] for number in classifier(frames).argmax(axis=1)]
    return float(np.mean([one == other for one, other in zip(true, predicted, strict=True)])), seconds


def cost(length: int) -> tuple[float, float]:
    """Return the megabytes that a step keeps for the backward pass, and its seconds, for windows of some length."""
    torch.manual_seed(0)
    stack = StackSpec(cell="lstm", settings=CELLS["lstm"].Settings(), hidden_size=UNITS)
    settings = settings_of_names("objective", ["past_segment"], {"past_segment": {"frames": SEGMENT}})
    network = Classifier(
        encoders=[(1, stack)],
        num_classes=10,
        head="last_step",
        head_settings=None,
        backprop_steps=BACKPROP,
        objectives=settings,
    )
    batch = WindowBatch(torch.rand(length, BATCH, 1), classes=torch.zeros(BATCH, dtype=torch.int64))
    inputs, kept = InputTransforms(1, {}), 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    seconds: list[float] = []
    for _ in range(3):
        kept, began = 0, time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            losses = network.losses(inputs, batch)
        torch.stack([loss.total for loss in losses.by_name.values()]).sum().backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - began)
    return kept / 1e6, min(seconds)


def accuracies(folder: Path, minutes: float) -> dict[str, list[tuple[float, float]]]:
    """Return accuracy and seconds of every method, seed by seed; exits if time is over before all are there."""
    kept, deadline = folder / "accuracies.json", time.monotonic() + 60 * minutes
    folder.mkdir(exist_ok=True)
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {name: [] for name in METHODS}
    with tempfile.TemporaryDirectory(prefix="vidrep-pixel-mnist-") as scratch:
        features = subset(Path(scratch))
        for seed in SEEDS:
            for name, objective in METHODS.items():
                if len(found[name]) > seed:
                    continue
                if time.monotonic() > deadline:
                    sys.exit(f"{kept}: not all runs are there; the same command goes on")
                found[name].append(accuracy(features, Path(scratch), objective, seed))
                write_text(kept, json.dumps(found))
                print(f"seed {seed}, {name}: {found[name][-1]}", flush=True)
    return found


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    found = accuracies(options.folder, options.minutes)
    lines = ["| | seed 0 | seed 1 | seed 2 | mean | seconds a run |", "|---|---|---|---|---|---|"]
    for name in METHODS:
        values: NDArray[np.float64] = np.array(found[name])
        cells = " | ".join(f"{one:.3f}" for one in values[:, 0])
        lines.append(f"| {name} | {cells} | {values[:, 0].mean():.3f} | {np.median(values[:, 1]):.0f} |")
    lines += ["", "| time steps | MB kept for the backward pass | seconds a step |", "|---|---|---|"]
    for length in LENGTHS:
        megabytes, seconds = cost(length)
        lines.append(f"| {length} | {megabytes:.2f} | {seconds:.2f} |")
    page = (
        f"# Digits pixel by pixel\n\n{facts()}\nMade by `python benchmarks/pixel_mnist.py FOLDER`, {THREADS} thread, "
        "by the [protocol](pixel-mnist-protocol.md). Accuracy on test digits (chance is about 0.1):\n\n"
        + "\n".join(lines)
    )
    (ROOT / "docs" / "results" / "pixel-mnist.md").write_text(page + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
