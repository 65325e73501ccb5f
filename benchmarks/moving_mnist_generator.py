"""How fast Moving MNIST is generated: against a loop over frames, and against the training step that it feeds.

    python benchmarks/moving_mnist_generator.py [--rounds N] [--steps M,L] [--write]

--write writes docs/results/moving-mnist-generator.md.
Batches of 20 frames of 64 x 64 pixels with two digits. The digits are noise, as many as MNIST's for training: the time
does not depend on the pixels. Methods take turns, round by round, on one core; a training step has all cores, and is
compared with making a batch of its own frames. `--rounds 1 --steps M` is a quick try.
"""

import argparse
import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from recording import ROOT, facts
from training_step import SIZES, Size, step_of_ours

from vidrep.devices import choose_precision
from vidrep.machine import available_cores, tune_malloc
from vidrep.synthetic.mnist import DIGIT_SIDE
from vidrep.synthetic.moving_mnist import MovingMnist, MovingMnistConfig
from vidrep.synthetic.rendering import DeviceRenderer

CONFIG = MovingMnistConfig()
BATCHES = (80, 1024)
LOOPED = 80  # sequences of a batch made by the loop
# Sizes of `make bench` and rounds at most; the frames of S, 16 x 16, hold no digit, and a step of L takes seconds.
STEPS = {"M": 9, "L": 2}
SECONDS_A_TURN = 0.15
AIM = 10


def loop_over_frames(digits: NDArray[np.float32], num_sequences: int, rng: random.Random) -> NDArray[np.float32]:
    """Make (B, T, 64, 64) float32 as the released code of Srivastava et al. (2015) does, written anew.

    Each digit of a sequence gets a random position and direction, and moves and bounces frame by frame; a frame has the
    maximum of its digits at each pixel.
    """
    frames = np.zeros((num_sequences, CONFIG.num_frames, CONFIG.canvas, CONFIG.canvas), np.float32)
    travel = CONFIG.canvas - DIGIT_SIDE
    for sequence in frames:
        for _ in range(CONFIG.num_digits):
            digit = digits[rng.randrange(len(digits))]
            row, column, angle = rng.random(), rng.random(), 2 * math.pi * rng.random()
            down, right = CONFIG.displacement * math.sin(angle), CONFIG.displacement * math.cos(angle)
            for frame in sequence:
                row, column = row + down, column + right
                if not 0 < row < 1:
                    row, down = min(max(row, 0.0), 1.0), -down
                if not 0 < column < 1:
                    column, right = min(max(column, 0.0), 1.0), -right
                top, left = int(travel * row), int(travel * column)
                patch = frame[top : top + DIGIT_SIDE, left : left + DIGIT_SIDE]
                np.maximum(patch, digit, out=patch)
    return frames


