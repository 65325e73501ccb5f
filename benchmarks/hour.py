"""An hour of 640x360 video through `vidrep predict`: its time beside decoding and network alone, and its memory.

    python benchmarks/hour.py [--write]      writes docs/results/hour.md; some 12 minutes on 2 cores

The runs are trained for 100 steps on generated long videos (pixels of 8x8, both directions and causal; the LSTM alone
predicts): what they say of the video does not count. Memory is the most that the process had resident, as the system
counts it: with libraries that other processes share, so that these change nothing.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from clips import CLIP_FRAMES_PER_SECOND, write_clip
from extraction_memory import lengthen
from recording import ROOT, facts

from vidrep.extraction.decoding import decode_video
from vidrep.extraction.events import Decoding, Job
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.machine import torch_on_one_core, tune_malloc
from vidrep.timelines.segmenter_run import SegmenterRun
from vidrep.video.sampling import Sampling

HEIGHT, WIDTH, MINUTES = 360, 640, (5, 60)
KINDS = {"both directions": [], "causal": ["--causal"]}
TOLERANCE, LEAST_SHARE = 0.10, 0.9


class Spent(NamedTuple):
    """What some work took: seconds of the clock, and of all cores together, which other work on them hardly changes."""

    clock: float
    cores: float

    def __str__(self) -> str:
        return f"{self.clock:.1f} ({self.cores:.1f})"


def main() -> int:
    """Measure, print a table, and return 1 if time or memory miss what is wanted."""
    lines = [
        "| run | video | frames | predict, s | decode alone, s | labeling alone, s | allowed / predict | peak, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    tune_malloc()  # as every command does: without it, decoding alone would take more
    peaks: dict[str, list[int]] = {kind: [] for kind in KINDS}
    shares = []
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        write_clip(folder / "1.mp4", height=HEIGHT, width=WIDTH, num_frames=60 * CLIP_FRAMES_PER_SECOND, seed=0)
        vidrep(folder, "sample", "-o", "recordings", "--long-videos", "6", "--minutes", "1", "-q")
        vidrep(folder, "extract", "patches", "recordings", "-o", "f.h5", "--size", "8", "-q")
        for kind, words in KINDS.items():
            learn = "--annotations", "recordings/annotations.csv", "--steps", "100", "--set", "predictor=lstm", "-q"
            vidrep(folder, "finetune", "f.h5", "-o", kind, *learn, *words)
        for minutes in MINUTES:
            video = folder / f"{minutes}min.mp4"
            lengthen(folder / "1.mp4", video, times=minutes)
            decoding = timed(partial(decode, video))
            for kind in KINDS:
                features = folder / f"{kind}-{minutes}.h5"
                words = ["predict", kind, video.name, "--frames", f"{kind}-{minutes}-frames.h5", "-q"]
                predicting, peak = watched(folder, [*words, "--features", features.name])
                labeling = timed(partial(read, folder / kind, features))
                shares.append((decoding.cores + labeling.cores) / predicting.cores)
                peaks[kind].append(peak)
                cells = [kind, f"{minutes} min", open_features(features).num_frames, predicting, decoding, labeling]
                lines.append("| " + " | ".join(map(str, [*cells, f"{shares[-1]:.2f}", f"{peak / 1e6:.0f}"])) + " |")
                print(lines[-1], flush=True)
    growth = {kind: of_kind[-1] / of_kind[0] for kind, of_kind in peaks.items()}
    text = "Memory of the longest against the shortest: " + ", ".join(f"{k} {v:.2f}" for k, v in growth.items()) + "."
    print(text)
    if "--write" in sys.argv:
        page = (
            "# An hour of video through predict\n\nMade by `python benchmarks/hour.py --write`: "
            f"{WIDTH}x{HEIGHT} H.264, {CLIP_FRAMES_PER_SECOND} frames/s, a generated minute over and over; pixels of "
            "8x8, LSTM of 128 units, which predicts alone, runs of 100 steps; `predict VIDEO --frames FILE --features "
            f"FILE`, threads by default, decoded in the same process.\n\n{facts()}\n"
            + "\n".join(lines)
            + f"\n\n{text}\n\nSeconds of the "
            "clock, and in brackets of the cores: the machine did other work. Predict: the whole command, its start of "
            "2 to 4 s included. Allowed: decode alone (frames decoded and made small, nothing else) plus labeling "
            "alone (what predicts, over the features, read from disk), of the cores.\n"
        )
        (ROOT / "docs" / "results" / "hour.md").write_text(page, encoding="utf-8")
    is_flat = all(abs(ratio - 1) <= TOLERANCE for ratio in growth.values())
    return int(not (is_flat and min(shares[-len(KINDS) :]) >= LEAST_SHARE))


def decode(path: Path) -> None:
    """Decode a video and make its frames small, as extraction does, and nothing else."""
    preparation = PatchExtractor(size=8).preparation
    with torch_on_one_core():  # as extraction has it
        for _ in decode_video(Job(0, path, path.name), Decoding(preparation=preparation, sampling=Sampling())):
            pass


def read(run: Path, features: Path) -> None:
    """Let what predicts read all features."""
    SegmenterRun.load(run).timeline(open_features(features), 0)


def timed(work: Callable[[], None]) -> Spent:
    """Return what something takes."""
    clock, cores = time.monotonic(), time.process_time()
    work()
    return Spent(time.monotonic() - clock, time.process_time() - cores)


# Starts a command, and prints what it took: most memory in kB, and seconds of the cores. A process that imports nothing
# does, since the system has a child's memory begin with the most that its parent had.
WATCH = """
import os, sys
nowhere = os.open(os.devnull, os.O_WRONLY)
output = [(os.POSIX_SPAWN_DUP2, nowhere, where) for where in (1, 2)]
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=output), 0)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def watched(folder: Path, words: list[str]) -> tuple[Spent, int]:
    """Run a command in the folder, and return what it took, and the most memory, bytes."""
    clock, script = time.monotonic(), str(Path(sys.executable).with_name("vidrep"))
    ran = subprocess.run(
        [sys.executable, "-S", "-c", WATCH, script, *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    kilobytes, cores = ran.stdout.split()
    return Spent(time.monotonic() - clock, float(cores)), 1024 * int(kilobytes)


def vidrep(folder: Path, *words: str) -> None:
    """Run a command."""
    subprocess.run([Path(sys.executable).with_name("vidrep"), *words], cwd=folder, check=True)


if __name__ == "__main__":
    sys.exit(main())
