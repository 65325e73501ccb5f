"""Several processes that train one model: how fast, and how much the same, at the same batch.

    python benchmarks/ranks.py      writes docs/results/ranks.md

Speeds are those that `metrics.jsonl` gives for the validations after the first; runs are interleaved.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from recording import Recording

import vidrep

ROUNDS = 3
# Inputs, units, windows a step, steps between two validations: sizes of `make bench` that one core trains in seconds.
SIZES = {"S": (256, 128, 64, 20), "M": (1024, 512, 80, 4)}
NUM_VALIDATIONS = 3
SETUPS = {
    "1 process, 1 thread": (1, 1),
    "1 process, 2 threads": (1, 2),
    "2 processes, 1 thread each": (2, 1),
}
CEILING = "2 trainings at once that exchange nothing, half the batch each: the most that this machine gives"
ONE, TWO = "1 process, 1 thread", "2 processes, 1 thread each"


def write_features(folder: Path, *, frame_size: int) -> Path:
    """Write 60 videos of noise, 40 frames each."""
    source = folder / f"arrays{frame_size}"
    source.mkdir()
    for number in range(60):
        rng = np.random.default_rng(number)
        np.save(source / f"{number}.npy", rng.standard_normal((40, frame_size), dtype=np.float32))
    output = folder / f"{frame_size}.h5"
    vidrep.import_features(source, output)
    return output


def start(features: Path, run: Path, size: str, *, processes: int, threads: int, share: int = 1) -> "Training":
    """Start a training by the command line, of one `share`-th of the size's batch."""
    _, hidden_size, batch_size, every = SIZES[size]
    settings = {
        "encoder.hidden_size": hidden_size,
        "windows.context": 10,
        "windows.num_future": 10,
        "windows.stride": 5,
        "training.validate_every": every,
        "training.patience": 0,
    }
    launcher = f"-m torch.distributed.run --standalone --nproc-per-node {processes}" if processes > 1 else ""
    options = f"--device cpu --precision fp32 --threads {threads} --batch-size {batch_size // share}"
    options += f" --steps {NUM_VALIDATIONS * every}"
    changes = " ".join(f"--set {key}={value}" for key, value in settings.items())
    command = f"{launcher} -m vidrep_cli train {features} -o {run} --quiet {options} {changes}"
    return Training(run, subprocess.Popen([sys.executable, *shlex.split(command)]))


@dataclass(frozen=True)
class Training:
    """A training that is running."""

    run: Path
    process: "subprocess.Popen[bytes]"

    def metrics(self) -> list[dict[str, Any]]:
        """Wait for it; return the lines of metrics.jsonl, one a validation."""
        if self.process.wait():
            sys.exit(f"exit code {self.process.returncode}")
        return [json.loads(line) for line in (self.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def largest_difference(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """Return the largest relative difference between two curves, of training and held-out loss."""
    return max(
        abs(float(left[split]["loss"]) / float(right[split]["loss"]) - 1)
        for left, right in zip(one, other, strict=True)
        for split in ("train", "validation")
    )


def milliseconds(lines: list[dict[str, Any]], batch_size: int) -> float:
    """Return how long a step took, without validations, after the first of them."""
    speeds = [float(line["speed"]["frames_per_second"]) for line in lines[1:]]
    return 1000 * 20 * batch_size / statistics.median(speeds)


def main() -> None:
    """Measure and write the page."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    record = Recording("Several processes that train one model")
    record.add(
        "The composite model, 10 + 10 frames, one layer, fp32, at the same batch; gradients are summed over processes "
        f"by gloo on one machine. Medians of {ROUNDS} interleaved runs, with the fastest and the slowest. The "
        "agreement on whether to stop, one exchange of a few bytes a step, comes on top. Made by "
        "`python benchmarks/ranks.py`."
    )
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        lines = ["| size | setup | ms a step | fastest to slowest | speed-up |", "|---|---|---|---|---|"]
        differences = []
        for size, (frame_size, _, batch_size, _) in SIZES.items():
            features = write_features(folder, frame_size=frame_size)
            found: dict[str, list[float]] = {setup: [] for setup in (*SETUPS, CEILING)}
            for number in range(ROUNDS):
                curves = {}
                for setup, (processes, threads) in SETUPS.items():
                    run = folder / f"{size}-{number}-{processes}-{threads}"
                    curves[setup] = start(features, run, size, processes=processes, threads=threads).metrics()
                    found[setup].append(milliseconds(curves[setup], batch_size))
                halves = [
                    start(features, folder / f"{size}-{number}-{half}", size, processes=1, threads=1, share=2)
                    for half in "ab"
                ]
                times_of_halves = [milliseconds(half.metrics(), batch_size // 2) for half in halves]
                found[CEILING].append(statistics.mean(times_of_halves))
                differences.append(largest_difference(curves[TWO], curves[ONE]))
            base = statistics.median(found[ONE])
            for setup, times in found.items():
                median = statistics.median(times)
                spread = f"{min(times):.1f} to {max(times):.1f}"
                lines.append(f"| {size} | {setup} | {median:.1f} | {spread} | {base / median:.2f} |")
                print(lines[-1], flush=True)
    record.add("\n".join(lines))
    sizes = "; ".join(f"{size}: {d} inputs, {h} units, {b} windows a step" for size, (d, h, b, _) in SIZES.items())
    record.add(
        f"{sizes}. Largest relative difference between the losses of {ONE} and {TWO}, in training and on held-out "
        f"videos: {max(differences):.1e}."
    )
    record.save("ranks")


if __name__ == "__main__":
    main()
