"""UCF-101 and HMDB-51 by the protocol of Srivastava et al. 2015: from videos to the paper's table, on splits 1 to 3.

    python benchmarks/action_recognition.py ucf101 UCF-101 ucfTrainTestlist -o ucf101
    python benchmarks/action_recognition.py hmdb51 hmdb51_org testTrainMulti_7030_splits -o hmdb51

VIDEOS is the folder of class folders, or a feature file that was extracted or imported before; LISTS the official
folder of lists. Percepts of RGB frames (fc6 of VGG-16, behind its ReLU) are extracted once. Then for each split: the
composite model is pretrained on the training videos without their labels (or, as in the paper, on other videos:
--unlabeled FEATURES), and an LSTM is fine-tuned from it and another from random weights; the test videos are scored by
the average over windows of 16 frames, every 8 frames, with none besides at a video's end. OUT/table.md has our
accuracies beside the paper's.

Everything that is finished is kept: the same command goes on with the rest, also after a kill. All frames of UCF-101
are about 2.5 million; 4096 float16 values of each take 20 GB, and VGG-16 needs a GPU for them. `--extract "cnn --model
vgg16 --layer classifier.1 --every 3"` keeps a third. The recipes srivastava-percepts and srivastava-actions have 2048
units and 100,000 and 20,000 steps; --pretrain-set and --finetune-set change them.
"""

import argparse
import logging
import shlex
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vidrep
from vidrep.config.reader import parse_change, to_mapping
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.errors import InputError, LabelError, VidrepError, some_names
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.kept_results import KeptResults
from vidrep.evaluation.paper_figures import ACTIONS
from vidrep.features.annotations import Annotation, merge
from vidrep.features.checksum import content_digest
from vidrep.features.store import Features
from vidrep.files import write_text
from vidrep.training.run import RunFolder

EXTRACT = "cnn --model vgg16 --layer classifier.1"
SOME_FAILED = 4  # the exit code of `vidrep extract` where some videos could not be read
BASELINES = ("single frame", "mean feature", "ordered bins")
SCRATCH, COMPOSITE = "LSTM, random weights", "LSTM, from the composite model"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is run: a data set's features and lists, and the settings of the trainings.

    unlabeled: features to pretrain on, None for those of each split's training videos.
    """

    name: str
    features: Features
    lists: Path
    unlabeled: Features | None
    numbers: Sequence[int]
    allow_missing: bool
    pretraining: PretrainConfig
    finetuning: FinetuneConfig
    computing: Mapping[str, Any]

    def settings(self) -> dict[str, Any]:
        """Return what results depend on, JSON-like; which of the splits are run is left free."""
        digests = {"features": self.features, "unlabeled": self.unlabeled}
        return {
            "data set": self.name,
            "pretraining": to_mapping(self.pretraining),
            "finetuning": to_mapping(self.finetuning),
            **{
                name: "" if one is None else content_digest(r.checksum for r in one.videos)
                for name, one in digests.items()
            },
        }

    def annotations(self, number: int) -> dict[str, Annotation]:
        """Read the lists of a split.

        Raises LabelError if they name a video that the features lack, or a class is without a video to train or test.
        """
        annotations = vidrep.read_annotations(splits=self.lists, number=number)
        rows = self.features.videos
        merged = merge(
            [row.path for row in rows], [row.label for row in rows], [row.split for row in rows], annotations
        )
        if merged.missing and not self.allow_missing:
            raise LabelError(
                f"split {number}: {len(merged.missing)} of {len(annotations)} listed videos have no features: "
                f"{some_names(merged.missing)}; extract them, or leave them out with --allow-missing"
            )
        counts = Counter(zip(merged.labels, merged.splits, strict=True))
        for label in sorted({one.label or "" for one in annotations.values()}):
            for split in ("train", "test"):
                if not counts[label, split]:
                    raise LabelError(f"split {number}: class {label!r} has no {split} video; add videos of it")
        return annotations

    def run_split(
        self, kept: KeptResults, number: int, annotations: dict[str, Annotation]
    ) -> dict[str, dict[str, Any]]:
        """Train and test a split: {classifier: its result}."""

        def scratch(folder: Path) -> dict[str, Any]:
            return self._classifier(folder / "run", None, annotations)

        def composite(folder: Path) -> dict[str, Any]:
            of_others = self.unlabeled is not None
            run = kept.part("pretrained") if of_others else folder / "pretrained"
            given = {} if of_others else {"annotations": annotations}
            self._train(self.unlabeled or self.features, run, given)
            return self._classifier(folder / "run", run, annotations)

        return {
            SCRATCH: kept.result(f"split{number}/scratch", scratch),
            COMPOSITE: kept.result(f"split{number}/composite", composite),
        }

    def _train(self, features: Features, run: Path, given: Mapping[str, Any]) -> None:
        resume = RunFolder(run).has_begun()
        vidrep.train(features, run, self.pretraining, resume=resume, **given, **self.computing)

    def _classifier(self, run: Path, start: Path | None, annotations: dict[str, Annotation]) -> dict[str, Any]:
        """Fine-tune, or go on with it, and test; return the accuracies, in percent, and the counts."""
        began = time.monotonic()
        resume = RunFolder(run).has_begun()
        tuned = vidrep.finetune(
            self.features,
            run,
            self.finetuning,
            pretrained=None if resume else start,
            annotations=annotations,
            resume=resume,
            **self.computing,
        )
        found = vidrep.evaluate(run, self.features, annotations=annotations, split="test", **self.computing)
        assert isinstance(found, ClassificationEvaluation)
        accuracies = {"LSTM": found.per_video, **{name: found.baselines[name] for name in BASELINES}}
        return {
            "accuracy": {name: 100 * one.accuracy for name, one in accuracies.items()},
            "train": tuned.num_train_videos + tuned.num_validation_videos,
            "test": found.num_videos,
            "windows": found.num_windows,
            "seconds": round(time.monotonic() - began),
        }


def table(name: str, found: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the accuracies beside the paper's, and the sizes of the splits beside those of the official lists."""
    paper = ACTIONS[name]
    rows: list[tuple[str, str, str, object]] = [
        ("single frame, logistic regression", SCRATCH, "single frame", paper.single_frame),
        ("mean feature, logistic regression", SCRATCH, "mean feature", ""),
        ("ordered bins, logistic regression", SCRATCH, "ordered bins", ""),
        (SCRATCH, SCRATCH, "LSTM", paper.lstm),
        (COMPOSITE, COMPOSITE, "LSTM", paper.composite),
    ]
    lines = [
        f"| accuracy per test video, % | {' | '.join(f'split {number}' for number in found)} | mean | paper, RGB |",
        "|---|" + "---|" * (len(found) + 2),
    ]
    for title, run, key, figure in rows:
        every = [found[number][run]["accuracy"][key] for number in found]
        cells = " | ".join(f"{one:.1f}" for one in [*every, statistics.mean(every)])
        lines.append(f"| {title} | {cells} | {figure} |")
    lines += [
        "",
        "| split | training | test | windows of test videos | counts of the official lists |",
        "|---|---|---|---|---|",
    ]
    for number, of_split in found.items():
        one = of_split[SCRATCH]
        official = paper.num_videos.get(number)
        is_same = "the same" if official == (one["train"], one["test"]) else f"{official}"
        lines.append(f"| {number} | {one['train']:,} | {one['test']:,} | {one['windows']:,} | {is_same} |")
    notes = (
        "Single frame: fitted on at most 20,000 training frames, evenly spread. The paper pretrains on 300 hours of "
        "other videos. Its 75.8 % (UCF-101) is of split 1; of which splits its other figures are is not known to us, "
        "and for HMDB-51 later papers list 44.0 %."
    )
    return "\n".join([f"# {name}, by the protocol of Srivastava et al. 2015", "", *lines, "", notes]) + "\n"


