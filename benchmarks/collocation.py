"""Collocation against fine-tuning and freezing the same pretrained encoder, on the same draws of few labels.

VIDREP_DATA=... python benchmarks/collocation.py fc6          real VGG-16 fc6 sequences, 6 classes
VIDREP_DATA=... python benchmarks/collocation.py tennis7      SqueezeNet features of whole frames, 7 classes

Each writes docs/results/collocation-NAME.md. The protocol, docs/results/collocation.md, was written before.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recording import ROOT, facts, real_data
from tennis7 import write_annotations

import vidrep
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.features.annotation_files import read_annotations
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.metrics.paired import PairedDifference, paired_difference
from vidrep.metrics.predictor import ClassifierRun

SHOTS, THREADS, STEPS = (2, 4, 8), 1, 100
MOST_DRAWS, LAST_START = 5, 9 * 60.0  # seconds after which no further draw begins
PRETRAINED = {"encoder.hidden_size": 64, "training.steps": 200, "training.ensemble": 1}
# Those of `finetune` for the candidates with clips (vidrep/training/candidates.py), with the last weights.
TUNED: dict[str, Any] = {
    "selection.enabled": False,
    "classifier.head": "last_step",
    "classifier.dropout": 0.0,
    "classifier.label_smoothing": 0.1,
    "encoder.dropout": 0.3,
    "windows.least_share": 0.6,
    "optimizer.learning_rate": 2e-3,
    "optimizer.lr_schedule": "one_cycle",
    "optimizer.weight_decay": 1e-4,
    "optimizer.clip_norm": 5.0,
    "training.steps": STEPS,
    "training.validate_every": STEPS,
    "training.patience": 0,
    "training.keep": "last",
}
FITTED: dict[str, Any] = {
    "selection.enabled": False,
    "classifier.transfer": "frozen",
    "classifier.head": "logistic",
    "training.keep": "last",
}
COLLOCATION = "collocation"
METHODS: dict[str, dict[str, Any]] = {
    COLLOCATION: TUNED | {"classifier.transfer": "collocation"},
    "init": TUNED,
    "frozen": FITTED,
}


@dataclass(frozen=True)
class DataSet:
    """Features with labels, splits and groups."""

    features: Features
    annotations: dict[str, Annotation]

    def labels(self) -> list[str]:
        """Return the label of each video."""
        return [self.annotations[row.path].label or "" for row in self.features.videos]

    def videos(self, split: str) -> list[int]:
        """Return the indices of a split's videos."""
        rows = self.features.videos
        return [number for number, row in enumerate(rows) if self.annotations[row.path].split == split]

    def drawn(self, shots: int, draw: int) -> dict[str, Annotation]:
        """Return the annotations in which `shots` videos a class of the training split have labels."""
        rng, train, labels = np.random.default_rng([draw, shots]), self.videos("train"), self.labels()
        kept = set(self.videos("test"))
        for name in sorted(set(labels)):
            of_class = [video for video in train if labels[video] == name]
            kept |= {of_class[one] for one in rng.permutation(len(of_class))[:shots]}
        paths = [row.path for row in self.features.videos]
        every = [(video, path, self.annotations[path]) for video, path in enumerate(paths)]
        return {path: one if video in kept else replace(one, label="") for video, path, one in every}


def fc6(folder: Path) -> DataSet:
    """Import the fc6 sequences; each video is a group of its own."""
    vidrep.import_features(real_data() / "features" / "ucf101_fc6_small.h5", folder / "features.h5")
    features = vidrep.open_features(folder / "features.h5")
    return DataSet(features, {row.path: Annotation(row.label, row.split, row.group or None) for row in features.videos})


def tennis7(folder: Path) -> DataSet:
    """Extract features of whole frames; each clip is drawn on its own."""
    write_annotations(real_data() / "tennis7", folder / "tennis.csv")
    weights = real_data() / "weights" / "squeezenet1_1_imagenet_fp16.pth"
    extractor = vidrep.CnnExtractor(model="squeezenet1_1", weights=str(weights), region="frame", precision="fp32")
    vidrep.extract(vidrep.find_videos([real_data() / "tennis7"]), folder / "features.h5", extractor)
    features = vidrep.open_features(folder / "features.h5")
    annotations = read_annotations(labels=folder / "tennis.csv")
    return DataSet(features, {row.path: annotations[row.path] for row in features.videos})


