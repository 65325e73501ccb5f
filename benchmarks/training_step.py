"""One optimizer step of the composite model: peers, our fp32 and our bf16, and what the machine allows.

    python benchmarks/training_step.py [--sizes S,M,L] [--rounds N] [--threads N] [--write]

--write writes docs/results/training-step.md. A step is forward, loss, backward, clipping by norm and Adam: 10 frames of
context, which one decoder reconstructs, and 10 that follow, which another predicts; one layer, decoders without input,
Bernoulli cross-entropy. Variants take turns round by round, and so do the matrix products and the copy that give the
machine's ceilings. `--sizes S --rounds 1` is a quick try.
"""

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from composite import CompositeSpec, network_of, task_of, window_of
from recording import ROOT, facts
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import profile

from vidrep.config.settings import OptimizerSettings
from vidrep.devices import choose_precision
from vidrep.machine import available_cores, tune_malloc
from vidrep.models.saved import TrainedModel
from vidrep.sequences.window_batch import WindowBatch
from vidrep.training.optimizers import LearningRates, build_optimizer, clip_gradient
from vidrep.training.step import TrainingStep

FRAMES = 10  # of context, all reconstructed, and as many that are predicted
OPTIMIZER = OptimizerSettings(name="adam", learning_rate=1e-4, clip_norm=1.0)
RATES = LearningRates(encoder=OPTIMIZER.learning_rate, others=OPTIMIZER.learning_rate)
SECONDS_A_TURN = 0.15
COPIED_FLOATS = 1 << 26
# (rows, columns, terms) of large matrix products, the last that of the input of L.
PRODUCTS = ((2048, 2048, 2048), (800, 8192, 4096))


# What operations are called that a step consists of.
KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise"),
    "sigmoid, tanh": ("aten::sigmoid", "aten::sigmoid_", "aten::tanh"),
    "their derivatives": ("aten::sigmoid_backward", "aten::tanh_backward"),
    "cross-entropy": ("aten::log_sigmoid_forward", "aten::binary_cross_entropy_with_logits"),
    "other products and sums of elements": (
        *(f"aten::{name}" for name in ("mul", "addcmul", "add", "sub", "rsub", "neg", "sum", "any")),
        *(f"aten::{name}_" for name in ("mul", "addcmul", "add", "sub")),
    ),
    "copies, rounding": ("aten::copy_", "aten::fill_", "aten::zero_"),
    "norm of the gradient, clipping": ("aten::linalg_vector_norm", "aten::_foreach_norm", "aten::_foreach_mul_"),
    "Adam": ("aten::_fused_adam_",),
    "all else": (),
}


@dataclass(frozen=True)
class Size:
    """Values of a frame, units, batch; rounds at least, and seconds that more rounds may take."""

    frame: int
    hidden: int
    batch: int
    least_rounds: int
    seconds: float

    @property
    def spec(self) -> CompositeSpec:
        """The composite model of this size."""
        return CompositeSpec(frame_size=self.frame, hidden_size=self.hidden, num_frames=FRAMES)

    @property
    def multiply_adds(self) -> int:
        """Those of all matrix products that a step needs.

        The encoder starts at zero, so its first time step has no recurrent product and its first state no gradient;
        decoders have no input; frames get no gradient.
        """
        recurrent, projection = 4 * self.hidden**2, self.hidden * self.frame
        encoder_input = FRAMES * 4 * self.hidden * self.frame  # forward, weights' gradient
        encoder = (FRAMES - 1) * recurrent  # and the gradient of h too
        decoders = 2 * FRAMES * (recurrent + projection)
        return self.batch * (2 * encoder_input + 3 * encoder + 3 * decoders)


SIZES = {
    "S": Size(frame=256, hidden=128, batch=64, least_rounds=5, seconds=20),
    "M": Size(frame=1024, hidden=512, batch=80, least_rounds=5, seconds=50),
    "L": Size(frame=4096, hidden=2048, batch=80, least_rounds=3, seconds=100),
}

