"""Few labels: contrast, the composite model, an LSTM from scratch and linear baselines, on the same draws of labels.

python benchmarks/few_labels.py sources                   a generated set of 30 sources, balanced
python benchmarks/few_labels.py sources-unbalanced        the same test clips; sources show motions in unequal shares
VIDREP_DATA=... python benchmarks/few_labels.py fc6       real VGG-16 fc6 sequences, 6 classes

Each writes docs/results/few-labels-NAME.md. The protocol, docs/results/few-labels-protocol.md, was written before.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recording import ROOT, facts, real_data

import vidrep
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.features.annotation_files import read_annotations
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.metrics.paired import PairedDifference, paired_difference
from vidrep.metrics.predictor import ClassifierRun
from vidrep.synthetic.source_samples import SourceSampleConfig
from vidrep.training.candidates import candidates

SEED, DRAWS, SHOTS = 3, 5, (1, 2, 4, 8)
NUM_SOURCES, SIDE = 30, 16
SCRATCH_STEPS, THREADS = 150, 1
BASELINES = ("mean feature", "ordered bins")


@dataclass(frozen=True)
class DataSet:
    """Features with labels, splits and groups, and how `k` labels a class are drawn.

    units: of each training video, what is labeled or not as a whole: its source, or for data without groups the video.
    """

    features: Features
    annotations: dict[str, Annotation]
    groups_are_units: bool

    def labels(self) -> list[str]:
        """Return the label of each video."""
        return [self.annotations[row.path].label or "" for row in self.features.videos]

    def videos(self, split: str) -> list[int]:
        """Return the indices of a split's videos."""
        rows = self.features.videos
        return [number for number, row in enumerate(rows) if self.annotations[row.path].split == split]

    def drawn(self, shots: int, draw: int) -> dict[str, Annotation]:
        """Return the annotations in which `shots` sources, or videos a class, of the training split have labels."""
        rng, train = np.random.default_rng([draw, shots]), self.videos("train")
        chosen: set[int] = set()
        if self.groups_are_units:
            sources = sorted({self.annotations[self.features.videos[video].path].group or "" for video in train})
            kept = {sources[one] for one in np.random.default_rng(draw).permutation(len(sources))[:shots]}
            chosen = {video for video in train if self.annotations[self.features.videos[video].path].group in kept}
        else:
            labels = self.labels()
            for name in sorted(set(labels)):
                of_class = [video for video in train if labels[video] == name]
                chosen |= {of_class[one] for one in rng.permutation(len(of_class))[:shots]}
        test = set(self.videos("test"))
        return {
            row.path: one if video in chosen | test else replace(one, label="")
            for video, row in enumerate(self.features.videos)
            for one in [self.annotations[row.path]]
        }


def sources(folder: Path, *, unbalanced: bool) -> DataSet:
    """Make the generated set, and patches of its frames."""
    config = SourceSampleConfig(num_sources=NUM_SOURCES, seed=SEED, unbalanced=unbalanced)
    vidrep.sample(folder / "clips", config)
    annotations = read_annotations(labels=folder / "clips" / "labels.csv")
    vidrep.extract(
        vidrep.find_videos([folder / "clips"]), folder / "features.h5", vidrep.PatchExtractor(size=SIDE), workers=0
    )
    features = vidrep.open_features(folder / "features.h5")
    return DataSet(features, {row.path: annotations[row.path] for row in features.videos}, groups_are_units=True)


def fc6(folder: Path) -> DataSet:
    """Import the fc6 sequences; each video is a group of its own."""
    vidrep.import_features(real_data() / "features" / "ucf101_fc6_small.h5", folder / "features.h5")
    features = vidrep.open_features(folder / "features.h5")
    annotations = {row.path: Annotation(row.label, row.split, row.group or None) for row in features.videos}
    return DataSet(features, annotations, groups_are_units=False)


DATA_SETS: dict[str, Callable[[Path], DataSet]] = {
    "sources": lambda folder: sources(folder, unbalanced=False),
    "sources-unbalanced": lambda folder: sources(folder, unbalanced=True),
    "fc6": fc6,
}
COMPOSITE = {"encoder.hidden_size": 256, "training.steps": 400, "transforms": ["standardize", "center_clip"]}


def pretrained(data: DataSet, folder: Path) -> dict[str, list[Path]]:
    """Pretrain without labels on the training videos: {method: the runs whose encoders it uses}."""
    unlabeled = {key: replace(one, label="") for key, one in data.annotations.items()}
    recipes = {"composite": ("composite", {**COMPOSITE, "likelihood": "gaussian"}), "contrast": ("few-labels", {})}
    if data.groups_are_units:
        recipes["balanced"] = ("few-labels-balanced", {})
    runs = {}
    for name, (recipe, changes) in recipes.items():
        began = time.monotonic()
        config = vidrep.load_recipe(PretrainConfig, recipe, changes=changes)
        runs[name] = vidrep.train(data.features, folder / name, config, annotations=unlabeled, threads=THREADS).folder
        print(f"{name}: pretrained in {time.monotonic() - began:.0f} s", flush=True)
    found = {"composite": [runs["composite"]], "contrast, 1 encoder": [runs["contrast"] / "members" / "1"]}
    found["contrast, 3 encoders"] = [runs["contrast"]]
    return found | ({"contrast + balanced, 3 encoders": [runs["balanced"]]} if "balanced" in runs else {})


