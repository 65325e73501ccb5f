"""An hour of 640x360 video through `vidrep predict`: its time beside decoding and network alone, and its memory.

    python benchmarks/hour.py [--write]      writes docs/results/hour.md; some 12 minutes on 2 cores

The runs are trained for 100 steps on generated long videos (pixels of 8x8, both directions and causal): what they say
of the video does not count. Memory is the peak of the proportional set size of all processes together, sampled 20 times
a second.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from clips import CLIP_FRAMES_PER_SECOND, write_clip
from extraction_memory import lengthen, tree_bytes
from recording import ROOT, facts

from vidrep.extraction.decoding import decode_video
from vidrep.extraction.events import Decoding, Job
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.metrics.segmentation.segmenter_run import SegmenterRun
from vidrep.video.sampling import Sampling

HEIGHT, WIDTH, MINUTES = 360, 640, (5, 60)
KINDS = {"both directions": [], "causal": ["--causal"]}
ROUNDS = 3
TOLERANCE, LEAST_SHARE = 0.10, 0.9


def main() -> int:
    """Measure, print a table, and return 1 if time or memory miss what is wanted."""
    lines = [
        "| run | video | frames | predict, s | decode alone, s | network alone, s | allowed / predict | peak, MB |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    is_good = True
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        write_clip(folder / "1.mp4", height=HEIGHT, width=WIDTH, num_frames=60 * CLIP_FRAMES_PER_SECOND, seed=0)
        for minutes in MINUTES:
            lengthen(folder / "1.mp4", folder / f"{minutes}min.mp4", times=minutes)
        vidrep(folder, "sample", "-o", "recordings", "--long-videos", "6", "--minutes", "1", "-q")
        vidrep(folder, "extract", "patches", "recordings", "-o", "f.h5", "--size", "8", "-q")
        for kind, words in KINDS.items():
            learn = "--annotations", "recordings/annotations.csv", "--steps", "100", "-q"
            vidrep(folder, "finetune", "f.h5", "-o", kind, *learn, *words)
        peaks: dict[str, list[int]] = {kind: [] for kind in KINDS}
        for minutes in MINUTES:
            for kind in KINDS:
                rounds = 1 if minutes == max(MINUTES) else ROUNDS
                row, share, peak, num_frames = measure(folder, kind, f"{minutes}min", rounds=rounds)
                peaks[kind].append(peak)
                is_good = is_good and share >= LEAST_SHARE
                lines.append(f"| {kind} | {minutes} min | {num_frames} | {row} | {share:.2f} | {peak / 1e6:.0f} |")
                print(lines[-1], flush=True)
        growth = {kind: of_kind[1] / of_kind[0] for kind, of_kind in peaks.items()}
        is_good = is_good and all(ratio <= 1 + TOLERANCE for ratio in growth.values())
    text = "Memory of the longest against the shortest: " + ", ".join(f"{k} {v:.2f}" for k, v in growth.items()) + "."
    print(text)
    if "--write" in sys.argv:
        page = (
            "# An hour of video through predict\n\nMade by `python benchmarks/hour.py --write`: "
            f"{WIDTH}x{HEIGHT} H.264, {CLIP_FRAMES_PER_SECOND} frames/s, a generated minute over and over; pixels of "
            "8x8, LSTM of 128 units, runs of 100 steps; `predict VIDEO --frames frames.h5`, threads by default, "
            f"decoded in the same process.\n\n{facts()}\n"
            + "\n".join(lines)
            + f"\n\n{text}\n\nPredict: the whole command, its start "
            "of 2 to 4 s included; of 5 minutes the median of three, in turn with the other two. Allowed: decode alone "
            "(frames decoded and made small, nothing else) plus network alone (over the features, read from disk), one "
            "after the other.\n"
        )
        (ROOT / "docs" / "results" / "hour.md").write_text(page, encoding="utf-8")
    return int(not is_good)


def measure(folder: Path, kind: str, name: str, *, rounds: int) -> tuple[str, float, int, int]:
    """Return three cells, the share of the time that decoding and network alone allow, the peak, and the frames."""
    seconds: dict[str, list[float]] = {"predict": [], "decode": [], "network": []}
    peak, features = 0, folder / f"{kind}-{name}.h5"
    for number in range(rounds):
        for path in folder.glob("frames.h5"):
            path.unlink()
        keep = ["--features", str(features)] if number == 0 else []
        began = time.monotonic()
        words = ["predict", kind, f"{name}.mp4", "--frames", "frames.h5", "-q", *keep]
        peak = max(peak, watched(folder, words))
        seconds["predict"].append(time.monotonic() - began)
        seconds["decode"].append(timed(lambda: decode(folder / f"{name}.mp4")))
        seconds["network"].append(timed(lambda: read(folder / kind, features)))
    middle = {what: median(some) for what, some in seconds.items()}
    share = (middle["decode"] + middle["network"]) / middle["predict"]
    return " | ".join(f"{value:.1f}" for value in middle.values()), share, peak, open_features(features).num_frames


def decode(path: Path) -> None:
    """Decode a video and make its frames small, as extraction does, and nothing else."""
    preparation = PatchExtractor(size=8).preparation
    for _ in decode_video(Job(0, path, path.name), Decoding(preparation=preparation, sampling=Sampling())):
        pass


def read(run: Path, features: Path) -> None:
    """Let the network read all features."""
    SegmenterRun.load(run).timeline(open_features(features), 0, device=torch.device("cpu"))


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that something takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def watched(folder: Path, words: list[str]) -> int:
    """Run a command, and return the most memory that it took, bytes."""
    script = str(Path(sys.executable).with_name("vidrep"))
    process = subprocess.Popen([script, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: vidrep {' '.join(words)}")
    return peak


def vidrep(folder: Path, *words: str) -> None:
    """Run a command."""
    subprocess.run([Path(sys.executable).with_name("vidrep"), *words], cwd=folder, check=True)


if __name__ == "__main__":
    sys.exit(main())