CELLS, PEEPHOLES, TORCH_LSTM = "nn.LSTMCell loop", "peephole loop, plain autograd", "nn.LSTM"
FP32, BF16 = "vidrep fp32, peepholes", "vidrep bf16, peepholes"
VARIANTS = (CELLS, PEEPHOLES, TORCH_LSTM, FP32, BF16)


class Cells(nn.Module):
    """What tutorials do: cells in a loop, an output projection and a loss at every time step.

    A cell must have some input: the decoders' is one zero a sequence.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encoder = nn.LSTMCell(size.frame, size.hidden)
        self.decoders = nn.ModuleList(nn.LSTMCell(1, size.hidden) for _ in range(2))
        self.projections = nn.ModuleList(nn.Linear(size.hidden, size.frame) for _ in range(2))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the loss of frames, (2 T, B, D), summed over everything."""
        context, future = frames[:FRAMES], frames[FRAMES:]
        state = None
        for frame in context:
            state = self.encoder(frame, state)
        loss, no_input = frames.new_zeros(()), frames.new_zeros(frames.shape[1], 1)
        for decoder, projection, target in zip(self.decoders, self.projections, (context.flip(0), future), strict=True):
            decoder_state = state
            for frame in target:
                decoder_state = decoder(no_input, decoder_state)
                loss = loss + cross_entropy(projection(decoder_state[0]), frame)
        return loss


class Stacks(nn.Module):
    """The same by `nn.LSTM`, whose decoders read one zero a frame too; projection and loss of all frames at once."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encoder = nn.LSTM(size.frame, size.hidden)
        self.decoders = nn.ModuleList(nn.LSTM(1, size.hidden) for _ in range(2))
        self.projections = nn.ModuleList(nn.Linear(size.hidden, size.frame) for _ in range(2))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the loss of frames, (2 T, B, D), summed over everything."""
        context, future = frames[:FRAMES], frames[FRAMES:]
        _, state = self.encoder(context)
        no_input = frames.new_zeros(FRAMES, frames.shape[1], 1)
        loss = frames.new_zeros(())
        for decoder, projection, target in zip(self.decoders, self.projections, (context.flip(0), future), strict=True):
            loss = loss + cross_entropy(projection(decoder(no_input, state)[0]), target)
        return loss


class PlainComposite(nn.Module):
    """Our composite model in autograd's own operations: a loop over time with peepholes, one loss of all frames."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.model = size.spec.build(use_reference=True)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the loss of frames, (2 T, B, D), summed over everything."""
        network, window = network_of(self.model), window_of(frames)
        encoded = network.encode(window.context)
        losses = [
            cross_entropy(objective.predict(encoded, FRAMES), objective.target(window))
            for objective in network.frame_objectives.values()
        ]
        return torch.stack(losses).sum()


def cross_entropy(logits: Tensor, frames: Tensor) -> Tensor:
    """Sum the Bernoulli cross-entropy of all values, in nats."""
    return F.binary_cross_entropy_with_logits(logits, frames, reduction="sum")


def mean_loss(total: Tensor, frames: Tensor) -> Tensor:
    """Return a loss, summed over both decoders' values, as `vidrep train` differentiates it: per value of a frame."""
    return total / frames[:FRAMES].numel()