def measure(methods: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Let methods take turns; return the seconds of a call, one number a round."""
    repeats = {}
    for name, method in methods.items():
        method()
        began = time.perf_counter()
        method()
        repeats[name] = max(1, round(SECONDS_A_TURN / (time.perf_counter() - began)))
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, method in methods.items():
            began = time.perf_counter()
            for _ in range(repeats[name]):
                method()
            seconds[name].append((time.perf_counter() - began) / repeats[name])
    return seconds


def as_floats(generator: MovingMnist, num_sequences: int, rng: np.random.Generator) -> torch.Tensor:
    """Generate a batch and turn it into float32 from 0 to 1, as the model reads it."""
    return torch.from_numpy(generator.generate(num_sequences, rng)).float().div_(255)


def steps(size: Size) -> dict[str, Callable[[], float]]:
    """Return training steps of one size, in fp32, and in bf16 where it is native."""
    dtypes = {"fp32": None, "bf16": torch.bfloat16}
    if choose_precision("auto", torch.device("cpu"))[0] != "bf16":
        del dtypes["bf16"]
    frames = torch.rand(CONFIG.num_frames, size.batch, size.frame)
    return {precision: step_of_ours(size.spec.build(dtype), size, frames) for precision, dtype in dtypes.items()}


def page(rounds: int, sizes: Sequence[str]) -> Iterator[str]:
    """Measure everything; yield the lines of the page."""
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (60_000, DIGIT_SIDE, DIGIT_SIDE), dtype=np.uint8)
    generator = MovingMnist(digits, CONFIG)
    by_torch = DeviceRenderer(generator, torch.device("cpu"))
    loop = "loop over frames, float32"
    inks = np.divide(digits, 255, dtype=np.float32)
    methods: dict[str, Callable[[], object]] = {
        f"{loop}, {LOOPED}": partial(loop_over_frames, inks, LOOPED, random.Random(0)),
        **{f"vidrep, uint8, {size}": partial(generator.generate, size, rng) for size in BATCHES},
        **{f"vidrep, as float32 from 0 to 1, {size}": partial(as_floats, generator, size, rng) for size in BATCHES},
        f"vidrep by torch (what a GPU runs), uint8, {LOOPED}": lambda: by_torch.render(generator.draw(LOOPED, rng)),
    }
    torch.set_num_threads(1)
    found = measure(methods, rounds)
    yield "# Moving MNIST, generated"
    yield ""
    yield facts()
    yield (
        f"Made by `python benchmarks/moving_mnist_generator.py --write`, {rounds} rounds, interleaved, one core. "
        "Sequences of 20 frames, 64 x 64, two digits of noise. The loop is the per-frame loop of the "
        "released code, written anew; vidrep's frames are bytes, 0 to 255, which the model divides by 255 itself."
    )
    yield ""
    yield "| method | batch | ms a batch: median (all rounds) | sequences/s | times the loop |"
    yield "|---|---|---|---|---|"
    per_sequence = [seconds / LOOPED for seconds in found[f"{loop}, {LOOPED}"]]
    ratios = {}
    for name, seconds in found.items():
        method, _, size = name.rpartition(", ")
        low, middle, high = (1000 * value for value in (min(seconds), statistics.median(seconds), max(seconds)))
        ratios[name] = statistics.median(a / (b / int(size)) for a, b in zip(per_sequence, seconds, strict=True))
        yield (
            f"| {method} | {size} | {middle:.2f} ({low:.2f} to {high:.2f}) | {1000 * int(size) / middle:,.0f} "
            f"| {ratios[name]:.1f} |"
        )
    yield ""
    ratio = ratios[f"vidrep, uint8, {LOOPED}"]
    yield f"Aim, at least {AIM} times the loop: {'reached' if ratio >= AIM else 'not reached'}, {ratio:.1f}."
    yield ""
    torch.set_num_threads(available_cores())
    yield (
        f"Its share of a training step, {available_cores()} threads. A thread makes the batch of the next step during "
        "this one, so that no step waits for it while a core is free:"
    )
    yield ""
    yield "| step | frames | rounds | ms a step | ms to generate its batch | of the step |"
    yield "|---|---|---|---|---|---|"
    for name in sizes:
        trained, num_rounds = SIZES[name], min(rounds, STEPS[name])
        side = math.isqrt(trained.frame)
        generate = partial(MovingMnist(digits, replace(CONFIG, canvas=side)).generate, trained.batch, rng)
        medians = {
            what: statistics.median(seconds)
            for what, seconds in measure({"generated": generate, **steps(trained)}, num_rounds).items()
        }
        generated = medians.pop("generated")
        for precision, step in medians.items():
            yield (
                f"| {name}, {precision} | {side} x {side} | {num_rounds} | {1000 * step:.1f} | {1000 * generated:.2f} "
                f"| {generated / step:.1%} |"
            )


def main() -> None:
    """Print the page, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", default=",".join(STEPS), help="sizes of training steps, with commas between them")
    parser.add_argument("--write", action="store_true", help="write docs/results/moving-mnist-generator.md")
    given = parser.parse_args()
    if not set(given.steps.split(",")) <= set(STEPS):
        parser.error(f"--steps {given.steps}: allowed are {', '.join(STEPS)}")
    tune_malloc()
    lines = []
    for line in page(given.rounds, given.steps.split(",")):
        print(line, flush=True)
        lines.append(line)
    if given.write:
        path = ROOT / "docs" / "results" / "moving-mnist-generator.md"
        path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