def features_of(videos: Path, output: Path, extract: str) -> Features:
    """Open a feature file, or extract the videos of a folder, once.

    Raises InputError if the extraction fails.
    """
    if videos.is_file():
        return vidrep.open_features(videos)
    path = output / "features.h5"
    vidrep_script = Path(sys.executable).with_name("vidrep")
    done = subprocess.run([vidrep_script, "extract", *shlex.split(extract), videos, "-o", path], check=False)
    if done.returncode not in (0, SOME_FAILED):
        raise InputError(f"{videos}: extraction ended with the exit code {done.returncode}; its reason is above")
    return vidrep.open_features(path)


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(ACTIONS))
    parser.add_argument("videos", type=Path, metavar="VIDEOS")
    parser.add_argument("lists", type=Path, metavar="LISTS")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--splits", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    parser.add_argument(
        "--unlabeled", type=Path, metavar="FEATURES", help="to pretrain on, in place of the training videos"
    )
    parser.add_argument("--extract", default=EXTRACT, metavar="WORDS", help=f"of `vidrep extract`; default: {EXTRACT}")
    parser.add_argument("--allow-missing", action="store_true", help="leave listed videos out that are not there")
    for which in ("pretrain", "finetune"):
        parser.add_argument(f"--{which}-set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    return parser.parse_args(arguments)


def run(given: argparse.Namespace) -> str:
    """Run the protocol; return the table."""
    given.output.mkdir(parents=True, exist_ok=True)
    protocol = Protocol(
        name=given.name,
        features=features_of(given.videos, given.output, given.extract),
        lists=given.lists,
        unlabeled=None if given.unlabeled is None else vidrep.open_features(given.unlabeled),
        numbers=given.splits,
        allow_missing=given.allow_missing,
        pretraining=vidrep.load_recipe(
            PretrainConfig, "srivastava-percepts", changes=dict(map(parse_change, given.pretrain_set))
        ),
        finetuning=vidrep.load_recipe(
            FinetuneConfig, "srivastava-actions", changes=dict(map(parse_change, given.finetune_set))
        ),
        computing={"device": given.device, "threads": given.threads},
    )
    annotations = {number: protocol.annotations(number) for number in protocol.numbers}  # errors before any work
    with KeptResults.opened(given.output / "results", protocol.settings()) as kept:
        found = {number: protocol.run_split(kept, number, one) for number, one in annotations.items()}
    text = table(protocol.name, found)
    write_text(given.output / "table.md", text)
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the protocol and print the table; what cannot be is one line, and the exit code is vidrep's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(run(read_arguments(arguments)))
    except VidrepError as error:
        print(f"action_recognition: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