def step_of_peer(model: nn.Module, frames: Tensor) -> Callable[[], float]:
    """Return a function that does a step as a tutorial does, with the same clipping and torch's fused Adam.

    model: returns the loss of frames, (2 T, B, D), summed over everything.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=OPTIMIZER.learning_rate, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        loss: Tensor = mean_loss(model(frames), frames)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER.clip_norm)
        optimizer.step()
        return float(loss.detach())

    return step


def step_of_ours(model: TrainedModel, size: Size, frames: Tensor) -> Callable[[], float]:
    """Return a function that does a step as `vidrep train` does."""
    do_step = TrainingStep(task_of(model, size.spec, frames), build_optimizer(model, OPTIMIZER), OPTIMIZER)
    batch = WindowBatch(frames)
    return lambda: float(do_step(batch, RATES)["loss"])


def parts_of_ours(model: TrainedModel, size: Size, frames: Tensor) -> Callable[[], dict[str, float]]:
    """Return a function that does a step and returns the seconds of each of its parts."""
    task, optimizer, batch = task_of(model, size.spec, frames), build_optimizer(model, OPTIMIZER), WindowBatch(frames)

    def step() -> dict[str, float]:
        seconds, now = {}, time.perf_counter()

        def note(name: str) -> None:
            nonlocal now
            before, now = now, time.perf_counter()
            seconds[name] = now - before

        optimizer.zero_grad()
        (loss,) = task.losses(batch)
        note("forward")
        loss.objective.backward()  # type: ignore[no-untyped-call]
        note("backward")
        clip_gradient(model, OPTIMIZER)
        note("clipping")
        optimizer.step()
        note("optimizer")
        return seconds

    return step


def disagreement(ours: TrainedModel, plain: PlainComposite, size: Size, frames: Tensor) -> tuple[float, float]:
    """Compare with the plain path: relative difference of the loss, and the largest of a weight's gradient's norm."""
    plain.model.load_state_dict(ours.state_dict())
    (ours_loss,) = task_of(ours, size.spec, frames).losses(WindowBatch(frames))
    objectives = [ours_loss.objective, mean_loss(plain(frames), frames)]
    for objective in objectives:
        objective.backward()  # type: ignore[no-untyped-call]
    losses = [float(objective.detach()) for objective in objectives]
    gradients = []
    for found, expected in zip(ours.parameters(), plain.parameters(), strict=True):
        assert found.grad is not None and expected.grad is not None
        gradients.append(float((found.grad - expected.grad).norm() / expected.grad.norm()))
        found.grad = expected.grad = None
    return abs(losses[0] - losses[1]) / abs(losses[1]), max(gradients)


def ceilings() -> dict[str, Callable[[], float]]:
    """Return functions that measure: "fp32 ..." and "bf16 ..." matrix products in GFLOP/s, "copy" in GB/s."""
    rates: dict[str, Callable[[], float]] = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        for rows, columns, terms in PRODUCTS:
            left, right = torch.randn(rows, terms).to(dtype), torch.randn(columns, terms).to(dtype)
            products: dict[str, Callable[[], Tensor]] = {"torch.mm": partial(torch.mm, left, right.T)}
            if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
                packed = torch.ops.mkldnn._reorder_linear_weight(right, rows)
                products["oneDNN"] = partial(one_dnn_product, left, right)
                products["oneDNN, packed weights"] = partial(one_dnn_product, left, packed)
            for library, product in products.items():
                label = f"{name} {library} {rows} x {terms} by {terms} x {columns}"
                rates[label] = partial(rate, product, 2 * rows * columns * terms)
    source, target = torch.ones(COPIED_FLOATS), torch.empty(COPIED_FLOATS)
    rates["copy"] = partial(rate, partial(target.copy_, source), 2 * 4 * COPIED_FLOATS)
    return rates


def one_dnn_product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right.T by torch's operator of oneDNN, which `F.linear` does not use in fp32."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return product


@torch.no_grad()
def rate(do: Callable[[], object], amount: int) -> float:
    """Return 1e9 of an amount a second."""
    began = time.perf_counter()
    do()
    return amount / 1e9 / (time.perf_counter() - began)


@dataclass
class Measured:
    """What the rounds of a size found: a number for each round, in lists.

    steps: variant -> seconds of a step. parts: variant -> part -> seconds. ceilings: see `ceilings`.
    agreement: variant -> relative differences of loss and gradient from the plain path. parameters: weights of a model.
    spent: variant -> kind of operation -> seconds of a step, measured by a profiler after all rounds.
    """

    steps: dict[str, list[float]]
    parts: dict[str, dict[str, list[float]]]
    ceilings: dict[str, list[float]]
    agreement: dict[str, tuple[float, float]]
    parameters: int
    spent: dict[str, dict[str, float]]

    def ceiling(self, kind: str) -> tuple[str, float]:
        """Return the best ceiling of a kind, "fp32", "bf16" or "copy", and its median."""
        medians = {name: statistics.median(found) for name, found in self.ceilings.items() if name.startswith(kind)}
        best = max(medians, key=lambda name: medians[name])
        return best, medians[best]

    def times_faster(self, than: str, ours: str) -> float:
        """Return the median over the rounds of how many times faster ours is than another variant."""
        return statistics.median(a / b for a, b in zip(self.steps[than], self.steps[ours], strict=True))

    def share_of_ceiling(self, size: Size, variant: str) -> float:
        """Return what share of the machine's best matrix product of its type a step of ours reaches."""
        gigaflops = 2 * size.multiply_adds / 1e9 / statistics.median(self.steps[variant])
        return gigaflops / self.ceiling("bf16" if variant == BF16 else "fp32")[1]

    def most_times_faster(self, size: Size, than: str, variant: str) -> float:
        """Return how many times faster than another variant the matrix products alone would be, each at the ceiling."""
        least = 2 * size.multiply_adds / 1e9 / self.ceiling("bf16" if variant == BF16 else "fp32")[1]
        return statistics.median(self.steps[than]) / least

    def share_of_step(self, variant: str, part: str) -> float:
        """Return the share of a step that one of its parts takes."""
        medians = {name: statistics.median(found) for name, found in self.parts[variant].items()}
        return medians[part] / sum(medians.values())


