"""Memory of a pretraining: stateful windows by the length of videos, and long windows with activation checkpointing.

    python benchmarks/training_memory.py [--dry-run]      writes docs/results/training-memory.md

--dry-run measures one of each and writes no page. Every figure is by how much the peak of one process (VmHWM) grew in
training.
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

FRAME_SIZE, HIDDEN_SIZE, BATCH_SIZE, STEPS = 256, 256, 8, 30
STATEFUL = {"windows.context": 10, "windows.num_future": 5, "windows.stride": 10, "windows.stateful": True}
LONG = {"windows.context": 1000, "windows.num_future": 1000, "windows.stride": 2000}
LENGTHS, ALL_FRAMES = (50, 500, 5000, 20_000), 60_000  # the same number of frames in all, in shorter or longer videos
RECOMPUTE_EVERY = (0, 200, 50, 32, 10)


def peak_kilobytes() -> int:
    """Return the most memory that this process held so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise RuntimeError("no VmHWM in /proc/self/status")


def train(settings: dict[str, Any], features: Path, folder: Path) -> dict[str, float]:
    """Train in this process; return by how much its peak of memory grew, the seconds, and the last loss."""
    config = vidrep.load_recipe(vidrep.PretrainConfig, changes=settings)
    opened = vidrep.open_features(features)
    # One step first: the memory that torch and the network take in any case is not measured.
    first = vidrep.load_recipe(
        vidrep.PretrainConfig,
        changes={**settings, "windows.context": 2, "windows.num_future": 1, "windows.stride": 2, "training.steps": 1},
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
    parser.add_argument("--dry-run", action="store_true", help="measure one of each, and write no page")
    given = parser.parse_args()
    if given.train:
        with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
            print(json.dumps(train(json.loads(given.train[0]), Path(given.train[1]), Path(name))))
        return
    base: dict[str, Any] = {
        "encoder.hidden_size": HIDDEN_SIZE,
        "training.batch_size": BATCH_SIZE,
        "training.validation_fraction": 0.2,
        "training.patience": 0,
        "likelihood": "gaussian",
    }
    record = Recording("Memory of a pretraining")
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        lines = ["| frames a video | memory, MB | CPU seconds |", "|---|---|---|"]
        for length in LENGTHS[: 1 if given.dry_run else None]:
            features = write_features(folder, num_videos=ALL_FRAMES // length, num_frames=length)
            settings = {**base, **STATEFUL, "training.steps": STEPS, "training.validate_every": STEPS}
            found = in_a_process(settings, features)
            lines.append(f"| {length} | {found['megabytes']:.0f} | {found['seconds']:.1f} |")
            print(lines[-1], flush=True)
        record.add(
            f"Stateful windows of 10 + 5 frames of {FRAME_SIZE} values, {HIDDEN_SIZE} units, batches of {BATCH_SIZE}, "
            f"{STEPS} steps, {ALL_FRAMES:,} frames in all. By how much the peak of a process' memory grew in "
            "training, one thread. Made by "
            "`python benchmarks/training_memory.py`."
        )
        record.add("\n".join(lines))
        features = write_features(folder, num_videos=12, num_frames=2000)
        lines = ["| training.recompute_every, time steps | memory, MB | CPU seconds | loss |", "|---|---|---|---|"]
        for recompute_every in RECOMPUTE_EVERY[: 1 if given.dry_run else None]:
            settings = {
                **base,
                **LONG,
                "training.steps": 3,
                "training.validate_every": 3,
                "training.recompute_every": recompute_every,
            }
            found = in_a_process(settings, features)
            lines.append(
                f"| {recompute_every or 'off'} | {found['megabytes']:.0f} | {found['seconds']:.1f} "
                f"| {found['loss']:.6f} |"
            )
            print(lines[-1], flush=True)
        record.add("Windows of 1000 + 1000 frames, 3 steps, with and without activation checkpointing:")
        record.add("\n".join(lines))
    if not given.dry_run:
        record.save("training-memory")


if __name__ == "__main__":
    main()
