"""What each recurrent cell can hold and learn, with as many parameters as the others and depths of 1, 2 and 4.

    python benchmarks/capacity.py FILE [--minutes M]      writes docs/results/capacity.md and .png

FILE (JSON) keeps what is measured; the same command goes on. No measurement begins after M minutes. The page has the
tasks of which nothing is missing. The protocol, docs/results/capacity-protocol.md, was written before.

Two capacities after Collins, Sohl-Dickstein, Sussillo 2017 (arXiv 1611.09913, sections 2.1 and 2.2): the bits of random
labels that a parameter keeps, and the numbers of the past that a unit keeps. And two tasks that are hard to learn
(Hochreiter and Schmidhuber 1997): to copy symbols after a delay, and to add two marked numbers.

Shapes: T time, B items, D input width, O width of what is predicted.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from recording import ROOT, facts
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.config.settings import OptimizerSettings
from vidrep.files import replacing, write_text
from vidrep.machine import tune_malloc
from vidrep.models.encoder import Encoder, StackSpec
from vidrep.registry import CELLS
from vidrep.training.optimizers import build_optimizer, clip_gradient, learning_rates, set_learning_rates
from vidrep.viewing.curves import Curve, CurvePoint, write_curves

DEPTHS = (1, 2, 4)
# What a point of the search sets the start of the gates' biases by; other cells have none to set.
GATE_BIASES: dict[str, tuple[str, ...]] = {
    "rnn": (),
    "irnn": (),
    "ugrnn": ("gate_bias",),
    "gru": (),
    "lstm": ("forget_bias",),
    "intersection": ("time_gate_bias", "depth_gate_bias"),
}
NUM_POINTS = 6
LEARNING_RATES, GAINS, BIASES = (2e-3, 6e-2), (0.5, 1.5), (0.0, 3.0)
CLIP_NORM, WARMUP = 1.0, 20
BATCH, NUM_VALIDATION, NUM_TEST = 64, 512, 4096
LABELS_WIDTH, LABELS_STEPS = 16, 5
RECALL_WIDTH, RECALL_STEPS = 8, 8
COPY_LETTERS, COPY_LENGTH, COPY_DELAY = 8, 4, 8
ADDING_STEPS = 40
PAPER_BITS = 5.0


class Items(NamedTuple):
    """What is read, (T, B, D), and what is to be said: (B, O), or letters, (S, B), at the last S time steps."""

    inputs: Tensor
    targets: Tensor


def mutual_information(num_items: int, share_right: float) -> float:
    """Return the bits that predictions hold of so many random binary labels, of which they tell a share right.

        I = b + b (p log2 p + (1 - p) log2 (1 - p))

    (Collins et al. 2017, section 2.1.)
    """
    wrong = 1 - share_right
    entropy = -sum(p * math.log2(p) for p in (share_right, wrong) if p > 0)
    return num_items * (1 - entropy)


def numbers_kept(predicted: Tensor, true: Tensor) -> float:
    """Return how many of the O numbers are kept, (B, O) twice: the sum of the shares of their squares explained.

    A linear readout of H values keeps at most H independent numbers, whatever the network is.
    """
    return float((1 - (predicted - true).square().mean(0) / true.square().mean(0)).sum())


def random_labels(num_items: int, generator: torch.Generator) -> Items:
    """Draw Gaussian vectors, each read at all time steps, and a random label of each, 0 or 1."""
    vectors = torch.randn(num_items, LABELS_WIDTH, generator=generator)
    labels = torch.randint(2, (num_items, 1), generator=generator).float()
    return Items(vectors.expand(LABELS_STEPS, -1, -1), labels)


def past_inputs(num_items: int, generator: torch.Generator) -> Items:
    """Draw sequences of Gaussian vectors; all their values are to be said after the last one, in their order."""
    inputs = torch.randn(RECALL_STEPS, num_items, RECALL_WIDTH, generator=generator)
    return Items(inputs, inputs.transpose(0, 1).flatten(1))


def copying(num_items: int, generator: torch.Generator) -> Items:
    """Draw letters, one-hot, after which come blanks and then signals, at each of which the next letter is to be said.

    (Hochreiter and Schmidhuber 1997; in this form Arjovsky et al. 2016, arXiv 1511.06464, section 4.1.)
    """
    letters = torch.randint(COPY_LETTERS, (COPY_LENGTH, num_items), generator=generator)
    blanks = torch.full((COPY_DELAY, num_items), COPY_LETTERS)
    signals = torch.full((COPY_LENGTH, num_items), COPY_LETTERS + 1)
    inputs = F.one_hot(torch.cat([letters, blanks, signals]), COPY_LETTERS + 2).float()
    return Items(inputs, letters)


def adding(num_items: int, generator: torch.Generator) -> Items:
    """Draw numbers in 0 to 1, of which two are marked, one in each half; their sum is to be said after the last one.

    (Hochreiter and Schmidhuber 1997, section 5.4, here of one length.)
    """
    numbers = torch.rand(ADDING_STEPS, num_items, generator=generator)
    half = ADDING_STEPS // 2
    places = torch.randint(half, (2, num_items), generator=generator) + torch.tensor([[0], [half]])
    marks = torch.zeros(ADDING_STEPS, num_items).scatter_(0, places, 1.0)
    return Items(torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(0)[:, None])


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be learned, with how many parameters at most, in how many steps.

    draw: returns items. loss and score: of what is predicted at the last `read` time steps, (S, B, O), for items. The
    score is the larger the better, and reported per "parameters", per "width" of a layer, or as it is; loss decides
    which point of the search is best. sizes: how many items, per parameter, there are in all; the largest score counts;
    none for items that are drawn anew each step. beside: what to hold the score against.
    """

    title: str
    beside: str
    input_size: int
    output_size: int
    draw: Callable[[int, torch.Generator], Items]
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], float]
    parameters: int
    search_steps: int
    steps: int
    per: Literal["parameters", "width"] | None = None
    read: int = 1
    sizes: tuple[float, ...] = ()