def measure(size: Size, rounds: int | None) -> Measured:
    """Let all variants take turns, for so many rounds, or for as many as the size's time allows if None."""
    began = time.perf_counter()
    torch.manual_seed(0)
    frames = (torch.rand(2 * FRAMES, size.batch, size.frame) < 0.05).float()
    plain = PlainComposite(size)
    ours = {FP32: size.spec.build(), BF16: size.spec.build(torch.bfloat16)}
    agreement = {name: disagreement(one, plain, size, frames) for name, one in ours.items()}
    steps = {
        CELLS: step_of_peer(Cells(size), frames),
        PEEPHOLES: step_of_peer(plain, frames),
        TORCH_LSTM: step_of_peer(Stacks(size), frames),
        **{name: step_of_ours(one, size, frames) for name, one in ours.items()},
    }
    parts = {name: parts_of_ours(one, size, frames) for name, one in ours.items()}
    rates = ceilings()
    for one_rate in rates.values():
        one_rate()
    repeats = {name: repeats_of(step) for name, step in steps.items()}
    for part_step in parts.values():
        part_step()
    measured = Measured(
        steps=defaultdict(list),
        parts={name: defaultdict(list) for name in ours},
        ceilings=defaultdict(list),
        agreement=agreement,
        parameters=sum(parameter.numel() for parameter in plain.parameters()),
        spent={},
    )
    done = 0
    while done < (rounds or size.least_rounds) or (not rounds and time.perf_counter() - began < size.seconds):
        for name, step in steps.items():
            step()  # as in a training, where the step before was the same, and not a rival's
            turn_began = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            measured.steps[name].append((time.perf_counter() - turn_began) / repeats[name])
        for name, part_step in parts.items():
            part_step()
            turns = [part_step() for _ in range(repeats[name])]
            for part in turns[0]:
                measured.parts[name][part].append(statistics.fmean(turn[part] for turn in turns))
        for name, one_rate in rates.items():
            measured.ceilings[name].append(one_rate())
        done += 1
    for name in ours:
        steps[name]()
        measured.spent[name] = spent(steps[name])
    return measured


def spent(step: Callable[[], object]) -> dict[str, float]:
    """Return where the seconds of a step go, by kind of operation; what is no operation is Python and dispatch."""
    count = 3
    with profile() as profiled:
        began = time.perf_counter()
        for _ in range(count):
            step()
        whole = time.perf_counter() - began
    seconds = dict.fromkeys(KINDS, 0.0)
    for operation in profiled.key_averages():
        kind = next((kind for kind, names in KINDS.items() if operation.key in names), "all else")
        if operation.key.startswith(("aten::", "mkldnn::")):
            seconds[kind] += operation.self_cpu_time_total / 1e6
    seconds["Python, autograd, dispatch"] = whole - sum(seconds.values())
    return {kind: part / count for kind, part in seconds.items()}


