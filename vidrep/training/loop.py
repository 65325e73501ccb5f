"""The one training loop, for pretraining and fine-tuning alike."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ..config import OptimizerSettings, TrainingSettings
from ..errors import Stopped, TrainingError
from ..models.lstm_kernels.matmul import library
from ..models.saved import ModelDescription, save_model
from ..progress import Progress, ProgressListener
from .captured_step import CapturedStep, can_capture
from .collectives import SINGLE_PROCESS, Ranks
from .optimizer_step import Objective, OptimizerStep
from .optimizers import build_optimizer, learning_rate
from .run import RunFolder
from .run_metrics import Metrics, Speed

_log = logging.getLogger(__name__)

Batch = TypeVar("Batch")

# Steps whose figures are read at once: reading waits for the device, which is to have its next work before it is done.
_STEPS_READ_AT_ONCE = {"cuda": 20}


class Task(Objective[Batch], Protocol[Batch]):
    """What is trained: a model, an objective for every step, and a look at held-out videos."""

    description: ModelDescription

    @property
    def frames_per_step(self) -> int:
        """Frames that a step reads."""

    def batch(self, step: int) -> Batch:
        """Return the data of a step, a pure function of the step; the time it takes is spent waiting for data.

        On CUDA that is the host's wait alone: data may be still on its way to the device, which waits for it later.
        """

    def validate(self) -> dict[str, float]:
        """Return figures on the held-out videos, the same on all ranks; "loss" chooses the best weights."""

    def state(self) -> dict[str, Tensor]:
        """Return what is carried from step to step besides weights, if anything; all ranks ask, for all that is."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""


@dataclass
class _Position:
    """How far a training has come; all of it goes into a checkpoint.

    step: optimizer steps done. best_loss, best_step: of the best look so far. num_looks_since_best: looks since then.
    num_plateaus: how often the learning rate was lowered for want of a better look.
    sums, num_summed: of the figures of the steps since the last look.
    """

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    num_looks_since_best: int = 0
    num_plateaus: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0

    def add(self, figures: dict[str, float]) -> None:
        """Count the figures of a step."""
        for name, figure in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + figure
        self.num_summed += 1

    def take_means(self) -> dict[str, float]:
        """Return the mean figures of the steps since the last look, and begin anew."""
        means = {name: total / self.num_summed for name, total in self.sums.items()}
        self.sums, self.num_summed = {}, 0
        return means


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """What a training came to.

    steps: optimizer steps done in all. best_step, best_loss: of the weights that were kept. seconds: this call took.
    stopped_early: whether patience ran out before the steps did. data_share: part of the steps' time that was spent
    waiting for data.
    """

    steps: int
    best_step: int
    best_loss: float
    seconds: float
    stopped_early: bool
    data_share: float


def never() -> bool:
    """Ask nobody to stop: the default."""
    return False


