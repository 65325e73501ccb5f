"""Collocation against fine-tuning and freezing the same pretrained encoder, on the draws of `vidrep study`.

VIDREP_DATA=... python benchmarks/collocation.py fc6                     real VGG-16 fc6 sequences, 6 classes
VIDREP_DATA=... python benchmarks/collocation.py tennis7 [FEATURES]      SqueezeNet features of whole frames, 7 classes

Each writes docs/results/collocation-NAME.md. The protocol, docs/results/collocation.md, was written before.
FEATURES are those of tennis7 that benchmarks/tennis7.py extracts, if they are there already.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recording import ROOT, facts, real_data

import vidrep
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.evaluation.study.draws import Units
from vidrep.evaluation.study.videos import StudyVideos
from vidrep.features.annotations import Annotation
from vidrep.features.groups import NO_RULE, GroupRule
from vidrep.features.store import Features
from vidrep.metrics.paired import PairedDifference, paired_difference_over_draws
from vidrep.metrics.predictor import ClassifierRun

SHOTS, THREADS, STEPS = (2, 4, 8), 1, 100
MOST_DRAWS, LAST_START = 8, 8 * 60.0  # seconds after which no further draw begins
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
    """Videos, those of them that a draw may label, and the labels that it leaves."""

    videos: StudyVideos
    units: Units

    @classmethod
    def of(cls, features: Features, rule: GroupRule) -> "DataSet":
        """Take the labels and splits of the features, and the groups of a rule."""
        videos = StudyVideos.of(features, None, rule)
        return cls(videos, Units.of(videos, "videos"))

    @property
    def features(self) -> Features:
        """The features of the videos."""
        return self.videos.features

    def labeled(self, chosen: Collection[int]) -> dict[str, Annotation]:
        """Return annotations by which no training video has a label but the chosen ones."""
        hidden = set(self.videos.train) - set(chosen)
        rows = enumerate(self.features.videos)
        return {row.path: Annotation("" if video in hidden else row.label, row.split) for video, row in rows}


def fc6(folder: Path, given: Path | None) -> DataSet:
    """Import the fc6 sequences; each video is a group of its own."""
    vidrep.import_features(real_data() / "features" / "ucf101_fc6_small.h5", folder / "features.h5")
    return DataSet.of(vidrep.open_features(folder / "features.h5"), NO_RULE)


def tennis7(folder: Path, given: Path | None) -> DataSet:
    """Extract features of whole frames, or take those that are given; groups are blocks of ten clips of a stroke."""
    if given is None:
        weights = real_data() / "weights" / "squeezenet1_1_imagenet_fp16.pth"
        extractor = vidrep.CnnExtractor(model="squeezenet1_1", weights=str(weights), region="frame", precision="fp32")
        lists = vidrep.read_annotations(labels=real_data() / "tennis7")
        given = folder / "features.h5"
        vidrep.extract(vidrep.find_videos([real_data() / "tennis7"]), given, extractor, annotations=lists)
    return DataSet.of(vidrep.open_features(given), GroupRule(None, 10))


DATA_SETS: dict[str, Callable[[Path, Path | None], DataSet]] = {"fc6": fc6, "tennis7": tennis7}


def measure(data: DataSet, folder: Path) -> tuple[dict[tuple[str, int], NDArray[np.bool_]], dict[str, float]]:
    """Return which test videos are right, {(method, k): (draws, V)}, and the seconds of a run of each method."""
    recipe = vidrep.load_recipe(PretrainConfig, "few-labels", changes=PRETRAINED)
    start = vidrep.train(data.features, folder / "start", recipe, annotations=data.labeled([]), threads=THREADS).folder
    test = data.videos.test_sources
    true = np.array(data.videos.labeled.classes)[data.videos.true]
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
                annotations=data.labeled(data.units.drawn(shots, draw)),
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
    lines += ["", "Collocation is better by, with the 95 % interval over draws and groups of test videos:", ""]
    lines += [f"{head} |", f"{rule}|"]
    for method in METHODS:
        if method != COLLOCATION:
            paired = [
                paired_difference_over_draws(right[COLLOCATION, k], right[method, k], data.videos.test_groups)
                for k in SHOTS
            ]
            lines.append(f"| than {method} | {' | '.join(map(_cell, paired))} |")
    return "\n".join(lines)


def _cell(one: PairedDifference) -> str:
    return f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def main() -> None:
    """Measure one data set, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(DATA_SETS))
    parser.add_argument("features", type=Path, nargs="?")
    given = parser.parse_args()
    name = given.name
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vidrep-collocation-") as scratch:
        data = DATA_SETS[name](Path(scratch), given.features)
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
