"""vidrep's network on generated long videos and on joined matches, beside what the scripts of these measure.

    python benchmarks/segment_networks.py long FOLDER [--minutes 1 2 ...] [--draws 0 1 ...] [--from-scratch-alone]
    python benchmarks/segment_networks.py joined FOLDER [--seeds 0 1 ...]

FOLDER was made by benchmarks/long_videos.py or benchmarks/joined_matches.py, whose `page` lays out all figures. By the
commands that users give: `vidrep train` on the training videos without annotations, `vidrep finetune --annotations`.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import joined_matches
import long_videos
import numpy as np
import torch
from numpy.typing import NDArray
from segmenting import SegmentTask

from vidrep.timelines.segmenter_run import LSTM, SegmenterRun
from vidrep.timelines.settings import BoutSettings

FROM_SCRATCH, PRETRAINED = "vidrep, from scratch", "vidrep, pretrained"
PRETRAINING = (
    "vidrep train FEATURES -o pretrained --steps 1000 --set encoder.bidirectional=true --set encoder.hidden_size=128 "
    '--set likelihood=gaussian --set transforms=["standardize","center_clip","differences"] '
    '--set objectives=["reconstruction"] --set windows.context=48 --set encoder.dropout=0.3 --threads 1 -q'
)


@dataclass(frozen=True, eq=False)
class Network:
    """What a run predicts with, as a classifier of frames; labels: in their order, 0 of one that it never saw."""

    run: SegmenterRun
    labels: Sequence[str]

    @property
    def frames_ahead(self) -> int:
        """See FrameClassifier."""
        return self.run.delay

    def probabilities(self, blocks: Iterable[NDArray[np.generic]]) -> Iterator[NDArray[np.floating]]:
        """See FrameClassifier."""
        own = self.run.network.labels
        for found in self.run.classifier(self.run.predictor).probabilities(blocks):
            zeros = np.zeros(len(found), found.dtype)
            yield np.stack([found[:, own.index(one)] if one in own else zeros for one in self.labels], axis=1)


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", choices=("long", "joined"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, nargs="+", default=long_videos.MINUTES)
    parser.add_argument("--draws", type=int, nargs="+", default=long_videos.DRAWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=joined_matches.SEEDS)
    parser.add_argument("--from-scratch-alone", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data == "joined":
        for seed in options.seeds:
            results = joined_matches.measured_file(options.folder, FROM_SCRATCH, seed)
            if not results.exists():
                measure(
                    joined_matches.task_of(options.folder, seed),
                    options.folder / f"match-{seed}",
                    annotations=joined_matches.annotations_file(options.folder, seed),
                    seed=seed,
                    results=results,
                )
        return
    pretrained = options.folder / "pretrained"
    if not options.from_scratch_alone and not pretrained.exists():
        vidrep(*PRETRAINING.replace("FEATURES", long_videos.FEATURES).split()[1:], folder=options.folder)
    for draw in options.draws:
        for minutes in options.minutes:
            for method in (FROM_SCRATCH,) if options.from_scratch_alone else (FROM_SCRATCH, PRETRAINED):
                results = long_videos.measured_file(options.folder, method, minutes, draw)
                if not results.exists():
                    measure(
                        long_videos.task_of(options.folder, minutes, draw),
                        options.folder / f"run-{minutes}-{draw}",
                        annotations=long_videos.annotated_file(options.folder, minutes, draw),
                        seed=draw,
                        results=results,
                        pretrained=pretrained if method == PRETRAINED else None,
                    )


def measure(
    task: SegmentTask, run: Path, *, annotations: Path, seed: int, results: Path, pretrained: Path | None = None
) -> None:
    """Train a run, and write its figures on the test videos."""
    words = ["finetune", task.features.path.resolve(), "-o", run.resolve(), "--annotations", annotations.resolve()]
    words += ["--seed", seed, "--threads", 1, "--overwrite", "-q", *(["--multi-label"] * task.test.several_labels)]
    words += ["--from", pretrained.resolve()] if pretrained else []
    began = time.monotonic()
    vidrep(*words, folder=run.parent)
    seconds = time.monotonic() - began
    trained = SegmenterRun.load(run)
    for one, name in ((trained.predicting_with(LSTM), f"{results.stem}, LSTM alone"), (trained, results.stem)):
        rules = _of_all(one.rules, task.test.labels)
        found = task.measured(Network(one, task.test.labels), training_seconds=seconds, rules=rules)
        found.save(results.with_name(f"{name}.json"))
        print(f"{results.parent.name}, {name} ({one.predictor}): {found}", flush=True)


def _of_all(rules: BoutSettings, labels: Sequence[str]) -> BoutSettings:
    """Return rules that have thresholds of all labels: the defaults of those that the run never saw."""
    default = BoutSettings.default(labels)
    return replace(rules, enter={**default.enter, **rules.enter}, leave={**default.leave, **rules.leave})


def vidrep(*words: object, folder: Path) -> None:
    """Run a command."""
    subprocess.run([Path(sys.executable).with_name("vidrep"), *map(str, words)], cwd=folder, check=True)


if __name__ == "__main__":
    main()
