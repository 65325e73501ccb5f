"""The parts of benchmarks/gpu.py: which there are, in which order, and how much time is left for the last of them."""

import json
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_extraction import measure_extraction
from gpu_tables import measurements
from gpu_training import (
    FULL,
    ON_GPU,
    PRECISION,
    SMALL,
    captured,
    ceilings,
    end_to_end,
    equality,
    learning,
    stacks_at,
    steps_at,
)

from vidrep.machine import available_cores

SCALE = FULL if ON_GPU else SMALL
PARTS = ("equality", "steps", "stacks", "end to end", "extraction", "learning")
# Extraction: seconds of one network's pipeline, of four; the rest of its 90 is comparing and starting processes.
PIPELINE_SECONDS = 8.0 if ON_GPU else 0.1
# What the first weights, five validations with a checkpoint each and measuring 10,000 sequences may take.
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
            "left_out": {},
        }

    @property
    def seconds_left(self) -> float:
        """Seconds until the call is to end."""
        return self._until - time.monotonic()

    def run(self, part: str, name: str, measure: Callable[[], Any]) -> None:
        """Do one measurement of a part and print it; an error is kept in place of what it would have found."""
        if part not in self._parts:
            return
        began = time.monotonic()
        try:
            self.found[name] = measure()
            print(*measurements({name: self.found[name]}), sep="\n", flush=True)
        except Exception as error:
            self.found["errors"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        self.found["seconds"][name] = time.monotonic() - began
        self._write()

    def leave_out(self, part: str, why: str) -> None:
        """Record why a part is not measured."""
        if part in self._parts:
            self.found["left_out"][part] = why
            self._write()

    def _write(self) -> None:
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


def run_all(benchmark: Benchmark, mnist: Path, folder: Path, filmstrip: Path) -> None:
    """Do all parts; the last one takes the time that is left."""
    benchmark.run("equality", "equality", partial(equality, SCALE))
    benchmark.run("equality", "captured", partial(captured, SCALE))
    benchmark.run("steps", "ceilings", partial(ceilings, SCALE))
    for batch in SCALE.batches:
        if "ceilings" in benchmark.found:
            benchmark.run("steps", f"steps {batch}", partial(steps_at, SCALE, batch, benchmark.found["ceilings"]))
        benchmark.run("stacks", f"stacks {batch}", partial(stacks_at, SCALE, batch))
    for batch in SCALE.end_to_end_batches:
        run = folder / f"run-{batch}"
        benchmark.run("end to end", f"end to end {batch}", partial(end_to_end, SCALE, mnist, run, batch))
    benchmark.run("extraction", "extraction", partial(measure_extraction, folder, seconds=PIPELINE_SECONDS))
    if ON_GPU and benchmark.seconds_left < SECONDS_BESIDE_STEPS:
        left = f"{max(0, benchmark.seconds_left):.0f} s were left"
        benchmark.leave_out("learning", f"{left}, and it takes {SECONDS_BESIDE_STEPS:.0f} beside its steps")
        return
    learn = partial(learning, SCALE, mnist, folder / "run", steps=training_steps(benchmark), filmstrip=filmstrip)
    benchmark.run("learning", "learning", learn)
