"""Reads damaged copies of a feature file, and of a file to import; run by test_untrusted in a process of its own.

python tests/features/mutants.py FOLDER FIRST LAST

FOLDER holds ours.h5 and foreign.h5. Copy number n has 1 to 4 changed bytes outside of the rows, drawn from the seed n.
Prints the number of a copy before it reads the copy, so that the last line names the one that crashed or took too
long, and a summary at the end. Memory is bounded, because HDF5 trusts the declared length of a variable-length text.
"""

import faulthandler
import json
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from vidrep.errors import FeatureFileError
from vidrep.features.foreign.formats import open_tree
from vidrep.features.foreign.layouts import videos_of
from vidrep.features.store import open_features

SECONDS_A_FILE = 20
MEMORY_BYTES = 2 << 30


def mutant(content: bytes, rows: bytes, seed: int) -> bytes:
    """Change some bytes outside of the rows."""
    start = content.index(rows)
    rng = np.random.default_rng(seed)
    places = np.concatenate([np.arange(start), np.arange(start + len(rows), len(content))])
    changed = bytearray(content)
    for place in rng.choice(places, rng.integers(1, 5)):
        changed[place] = rng.choice([changed[place] ^ (1 << rng.integers(8)), 0, 255, rng.integers(256)])
    return bytes(changed)


def read_ours(path: Path, truth: dict[str, bytes]) -> str:
    """Open and read everything; rows that have their checksum must be the right ones."""
    try:
        features = open_features(path)
        damaged = set(features.damaged())
        for index, row in enumerate(features.videos):
            rows = features.rows(index).tobytes()
            assert row.path in damaged or rows in truth.values(), (row, rows)
    except FeatureFileError as error:
        assert "\n" not in str(error), error
        assert str(path) in str(error), error
        return "refused"
    return "damaged rows" if damaged else "read"


def read_foreign(path: Path, _: dict[str, bytes]) -> str:
    """Read everything as an import does, without its writing, which takes most of the time."""
    try:
        videos = videos_of(open_tree(path)).videos
        for video in videos[:100]:
            assert video.load().features.ndim >= 2
    except FeatureFileError as error:
        assert "\n" not in str(error), error
        assert str(path) in str(error), error
        return "refused"
    return "read"


def main(folder: Path, first: int, last: int) -> None:
    """Read the copies number first to last - 1."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    features = open_features(folder / "ours.h5")
    truth = {row.path: features.rows(index).tobytes() for index, row in enumerate(features.videos)}
    outcomes: Counter[str] = Counter()
    for name, read in (("ours", read_ours), ("foreign", read_foreign)):
        content = (folder / f"{name}.h5").read_bytes()
        for seed in range(first, last):
            sys.stdout.write(f"{name} {seed}\n")
            sys.stdout.flush()
            signal.alarm(SECONDS_A_FILE)
            (folder / "mutant.h5").write_bytes(mutant(content, b"".join(truth.values()), seed))
            outcomes[f"{name} {read(folder / 'mutant.h5', truth)}"] += 1
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