def fixed(data: DataSet, *, is_scratch: bool) -> FinetuneConfig:
    """Return the settings of a classifier, with nothing chosen: the best of the candidates from scratch, or frozen."""
    if not is_scratch:
        return vidrep.load_recipe(
            FinetuneConfig,
            changes={
                "selection.enabled": False,
                "classifier.transfer": "frozen",
                "classifier.head": "logistic",
                "training.keep": "last",
            },
        )
    config = candidates(FinetuneConfig(), None, frame_size=data.features.frame_size)[0].config
    training = replace(config.training, steps=SCRATCH_STEPS, validate_every=SCRATCH_STEPS, patience=0, keep="last")
    return replace(config, training=training, selection=replace(config.selection, enabled=False))


def measure(data: DataSet, folder: Path) -> dict[tuple[str, int], NDArray[np.bool_]]:
    """Return which test videos are right: {(method, k): (draws, V)}."""
    starts: dict[str, list[Path] | None] = {"LSTM from scratch": None, **pretrained(data, folder)}
    test = data.videos("test")
    right: dict[tuple[str, int], list[NDArray[np.bool_]]] = {}
    for shots in SHOTS:
        for draw in range(DRAWS):
            annotations = data.drawn(shots, draw)
            for method, start in starts.items():
                run = vidrep.finetune(
                    data.features,
                    folder / "classifier",
                    fixed(data, is_scratch=start is None),
                    pretrained=start,
                    annotations=annotations,
                    threads=THREADS,
                    overwrite=True,
                )
                found = predictions(ClassifierRun.load(run.folder), data, test, with_baselines=start is None)
                for name, predicted in found.items():
                    true = np.array([run.classes.index(label) for label in np.array(data.labels())[test]])
                    right.setdefault((method if name == "LSTM" else name, shots), []).append(predicted == true)
            means = {name: round(float(found[-1].mean()), 3) for (name, k), found in right.items() if k == shots}
            print(f"k {shots}, draw {draw}: {means}", flush=True)
    return {key: np.stack(found) for key, found in right.items()}


def predictions(
    run: ClassifierRun, data: DataSet, test: Sequence[int], *, with_baselines: bool
) -> dict[str, NDArray[np.int64]]:
    """Return the predicted classes of the test videos, of the LSTM and of linear baselines."""
    import torch

    device = torch.device("cpu")
    of_lstm = run.predict(data.features, test, device=device)
    assert list(of_lstm) == list(test)
    found = {"LSTM": np.array([one.argmax() for one in of_lstm.values()])}
    if with_baselines:
        every = run.baselines(data.features, test, device=device)
        found |= {name: every[name].argmax(axis=1) for name in BASELINES}
    return found


def report(data: DataSet, right: Mapping[tuple[str, int], NDArray[np.bool_]]) -> str:
    """Lay out accuracies, and differences from the LSTM from scratch, paired."""
    methods = list(dict.fromkeys(method for method, _ in right))
    groups = [data.annotations[data.features.videos[video].path].group or str(video) for video in data.videos("test")]
    head = "| | " + " | ".join(f"k = {shots}" for shots in SHOTS) + " |\n|---" * 1 + "|---" * len(SHOTS) + "|"
    lines = ["Accuracy per test video, mean over draws (deviation between draws):", "", head]
    for method in methods:
        cells = []
        for shots in SHOTS:
            of_draws = right[method, shots].mean(axis=1)
            cells.append(f"{of_draws.mean():.3f} ({of_draws.std(ddof=1):.3f})")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lines += ["", "Better than the LSTM from scratch by, with the 95 % interval over groups of test videos:", "", head]
    for method in methods:
        if method != "LSTM from scratch":
            differences = [
                paired_difference(right[method, k].mean(axis=0), right["LSTM from scratch", k].mean(axis=0), groups)
                for k in SHOTS
            ]
            lines.append(f"| {method} | " + " | ".join(map(cell, differences)) + " |")
    return "\n".join(lines)


def cell(one: PairedDifference) -> str:
    """Write a difference with its interval."""
    return f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def main() -> None:
    """Measure one data set, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(DATA_SETS))
    name = parser.parse_args().name
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vidrep-few-labels-") as scratch:
        data = DATA_SETS[name](Path(scratch))
        table = report(data, measure(data, Path(scratch)))
    minutes = (time.monotonic() - began) / 60
    page = (
        f"# Few labels: {name}\n\n{facts()}\nMade by `python benchmarks/few_labels.py {name}` in {minutes:.0f} min, "
        f"{THREADS} thread. [Protocol](few-labels-protocol.md).\n\n{table}\n"
    )
    (ROOT / "docs" / "results" / f"few-labels-{name}.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
