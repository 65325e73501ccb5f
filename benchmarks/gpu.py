"""What only a GPU can tell, in one call of less than 9 minutes: tables last, gpu.json and filmstrip.png beside.

    python benchmarks/gpu.py [--mnist DIR] [--seconds 500] [--output DIR] [--parts equality,steps,...]

The output is the folder that the environment variable OUT names, or --output. Training: equality with the CPU in
float64; steps of the 2-layer model against their floor, counted from operations and bytes and from ceilings that this
run measures, against an eager loop with peepholes, and stacks against cuDNN; sequences/s from digits to weights; and as
much training of `modern-mnist-2layer-conditional` as the seconds leave, with its figures on test sequences. Extraction:
see gpu_extraction.py. A part that fails does not take the others with it, but the exit code is 1. Without a GPU
everything runs small on the CPU, so that the script is known to work; its figures mean nothing then, and it says so.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_extraction import measure_extraction
from gpu_extraction import table as extraction_table
from gpu_training import (
    DEVICE,
    FULL,
    ON_GPU,
    PRECISION,
    SMALL,
    ceilings,
    end_to_end,
    equality,
    learning,
    stacks_at,
    steps_at,
)

from vidrep.machine import available_cores, keep_freed_memory

SCALE = FULL if ON_GPU else SMALL
PARTS = ("equality", "steps", "stacks", "end to end", "extraction", "learning")
# Shares of the floor to reach on an H200, and what the issue says of the floors there, in ms.
LEAST_SHARES = {80: 0.70, 256: 0.75, 1024: 0.75}
FLOORS_IN_ISSUE = {80: 3.0, 256: 5.2, 1024: 17.1}
LEAST_TIMES_FASTER_THAN_LOOP, MOST_NATS, WANTED_NATS = 4.0, 341.2, 250.0
# Extraction: seconds of one network's pipeline, of four; the rest of its 90 is comparing and starting processes.
PIPELINE_SECONDS = 8.0 if ON_GPU else 0.1
# What drawing the weights, five looks with a checkpoint each and measuring 10,000 sequences may take.
SECONDS_BESIDE_STEPS = 130.0


class Benchmark:
    """Runs parts one by one, and writes what is found after each."""

    def __init__(self, output: Path | None, parts: set[str], seconds: float) -> None:
        self._output, self._parts, self._until = output, parts, time.monotonic() + seconds
        self.found: dict[str, Any] = {
            "device": torch.cuda.get_device_name() if ON_GPU else "no GPU: everything here ran small on the CPU",
            "precision": PRECISION,
            "cores": available_cores(),
            "torch": torch.__version__,
            "python": sys.version.split()[0],
            "seconds": {},
            "errors": {},
        }

    @property
    def seconds_left(self) -> float:
        """Seconds until the call is to end."""
        return self._until - time.monotonic()

    def run(self, part: str, name: str, measure: Callable[[], Any]) -> None:
        """Do one measurement of a part; an error is kept in place of what it would have found."""
        if part not in self._parts:
            return
        began = time.monotonic()
        try:
            self.found[name] = measure()
            print(f"{name}: {json.dumps(self.found[name])}", flush=True)
        except Exception as error:
            self.found["errors"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        self.found["seconds"][name] = time.monotonic() - began
        if self._output is not None:
            (self._output / "gpu.json").write_text(json.dumps(self.found, indent=2) + "\n", encoding="utf-8")


def training_steps(benchmark: Benchmark) -> int:
    """Return how many steps of the recipe, of batches of 80, the time that is left allows; at most twice its own."""
    if not ON_GPU:
        return 4
    rates = [benchmark.found.get(f"end to end {batch}") for batch in SCALE.end_to_end_batches]
    if rates[0] is None:
        return 5000
    per_second = rates[0]["sequences_per_second"] / SCALE.end_to_end_batches[0]
    return int(min(40_000, max(500, 0.85 * per_second * (benchmark.seconds_left - SECONDS_BESIDE_STEPS))))


def run_all(benchmark: Benchmark, mnist: Path, folder: Path) -> None:
    """Do all parts, the one that takes the time that is left last."""
    benchmark.run("equality", "equality", partial(equality, SCALE))
    benchmark.run("steps", "ceilings", partial(ceilings, SCALE))
    for batch in SCALE.batches:
        if "ceilings" in benchmark.found:
            benchmark.run("steps", f"steps {batch}", partial(steps_at, SCALE, batch, benchmark.found["ceilings"]))
        benchmark.run("stacks", f"stacks {batch}", partial(stacks_at, SCALE, batch))
    for batch in SCALE.end_to_end_batches:
        run = folder / f"run-{batch}"
        benchmark.run("end to end", f"end to end {batch}", partial(end_to_end, SCALE, mnist, run, batch))
    benchmark.run("extraction", "extraction", partial(measure_extraction, folder, seconds=PIPELINE_SECONDS))
    steps, filmstrip = training_steps(benchmark), folder / "filmstrip.png"
    learn = partial(learning, SCALE, mnist, folder / "run", steps=steps, filmstrip=filmstrip)
    benchmark.run("learning", "learning", learn)


def tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield all tables, with the aims last."""
    yield f"{found['device']}; {found['cores']} cores, torch {found['torch']}, products in {found['precision']}"
    yield ""
    if "equality" in found:
        yield "| against float64 on the CPU | loss | gradient, the worst weight's |"
        yield "|---|---|---|"
        for name, errors in found["equality"].items():
            yield f"| {name} | {errors['loss']:.1e} | {errors['gradient']:.1e} |"
        yield ""
    if "ceilings" in found:
        best = found["ceilings"]
        yield (
            f"Best product {best['flops_per_second'] / 1e12:,.2f} TFLOP/s, copy {best['bytes_per_second'] / 1e12:,.3f} "
            "TB/s read and written."
        )
        yield ""
    yield from step_tables(found)
    if "extraction" in found:
        yield from extraction_table(found["extraction"])
        yield ""
    yield "| aim, on an H200 | found | |"
    yield "|---|---|---|"
    for aim, value, reached in aims(found):
        verdict = "not measured" if reached is None or not ON_GPU else "reached" if reached else "not reached"
        yield f"| {aim} | {value} | {verdict} |"
    for name, error in found["errors"].items():
        yield f"FAILED: {name}: {error}"


