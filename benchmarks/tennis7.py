"""tennis7 with the given SqueezeNet weights: what `finetune` chooses by itself, beside all baselines; five seeds.

VIDREP_DATA=... python benchmarks/tennis7.py      writes docs/results/tennis7.md

The protocol, docs/results/few-labels-protocol.md, was written before.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recording import Recording, real_data

from vidrep.features.store import Features, open_features
from vidrep.metrics.paired import paired_difference
from vidrep.metrics.predictor import ClassifierRun

SEEDS = (0, 1, 2, 3, 4)
BLOCK = 10  # clip numbers whose clips are never divided between learning and validating
CPU = torch.device("cpu")
FRAME_FEATURES = (
    "vidrep extract cnn $VIDREP_DATA/tennis7 -o frame.h5 --model squeezenet1_1 --weights "
    "$VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth --region frame --precision fp32 --labels tennis.csv"
)


def main() -> None:
    """Run everything and write the page."""
    record = Recording("tennis7: 371 clips of seven tennis strokes, SqueezeNet features", real_data())
    record.add(
        "Data: tennis7, its own lists (280 training and 91 test clips), whole frames. Made by `python "
        "benchmarks/tennis7.py`, by the [protocol](few-labels-protocol.md). Head, transforms, windows and what "
        "predicts are chosen by cross-validation on blocks of the training clips; the test clips chose nothing here, "
        "but they are not fresh: earlier versions of vidrep were measured on them."
    )
    write_annotations(real_data() / "tennis7", record.folder / "tennis.csv")
    record.run(FRAME_FEATURES)
    common = "--labels tennis.csv --threads 1"
    for seed in SEEDS:
        record.run(f"vidrep train frame.h5 -o few{seed} --recipe few-labels --seed {seed} {common}", keep=seed == 0)
        record.run(f"vidrep finetune frame.h5 --from few{seed} -o actions{seed} --seed {seed} {common}")
        record.run(f"vidrep evaluate actions{seed} frame.h5 {common}", keep=seed == 0)
    record.add(table(open_features(record.folder / "frame.h5"), record.folder))
    record.save("tennis7")


def write_annotations(source: Path, output: Path) -> None:
    """Write a CSV of label, split and group of each clip; a group is a block of clip numbers across all strokes."""
    with output.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "label", "split", "group"])
        for split in ("train", "test"):
            for line in (source / f"{split}list01.txt").read_text().splitlines():
                video = line.split()[0]
                rows.writerow([video, video.split("/")[0], split, f"block{block_of(video)}"])


def block_of(video: str) -> int:
    """Return the number of a clip's block."""
    found = re.search(r"(\d+)\.mp4", video)
    assert found
    return (int(found.group(1)) - 1) // BLOCK


def table(features: Features, folder: Path) -> str:
    """Lay out the accuracy of what predicts and of all baselines, for each seed, and of the average of all seeds."""
    test = [number for number, row in enumerate(features.videos) if row.split == "test"]
    groups = [f"{features.videos[video].label} {block_of(features.videos[video].path)}" for video in test]
    runs = [ClassifierRun.load(folder / f"actions{seed}") for seed in SEEDS]
    true = np.array([runs[0].description.classes.index(features.videos[video].label) for video in test])
    found: dict[str, list[NDArray[np.float64]]] = {}
    for run in runs:
        found.setdefault("what predicts", []).append(np.stack(list(run.predict(features, test, device=CPU).values())))
        for name, probabilities in run.baselines(features, test, device=CPU).items():
            found.setdefault(_without_reads(name), []).append(probabilities)
    right = {name: [one.argmax(axis=1) == true for one in every] for name, every in found.items()}
    right["average of the five runs' predictors"] = [np.mean(found["what predicts"], axis=0).argmax(axis=1) == true]
    lines = [
        "Accuracy on the 91 test clips, one standard error about 0.05; and by how much the average of the five runs is "
        "better, paired, with the 95 % interval over blocks of ten clips of a stroke.\n",
        "| | mean over seeds | each | average better by |\n|---|---|---|---|",
    ]
    lines += [
        _row(name, every, right["average of the five runs' predictors"][0], groups) for name, every in right.items()
    ]
    return "\n".join(lines)


def _without_reads(name: str) -> str:
    """Name a classifier on an encoder by its kind alone: what it reads of the encoder differs between seeds."""
    parts = name.split(", ")
    return f"{parts[0]}, {parts[-1]}" if "encoder" in parts[0] else name


def _row(name: str, every: Sequence[NDArray[np.bool_]], average: NDArray[np.bool_], groups: Sequence[str]) -> str:
    accuracies = [float(one.mean()) for one in every]
    paired = paired_difference(average, np.mean(every, axis=0), groups)
    better = f"{paired.difference:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})"
    return f"| {name} | {np.mean(accuracies):.3f} | {', '.join(f'{one:.3f}' for one in accuracies)} | {better} |"


if __name__ == "__main__":
    main()
