"""Memory of a pretraining: stateful windows against the videos' length, and long windows in recomputed segments.

    python benchmarks/training_memory.py      writes docs/results/training-memory.md

Every figure is the peak of one process (VmHWM) less what it held before training began.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from recording import Recording

import vidrep
from vidrep.config import PretrainConfig
from vidrep.machine import tune_malloc

FRAME_SIZE, HIDDEN_SIZE, BATCH_SIZE, STEPS = 256, 256, 8, 30
STATEFUL = {"windows.seen": 10, "windows.predicted": 5, "windows.stride": 10, "windows.stateful": True}
LONG = {"windows.seen": 1000, "windows.predicted": 1000, "windows.stride": 2000}
LENGTHS, ALL_FRAMES = (50, 500, 5000, 20_000), 60_000  # the same number of frames in all, in shorter or longer videos
SEGMENTS = (0, 200, 50, 32, 10)


def peak_kilobytes() -> int:
    """Return the most memory that this process held so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise RuntimeError("no VmHWM in /proc/self/status")


def train(settings: dict[str, Any], features: Path, folder: Path) -> dict[str, float]:
    """Train in this process: how much more memory it came to hold, seconds, and the last loss."""
    config = vidrep.load_recipe(PretrainConfig, changes=settings)
    opened = vidrep.open_features(features)
    # One step first: what torch and the network take in any case is not the question.
    first = vidrep.load_recipe(
        PretrainConfig,
        changes={**settings, "windows.seen": 2, "windows.predicted": 1, "windows.stride": 2, "training.steps": 1},
    )
    vidrep.train(opened, folder / "first", first, device="cpu", precision="fp32", threads=1)
    before, began = peak_kilobytes(), time.process_time()
    result = vidrep.train(opened, folder / "run", config, device="cpu", precision="fp32", threads=1)
    return {
        "megabytes": (peak_kilobytes() - before) / 1000,
        "seconds": time.process_time() - began,
        "loss": result.outcome.best_loss,
    }


def in_a_process(settings: dict[str, Any], features: Path) -> dict[str, float]:
    """Train in a new process."""
    command = [sys.executable, __file__, "--train", json.dumps(settings), str(features)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    metrics: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return metrics


def write_features(folder: Path, *, num_videos: int, num_frames: int) -> Path:
    """Write videos of noise."""
    source = folder / f"arrays{num_frames}"
    source.mkdir()
    for number in range(num_videos):
        rng = np.random.default_rng(number)
        np.save(source / f"{number}.npy", rng.standard_normal((num_frames, FRAME_SIZE), dtype=np.float32))
    output = folder / f"{num_frames}.h5"
    vidrep.import_features(source, output)
    return output


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", nargs=2, metavar=("SETTINGS", "FEATURES"), help="used by the script itself")
    given = parser.parse_args()
    if given.train:
        tune_malloc()
        with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
            print(json.dumps(train(json.loads(given.train[0]), Path(given.train[1]), Path(name))))
        return
    base: dict[str, Any] = {
        "model.hidden_size": HIDDEN_SIZE,
        "training.batch_size": BATCH_SIZE,
        "training.validation_fraction": 0.2,
        "training.patience": 0,
        "values": "real",
    }
    record = Recording("Memory of a pretraining")
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        lines = ["| frames a video | memory, MB | CPU seconds |", "|---|---|---|"]
        for length in LENGTHS:
            features = write_features(folder, num_videos=ALL_FRAMES // length, num_frames=length)
            settings = {**base, **STATEFUL, "training.steps": STEPS, "training.validate_every": STEPS}
            found = in_a_process(settings, features)
            lines.append(f"| {length} | {found['megabytes']:.0f} | {found['seconds']:.1f} |")
            print(lines[-1], flush=True)
        record.say(
            f"Stateful windows of 10 + 5 frames of {FRAME_SIZE} values, {HIDDEN_SIZE} units, batches of {BATCH_SIZE}, "
            f"{STEPS} steps, {ALL_FRAMES:,} frames in all. What a process came to hold more by "
            "training, one thread. Made by "
            "`python benchmarks/training_memory.py`."
        )
        record.say("\n".join(lines))
        features = write_features(folder, num_videos=12, num_frames=2000)
        lines = ["| segment, time steps | memory, MB | CPU seconds | loss |", "|---|---|---|---|"]
        for segment in SEGMENTS:
            settings = {
                **base,
                **LONG,
                "training.steps": 3,
                "training.validate_every": 3,
                "training.recompute_every": segment,
            }
            found = in_a_process(settings, features)
            lines.append(
                f"| {segment or 'all at once'} | {found['megabytes']:.0f} | {found['seconds']:.1f} "
                f"| {found['loss']:.6f} |"
            )
            print(lines[-1], flush=True)
        record.say("Windows of 1000 + 1000 frames, 3 steps, kept whole or in segments that are computed a second time:")
        record.say("\n".join(lines))
    record.save("training-memory")


if __name__ == "__main__":
    main()