DATA_SETS: dict[str, Callable[[Path], DataSet]] = {"fc6": fc6, "tennis7": tennis7}


def measure(data: DataSet, folder: Path) -> tuple[dict[tuple[str, int], NDArray[np.bool_]], dict[str, float]]:
    """Return which test videos are right, {(method, k): (draws, V)}, and the seconds of a run of each method."""
    unlabeled = {key: replace(one, label="") for key, one in data.annotations.items()}
    recipe = vidrep.load_recipe(PretrainConfig, "few-labels", changes=PRETRAINED)
    start = vidrep.train(data.features, folder / "start", recipe, annotations=unlabeled, threads=THREADS).folder
    test = data.videos("test")
    true = np.array(data.labels())[test]
    right: dict[tuple[str, int], list[NDArray[np.bool_]]] = {}
    seconds: dict[str, list[float]] = {}
    first = time.monotonic()
    for draw in range(MOST_DRAWS):
        if time.monotonic() - first > LAST_START:
            break
        for shots, (method, changes) in product(SHOTS, METHODS.items()):
            began = time.monotonic()
            run = vidrep.finetune(
                data.features,
                folder / "classifier",
                vidrep.load_recipe(FinetuneConfig, changes=changes),
                pretrained=start,
                annotations=data.drawn(shots, draw),
                threads=THREADS,
                overwrite=True,
            )
            seconds.setdefault(method, []).append(time.monotonic() - began)
            found = ClassifierRun.load(run.folder).predict(data.features, test, device=torch.device("cpu"))
            predicted = np.array([one.argmax() for one in found.values()])
            right.setdefault((method, shots), []).append(np.array(run.classes)[predicted] == true)
        print(f"draw {draw}: { ({key: f'{found[-1].mean():.3f}' for key, found in right.items()}) }", flush=True)
    return {key: np.stack(found) for key, found in right.items()}, {m: float(np.median(s)) for m, s in seconds.items()}


def report(data: DataSet, right: Mapping[tuple[str, int], NDArray[np.bool_]], seconds: Mapping[str, float]) -> str:
    """Lay out accuracies, and by how much collocation is better than each other method, paired."""
    head = "| | " + " | ".join(f"k = {shots}" for shots in SHOTS)
    rule = "|---" * (len(SHOTS) + 1)
    draws = len(right[COLLOCATION, SHOTS[0]])
    lines = [f"Accuracy per test video, mean over {draws} draws (deviation between draws):", ""]
    lines += [f"{head} | seconds a run |", f"{rule}|---|"]
    for method in METHODS:
        of_draws = [right[method, shots].mean(axis=1) for shots in SHOTS]
        cells = [f"{one.mean():.3f} ({one.std(ddof=1):.3f})" for one in of_draws]
        lines.append(f"| {method} | {' | '.join(cells)} | {seconds[method]:.1f} |")
    lines += ["", "Collocation is better by, with the 95 % interval over groups of test videos:", ""]
    lines += [f"{head} |", f"{rule}|"]
    groups = [_group(data, video) for video in data.videos("test")]
    for method in METHODS:
        if method != COLLOCATION:
            pairs = [(right[COLLOCATION, k].mean(axis=0), right[method, k].mean(axis=0)) for k in SHOTS]
            lines.append(f"| than {method} | {' | '.join(_cell(paired_difference(*pair, groups)) for pair in pairs)} |")
    return "\n".join(lines)


def _cell(one: PairedDifference) -> str:
    return f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def _group(data: DataSet, video: int) -> str:
    """Return the group of a test video: a block of a stroke's clip numbers, or the video itself."""
    group = data.annotations[data.features.videos[video].path].group
    return f"{data.labels()[video]} {group}" if group else str(video)


def main() -> None:
    """Measure one data set, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(DATA_SETS))
    name = parser.parse_args().name
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vidrep-collocation-") as scratch:
        data = DATA_SETS[name](Path(scratch))
        table = report(data, *measure(data, Path(scratch)))
    minutes = (time.monotonic() - began) / 60
    page = (
        f"# Collocation: {name}\n\n{facts()}\nMade by `python benchmarks/collocation.py {name}` in {minutes:.0f} min, "
        f"{THREADS} thread. [Protocol](collocation.md).\n\n{table}\n"
    )
    (ROOT / "docs" / "results" / f"collocation-{name}.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