def _labels_score(predicted: Tensor, labels: Tensor) -> float:
    right = ((predicted[-1] > 0) == (labels > 0.5)).double().mean()
    return mutual_information(len(labels), float(right))


def _copying_loss(predicted: Tensor, letters: Tensor) -> Tensor:
    return F.cross_entropy(predicted.flatten(0, 1), letters.flatten())


def _variance_explained(predicted: Tensor, true: Tensor) -> float:
    return float(1 - (predicted[-1] - true).square().mean() / true.var(correction=0))


def _squares(predicted: Tensor, true: Tensor) -> Tensor:
    return F.mse_loss(predicted[-1], true)


TASKS = {
    "labels": Task(
        title="bits of random labels per parameter",
        beside="The paper found about 5 bits a parameter, for every cell and depth.",
        input_size=LABELS_WIDTH,
        output_size=1,
        draw=random_labels,
        loss=lambda predicted, labels: F.binary_cross_entropy_with_logits(predicted[-1], labels),
        score=_labels_score,
        per="parameters",
        parameters=1000,
        search_steps=300,
        steps=3000,
        sizes=(2.0, 4.0),
    ),
    "recall": Task(
        title="numbers of the past per unit of the top layer",
        beside="The paper found about one number a hidden unit; here 1 is the most that can be.",
        input_size=RECALL_WIDTH,
        output_size=RECALL_STEPS * RECALL_WIDTH,
        draw=past_inputs,
        loss=_squares,
        score=lambda predicted, true: numbers_kept(predicted[-1], true),
        per="width",
        parameters=2000,
        search_steps=100,
        steps=1000,
    ),
    "copying": Task(
        title="copying, share of letters right",
        beside="By chance: 0.125.",
        input_size=COPY_LETTERS + 2,
        output_size=COPY_LETTERS,
        draw=copying,
        loss=_copying_loss,
        score=lambda predicted, letters: float((predicted.argmax(-1) == letters).double().mean()),
        parameters=2000,
        search_steps=100,
        steps=1000,
        read=COPY_LENGTH,
    ),
    "adding": Task(
        title="adding, share of variance explained",
        beside="A constant explains 0.",
        input_size=2,
        output_size=1,
        draw=adding,
        loss=_squares,
        score=_variance_explained,
        parameters=2000,
        search_steps=100,
        steps=600,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point of the search: the learning rate, a factor of the matrices' start, and where gates' biases start."""

    learning_rate: float
    gain: float
    gate_bias: float


def points() -> Iterator[Point]:
    """Yield the points of the random search, the same ones for all cells, depths and tasks.

    Each value is drawn within as many equal parts of its range as there are points, in a random order, so that few
    points lie far apart (a Latin hypercube: McKay, Beckman, Conover 1979).
    """
    generator = torch.Generator().manual_seed(0)
    parts = torch.stack([torch.randperm(NUM_POINTS, generator=generator) for _ in range(3)], dim=1)
    shares = (parts + torch.rand(NUM_POINTS, 3, generator=generator, dtype=torch.float64)) / NUM_POINTS
    for rate, gain, bias in shares.tolist():
        yield Point(
            learning_rate=_between(LEARNING_RATES, rate),
            gain=_between(GAINS, gain),
            gate_bias=BIASES[0] + bias * (BIASES[1] - BIASES[0]),
        )


def _between(ends: tuple[float, float], share: float) -> float:
    low, high = map(math.log, ends)
    return math.exp(low + share * (high - low))


class Network(nn.Module):
    """A stack of cells and a linear readout of the top layer's outputs."""

    def __init__(self, task: Task, cell: str, depth: int, hidden_size: int, point: Point) -> None:
        super().__init__()
        self.read = task.read
        settings = CELLS[cell].Settings(**dict.fromkeys(GATE_BIASES[cell], point.gate_bias))
        stack = StackSpec(cell=cell, settings=settings, hidden_size=hidden_size, num_layers=depth)
        self.encoder = Encoder(task.input_size, stack)
        self.readout = nn.Linear(hidden_size, task.output_size)
        stack.initial_weights.reset_linear(self.readout)
        with torch.no_grad():
            for weight in self.encoder.parameters():
                if weight.ndim >= 2:
                    weight.mul_(point.gain)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what is predicted at the last time steps: inputs (T, B, D) -> (S, B, O)."""
        outputs, _ = self.encoder(inputs)
        predicted: Tensor = self.readout(outputs[-self.read :])
        return predicted

    @property
    def num_parameters(self) -> int:
        """Of all layers, readout included."""
        return sum(parameter.numel() for parameter in self.parameters())


def largest_width(task: Task, cell: str, depth: int) -> int:
    """Return how many units a layer can have for all parameters to be within the task's number."""
    point, width = next(points()), 1
    while Network(task, cell, depth, width + 1, point).num_parameters <= task.parameters:
        width += 1
    return width


class Trained(NamedTuple):
    """What came of a training: the loss on validation items, and the score on test items."""

    loss: float
    score: float


def train(
    task: Task, cell: str, depth: int, width: int, point: Point, *, steps: int, num_items: int | None = None
) -> Trained:
    """Train a network with Adam; num_items: how many there are, all read at each step; None for ever new ones."""
    torch.manual_seed(0)
    network = Network(task, cell, depth, width, point)
    settings = OptimizerSettings(
        name="adam", learning_rate=point.learning_rate, clip_norm=CLIP_NORM, warmup_steps=WARMUP
    )
    optimizer = build_optimizer(network, settings)
    training, validation, test = (torch.Generator().manual_seed(seed) for seed in (1, 2, 3))
    items = None if num_items is None else task.draw(num_items, training)
    for step in range(steps):
        inputs, targets = items or task.draw(BATCH, training)
        set_learning_rates(optimizer, learning_rates(step, steps, settings))
        optimizer.zero_grad(set_to_none=True)
        task.loss(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        clip_gradient(network, settings)
        optimizer.step()
    with torch.no_grad():
        chooses, counts = (items or task.draw(NUM_VALIDATION, validation)), (items or task.draw(NUM_TEST, test))
        loss = float(task.loss(network(chooses.inputs), chooses.targets))
        score = task.score(network(counts.inputs), counts.targets)
    # A network that diverged has learned nothing, and one that is worse than a constant no less.
    return Trained(loss, max(score, 0.0)) if math.isfinite(loss) else Trained(math.inf, 0.0)


def measure(task: Task, cell: str, depth: int) -> dict[str, Any]:
    """Search, train the best point for longer, and return what came of it."""
    began = time.process_time()
    width = largest_width(task, cell, depth)
    num_parameters = Network(task, cell, depth, width, next(points())).num_parameters
    sizes: list[int | None] = [round(size * num_parameters) for size in task.sizes] or [None]
    searched = {
        point: train(task, cell, depth, width, point, steps=task.search_steps, num_items=sizes[-1]).loss
        for point in points()
    }
    best = min(searched, key=searched.__getitem__)
    scores = [train(task, cell, depth, width, best, steps=task.steps, num_items=size).score for size in sizes]
    return {
        "width": width,
        "parameters": num_parameters,
        "point": asdict(best),
        "scores": scores,
        "score": max(scores),
        "seconds": time.process_time() - began,
    }


def value(task: Task, found: Mapping[str, Any]) -> float:
    """Return what the table shows of a measurement."""
    return float(found["score"]) / (found[task.per] if task.per else 1)


Measured = dict[str, dict[str, Any]]
"""What is measured, by "TASK CELL DEPTH"."""


def places() -> Iterator[tuple[str, str, int]]:
    """Yield all that is measured: task, cell and depth."""
    for task in TASKS:
        for cell in GATE_BIASES:
            for depth in DEPTHS:
                yield task, cell, depth


def key(task: str, cell: str, depth: int) -> str:
    """Return what a measurement is called in the file."""
    return f"{task} {cell} {depth}"


def go_on(path: Path, minutes: float) -> Measured:
    """Measure what is not in the file yet, as long as there is time."""
    measured: Measured = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    began = time.monotonic()
    for task, cell, depth in places():
        name = key(task, cell, depth)
        if name in measured:
            continue
        if time.monotonic() - began > 60 * minutes:
            break
        measured[name] = found = measure(TASKS[task], cell, depth)
        write_text(path, json.dumps(measured, indent=1))
        print(f"{name}: {value(TASKS[task], found):.3f}, {found['width']} units, {found['seconds']:.1f} s", flush=True)
    return measured


def whole_tasks(measured: Measured) -> list[str]:
    """Return the tasks of which nothing is missing."""
    missing = {task for task, cell, depth in places() if key(task, cell, depth) not in measured}
    return [task for task in TASKS if task not in missing]


def table(name: str, measured: Measured) -> Iterator[str]:
    """Yield the lines of a task: each cell's value at each depth, and where it came from."""
    task = TASKS[name]
    yield f"## {task.title.capitalize()}"
    yield ""
    yield task.beside
    yield ""
    yield "| cell | " + " | ".join(f"depth {depth}" for depth in DEPTHS) + " | units a layer | parameters |"
    yield "|---" * (len(DEPTHS) + 3) + "|"
    for cell in GATE_BIASES:
        row = [measured[key(name, cell, depth)] for depth in DEPTHS]
        values = " | ".join(f"{value(task, found):.3f}" for found in row)
        widths, parameters = (", ".join(str(found[what]) for found in row) for what in ("width", "parameters"))
        yield f"| {cell} | {values} | {widths} | {parameters} |"
    yield ""
    if task.sizes:
        yield from sizes_table(name, measured)


def sizes_table(name: str, measured: Measured) -> Iterator[str]:
    """Yield the lines of what came of each number of items."""
    task = TASKS[name]
    yield f"By the number of items per parameter, {', '.join(f'{size:g}' for size in task.sizes)}:"
    yield ""
    yield "| cell | " + " | ".join(f"depth {depth}" for depth in DEPTHS) + " |"
    yield "|---" * (len(DEPTHS) + 1) + "|"
    for cell in GATE_BIASES:
        row = [measured[key(name, cell, depth)] for depth in DEPTHS]
        cells = (", ".join(f"{score / found['parameters']:.2f}" for score in found["scores"]) for found in row)
        yield f"| {cell} | " + " | ".join(cells) + " |"
    yield ""


def points_table(measured: Measured) -> Iterator[str]:
    """Yield the lines of the points that the searches chose."""
    yield "## The points that the searches chose"
    yield ""
    yield "Learning rate, factor of the matrices' start, start of the gates' biases (where a cell has a setting of it)."
    yield ""
    for number, point in enumerate(points()):
        chosen = [name for name, found in measured.items() if found["point"] == asdict(point)]
        yield (
            f"- {point.learning_rate:.4f}, {point.gain:.2f}, {point.gate_bias:.2f}: point {number}, chosen "
            f"{len(chosen)} times of {len(measured)}"
        )
    yield ""


def draw(measured: Measured, path: Path) -> None:
    """Put the curves of the tasks into one picture."""
    with tempfile.TemporaryDirectory(prefix="vidrep-capacity-") as scratch:
        panels = []
        for name in whole_tasks(measured):
            task = TASKS[name]
            most, of = (PAPER_BITS, f", of {PAPER_BITS:g}") if task.per == "parameters" else (1.0, "")
            curves = [
                Curve(
                    cell,
                    [
                        CurvePoint(place, value(task, measured[key(name, cell, depth)]) / most)
                        for place, depth in enumerate(DEPTHS)
                    ],
                )
                for cell in GATE_BIASES
            ]
            panel = Path(scratch) / f"{name}.png"
            write_curves(panel, curves, places=[str(depth) for depth in DEPTHS], title=task.title + of, below="layers")
            panels.append(Image.open(panel).convert("RGB"))
        width, height = panels[0].size
        rows = math.ceil(len(panels) / 2)
        picture = Image.new("RGB", (2 * width, rows * height), "white")
        for number, panel_image in enumerate(panels):
            picture.paste(panel_image, (width * (number % 2), height * (number // 2)))
        with replacing(path) as temporary:
            picture.resize((width, rows * height // 2), Image.Resampling.LANCZOS).save(temporary, format="PNG")


def main() -> None:
    """Measure, and write the page of what is measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tune_malloc()
    measured = go_on(given.file, given.minutes)
    whole = whole_tasks(measured)
    if not whole:
        print("no task is measured yet; the same command goes on")
        return
    results = ROOT / "docs" / "results"
    minutes = sum(found["seconds"] for found in measured.values()) / 60
    lines = [
        "# Capacity and trainability of the recurrent cells",
        "",
        facts(),
        f"Made by `python benchmarks/capacity.py capacity.json`, by the [protocol](capacity-protocol.md), one thread, "
        f"{minutes:.0f} min of the processor in all. Each figure is of one training."
        + "".join(f" Not measured yet: {name}." for name in TASKS if name not in whole),
        "",
        "![Curves](capacity.png)",
        "",
    ]
    for name in whole:
        lines += table(name, measured)
    lines += points_table(measured)
    write_text(results / "capacity.md", "\n".join(lines).rstrip() + "\n")
    draw(measured, results / "capacity.png")
    print("written: docs/results/capacity.md, docs/results/capacity.png")


if __name__ == "__main__":
    main()
