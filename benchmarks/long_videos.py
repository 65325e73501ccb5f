"""Generated long videos: segments found by baselines, a peer's head and networks, against annotated minutes.

    python benchmarks/long_videos.py FOLDER make [--overlaps]             the videos, their features, what is annotated
    python benchmarks/long_videos.py FOLDER measure [--minutes 1 2 ...] [--draws 0 1 ...]
    python benchmarks/long_videos.py FOLDER page                          writes docs/results/long-videos.md, of two
                                                                          shapes long-videos-two-shapes.md

The protocol, docs/results/long-videos-protocol.md, was written before. Figures are kept in FOLDER/measured/, a file for
each method (`Measured.save`), so that a run can be divided and other methods can be added.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from annotated_minutes import annotated, drawn_pieces, first_minutes
from cbas_head import HeadTraining
from recording import ROOT, facts
from segmenting import Measured, SegmentTask, mean_of, table

from vidrep.features.store import open_features
from vidrep.metrics.segmentation.truth import BACKGROUND, read_truth
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Annotations
from vidrep.segments.writing import write_segments

MINUTES = (1, 2, 5, 10, 20)
DRAWS = (0, 1, 2)
COMMANDS = (
    "vidrep sample -o videos --long-videos 40 --minutes 3 --seed 11",
    "vidrep extract patches videos -o features.h5 --size 8 --splits videos/splits.csv",
)
FEATURES, ANNOTATIONS, OVERLAPS = "features.h5", "videos/annotations.csv", "overlaps"
HEAD = HeadTraining(steps=1000)


TABLES: dict[str, Callable[[Measured], float | None]] = {
    "Segmental F1 at 50 %": lambda one: one.f1["0.5"],
    "Segmental F1 at 25 %": lambda one: one.f1["0.25"],
    "Segmental F1 at 10 %": lambda one: one.f1["0.1"],
    "Edit score": lambda one: one.edit,
    "Boundary error, seconds": lambda one: one.boundary_error,
    "Accuracy of frames": lambda one: one.accuracy,
    "Bouts found": lambda one: float(one.num_predictions),
    "Seconds of training (of all baselines together)": lambda one: one.training_seconds,
}


def main() -> None:
    """Do one part of the work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=("make", "measure", "page"))
    parser.add_argument("--overlaps", action="store_true", help="two shapes, several labels at one time")
    parser.add_argument("--minutes", type=int, nargs="+", default=MINUTES)
    parser.add_argument("--draws", type=int, nargs="+", default=DRAWS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part == "make":
        make(options.folder, overlaps=options.overlaps)
    elif options.part == "measure":
        for draw in options.draws:
            for minutes in options.minutes:
                measure(options.folder, minutes, draw)
    else:
        page(options.folder)


def make(folder: Path, *, overlaps: bool) -> None:
    """Make the videos, extract their features, and write a file of annotations for each draw of so many minutes."""
    folder.mkdir(parents=True)
    script = Path(sys.executable).with_name("vidrep")
    for command in commands(overlaps=overlaps):
        subprocess.run([script, *command.split()[1:]], cwd=folder, check=True)
    whole = read_segments(folder / ANNOTATIONS)
    for draw in DRAWS:
        pieces = list(drawn_pieces(whole, draw))
        for minutes in MINUTES:
            some = annotated(whole, first_minutes(pieces, minutes))
            write_segments(some, annotated_file(folder, minutes, draw))


def commands(*, overlaps: bool) -> list[str]:
    """Return what makes the videos and their features."""
    return [f"{one} --overlaps" if overlaps and " sample " in one else one for one in COMMANDS]


def annotated_file(folder: Path, minutes: int, draw: int) -> Path:
    """Return the file of what is annotated of the training videos."""
    return folder / f"annotated-{minutes:02d}-{draw}.csv"


def measured_file(folder: Path, method: str, minutes: int, draw: int) -> Path:
    """Return the file of one method's figures."""
    return folder / "measured" / f"{minutes:02d}-{draw}" / f"{method}.json"


def measure(folder: Path, minutes: int, draw: int) -> None:
    """Fit and measure everything but networks on so many annotated minutes."""
    task = task_of(folder, minutes, draw)
    for name, classifier, seconds in task.classifiers(seed=draw, head=HEAD):
        found = task.measured(classifier, training_seconds=seconds)
        found.save(measured_file(folder, name, minutes, draw))
        print(f"{minutes} min, draw {draw}, {name}: {found}", flush=True)


def task_of(folder: Path, minutes: int, draw: int) -> SegmentTask:
    """Return what is learned from and what is tested."""
    features = open_features(folder / FEATURES)
    whole = read_segments(folder / ANNOTATIONS)
    test = Annotations.of(
        [one for one in whole.segments if whole.splits[one.video] == "test"],
        {video: spans for video, spans in whole.watched.items() if whole.splits[video] == "test"},
    )
    some = read_segments(annotated_file(folder, minutes, draw))
    several_labels = max_at_once(whole) > 1
    # A motion that no annotated minute shows is still one that test videos show.
    labels = [*whole.labels, *([] if several_labels else [BACKGROUND])]
    training, test_truth = (
        read_truth(features, one, several_labels=several_labels, labels=labels) for one in (some, test)
    )
    return SegmentTask(features=features, training=training, test=test_truth)


def max_at_once(annotations: Annotations) -> int:
    """Return how many segments of a video hold at one time at most."""
    most = 0
    for segments in annotations.by_video.values():
        starts, ends = (np.sort([getattr(one, which) for one in segments]) for which in ("start", "end"))
        most = max(
            most, int(np.max(np.searchsorted(starts, starts, side="right") - np.searchsorted(ends, starts, "right")))
        )
    return most


def page(folder: Path) -> None:
    """Lay out all that is measured."""
    found: dict[str, dict[int, list[Measured]]] = {}
    for minutes in MINUTES:
        for path in sorted(folder.glob(f"measured/{minutes:02d}-*/*.json")):
            found.setdefault(path.stem, {}).setdefault(minutes, []).append(Measured.load(path))
    measured = [minutes for minutes in MINUTES if any(minutes in by_minutes for by_minutes in found.values())]
    columns = [f"{minutes} min" for minutes in measured]
    overlaps = max_at_once(read_segments(folder / ANNOTATIONS)) > 1
    of_what = "Long videos of two shapes, several labels at one time" if overlaps else "Long videos"
    lines = [f"# {of_what}: segments against annotated minutes", "", facts(), ""]
    lines += [
        "Made by `python benchmarks/long_videos.py` by the [protocol](long-videos-protocol.md), with:",
        "",
        *(f"    {command}" for command in commands(overlaps=overlaps)),
        "",
        "Of several draws the mean, and in brackets the least and the largest.",
        "",
    ]
    for title, figures in TABLES.items():
        rows = {
            name: [mean_of(figures(one) for one in by_minutes.get(minutes, [])) for minutes in measured]
            for name, by_minutes in found.items()
        }
        lines += [f"## {title}", "", table(columns, rows), ""]
    name = "long-videos-two-shapes.md" if overlaps else "long-videos.md"
    path = ROOT / "docs" / "results" / name
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
