"""The training part of benchmarks/gpu.py: what is computed, how fast, how far from the floor, and what it learns."""

import json
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from composite import CompositeSpec, task_of, total_loss
from gpu_floor import Sizes, floor_of_step
from torch import Tensor, nn
from torch.nn import functional as F

import vidrep
from vidrep.config.settings import OptimizerSettings, TrainingSettings
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.encoder import Encoder, Numerics, StackSpec
from vidrep.models.inputs import InputTransforms
from vidrep.models.network import Gather, Losses, Network, gather_nothing
from vidrep.models.objectives.objective import Loss
from vidrep.models.saved import TrainedModel
from vidrep.models.state import State
from vidrep.sequences.window_batch import WindowBatch
from vidrep.training.captured_step import CapturedStep, can_capture
from vidrep.training.optimizers import LearningRates, build_optimizer
from vidrep.training.step import TrainingStep

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
# A CPU without native bf16 would only show how slow it is to emulate it.
COMPUTE_DTYPE = torch.bfloat16 if ON_GPU else None
PRECISION, OPERAND_BYTES = ("bf16", 2) if ON_GPU else ("fp32", 4)
RECIPE = "modern-mnist-2layer-conditional"
# Relative differences that rounding makes, at most: of the precisions, and of captured steps in fp32.
MOST_DIFFERENCES = {"fp32": 1e-5, "bf16": 3e-2}
OPTIMIZER = OptimizerSettings(name="adamw", learning_rate=1e-4, clip_norm=1.0)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is: on a GPU as large as the aims have it, else small."""

    canvas: int
    hidden: int
    frames: int
    batches: tuple[int, ...]
    product_sides: tuple[int, ...]
    copied_bytes: int
    seconds_a_variant: float
    reference: Sizes
    end_to_end_batches: tuple[int, ...]
    end_to_end_steps: int
    test_sequences: int
    validations: int

    def sizes(self, batch: int) -> Sizes:
        """Return the sizes of the model that is measured."""
        return Sizes(frame=self.canvas**2, hidden=self.hidden, layers=2, frames=self.frames, batch=batch)


FULL = Scale(
    canvas=64,
    hidden=2048,
    frames=10,
    batches=(80, 256, 1024),
    product_sides=(4096, 8192, 16384),
    copied_bytes=4 << 30,
    seconds_a_variant=2.0,
    reference=Sizes(frame=256, hidden=200, layers=2, frames=10, batch=20),
    end_to_end_batches=(80, 256),
    end_to_end_steps=1000,
    test_sequences=10_000,
    validations=5,
)
SMALL = Scale(
    canvas=32,
    hidden=48,
    frames=10,
    batches=(4, 8),
    product_sides=(256, 512),
    copied_bytes=1 << 24,
    seconds_a_variant=0.2,
    reference=Sizes(frame=20, hidden=11, layers=2, frames=3, batch=5),
    end_to_end_batches=(4,),
    end_to_end_steps=4,
    test_sequences=20,
    validations=2,
)


def spec_of(sizes: Sizes, *, peepholes: bool) -> CompositeSpec:
    """Return the model that is measured: 2 layers, conditional future decoder."""
    return CompositeSpec(
        frame_size=sizes.frame,
        hidden_size=sizes.hidden,
        num_layers=sizes.layers,
        num_frames=sizes.frames,
        peepholes=peepholes,
        conditional_future=True,
    )


def rates_of(factor: int) -> LearningRates:
    """Return so many times the learning rate, for all layers."""
    rate = factor * OPTIMIZER.learning_rate
    return LearningRates(encoder=rate, others=rate)


def step_of(model: TrainedModel, sizes: Sizes, frames: Tensor, *, captured: bool) -> TrainingStep | CapturedStep:
    """Return the training step of a model, as one CUDA graph if it is to be captured.

    frames: (2 T, B, D), of the batch size that steps have.
    """
    optimizer = build_optimizer(model, OPTIMIZER)
    step = TrainingStep(task_of(model, spec_of(sizes, peepholes=True), frames), optimizer, OPTIMIZER)
    return CapturedStep(step, optimizer) if captured else step


class PeepholeLayer(nn.Module):
    """A layer in a loop over time, its gradient left to autograd."""

    def __init__(self, width: int | None, hidden: int) -> None:
        super().__init__()
        self.input = None if width is None else nn.Linear(width, 4 * hidden, bias=False)
        self.recurrent = nn.Linear(hidden, 4 * hidden)
        self.peepholes = nn.Parameter(0.1 * torch.randn(3, hidden))

    def forward(self, inputs: list[Tensor] | None, h: Tensor, c: Tensor, num_steps: int) -> tuple[list[Tensor], Tensor]:
        """Return h, (B, H), at every time step, and the last c."""
        outputs = []
        for step in range(num_steps):
            z = self.recurrent(h)
            if self.input is not None and inputs is not None:
                z = z + self.input(inputs[step])
            i, f, a, o = z.chunk(4, dim=1)
            i, f = torch.sigmoid(i + self.peepholes[0] * c), torch.sigmoid(f + self.peepholes[1] * c)
            c = f * c + i * torch.tanh(a)
            h = torch.sigmoid(o + self.peepholes[2] * c) * torch.tanh(c)
            outputs.append(h)
        return outputs, c


class PeepholeLoop(Network):
    """The same model of such layers; on a GPU products are in bf16 by autocast, which rounds weights once a step."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes

        def stack(width: int | None) -> nn.ModuleList:
            return nn.ModuleList(
                PeepholeLayer(one, sizes.hidden) for one in (width, *[sizes.hidden] * (sizes.layers - 1))
            )

        self.first_stack = stack(sizes.frame)
        self.decoders = nn.ModuleDict({"reconstruction": stack(None), "future": stack(sizes.frame)})
        self.projections = nn.ModuleDict({name: nn.Linear(sizes.hidden, sizes.frame) for name in self.decoders})

    @property
    def metric_names(self) -> list[str]:
        """The names of both losses."""
        return list(self.decoders)

    def losses(
        self, inputs: InputTransforms, batch: WindowBatch, state: State = None, gather: Gather = gather_nothing
    ) -> Losses:
        """Return the losses of frames, (2 T, B, D)."""
        context, future = inputs(batch.frames).chunk(2)
        zeros = context.new_zeros(context.shape[1], self.sizes.hidden)
        frame_before = torch.cat([torch.zeros_like(future[:1]), future[:-1]]).unbind()
        by_name = {}
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
            initial = [(zeros, zeros)] * self.sizes.layers
            _, state = self._run(self.first_stack, context.unbind(), initial, len(context))
            for name, read, target in (("reconstruction", None, context.flip(0)), ("future", frame_before, future)):
                outputs, _ = self._run(self.decoders[name], read, state, len(target))
                emitted = self.projections[name](torch.stack(outputs)).float()
                total = F.binary_cross_entropy_with_logits(emitted, target, reduction="sum")
                by_name[name] = Loss(total, len(target), self.sizes.frame)
        return Losses(by_name, dict.fromkeys(by_name, 1.0))

    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return the same losses."""
        return self.losses(inputs, batch), {}

    def _run(self, stack: Any, outputs: Any, state: list[Any], num_steps: int) -> tuple[list[Tensor], list[Any]]:
        last = []
        for layer, (h, c) in zip(stack, state, strict=True):
            outputs, c_last = layer(outputs, h, c, num_steps)
            last.append((outputs[-1], c_last))
        return outputs, last


def measure(do: Callable[[], object], *, seconds: float) -> list[float]:
    """Return the seconds of each of several calls, at least 5, after some that warm up."""
    for _ in range(5):
        do()
    _wait()
    began = time.perf_counter()
    do()
    _wait()
    count = min(200, max(5, round(seconds / (time.perf_counter() - began))))
    if not ON_GPU:
        return [_timed(do) for _ in range(count)]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark in marks[1:]:
        do()
        mark.record()
    _wait()
    return [before.elapsed_time(after) / 1000 for before, after in pairwise(marks)]


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _wait() -> None:
    if ON_GPU:
        torch.cuda.synchronize()


def equality(scale: Scale) -> dict[str, dict[str, float]]:
    """Compare loss and gradient with the plain path on the CPU in float64: relative differences, the worst weight's.

    Beside each pair stands what is allowed.
    """
    sizes, found = scale.reference, {}
    torch.manual_seed(0)
    frames = torch.rand(2 * sizes.frames, sizes.batch, sizes.frame, dtype=torch.float64).round(decimals=2)
    for peepholes in (True, False):
        spec = spec_of(sizes, peepholes=peepholes)
        reference = spec.build(use_reference=True).double()
        loss = total_loss(reference, frames)
        loss.backward()  # type: ignore[no-untyped-call]
        for precision, compute_dtype in (("fp32", None), ("bf16", torch.bfloat16)):
            model = spec.build(compute_dtype)
            model.load_state_dict(reference.state_dict())
            our_loss = total_loss(model.to(DEVICE), frames.float().to(DEVICE))
            our_loss.backward()  # type: ignore[no-untyped-call]
            errors = []
            for one, other in zip(model.parameters(), reference.parameters(), strict=True):
                assert one.grad is not None and other.grad is not None
                errors.append(float((one.grad.cpu().double() - other.grad).norm() / other.grad.norm()))
            name = f"{precision}, {'with' if peepholes else 'without'} peepholes"
            found[name] = {
                "loss": abs(float(our_loss.detach()) / float(loss.detach()) - 1),
                "gradient": _largest(errors),
                "most": MOST_DIFFERENCES[precision],
            }
    return found


def _largest(errors: list[float]) -> float:
    """Return the largest, or NaN if one of them is that."""
    return float(torch.tensor(errors, dtype=torch.float64).max())


def captured(scale: Scale) -> dict[str, float] | None:
    """Compare the losses of 8 steps, of which 5 are replayed, with those of the same steps done kernel by kernel.

    In fp32, with other frames and another learning rate at each. Returns the largest relative difference and what is
    allowed; None where nothing is captured.
    """
    if not can_capture(DEVICE, {}, TrainingSettings()):
        return None
    losses, sizes = [], scale.reference
    shape = (2 * sizes.frames, sizes.batch, sizes.frame)
    for captured_too in (True, False):
        torch.manual_seed(0)
        model = spec_of(sizes, peepholes=True).build().to(DEVICE)
        step = step_of(model, sizes, torch.rand(shape, device=DEVICE), captured=captured_too)
        losses.append(
            [
                float(step(WindowBatch(torch.rand(shape, device=DEVICE)), rates_of(factor))["loss"])
                for factor in range(1, 9)
            ]
        )
    worst = _largest([abs(one / other - 1) for one, other in zip(*losses, strict=True)])
    return {"loss": worst, "most": MOST_DIFFERENCES["fp32"]}


def ceilings(scale: Scale) -> dict[str, float]:
    """Return the best matrix product's operations a second, and a large copy's bytes a second, read and written."""
    dtype, best = COMPUTE_DTYPE or torch.float32, 0.0
    for side in scale.product_sides:
        left, right = (torch.randn(side, side, device=DEVICE).to(dtype) for _ in range(2))
        out = torch.empty_like(left)
        seconds = statistics.median(measure(partial(torch.mm, left, right, out=out), seconds=0.3))
        best = max(best, 2 * side**3 / seconds)
    source = torch.ones(scale.copied_bytes // 4, device=DEVICE)
    target = torch.empty_like(source)
    seconds = statistics.median(measure(partial(target.copy_, source), seconds=0.3))
    return {"flops_per_second": best, "bytes_per_second": 2 * scale.copied_bytes / seconds}


def steps_at(scale: Scale, batch: int, best: dict[str, float]) -> dict[str, Any]:
    """Measure whole steps, optimizer included, at one batch size: ours, captured on a GPU, and the eager loop."""
    sizes = scale.sizes(batch)
    torch.manual_seed(0)
    frames = (torch.rand(2 * sizes.frames, batch, sizes.frame, device=DEVICE) < 0.05).float()
    found: dict[str, Any] = {}
    for name in ("ours", "ours without peepholes", "peephole loop"):
        if ON_GPU:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        is_loop = name == "peephole loop"
        if is_loop:
            model = TrainedModel(InputTransforms(sizes.frame, {}), PeepholeLoop(sizes)).to(DEVICE)
        else:
            model = spec_of(sizes, peepholes=name == "ours").build(COMPUTE_DTYPE).to(DEVICE)
        step = step_of(model, sizes, frames, captured=not is_loop and can_capture(DEVICE, {}, TrainingSettings()))
        do = partial(step, WindowBatch(frames), rates_of(1))
        seconds = measure(do, seconds=scale.seconds_a_variant)
        found[name] = {
            "seconds": statistics.median(seconds),
            "fastest": min(seconds),
            "slowest": max(seconds),
            "loss": float(do()["loss"]),
            "peak_bytes": torch.cuda.max_memory_allocated() if ON_GPU else None,
        }
        num_weights = sum(weight.numel() for weight in model.parameters())
        del model, step, do
    floor = floor_of_step(sizes, num_weights=num_weights, operand_bytes=OPERAND_BYTES, **best)
    found["floor"] = {
        "seconds": floor.seconds,
        "compute": floor.compute,
        "bandwidth": floor.bandwidth,
        "weights": floor.weights,
        "flops": floor.flops,
        "num_weights": num_weights,
    }
    return found


def stacks_at(scale: Scale, batch: int) -> dict[str, float]:
    """Measure forward and backward of a stack without peepholes, as the encoder's: seconds of ours and of nn.LSTM.

    nn.LSTM, cuDNN on a GPU, has its weights in the compute dtype and rounds none; ours rounds them each time.
    """
    # Else nn.LSTM does not join its weights in bf16, and cuDNN copies all of them into one buffer at every call.
    if hasattr(torch.backends.cudnn, "CUDNN_TENSOR_DTYPES"):
        torch.backends.cudnn.CUDNN_TENSOR_DTYPES.add(torch.bfloat16)
    sizes = scale.sizes(batch)
    inputs = torch.rand(sizes.frames, batch, sizes.frame, device=DEVICE)
    spec = StackSpec(
        cell="lstm",
        settings=LSTMSettings(),
        hidden_size=sizes.hidden,
        num_layers=sizes.layers,
        initialization="xavier",  # orthogonal matrices of this size take seconds
    )
    ours = Encoder(sizes.frame, spec, numerics=Numerics(compute_dtype=COMPUTE_DTYPE)).to(DEVICE)
    theirs = nn.LSTM(sizes.frame, sizes.hidden, sizes.layers).to(DEVICE, COMPUTE_DTYPE)
    above = torch.rand(sizes.frames, batch, sizes.hidden, device=DEVICE)
    found = {}
    stacks = (("ours", ours, inputs), ("nn.LSTM", theirs, inputs.to(COMPUTE_DTYPE or inputs.dtype)))
    for name, stack, frames in stacks:
        gradient = above.to(frames.dtype)

        def there_and_back(stack: nn.Module = stack, frames: Tensor = frames, gradient: Tensor = gradient) -> None:
            stack.zero_grad()
            stack(frames)[0].backward(gradient)

        found[name] = statistics.median(measure(replayed(there_and_back), seconds=scale.seconds_a_variant / 2))
    return found


def replayed(do: Callable[[], None]) -> Callable[[], object]:
    """Return the same as one CUDA graph, on a GPU."""
    if not ON_GPU:
        return do
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            do()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        do()
    return graph.replay


def end_to_end(scale: Scale, mnist: Path, folder: Path, batch: int) -> dict[str, float]:
    """Train on generated digits; return the second half's sequences/s, waiting for data included, and its share."""
    changes = {
        "training.batch_size": batch,
        "training.steps": scale.end_to_end_steps,
        "encoder.initialization": "xavier",  # orthogonal matrices of this size take seconds
    }
    _train(scale, mnist, folder, changes, validations=2)
    speed = _metrics(folder)[-1]["speed"]
    shutil.rmtree(folder)  # a checkpoint has 2.8 GB
    return {
        "sequences_per_second": speed["frames_per_second"] / (2 * scale.frames),
        "data_share": speed["data_share"],
    }


