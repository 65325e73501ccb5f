"""Studies of few labels: what pretrainings without labels are worth beside an LSTM from scratch and linear baselines.

python benchmarks/studies.py sources                      a generated set of 30 sources
python benchmarks/studies.py killed                       a small one of 12 sources, undisturbed and killed five times
VIDREP_DATA=... python benchmarks/studies.py tennis7      371 clips of seven strokes, SqueezeNet features
VIDREP_DATA=... python benchmarks/studies.py fc6          VGG-16 fc6 sequences, 6 classes of UCF-101

Each writes docs/results/study-NAME.md and .png. The protocol, docs/results/study-protocol.md, was written before.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from recording import ROOT, Recording, real_data

from vidrep.features.annotation_files import read_annotations

COMPOSITE = (
    "--recipe composite --set encoder.hidden_size=256 --steps 400 --set likelihood=gaussian "
    """--set 'transforms=["standardize", "center_clip"]'"""
)
SETTINGS = "--shots 1,2,4,8,all --draws 8 --seeds 2 --budget 20 --workers 2 --threads 1"
FEWER = "--shots 1,2,4,8,all --draws 5 --seeds 1 --budget 45 --workers 2 --threads 1"  # frames of 4096 values are slow
SMALL = "--shots 1,2 --draws 2 --threads 1"
NUM_KILLS = 5


def sources(record: Recording) -> str:
    """Make the generated set and patches of its frames; return the options of its videos."""
    record.run("vidrep sample -o clips --sources 30 --seed 3")
    record.run("vidrep extract patches clips -o features.h5 --size 16 --labels clips/labels.csv")
    return "--by groups"


def tennis7(record: Recording) -> str:
    """Extract SqueezeNet features of whole frames, with the official lists."""
    weights = "--weights $VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth"
    lists = "--labels $VIDREP_DATA/tennis7"
    assert read_annotations(labels=real_data() / "tennis7")
    record.run(
        f"vidrep extract cnn $VIDREP_DATA/tennis7 -o features.h5 --model squeezenet1_1 {weights} --region frame "
        f"--precision fp32 {lists}"
    )
    return "--by videos --group-blocks 10"


def fc6(record: Recording) -> str:
    """Import the sequences, with the labels and the split of the file."""
    record.run("vidrep import $VIDREP_DATA/features/ucf101_fc6_small.h5 -o features.h5")
    return "--by videos"


DATA_SETS: dict[str, Callable[[Recording], str]] = {"sources": sources, "tennis7": tennis7, "fc6": fc6}


def main() -> None:
    """Run one study, and write its page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted([*DATA_SETS, "killed"]))
    name = parser.parse_args().name
    record = Recording(f"Study of few labels: {name}", real_data() if name in ("tennis7", "fc6") else None)
    record.add(f"Made by `python benchmarks/studies.py {name}`, by the [protocol](study-protocol.md).")
    if name == "killed":
        record.run("vidrep sample -o clips --sources 12")
        record.run("vidrep extract patches clips -o features.h5 --size 16 --labels clips/labels.csv")
        record.run("vidrep train features.h5 -o contrast --recipe few-labels --ensemble 1 --steps 50 --threads 1")
        record.add(killed(record, f"--from contrast {SMALL}"))
    else:
        options = DATA_SETS[name](record)
        grouped = "--group-blocks 10 " if "--group-blocks" in options else ""
        record.run(f"vidrep train features.h5 -o contrast --recipe few-labels {grouped}--threads 1")
        record.run(f"vidrep train features.h5 -o composite {COMPOSITE} {grouped}--threads 1")
        measure(record, name, options)
    record.save(f"study-{name}")


def measure(record: Recording, name: str, options: str) -> None:
    """Run the study itself, and keep its table and its picture."""
    began = time.monotonic()
    settings = FEWER if name == "fc6" else SETTINGS
    record.run(f"vidrep study features.h5 --from contrast --from composite {options} {settings} -o study")
    record.add(f"It took {(time.monotonic() - began) / 60:.0f} min.")
    table = (record.folder / "study" / "table.md").read_text(encoding="utf-8")
    record.add(table.partition("\n")[2].strip())
    record.add(f"![Accuracy of each method against k](study-{name}.png)")
    shutil.copyfile(record.folder / "study" / "curves.png", ROOT / "docs" / "results" / f"study-{name}.png")


def killed(record: Recording, options: str) -> str:
    """Run a small study undisturbed, and another that is killed five times; say whether they end in the same files."""
    record.run(f"vidrep study features.h5 {options} -o small", keep=False)
    cells, rng = record.folder / "killed" / "cells", random.Random(0)
    words = [str(Path(sys.executable).with_name("vidrep")), "study", "features.h5", *options.split(), "-o", "killed"]
    found: list[int] = []
    for _ in range(NUM_KILLS):
        enough = len(list(cells.glob("*.json"))) + rng.choice((1, 2))
        process = subprocess.Popen(words, cwd=record.folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while len(list(cells.glob("*.json"))) < enough:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 2))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it had ended by itself"
        found.append(len(list(cells.glob("*.json"))))
    record.run(f"vidrep study features.h5 {options} -o killed", keep=False)
    names = ("study.json", "table.md", "table.csv", "curves.png")
    undisturbed, ended = ([(record.folder / one / name).read_bytes() for name in names] for one in ("small", "killed"))
    counts, verdict = (
        ", ".join(map(str, found)),
        "the same bytes as" if undisturbed == ended else "NOT the same bytes as",
    )
    return (
        f"A smaller study (`{options}`) was killed {NUM_KILLS} times by SIGKILL, with {counts} cells finished, and "
        f"run again each time: {', '.join(names)} are {verdict} those of an undisturbed one."
    )


if __name__ == "__main__":
    main()
