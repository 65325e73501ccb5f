"""A rerun of an extraction over many small videos: with nothing changed, and with 100 of them moved.

python benchmarks/rerun.py [NUMBER]      writes docs/results/rerun.md
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from recording import ROOT, facts

import vidrep
from vidrep.video.writing import write_h264

NUM_CLASSES, NUM_MOVED, WORKERS = 20, 100, 2


def main() -> None:
    """Make the videos, extract them three times, and write the page."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as scratch:
        folder = Path(scratch)
        make_videos(folder / "clips", number)
        rows = [measure("first", folder), measure("again, nothing changed", folder)]
        for path in sorted((folder / "clips").glob("*/*.mp4"))[:NUM_MOVED]:
            path.rename(folder / "clips" / "class01" / f"moved-{path.parent.name}-{path.name}")
        rows.append(measure(f"again, {NUM_MOVED} moved to another class", folder))
        rows.append(measure("again, nothing changed", folder))
    head = "| extraction | seconds | decoded | moved | relabeled | unchanged | disk |\n|---|---|---|---|---|---|---|"
    page = (
        f"# A rerun of {number:,} small videos\n\n{facts()}\nMade by `python benchmarks/rerun.py {number}`: videos of "
        f"2 frames of 16x16, patches of 4x4, {WORKERS} workers. Every file is read whole, as its SHA-256 tells what it "
        "is. Disk is that of the output's folder afterwards.\n\n" + "\n".join([head, *rows]) + "\n"
    )
    (ROOT / "docs" / "results" / "rerun.md").write_text(page, encoding="utf-8")
    print(page)


def make_videos(clips: Path, number: int) -> None:
    """Write videos that all differ."""
    rng = np.random.default_rng(0)
    for one in range(number):
        frames = rng.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
        write_h264(clips / f"class{one % NUM_CLASSES:02}" / f"{one:05}.mp4", frames, frames_per_second=5)


def measure(what: str, folder: Path) -> str:
    """Extract, and return a row of the table."""
    output = folder / "out" / "features.h5"
    began = time.monotonic()
    summary = vidrep.extract(
        vidrep.find_videos([folder / "clips"]), output, vidrep.PatchExtractor(size=4), workers=WORKERS
    )
    seconds = time.monotonic() - began
    disk = sum(path.stat().st_size for path in output.parent.rglob("*") if path.is_file())
    changes = summary.changes
    counts = (summary.num_new, len(changes.moved), len(changes.relabeled), changes.num_unchanged)
    return f"| {what} | {seconds:.1f} | {' | '.join(map(str, counts))} | {disk / 1e6:.2f} MB |"


if __name__ == "__main__":
    main()