def train(
    task: Task[Any],
    run: RunFolder,
    settings: TrainingSettings,
    optimizer_settings: OptimizerSettings,
    *,
    resume: bool,
    on_progress: ProgressListener,
    should_stop: Callable[[], bool] = never,
    precision: str = "fp32",
    clock: Callable[[], float] = time.monotonic,
    ranks: Ranks = SINGLE_PROCESS,
) -> TrainingOutcome:
    """Train until the steps or the patience are used up, keeping the best weights and checkpoints to go on from.

    should_stop: asked after every step; one rank that is asked to stop stops all. precision: what the task computes in,
    to be kept in checkpoints. clock: gives seconds, for checkpoints by time and for speeds. ranks: that train together;
    they come to the same outcome, and the first writes it.

    Raises TrainingError, with the last good checkpoint kept, when the loss, its gradient or the weights are not finite;
    Stopped, with a checkpoint of the last step, if it was asked to stop; OutputError if the disk refuses.
    """
    began = saved_at = clock()
    computation = _computation(task, precision, ranks)
    optimizer = build_optimizer(task.model, optimizer_settings)
    # A run that was stopped before its first checkpoint goes on from its beginning.
    kept = run.checkpoints
    checkpoint = ranks.call_on_rank_zero(lambda: kept.load() if kept.paths() else None) if resume else None
    position = _Position() if checkpoint is None else _go_on(task, run, optimizer, checkpoint, computation)
    ranks.broadcast(task.model.state_dict().values())
    metrics = Metrics(run.path, step=position.step) if ranks.is_rank_zero else None
    speed, first_step = Speed(), position.step
    if ranks.size == 1 and can_capture(task, task.state(), settings):
        do_step: OptimizerStep = CapturedStep(task, optimizer, optimizer_settings)
    else:
        do_step = OptimizerStep(task, optimizer, optimizer_settings, ranks)
    unread: list[dict[str, Tensor]] = []
    most_unread = _STEPS_READ_AT_ONCE.get(_device_of(task).type, 1)

    while position.step < settings.steps and not _is_patience_over(position, settings):
        step_began = clock()
        rate = learning_rate(position.step, settings.steps, optimizer_settings, num_plateaus=position.num_plateaus)
        batch = task.batch(position.step)
        waited = clock() - step_began
        ranks.seed(settings.seed, position.step)
        unread.append(do_step(batch, rate))
        position.step += 1
        is_last = position.step == settings.steps
        looks = is_last or position.step % settings.validate_every == 0
        if looks or len(unread) == most_unread or position.step == first_step + 1:
            figures, unread = _read(unread, position, run), []
        speed.add(num_frames=task.frames_per_step, seconds=clock() - step_began, waited=waited)

        stops, is_due = ranks.any(should_stop(), _is_checkpoint_due(position, settings, clock() - saved_at))
        if looks or stops or is_due:
            if unread:
                figures, unread = _read(unread, position, run), []
            _require_finite_weights(task, position, run)
            line: dict[str, Any] = {}
            if looks:
                validation = _look(task, run, position, optimizer_settings)
                line = {"step": position.step, "learning_rate": rate, "gradient_norm": figures["gradient_norm"]}
                line |= {"train": position.take_means(), "validation": validation, "speed": speed.take()}
            content = _checkpoint(task, optimizer, position, computation)
            if metrics is not None:
                _publish(task, run, metrics, position, line, content, num_kept=settings.keep_checkpoints)
            saved_at = clock()
        shown = {"loss": figures["loss"], "steps/s": (position.step - first_step) / max(clock() - began, 1e-9)}
        if position.best_step:
            shown["best validation loss"] = position.best_loss
        on_progress(Progress(done=position.step, total=settings.steps, unit="steps", metrics=shown))
        if stops and not is_last and not _is_patience_over(position, settings):
            raise Stopped(f"stopped at step {position.step} of {settings.steps}; --resume goes on from there")
    return TrainingOutcome(
        steps=position.step,
        best_step=position.best_step,
        best_loss=position.best_loss,
        seconds=clock() - began,
        stopped_early=_is_patience_over(position, settings) and position.step < settings.steps,
        data_share=speed.data_share,
    )


def _read(unread: list[dict[str, Tensor]], position: _Position, run: RunFolder) -> dict[str, float]:
    """Wait for the figures of the last steps; count them all, and return those of the last one.

    A step's that are not finite are told as that step's, though later ones have been done.
    """
    values = torch.stack([torch.stack(list(figures.values())) for figures in unread]).tolist()
    read = [dict(zip(figures, numbers, strict=True)) for figures, numbers in zip(unread, values, strict=True)]
    for step, figures in enumerate(read, start=position.step - len(read) + 1):
        judged = {"loss": figures["loss"], "norm of the gradient": figures["gradient_norm"]}
        _require_finite(judged, replace(position, step=step), run)
        position.add({name: figure for name, figure in figures.items() if name != "gradient_norm"})
    return read[-1]


def _require_finite(figures: dict[str, float], position: _Position, run: RunFolder) -> None:
    for name, figure in figures.items():
        if not math.isfinite(figure):
            raise _diverged(f"the {name} is {figure}", position, run)


def _require_finite_weights(task: Task[Any], position: _Position, run: RunFolder) -> None:
    """Refuse to keep weights that are spoilt: a step of a finite loss can still lead to such."""
    weights = list(task.model.parameters())
    if not torch.stack([weight.isfinite().all() for weight in weights]).all():
        raise _diverged("a weight is not finite", position, run)