def learning(scale: Scale, mnist: Path, folder: Path, *, steps: int, filmstrip: Path) -> dict[str, Any]:
    """Train the recipe for so many steps; measure it on test sequences, free running."""
    began = time.monotonic()
    _train(scale, mnist, folder, {"training.steps": steps}, validations=scale.validations)
    trained = time.monotonic()
    sequences = scale.test_sequences
    result = vidrep.evaluate(folder, mnist=mnist, num_sequences=sequences, filmstrip=filmstrip, device=DEVICE.type)
    assert isinstance(result, PredictionEvaluation)
    by_objective = result.metrics.by_objective
    return {
        "steps": steps,
        "training_seconds": trained - began,
        "evaluation_seconds": time.monotonic() - trained,
        "sequences": sequences,
        "future_nats": by_objective["future"]["nats"]["model"].mean,
        "reconstruction_nats": by_objective["reconstruction"]["nats"]["model"].mean,
        "entropy_floor": by_objective["future"]["nats"]["entropy floor"].mean,
        "validations": [{"step": line["step"], **line["validation"]} for line in _metrics(folder)],
    }


def _train(scale: Scale, mnist: Path, folder: Path, changes: dict[str, Any], *, validations: int) -> None:
    small = {
        "moving_mnist.canvas": scale.canvas,
        "encoder.hidden_size": scale.hidden,
        "windows.context": scale.frames,
        "windows.num_future": scale.frames,
        "training.keep_checkpoints": 1,
        "training.validate_every": max(1, changes["training.steps"] // validations),
    }
    config = vidrep.load_recipe(vidrep.PretrainConfig, RECIPE, changes=small | changes)
    vidrep.train(None, folder, config, mnist=mnist, device=DEVICE.type, precision=PRECISION)


def _metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
