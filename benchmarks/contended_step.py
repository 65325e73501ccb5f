"""A training step on a quiet machine and beside a process that uses one core: thread settings, and nn.LSTM.

    python benchmarks/contended_step.py [--sizes S,M,L] [--rounds N] [--write]

--write writes docs/results/threads.md. The step is that of benchmarks/training_step.py in fp32, with the default cell,
which has no peepholes. Every setting has a process of its own, since OpenMP reads its variables once; the processes
take turns, and all but one of them wait for standard input. `--sizes S --rounds 1` is a quick try.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from recording import ROOT, facts
from training_step import SIZES, Size, Stacks, milliseconds, report, step_of_ours, step_of_peer

from vidrep.machine import available_cores, tune_malloc
from vidrep.threads import threads_for

# GNU's OpenMP's own, and what vidrep sets.
LIBRARY_SPIN_COUNT, SPIN_COUNT = 300_000, 1000
ROUNDS = {"S": 7, "M": 5, "L": 2}
SECONDS_A_TURN = 0.2
# How many times the time of before a step may take on a quiet machine, and that of the best setting on a busy one.
MOST_QUIET, MOST_BUSY = {"S": 1.3, "M": 1.1, "L": 1.1}, 1.5


@dataclass(frozen=True)
class Setting:
    """Whose step, and how threads compute it."""

    name: str
    threads: int
    spin_count: int = SPIN_COUNT
    is_torch: bool = False


BEFORE = Setting("2 threads, OpenMP's own spin count (before)", 2, LIBRARY_SPIN_COUNT)
ONE, TWO = Setting("1 thread", 1), Setting("2 threads", 2)
TORCH_ONE = Setting("nn.LSTM, 1 thread", 1, LIBRARY_SPIN_COUNT, is_torch=True)
TORCH_TWO = Setting("nn.LSTM, 2 threads, OpenMP's own spin count", 2, LIBRARY_SPIN_COUNT, is_torch=True)
SETTINGS = {"S": (BEFORE, ONE, TWO, TORCH_ONE, TORCH_TWO), "M": (BEFORE, ONE, TWO), "L": (BEFORE, ONE, TWO)}


def default_of(size: Size) -> Setting:
    """Return the setting that `vidrep train` chooses."""
    threads = threads_for(input_size=size.frame, hidden_size=size.hidden, num_layers=1, batch_size=size.batch)
    return ONE if threads == 1 else TWO


def work(size: Size, setting: Setting) -> None:
    """Do a turn's steps at every line of standard input; print the seconds and core-seconds of a step."""
    import torch

    torch.set_num_threads(setting.threads)
    tune_malloc()
    torch.manual_seed(0)
    frames = (torch.rand(2 * size.spec.num_frames, size.batch, size.frame) < 0.05).float()
    model = replace(size.spec, peepholes=False)
    step = step_of_peer(Stacks(size), frames) if setting.is_torch else step_of_ours(model.build(), size, frames)
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        began, cores_began, count = time.perf_counter(), time.process_time(), 0
        while not count or time.perf_counter() - began < SECONDS_A_TURN:
            step()
            count += 1
        print((time.perf_counter() - began) / count, (time.process_time() - cores_began) / count, flush=True)


