"""The time of every cell over a sequence, beside torch's own layers and a loop over single time steps.

    python benchmarks/cells.py [--sizes S,M,L] [--rounds N] [--threads N] [--write]

--write writes docs/results/cells.md. One layer runs over 10 time steps, forward and backward, at the sizes of
benchmarks/training_step.py in fp32: as an encoder's first layer, whose inputs need no gradient, and as a decoder's
without input, where torch's layers read one zero a time step. All take turns, round by round, each round in another
order. Times are of the processor, since others use the machine too. `--sizes S --rounds 3` is a quick try.
"""

import argparse
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from recording import ROOT, facts
from torch import Tensor, nn
from training_step import FRAMES, SIZES

from vidrep.machine import available_cores, tune_malloc
from vidrep.models.cells.cell import Cell
from vidrep.models.initialization import Initialization
from vidrep.models.state import to_dict
from vidrep.registry import CELLS

ROUNDS = {"S": 15, "M": 5, "L": 3}
REPEATS = {"S": 3, "M": 1, "L": 1}
LOOPED = ("S", "M")  # at L, where products take nearly all of the time, no loop is measured
MOST = 1.05  # of the time of torch's layer
PEERS: dict[str, Any] = {"nn.RNN": nn.RNN, "nn.GRU": nn.GRU, "nn.LSTM": nn.LSTM}


@dataclass(frozen=True)
class Variant:
    """A cell with its settings, and the layer of torch that it is measured against; is_same: whether of its form."""

    label: str
    cell: str
    peer: str
    settings: dict[str, Any] = field(default_factory=dict)
    is_same: bool = False

    def build(self, input_size: int | None, hidden_size: int) -> Cell:
        """Build it with Xavier weights: orthogonal matrices of 2048 units take seconds."""
        entry = CELLS[self.cell]
        cell: Cell = entry(input_size, hidden_size, entry.Settings(**self.settings))
        cell.reset_parameters(Initialization(method="xavier"))
        return cell


VARIANTS = (
    Variant("rnn", "rnn", "nn.RNN", is_same=True),
    Variant("rnn, relu; irnn", "irnn", "nn.RNN", is_same=True),
    Variant("gru", "gru", "nn.GRU", is_same=True),
    Variant("gru, reset before", "gru", "nn.GRU", {"reset": "before"}),
    Variant("lstm", "lstm", "nn.LSTM", is_same=True),
    Variant("lstm, peepholes", "lstm", "nn.LSTM", {"peepholes": True}),
    Variant("lstm, output peephole", "lstm", "nn.LSTM", {"peepholes": ["output"]}),
    Variant("lstm, coupled", "lstm", "nn.LSTM", {"coupled": True}),
    Variant("lstm, softsign", "lstm", "nn.LSTM", {"activation": "softsign"}),
    Variant("ugrnn (2 maps)", "ugrnn", "nn.GRU"),
    Variant("intersection (4 maps)", "intersection", "nn.LSTM"),
)


def step_of_cell(cell: Cell, frames: Tensor | None, batch_size: int, *, loop: bool) -> Callable[[], None]:
    """Return a function that runs a cell forward and backward; loop: by `Cell.sequence`, one time step a call."""

    def step() -> None:
        state = cell.initial_state(batch_size, torch.device("cpu"))
        outputs, _ = Cell.sequence(cell, frames, state, FRAMES) if loop else cell.sequence(frames, state, FRAMES)
        finish(cell, outputs)

    return step


def step_of_peer(layer: nn.Module, frames: Tensor | None, batch_size: int) -> Callable[[], None]:
    """Return a function that runs a layer of torch forward and backward; without frames it reads zeros."""
    inputs = torch.zeros(FRAMES, batch_size, 1) if frames is None else frames
    return lambda: finish(layer, layer(inputs)[0])


def finish(module: nn.Module, outputs: Tensor) -> None:
    """Go back from the sum of the outputs, and drop the gradients."""
    outputs.sum().backward()  # type: ignore[no-untyped-call]
    module.zero_grad(set_to_none=True)