def _diverged(what: str, position: _Position, run: RunFolder) -> TrainingError:
    kept = ["the last checkpoint"] if run.checkpoints.paths() else []
    kept = [*([f"the weights of step {position.best_step}"] if position.best_step else []), *kept]
    state = f"{' and '.join(kept)} are kept in {run.path}" if kept else "there was no checkpoint yet"
    return TrainingError(
        f"{what} at step {position.step}; start anew with a lower optimizer.learning_rate or with "
        f"optimizer.clip_norm; {state}"
    )


def _look(
    task: Task[Any], run: RunFolder, position: _Position, optimizer_settings: OptimizerSettings
) -> dict[str, float]:
    """Validate, and note whether the weights are the best so far."""
    task.model.eval()
    with torch.inference_mode():
        figures = task.validate()
    _require_finite({"validation loss": figures["loss"]}, position, run)
    if figures["loss"] < position.best_loss:
        position.best_loss, position.best_step, position.num_looks_since_best = figures["loss"], position.step, 0
    else:
        position.num_looks_since_best += 1
        position.num_plateaus += position.num_looks_since_best % optimizer_settings.plateau_patience == 0
    return figures


def _publish(
    task: Task[Any],
    run: RunFolder,
    metrics: Metrics,
    position: _Position,
    line: dict[str, Any],
    checkpoint: dict[str, Any],
    *,
    num_kept: int,
) -> None:
    """Write a checkpoint; before it, if there was a look, the weights if they are the best, and its line."""
    if line:
        if position.best_step == position.step:
            save_model(run.path, task.description, task.model.state_dict())
        metrics.append(line)
    run.checkpoints.save(checkpoint, step=position.step, keep=num_kept)
    if line:
        run.forget_earlier()


def _is_patience_over(position: _Position, settings: TrainingSettings) -> bool:
    return bool(settings.patience) and position.num_looks_since_best >= settings.patience


def _is_checkpoint_due(position: _Position, settings: TrainingSettings, seconds: float) -> bool:
    """Say whether one is due besides those of looks, so long after the last one."""
    by_steps = settings.checkpoint_every and position.step % settings.checkpoint_every == 0
    by_time = settings.checkpoint_minutes and seconds >= 60 * settings.checkpoint_minutes
    return bool(by_steps or by_time)


def _device_of(task: Task[Any]) -> torch.device:
    return next(task.model.parameters()).device


def _computation(task: Task[Any], precision: str, ranks: Ranks) -> dict[str, str]:
    """Say what the last bits of a result depend on."""
    device = _device_of(task)
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return {
        "device": device.type + name,
        "threads": str(torch.get_num_threads()),
        "precision": precision,
        "products": library(torch.bfloat16 if precision == "bf16" else torch.float32, device),
        "torch": str(torch.__version__),
        "ranks": str(ranks.size),
    }


def _checkpoint(
    task: Task[Any], optimizer: torch.optim.Optimizer, position: _Position, computation: dict[str, str]
) -> dict[str, Any]:
    states, device = {"cpu": torch.get_rng_state()}, _device_of(task)
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {
        "description": asdict(task.description),
        "model": task.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "task": task.state(),
        "position": asdict(position),
        "random_states": states,
        "computation": computation,
    }


def _go_on(
    task: Task[Any],
    run: RunFolder,
    optimizer: torch.optim.Optimizer,
    checkpoint: dict[str, Any],
    computation: dict[str, str],
) -> _Position:
    device = _device_of(task)
    try:
        run.require_same_description(checkpoint["description"], asdict(task.description))
        task.model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        task.load_state(checkpoint["task"])
        torch.set_rng_state(checkpoint["random_states"]["cpu"])
        if device.type == "cuda" and "cuda" in checkpoint["random_states"]:
            torch.cuda.set_rng_state(checkpoint["random_states"]["cuda"], device)
        position = _Position(**checkpoint["position"])
        before = {"ranks": "1", "products": "torch"} | dict(checkpoint["computation"])  # as before these were noted
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise run.checkpoints.unusable("not a checkpoint of this run", error) from error
    changed = [f"{name} {now}, not {before.get(name)}" for name, now in computation.items() if before.get(name) != now]
    if changed:
        _log.warning("%s goes on with %s: the result may differ in the last bits", run.path, "; ".join(changed))
    return position
