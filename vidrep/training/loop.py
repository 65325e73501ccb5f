"""The one training loop, for pretraining and fine-tuning alike."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..config.settings import OptimizerSettings, TrainingSettings
from ..errors import Stopped, TrainingError
from ..models.lstm_kernels.matmul import library
from ..models.saved import save_model
from ..progress import Progress, ProgressListener, ignore_progress
from .captured_step import CapturedStep, can_capture
from .collectives import SINGLE_PROCESS, Ranks
from .constraints import Constraints
from .optimizers import build_optimizer, learning_rates
from .position import Position, checkpoint_of, device_of, restore
from .run import RunFolder
from .run_metrics import Metrics, Speed
from .step import TrainingStep
from .task import Task

# Steps whose metrics are read at once: reading waits for the device, which should have its next work by then.
_STEPS_READ_AT_ONCE = {"cuda": 20}


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """How a training went.

    steps: optimizer steps done in all. best_step, best_loss: of the weights that were kept. seconds: this call took.
    stopped_early: whether patience ran out before the steps did. data_share: share of the steps' time that was spent
    waiting for data.
    """

    steps: int
    best_step: int
    best_loss: float
    seconds: float
    stopped_early: bool
    data_share: float


def never() -> bool:
    """Never ask to stop: the default."""
    return False


def run_training(
    task: Task,
    run: RunFolder,
    settings: TrainingSettings,
    optimizer_settings: OptimizerSettings,
    *,
    resume: bool,
    on_progress: ProgressListener = ignore_progress,
    should_stop: Callable[[], bool] = never,
    precision: str = "fp32",
    clock: Callable[[], float] = time.monotonic,
    ranks: Ranks = SINGLE_PROCESS,
) -> TrainingOutcome:
    """Train until the steps or the patience are used up, keeping the best weights and checkpoints to go on from.

    should_stop: asked after every step; one rank that is asked to stop stops all. precision: what the task computes in,
    for the record in checkpoints. clock: gives seconds, for checkpoints by time and for speeds. ranks: that train
    together; they come to the same outcome, and rank 0 writes it.

    Raises TrainingError, with the last good checkpoint kept, when the loss, its gradient or the weights are not finite;
    Stopped, with a checkpoint of the last step, if it was asked to stop; OutputError if the disk refuses.
    """
    began = saved_at = clock()
    numerics = _numerics(task, precision, ranks)
    optimizer = build_optimizer(task.model, optimizer_settings)
    position = _first_position(task, run, optimizer, numerics, resume=resume, ranks=ranks)
    if resume and ranks.is_rank_zero:
        run.checkpoints.prune(settings.keep_checkpoints)
    metrics = Metrics(run.path, step=position.step) if ranks.is_rank_zero else None
    speed, first_step = Speed(), position.step
    do_step = _choose_step(task, optimizer, settings, optimizer_settings, ranks)
    constraints = Constraints(task.model)
    constraints.project()
    unread: list[dict[str, Tensor]] = []
    max_unread = _STEPS_READ_AT_ONCE.get(device_of(task).type, 1)

    while position.step < settings.steps and not _is_patience_over(position, settings):
        step_began = clock()
        rates = learning_rates(position.step, settings.steps, optimizer_settings, num_plateaus=position.num_plateaus)
        batch = task.batch(position.step)
        waited = clock() - step_began
        ranks.seed(settings.draw_seed, position.step)
        unread.append(do_step(batch, rates))
        constraints.project()
        position.step += 1
        is_last = position.step == settings.steps
        validates = is_last or position.step % settings.validate_every == 0
        if validates or len(unread) == max_unread or position.step == first_step + 1:
            step_metrics, unread = _read(unread, position, run), []
        speed.add(num_frames=task.frames_per_step, seconds=clock() - step_began, waited=waited)

        stops, is_due = ranks.any(should_stop(), _is_checkpoint_due(position, settings, clock() - saved_at))
        if validates or stops or is_due:
            if unread:
                step_metrics, unread = _read(unread, position, run), []
            _require_finite_weights(task, position, run)
            line: dict[str, Any] = {}
            if validates:
                validation = _validate(task, run, position, settings, optimizer_settings)
                line = {
                    "step": position.step,
                    "learning_rate": rates.others,
                    "gradient_norm": step_metrics["gradient_norm"],
                }
                line |= {"train": position.take_means(), "validation": validation, **constraints.metrics()}
                line["speed"] = speed.take()
            content = checkpoint_of(task, optimizer, position, numerics)
            if metrics is not None:
                _publish(task, run, metrics, position, line, content, num_kept=settings.keep_checkpoints)
            saved_at = clock()
        shown = {"loss": step_metrics["loss"], "steps/s": (position.step - first_step) / max(clock() - began, 1e-9)}
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


def _first_position(
    task: Task,
    run: RunFolder,
    optimizer: torch.optim.Optimizer,
    numerics: dict[str, str],
    *,
    resume: bool,
    ranks: Ranks,
) -> Position:
    """Go on from the newest checkpoint; a run that was stopped before its first one goes on from its beginning."""
    kept = run.checkpoints
    checkpoint = ranks.call_on_rank_zero(lambda: kept.load() if kept.paths() else None) if resume else None
    position = Position() if checkpoint is None else restore(task, run, optimizer, checkpoint, numerics)
    if checkpoint is not None and position.step == ranks.call_on_rank_zero(run.more_steps_from):
        position.num_validations_since_best = 0  # more steps have a patience of their own
    ranks.broadcast(task.model.state_dict().values())
    return position


def _choose_step(
    task: Task,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    optimizer_settings: OptimizerSettings,
    ranks: Ranks,
) -> TrainingStep | CapturedStep:
    step = TrainingStep(task, optimizer, optimizer_settings, ranks)
    changes = task.model.network.has_random_anchors
    if ranks.size == 1 and not changes and can_capture(device_of(task), task.state(), settings):
        return CapturedStep(step, optimizer)
    return step


def _read(unread: list[dict[str, Tensor]], position: Position, run: RunFolder) -> dict[str, float]:
    """Wait for the metrics of the last steps; count them all, and return those of the last one.

    A metric that is not finite is reported as that step's, though later ones have been done.
    """
    values = torch.stack([torch.stack(list(metrics.values())) for metrics in unread]).tolist()
    read = [dict(zip(metrics, numbers, strict=True)) for metrics, numbers in zip(unread, values, strict=True)]
    for step, metrics in enumerate(read, start=position.step - len(read) + 1):
        checked = {"loss": metrics["loss"], "norm of the gradient": metrics["gradient_norm"]}
        _require_finite(checked, replace(position, step=step), run)
        position.add({name: metric for name, metric in metrics.items() if name != "gradient_norm"})
    return read[-1]


def _require_finite(metrics: dict[str, float], position: Position, run: RunFolder) -> None:
    for name, metric in metrics.items():
        if not math.isfinite(metric):
            raise _diverged(f"the {name} is {metric}", position, run)


def _require_finite_weights(task: Task, position: Position, run: RunFolder) -> None:
    """Refuse to keep invalid weights: a step of a finite loss can still lead to such."""
    weights = list(task.model.parameters())
    if not torch.stack([weight.isfinite().all() for weight in weights]).all():
        raise _diverged("a weight is not finite", position, run)


def _diverged(what: str, position: Position, run: RunFolder) -> TrainingError:
    kept = ["the last checkpoint"] if run.checkpoints.paths() else []
    kept = [*([f"the weights of step {position.best_step}"] if position.best_step else []), *kept]
    state = f"{' and '.join(kept)} are kept in {run.path}" if kept else "there was no checkpoint yet"
    return TrainingError(
        f"{what} at step {position.step}; start anew with a lower optimizer.learning_rate or with "
        f"optimizer.clip_norm; {state}"
    )


def _validate(
    task: Task, run: RunFolder, position: Position, settings: TrainingSettings, optimizer_settings: OptimizerSettings
) -> dict[str, float]:
    """Validate, and note whether the weights are the best so far."""
    task.model.eval()
    with torch.inference_mode():
        metrics = task.validate()
    _require_finite({"validation loss": metrics["loss"]}, position, run)
    position.note_validation(
        metrics["loss"], plateau_patience=optimizer_settings.plateau_patience, keep_last=settings.keep == "last"
    )
    return metrics


def _publish(
    task: Task,
    run: RunFolder,
    metrics: Metrics,
    position: Position,
    line: dict[str, Any],
    checkpoint: dict[str, Any],
    *,
    num_kept: int,
) -> None:
    """Write a checkpoint; before it, after a validation, its line and the weights if they are the best."""
    if line:
        if position.best_step == position.step:
            save_model(run.path, task.description, task.model.state_dict())
        metrics.append(line)
    run.checkpoints.save(checkpoint, step=position.step, keep=num_kept)
    if line:
        run.forget_earlier()


def _is_patience_over(position: Position, settings: TrainingSettings) -> bool:
    return bool(settings.patience) and position.num_validations_since_best >= settings.patience


def _is_checkpoint_due(position: Position, settings: TrainingSettings, seconds: float) -> bool:
    """Return whether one is due besides those of validations, so long after the last one."""
    by_steps = settings.checkpoint_every and position.step % settings.checkpoint_every == 0
    by_time = settings.checkpoint_minutes and seconds >= 60 * settings.checkpoint_minutes
    return bool(by_steps or by_time)


def _numerics(task: Task, precision: str, ranks: Ranks) -> dict[str, str]:
    """Return what the last bits of a result depend on."""
    device = device_of(task)
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return {
        "device": device.type + name,
        "threads": str(torch.get_num_threads()),
        "precision": precision,
        "matmul": library(torch.bfloat16 if precision == "bf16" else torch.float32, device),
        "torch": str(torch.__version__),
        "ranks": str(ranks.size),
    }
