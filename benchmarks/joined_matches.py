"""tennis7's clips joined to untrimmed matches: where one stroke ends and which one follows, by baselines and a peer.

    VIDREP_DATA=... python benchmarks/joined_matches.py FOLDER make                  features, matches, annotations
    VIDREP_DATA=... python benchmarks/joined_matches.py FOLDER measure [--seeds 0 1 ...]
    VIDREP_DATA=... python benchmarks/joined_matches.py FOLDER page                  docs/results/joined-matches.md

The protocol, docs/results/long-videos-protocol.md, was written before. Frames are real; FOLDER is not to be committed.
The features of a frame depend on nothing else: those of joined clips are joined in place of the clips themselves.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from cbas_head import HeadTraining
from joining import ANNOTATIONS, MATCHES, join
from recording import ROOT, facts, real_data
from segmenting import Measured, SegmentTask, mean_of, table

from vidrep.features.store import open_features
from vidrep.metrics.segmentation.truth import read_truth
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Annotations

SEEDS = (0, 1, 2, 3, 4)
COMMAND = (
    "vidrep extract cnn $VIDREP_DATA/tennis7 -o clips.h5 --model squeezenet1_1 "
    "--weights $VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth --region frame --precision fp32 --every 2 "
    "--labels $VIDREP_DATA/tennis7"
)
HEAD = HeadTraining(steps=300)


def main() -> None:
    """Do one part of the work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=("make", "measure", "page"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part == "make":
        make(options.folder)
    elif options.part == "measure":
        for seed in options.seeds:
            measure(options.folder, seed)
    else:
        page(options.folder)


def make(folder: Path) -> None:
    """Extract the features of the clips, and join them anew for each seed."""
    folder.mkdir(parents=True)
    script = Path(sys.executable).with_name("vidrep")
    words = COMMAND.replace("$VIDREP_DATA", str(real_data())).split()[1:]
    subprocess.run([script, *words], cwd=folder, check=True)
    for seed in SEEDS:
        join(open_features(folder / "clips.h5"), folder / f"matches-{seed}", seed)


def measured_file(folder: Path, method: str, seed: int) -> Path:
    """Return the file of one method's figures."""
    return folder / "measured" / str(seed) / f"{method}.json"


def annotations_file(folder: Path, seed: int) -> Path:
    """Return the annotations of the matches of one seed."""
    return folder / f"matches-{seed}" / ANNOTATIONS


def task_of(folder: Path, seed: int) -> SegmentTask:
    """Return what is learned from and what is tested."""
    place = folder / f"matches-{seed}"
    features = open_features(place / MATCHES)
    every = read_segments(place / ANNOTATIONS)
    parts = {
        split: Annotations.of(
            [one for one in every.segments if every.splits[one.video] == split],
            {video: spans for video, spans in every.watched.items() if every.splits[video] == split},
        )
        for split in ("train", "test")
    }
    training = read_truth(features, parts["train"])
    test = read_truth(features, parts["test"], labels=training.labels)
    return SegmentTask(features=features, training=training, test=test)


def measure(folder: Path, seed: int) -> None:
    """Fit and measure everything but networks on the matches of one seed."""
    task = task_of(folder, seed)
    for name, classifier, seconds in task.classifiers(seed=seed, head=HEAD):
        found = task.measured(classifier, training_seconds=seconds)
        found.save(measured_file(folder, name, seed))
        print(f"seed {seed}, {name}: {found}", flush=True)


def page(folder: Path) -> None:
    """Lay out all that is measured."""
    found: dict[str, list[Measured]] = {}
    for path in sorted(folder.glob("measured/*/*.json")):
        found.setdefault(path.stem, []).append(Measured.load(path))
    rows = {
        f"{name}, {len(some)} seeds": [
            *(mean_of(one.f1[overlap] for one in some) for overlap in ("0.1", "0.25", "0.5")),
            mean_of(one.edit for one in some),
            mean_of(one.boundary_error for one in some),
            mean_of(one.accuracy for one in some),
            f"{np.mean([one.num_predictions for one in some]):.0f} of {some[0].num_true}",
        ]
        for name, some in found.items()
    }
    columns = ["F1 at 10 %", "F1 at 25 %", "F1 at 50 %", "edit", "boundary error, s", "accuracy of frames", "bouts"]
    lines = [
        "# Matches joined of tennis7's clips",
        "",
        facts(),
        "",
        "Made by `python benchmarks/joined_matches.py` by the [protocol](long-videos-protocol.md), with:",
        "",
        f"    {COMMAND}",
        "",
        "Of several seeds the mean, and in brackets the least and the largest.",
        "",
        table(columns, rows),
    ]
    path = ROOT / "docs" / "results" / "joined-matches.md"
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
