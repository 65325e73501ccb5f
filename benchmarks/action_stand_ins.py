"""Stand-ins for UCF-101 and HMDB-51: the official names, a made-up array for each, and lists for three splits.

    VIDREP_DATA=... python benchmarks/action_stand_ins.py -o FOLDER      writes docs/results/protocols.md

Only split 1 of the official lists is at hand. Splits 2 and 3 of UCF-101 test the recordings 8 to 14 and 15 to 21, as
split 1 tests 1 to 7. Those of HMDB-51 have the form of the official ones, 70 training and 30 test videos a class, but
other videos.
"""

import argparse
import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import action_recognition
import numpy as np
from recording import ROOT, facts, real_data

import vidrep

NUM_SPLITS, NUM_VALUES, MOST_FRAMES = 3, 8, 40
NUM_TESTED_GROUPS = 7
UCF101_GROUP = re.compile(r"_g(\d+)_c\d+\.avi")
# So small that both data sets take minutes on two cores; the recipe's optimizer moves no weight in so few steps.
_TRAINING = ["encoder.hidden_size=16", "encoder.num_layers=1", "optimizer.name=adamw", "training.batch_size=64"]
PRETRAIN = [*_TRAINING, "training.steps=50", "training.validate_every=50", "optimizer.reduction=mean"]
FINETUNE = [*_TRAINING, "training.steps=200", "training.validate_every=100", "optimizer.learning_rate=0.01"]


def write_ucf101(official: Path, folder: Path) -> list[str]:
    """Write lists like the official ones, of split 1 their copies; return all videos, "Class/v_....avi"."""
    classes = dict(line.split()[::-1] for line in (official / "classInd.txt").read_text().splitlines())
    names = [
        line.split()[0]
        for file in ("trainlist01.txt", "testlist01.txt")
        for line in (official / file).read_text().splitlines()
    ]
    folder.mkdir()
    for file in ("classInd.txt", "trainlist01.txt", "testlist01.txt"):
        shutil.copyfile(official / file, folder / file)
    for number in range(2, NUM_SPLITS + 1):
        last = NUM_TESTED_GROUPS * number
        tested = [name for name in names if last - NUM_TESTED_GROUPS < _group(name) <= last]
        trained = [f"{name} {classes[name.split('/')[0]]}" for name in sorted(set(names) - set(tested))]
        (folder / f"trainlist{number:02}.txt").write_text("\n".join(trained) + "\n")
        (folder / f"testlist{number:02}.txt").write_text("\n".join(tested) + "\n")
    return names


def _group(name: str) -> int:
    match = UCF101_GROUP.search(name)
    assert match
    return int(match[1])


def write_hmdb51(official: Path, folder: Path) -> list[str]:
    """Write lists like the official ones, of split 1 their copies; return all videos, "class/....avi"."""
    folder.mkdir()
    videos = []
    for file in sorted(official.glob("*_test_split1.txt")):
        shutil.copyfile(file, folder / file.name)
        label = file.name.removesuffix("_test_split1.txt")
        names = [line.rsplit(maxsplit=1)[0] for line in file.read_text().splitlines()]
        videos += [f"{label}/{name}" for name in names]
        for number in range(2, NUM_SPLITS + 1):
            turned = names[30 * number :] + names[: 30 * number]
            marks = [1] * 70 + [2] * 30 + [0] * (len(names) - 100)
            lines = [f"{name} {mark} " for name, mark in zip(turned, marks, strict=True)]
            (folder / f"{label}_test_split{number}.txt").write_text("\n".join(lines) + "\n")
    return videos


def write_features(videos: Sequence[str], folder: Path) -> Path:
    """Import a made-up array of 1 to 40 frames for each video: a direction of its class, and noise."""
    rng, directions = np.random.default_rng(0), dict[str, np.ndarray]()
    for video in videos:
        label = video.split("/")[0]
        if label not in directions:
            (folder / "arrays" / label).mkdir(parents=True)
            directions[label] = rng.standard_normal(NUM_VALUES)
        frames = directions[label] + rng.standard_normal((rng.integers(1, MOST_FRAMES + 1), NUM_VALUES))
        np.save(folder / "arrays" / f"{video.removesuffix('.avi')}.npy", frames.astype(np.float16))
    vidrep.import_features(folder / "arrays", folder / "features.h5")
    return folder / "features.h5"


DATA_SETS = {"ucf101": write_ucf101, "hmdb51": write_hmdb51}


def rehearse(name: str, folder: Path) -> str:
    """Write a stand-in and run the protocol on it, or go on with it; return the table."""
    features = folder / "features.h5"
    if not features.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_features(DATA_SETS[name](real_data() / "splits" / name, folder / "lists"), folder)
    changes = [f"--pretrain-set={one}" for one in PRETRAIN] + [f"--finetune-set={one}" for one in FINETUNE]
    words = [name, str(features), str(folder / "lists"), "-o", str(folder / "out"), *changes, "--threads", "1"]
    return action_recognition.run(action_recognition.read_arguments(words))


def main() -> None:
    """Rehearse both data sets, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder for all that is made, to go on with")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parts = []
    for name in DATA_SETS:
        parts.append(f"#{rehearse(name, given.output / name)}")
        print(parts[-1], flush=True)
    page = PAGE.format(facts=facts(), parts="\n".join(parts))
    (ROOT / "docs" / "results" / "protocols.md").write_text(page, encoding="utf-8")


PAGE = """# UCF-101 and HMDB-51: the protocol, rehearsed on stand-ins

{facts}
No figure here is one of UCF-101 or HMDB-51: their videos were not at hand. What is rehearsed is the way from features
to the table, with all names of the official lists: `benchmarks/action_recognition.py` on arrays of 1 to 40 frames of 8
made-up values, a direction of the class plus noise, for every official name. Lists of split 1 are the official ones.
Those of splits 2 and 3 are made: of UCF-101 by the rule that the official ones follow, so that their counts agree with
the official ones; of HMDB-51 in the same form. Models are cut to 16 units, and train for 50 and 200 steps. Made by
`python benchmarks/action_stand_ins.py -o FOLDER`.

{parts}"""


if __name__ == "__main__":
    main()