def step_tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield the tables of steps, stacks and whole trainings."""
    batches = [batch for batch in SCALE.batches if f"steps {batch}" in found]
    if batches:
        yield (
            "| step of the 2-layer model, ms (median, fastest to slowest) | batch | share of the floor | TFLOP/s "
            "| peak GB |"
        )
        yield "|---|---|---|---|---|"
    for batch in batches:
        at = found[f"steps {batch}"]
        floor = at["floor"]
        yield (
            f"| floor {1e3 * floor['seconds']:.2f}: compute-bound {1e3 * floor['compute']:.2f}, bandwidth-bound "
            f"{1e3 * floor['bandwidth']:.2f}, optimiser {1e3 * floor['weights']:.2f} (issue, H200: "
            f"{FLOORS_IN_ISSUE.get(batch, 'none')}) | {batch} | | | |"
        )
        for name in ("ours", "ours without peepholes", "peephole loop"):
            step = at[name]
            spread = f"{1e3 * step['seconds']:.2f} ({1e3 * step['fastest']:.2f} to {1e3 * step['slowest']:.2f})"
            peak = "" if step["peak_bytes"] is None else f"{step['peak_bytes'] / 1e9:.1f}"
            yield (
                f"| {name}: {spread} | {batch} | {floor['seconds'] / step['seconds']:.0%} "
                f"| {floor['flops'] / step['seconds'] / 1e12:,.2f} | {peak} |"
            )
    yield ""
    stacks = [batch for batch in SCALE.batches if f"stacks {batch}" in found]
    if stacks:
        yield "| stack of 2 layers, forward and backward, no peepholes | ours, ms | nn.LSTM, ms | times faster |"
        yield "|---|---|---|---|"
    for batch in stacks:
        at = found[f"stacks {batch}"]
        yield (
            f"| batch {batch} | {1e3 * at['ours']:.2f} | {1e3 * at['nn.LSTM']:.2f} | {at['nn.LSTM'] / at['ours']:.2f} |"
        )
    yield ""
    for batch in SCALE.end_to_end_batches:
        if (whole := found.get(f"end to end {batch}")) is not None:
            yield (
                f"End to end, batch {batch}: {whole['sequences_per_second']:,.0f} sequences/s, "
                f"{whole['data_share']:.1%} of the time spent waiting for data."
            )
    if (learnt := found.get("learning")) is not None:
        yield (
            f"{learnt['steps']:,} steps in {learnt['training_seconds']:.0f} s; {learnt['sequences']:,} test sequences: "
            f"future {learnt['future_nats']:.1f}, reconstruction {learnt['reconstruction_nats']:.1f} nats/frame, free "
            f"running; entropy floor {learnt['entropy_floor']:.1f}."
        )
    yield ""


def aims(found: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    """Yield each aim of the issue, what was found, and whether that reaches it."""
    for batch, least in LEAST_SHARES.items():
        at, share, faster = found.get(f"steps {batch}"), None, None
        if at is not None:
            share = at["floor"]["seconds"] / at["ours"]["seconds"]
            faster = at["peephole loop"]["seconds"] / at["ours"]["seconds"]
        yield f"batch {batch}: at least {least:.0%} of the floor", *judged(share, least, "{:.0%}")
        name = f"batch {batch}: at least {LEAST_TIMES_FASTER_THAN_LOOP:.0f} times the eager peephole loop"
        yield name, *judged(faster, LEAST_TIMES_FASTER_THAN_LOOP, "{:.1f} times")
        stack = found.get(f"stacks {batch}")
        ratio = None if stack is None else stack["nn.LSTM"] / stack["ours"]
        yield f"batch {batch}: not slower than cuDNN without peepholes", *judged(ratio, 1.0, "{:.2f} times")
    learnt = found.get("learning")
    nats = None if learnt is None else learnt["future_nats"]
    for most in (MOST_NATS, WANTED_NATS):
        name = f"future frames, free running: at most {most} nats/frame in less than 10 minutes"
        yield name, "" if nats is None else f"{nats:.1f}", None if nats is None else nats <= most


def judged(value: float | None, least: float, form: str) -> tuple[str, bool | None]:
    """Return a figure as it is shown, and whether it is large enough."""
    return ("", None) if value is None else (form.format(value), value >= least)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("VIDREP_DATA")
    parser.add_argument("--mnist", type=Path, default=data and Path(data) / "mnist", help="default: $VIDREP_DATA/mnist")
    parser.add_argument("--seconds", type=float, default=500.0, help="that all of it takes, about")
    parser.add_argument("--output", type=Path, default=os.environ.get("OUT"), help="default: $OUT")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas between them")
    given = parser.parse_args()
    parts = set(given.parts.split(","))
    if not parts <= set(PARTS):
        parser.error(f"--parts {given.parts}: allowed are {', '.join(PARTS)}")
    if given.mnist is None and parts & {"end to end", "learning"}:
        parser.error("give --mnist, the folder of MNIST's files, or set VIDREP_DATA")
    keep_freed_memory()
    if DEVICE.type == "cpu":
        torch.set_num_threads(available_cores())
    output = None if given.output is None else Path(given.output)
    benchmark = Benchmark(output, parts, given.seconds)
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        run_all(benchmark, given.mnist, Path(name))
        if output is not None and (Path(name) / "filmstrip.png").exists():
            shutil.copyfile(Path(name) / "filmstrip.png", output / "filmstrip.png")
    print()
    for line in tables(benchmark.found):
        print(line)
    sys.exit(1 if benchmark.found["errors"] else 0)


if __name__ == "__main__":
    main()