def measure(name: str, rounds: int, *, with_input: bool) -> dict[str, list[float]]:
    """Let all take turns; return seconds of the processor by round: of peers, of variants, and of "LABEL, loop"."""
    torch.manual_seed(0)
    size, repeats = SIZES[name], REPEATS[name]
    frames = torch.randn(FRAMES, size.batch, size.frame) if with_input else None
    steps: dict[str, Callable[[], None]] = {
        name: step_of_peer(peer(size.frame if with_input else 1, size.hidden), frames, size.batch)
        for name, peer in PEERS.items()
    }
    for variant in VARIANTS:
        cell = variant.build(size.frame if with_input else None, size.hidden)
        assert all(
            value.dtype == torch.float32 for value in to_dict(cell.initial_state(1, torch.device("cpu"))).values()
        )
        steps[variant.label] = step_of_cell(cell, frames, size.batch, loop=False)
        if name in LOOPED:
            steps[looped(variant)] = step_of_cell(cell, frames, size.batch, loop=True)
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for label, step in random.Random(number).sample(list(steps.items()), len(steps)):
            began = time.process_time()
            for _ in range(repeats):
                step()
            if number:  # the first round warms up
                found[label].append((time.process_time() - began) / repeats)
    return found


def looped(variant: Variant) -> str:
    """Return what the loop of a variant is called among what is measured."""
    return f"{variant.label}, loop"


def ratio(found: dict[str, list[float]], one: str, other: str) -> float:
    """Return the median over rounds of how many times the time of another one takes."""
    return statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))


def milliseconds(seconds: list[float]) -> str:
    """Write a median and a spread."""
    low, middle, high = (f"{1000 * value:,.2f}" for value in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"{middle} ({low} to {high})"


def table(name: str, found: dict[str, list[float]], *, with_input: bool) -> Iterator[str]:
    """Yield the lines of one size, with or without input."""
    size, rounds = SIZES[name], len(found["nn.RNN"])
    what = f"an encoder's layer, frames of {size.frame}" if with_input else "a decoder's layer, without input"
    yield f"## {name}: {what}; {size.hidden} units, batch {size.batch}"
    yield ""
    yield f"{rounds} rounds. " + ", ".join(f"{peer} {milliseconds(found[peer])} ms" for peer in PEERS) + "."
    yield ""
    yield f"| cell | ms: median (all rounds) | of its loop's time | of torch's layer's time | at most {MOST} |"
    yield "|---|---|---|---|---|"
    for variant in VARIANTS:
        of_peer = ratio(found, variant.label, variant.peer)
        of_loop = f"{ratio(found, variant.label, looped(variant)):.2f}" if looped(variant) in found else ""
        aim = ("yes" if of_peer <= MOST else "no") if variant.is_same else ""
        yield (
            f"| {variant.label} | {milliseconds(found[variant.label])} | {of_loop} "
            f"| {of_peer:.2f} of {variant.peer}'s | {aim} |"
        )
    yield ""


def main() -> None:
    """Measure the sizes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="S,M,L")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    tune_malloc()
    lines = ["# Cells: time over a sequence", "", facts()]
    lines.append(
        f"Made by `python benchmarks/cells.py --sizes {given.sizes} --write`, {given.threads} "
        f"thread{'s' if given.threads > 1 else ''} of {available_cores()} cores, fp32: {FRAMES} time steps, forward "
        "and backward, milliseconds of the processor, medians over rounds in which all take turns; ratios are medians "
        "of the rounds' ratios. A loop calls the cell once a time step. The goal is for cells of a form that torch "
        "has; others stand beside a layer of torch with about as many maps W x + U h + b, which does less for each.\n"
    )
    for name in given.sizes.split(","):
        for with_input in (True, False):
            rounds = given.rounds or ROUNDS[name]
            found = measure(name, rounds, with_input=with_input)
            part = list(table(name, found, with_input=with_input))
            print("\n".join(part), flush=True)
            lines += part
    if given.write:
        path = ROOT / "docs" / "results" / "cells.md"
        path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