class Worker:
    """The process of a setting."""

    def __init__(self, size: str, setting: Setting) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", size, setting.name],
            env=os.environ | {"GOMP_SPINCOUNT": str(setting.spin_count)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def turn(self) -> tuple[float, float]:
        """Let it do a turn; return the seconds and core-seconds of a step."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        seconds, core_seconds = map(float, self._answer().split())
        return seconds, core_seconds

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@contextmanager
def one_core_busy() -> Iterator[None]:
    """Let a process use one core, and no other, all the time."""
    core = max(os.sched_getaffinity(0))
    code = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    spinning = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()


Found = dict[Setting, list[float]]


@dataclass(frozen=True)
class Measured:
    """Seconds of a step of each round, on a quiet machine and on a busy one; core-seconds on a quiet one."""

    quiet: Found
    busy: Found
    cores: Found


def measure(name: str, rounds: int) -> Measured:
    """Measure all settings of a size; rounds on a quiet machine and on a busy one take turns too."""
    found = Measured({}, {}, {})
    with ExitStack() as ended:
        workers = {}
        for setting in SETTINGS[name]:
            workers[setting] = Worker(name, setting)
            ended.callback(workers[setting].end)
            for kind in (found.quiet, found.busy, found.cores):
                kind[setting] = []
        for _ in range(rounds):
            for setting, worker in workers.items():
                seconds, core_seconds = worker.turn()
                found.quiet[setting].append(seconds)
                found.cores[setting].append(core_seconds)
            with one_core_busy():
                for setting, worker in workers.items():
                    found.busy[setting].append(worker.turn()[0])
    return found


def ratio(found: Found, one: Setting, other: Setting) -> float:
    """Return the median over the rounds of the time of one setting in that of another."""
    return statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))


def tables(name: str, rounds: int) -> Iterator[str]:
    """Measure a size; yield its lines."""
    size, default = SIZES[name], default_of(SIZES[name])
    load = os.getloadavg()[0]
    found = measure(name, rounds)
    yield f"## {name}: frames of {size.frame}, {size.hidden} units, batch {size.batch}"
    yield ""
    yield f"{rounds} rounds. `vidrep train` chooses {default.name}. Load average before: {load:.1f}."
    yield ""
    yield "| setting | quiet, ms a step: median (all rounds) | one core busy | core-ms, quiet |"
    yield "|---|---|---|---|"
    for setting in SETTINGS[name]:
        cells = (milliseconds(kind[setting]) for kind in (found.quiet, found.busy, found.cores))
        yield f"| {setting.name} | {' | '.join(cells)} |"
    yield ""
    yield "| aim | found | |"
    yield "|---|---|---|"
    best = min((ONE, TWO), key=lambda setting: statistics.median(found.busy[setting]))
    in_quiet, in_busy = ratio(found.quiet, default, BEFORE), ratio(found.busy, default, best)
    aim = f"quiet: at most {MOST_QUIET[name]}x the time of before"
    yield f"| {aim} | {in_quiet:.2f}x | {report(in_quiet <= MOST_QUIET[name])} |"
    aim = f"busy: at most {MOST_BUSY}x the time of the best setting ({best.name})"
    yield f"| {aim} | {in_busy:.2f}x | {report(in_busy <= MOST_BUSY)} |"
    if TORCH_ONE in SETTINGS[name]:
        faster = ratio(found.cores, TORCH_ONE, ONE)
        yield f"| core-ms: 1 thread as fast as nn.LSTM | {faster:.2f}x as fast | {report(faster >= 1)} |"
    yield f"| busy: how many times as fast as before | {ratio(found.busy, BEFORE, default):.2f}x | |"
    yield ""


def page(names: list[str], rounds: int | None) -> Iterator[str]:
    """Measure everything; yield the lines of the page."""
    yield "# CPU threads beside other work"
    yield ""
    yield facts()
    yield (
        f"Made by `python benchmarks/contended_step.py --sizes {','.join(names)} --write`, {available_cores()} cores. "
        "A step as in docs/results/training-step.md, fp32, no peepholes, the same kernels before. Settings take turns "
        "in processes of their own, and rounds on a quiet machine alternate with rounds beside one that uses a "
        "core. Others used this machine at the same time, so that quiet is never quite quiet: only ratios count, which "
        "are medians of the rounds' ratios; core-ms, of all threads together, depend least on others. vidrep sets "
        f"GOMP_SPINCOUNT={SPIN_COUNT}; OpenMP's own is {LIBRARY_SPIN_COUNT}. Where more processes are busy than there "
        "are cores, the scheduler gives two threads twice the share of one, whatever they do with it: at a load "
        "average much above 1, wall times of 1 and 2 threads do not show one busy core."
    )
    yield ""
    for name in names:
        yield from tables(name, rounds or ROUNDS[name])


def main() -> None:
    """Measure, print and, if asked to, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        size, name = given.worker
        return work(SIZES[size], next(setting for setting in SETTINGS[size] if setting.name == name))
    lines = []
    for line in page(given.sizes.split(","), given.rounds):
        print(line, flush=True)
        lines.append(line)
    if given.write:
        path = ROOT / "docs" / "results" / "threads.md"
        path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
