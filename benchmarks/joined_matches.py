"""tennis7's clips joined to untrimmed matches: where one stroke ends and which one follows, by baselines and a peer.

    VIDREP_DATA=... python benchmarks/joined_matches.py FOLDER make                  features, matches, annotations
    VIDREP_DATA=... python benchmarks/joined_matches.py FOLDER measure [--seeds 0 1 ...]
    VIDREP_DATA=... python benchmarks/joined_matches.py FOLDER page                  docs/results/joined-matches.md

The protocol, docs/results/long-videos-protocol.md, was written before. Frames are real; FOLDER is not to be committed.
The features of a frame depend on nothing else: those of joined clips are joined in place of the clips themselves.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from cbas_head import HeadTraining
from recording import ROOT, facts, real_data
from segmenting import Measured, SegmentTask, mean_of, table

from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.metrics.segmentation.truth import read_truth
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.segments.writing import write_segments

SEEDS = (0, 1, 2, 3, 4)
NUMBERS_IN_A_MATCH = 5
"""Clips of each stroke in a match: neighboring numbers, which share player and court."""
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


def join(clips: Features, output: Path, seed: int) -> None:
    """Write matches.h5 and annotations.csv of clips in an order drawn anew."""
    rng = np.random.default_rng(seed)
    rate = 1 / float(np.median(np.diff(clips.timestamps(0))))
    matches = dict(sorted(by_match(clips).items()))
    segments, watched, splits = [], {}, {}
    output.mkdir()
    with writing_features(
        output / "matches.h5",
        settings={**clips.settings, "joined": seed},
        versions=clips.versions,
        num_rows=clips.num_frames,
        frame_shape=clips.frame_shape,
        dtype=clips.dtype,
    ) as writer:
        for match, by_stroke in matches.items():
            num_before = 0
            for clip in shuffled(by_stroke, rng):
                frames = clips.rows(clip)
                writer.append(frames, (num_before + np.arange(len(frames))) / rate)
                start, num_before = num_before, num_before + len(frames)
                segments.append(Segment(match, start / rate, num_before / rate, clips.videos[clip].label))
            splits[match] = match.partition("-")[0]
            watched[match] = [Span(0.0, num_before / rate)]
            writer.end_video(VideoRow(match, split=splits[match], fps=rate))
    write_segments(Annotations.of(segments, watched, splits), output / "annotations.csv")


def by_match(clips: Features) -> dict[str, dict[str, list[int]]]:
    """Return the clips of each stroke in each match, "train-01" and so on, of one split and neighboring numbers."""
    found: dict[str, dict[str, list[int]]] = {}
    for index, row in enumerate(clips.videos):
        number = int(re.findall(r"\d+", Path(row.path).stem)[-1])
        match = f"{row.split}-{(number - 1) // NUMBERS_IN_A_MATCH + 1:02d}"
        found.setdefault(match, {}).setdefault(row.label, []).append(index)
    return found


def shuffled(by_stroke: dict[str, list[int]], rng: np.random.Generator) -> Iterator[int]:
    """Yield clips in rounds of all strokes, each in an order of its own, no stroke twice in a row."""
    of_stroke = {stroke: rng.permutation(some).tolist() for stroke, some in sorted(by_stroke.items())}
    last = ""
    while any(of_stroke.values()):
        left = [stroke for stroke, some in of_stroke.items() if some]
        order = rng.permutation(left).tolist()
        if order[0] == last and len(order) > 1:
            order.append(order.pop(0))
        for stroke in order:
            yield of_stroke[stroke].pop()
        last = order[-1]


def measure(folder: Path, seed: int) -> None:
    """Fit and measure everything but networks on the matches of one seed."""
    place = folder / f"matches-{seed}"
    features = open_features(place / "matches.h5")
    every = read_segments(place / "annotations.csv")
    parts = {
        split: Annotations.of(
            [one for one in every.segments if every.splits[one.video] == split],
            {video: spans for video, spans in every.watched.items() if every.splits[video] == split},
        )
        for split in ("train", "test")
    }
    training = read_truth(features, parts["train"])
    task = SegmentTask(
        features=features,
        training=training,
        test=read_truth(features, parts["test"], labels=training.labels),
    )
    for name, classifier, seconds in task.classifiers(seed=seed, head=HEAD):
        found = task.measured(classifier, training_seconds=seconds)
        found.save(folder / "measured" / str(seed) / f"{name}.json")
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