def repeats_of(step: Callable[[], float]) -> int:
    """Warm a step up and return how many of it a turn holds."""
    seconds = math.inf
    for _ in range(3):
        began = time.perf_counter()
        if not math.isfinite(step()):
            raise RuntimeError("the loss is not finite")
        seconds = min(seconds, time.perf_counter() - began)
        if seconds > SECONDS_A_TURN:
            break
    return max(1, round(SECONDS_A_TURN / seconds))


def milliseconds(seconds: list[float]) -> str:
    """Write a median and a spread."""
    low, middle, high = (f"{1000 * value:,.1f}" for value in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"{middle} ({low} to {high})"


def tables(name: str, size: Size, found: Measured) -> Iterator[str]:
    """Yield the lines about one size."""
    rounds = len(found.steps[FP32])
    floor = 2 * size.multiply_adds / 1e9
    yield f"## {name}: frames of {size.frame}, {size.hidden} units, batch {size.batch}"
    yield ""
    yield (
        f"{rounds} rounds; {found.parameters:,} weights; {size.multiply_adds / 1e9:,.3f} G multiply-adds, "
        f"{floor:,.2f} GFLOP a step."
    )
    yield ""
    yield "| variant | ms a step: median (all rounds) | GFLOP/s | of the best product | vidrep fp32 | vidrep bf16 |"
    yield "|---|---|---|---|---|---|"
    for variant in VARIANTS:
        seconds = statistics.median(found.steps[variant])
        share = found.share_of_ceiling(size, variant)
        kind = "bf16" if variant == BF16 else "fp32"
        yield (
            f"| {variant} | {milliseconds(found.steps[variant])} | {floor / seconds:,.0f} | {share:.0%} of {kind} "
            f"| {found.times_faster(variant, FP32):.2f}x | {found.times_faster(variant, BF16):.2f}x |"
        )
    yield ""
    yield "| ceiling | median (all rounds) | by |"
    yield "|---|---|---|"
    for kind, unit in (("fp32", "GFLOP/s"), ("bf16", "GFLOP/s"), ("copy", "GB/s read and written")):
        ceiling, best = found.ceiling(kind)
        spread = found.ceilings[ceiling]
        by = ceiling.removeprefix(kind).strip() or f"a copy of {4 * COPIED_FLOATS / 1e6:.0f} MB"
        yield f"| {kind} | {best:,.0f} {unit} ({min(spread):,.0f} to {max(spread):,.0f}) | {by} |"
    yield ""
    yield "| part of a step | fp32, ms | share | bf16, ms | share |"
    yield "|---|---|---|---|---|"
    for part in found.parts[FP32]:
        cells = (
            f"{milliseconds(found.parts[variant][part])} | {found.share_of_step(variant, part):.1%}"
            for variant in (FP32, BF16)
        )
        yield f"| {part} | {' | '.join(cells)} |"
    yield ""
    yield "| where a step's time goes, by a profiler that slows it down | fp32, ms | share | bf16, ms | share |"
    yield "|---|---|---|---|---|"
    whole = {variant: sum(kinds.values()) for variant, kinds in found.spent.items()}
    for kind in found.spent[FP32]:
        timed = [f"{1000 * found.spent[one][kind]:,.2f} | {found.spent[one][kind] / whole[one]:.1%}" for one in whole]
        yield f"| {kind} | {' | '.join(timed)} |"
    yield ""
    # Adam reads weight, gradient and two moments, and writes all of them but the gradient.
    least = 7 * 4 * found.parameters / 1e9 / found.ceiling("copy")[1]
    yield (
        f"- Adam's {7 * 4 * found.parameters / 1e6:,.0f} MB would take {1000 * least:,.2f} ms at the copy's rate (less "
        "where they fit a cache)."
    )
    for variant, (loss, gradient) in found.agreement.items():
        yield (
            f"- {variant}, against the plain path with the same weights: the loss differs by {loss:.1e} of itself, the "
            f"gradient of a weight by at most {gradient:.1e} of its norm."
        )
    yield ""


def aims(found: dict[str, Measured]) -> Iterator[str]:
    """Yield the table of what should be reached, for the sizes that were measured."""
    native = choose_precision("auto", torch.device("cpu"))[0] == "bf16"
    ratios = [
        ("L", FP32, PEEPHOLES, 3.2),
        ("L", FP32, CELLS, 4.5),
        ("M", FP32, CELLS, 3.5),
        ("M", FP32, TORCH_LSTM, 1.3),
    ]
    shares = [("L", FP32, 0.80), ("M", FP32, 0.75)]
    if native:
        ratios += [("L", BF16, CELLS, 7.5), ("M", BF16, CELLS, 6.0)]
        shares += [("L", BF16, 0.70), ("M", BF16, 0.70)]
    if found.keys() == {"S"}:
        return
    yield "## Aims"
    yield ""
    yield "| aim | found | | the machine's best product alone |"
    yield "|---|---|---|---|"
    for name, variant, than, least in ratios:
        if name in found:
            ratio = found[name].times_faster(than, variant)
            most = found[name].most_times_faster(SIZES[name], than, variant)
            yield f"| {name}: {variant} >= {least}x {than} | {ratio:.2f}x | {report(ratio >= least)} | {most:.2f}x |"
    for name, variant, least in shares:
        if name in found:
            share = found[name].share_of_ceiling(SIZES[name], variant)
            aim = f"{name}: {variant} >= {least:.0%} of the best product"
            yield f"| {aim} | {share:.0%} | {report(share >= least)} | |"
    for variant in (FP32, BF16) if native else (FP32,):
        if "L" in found:
            share = found["L"].share_of_step(variant, "optimizer")
            yield f"| L: {variant}: optimizer <= 3 % of the step | {share:.1%} | {report(share <= 0.03)} | |"
    yield ""
    yield (
        "The last column is how many times faster a step would be that did nothing but its products, each as quickly "
        "as the machine's best: no aim beyond it can be reached on this machine, however the rest is done."
    )
    yield ""
    if not native:
        yield "This CPU has no native bf16, so there are no aims for it."
        yield ""


def report(reached: bool) -> str:
    """Return whether an aim was reached, in words."""
    return "reached" if reached else "not reached"


def page(names: list[str], rounds: int | None) -> Iterator[str]:
    """Measure everything; yield the lines of the page."""
    yield "# A training step on a CPU"
    yield ""
    yield facts()
    yield (
        f"Made by `python benchmarks/training_step.py --sizes {','.join(names)} --write`, "
        f"{torch.get_num_threads()} threads. A step: forward, loss, backward, clipping by norm, torch's fused Adam; "
        f"{FRAMES} frames of context, all reconstructed, and {FRAMES} predicted; one layer, decoders without input, "
        "Bernoulli cross-entropy, binary frames. The process keeps freed memory, for all variants, as `vidrep train` "
        "does. Variants and ceilings took turns, round by round; times faster are medians of the rounds' ratios. "
        "Decoders of nn.LSTMCell and nn.LSTM, which must have input, read one zero a frame. GFLOP/s count the "
        "multiply-adds that a step needs, twice, the same for every variant: the input's product of the encoder "
        "alone, no recurrent product of its zero state, no gradient of the frames."
    )
    yield ""
    found = {}
    for name in names:
        found[name] = measure(SIZES[name], rounds)
        yield from tables(name, SIZES[name], found[name])
    yield from aims(found)


def main() -> None:
    """Print the page, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="S,M,L", help="which, with commas between them")
    parser.add_argument("--rounds", type=int, help="of each size; default: as many as its time allows")
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all available cores")
    parser.add_argument("--write", action="store_true", help="write docs/results/training-step.md")
    given = parser.parse_args()
    names = given.sizes.split(",")
    if not set(names) <= set(SIZES):
        parser.error(f"--sizes {given.sizes}: allowed are {', '.join(SIZES)}")
    tune_malloc()
    torch.set_num_threads(given.threads)
    lines = []
    for line in page(names, given.rounds):
        print(line, flush=True)
        lines.append(line)
    if given.write:
        path = ROOT / "docs" / "results" / "training-step.md"
        path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
