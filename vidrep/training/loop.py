"""The one training loop, for pretraining and fine-tuning alike."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..config import OptimiserSettings, TrainingSettings
from ..errors import InputError, TrainingError
from ..models.saved import ModelDescription, ScaledModel, save_model
from ..progress import Progress, ProgressListener
from .optimisers import build_optimiser, learning_rate
from .run import RunFolder


class Task(Protocol):
    """What is trained: a model, a loss for every step, and a look at held-apart videos."""

    model: ScaledModel
    description: ModelDescription

    def loss(self, step: int) -> Tensor:
        """Return the objective of a step's batch, a scalar to differentiate; a pure function of weights and step."""

    def validate(self) -> dict[str, float]:
        """Return figures on the held-apart videos; "loss" among them chooses the best weights."""


@dataclass
class _Position:
    """How far a training has come: optimiser steps done, the best look so far, and looks since then."""

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    num_looks_since_best: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """What a training came to.

    steps: optimiser steps done in all. best_step, best_loss: of the weights that were kept. seconds: this call took.
    stopped_early: whether patience ran out before the steps did.
    """

    steps: int
    best_step: int
    best_loss: float
    seconds: float
    stopped_early: bool


def train(
    task: Task,
    run: RunFolder,
    settings: TrainingSettings,
    optimiser_settings: OptimiserSettings,
    *,
    resume: bool,
    on_progress: ProgressListener,
) -> TrainingOutcome:
    """Train until the steps or the patience are used up, keeping the best weights and a checkpoint to go on from.

    A run that this one overwrites is put back if this one ends before its first checkpoint.
    Raises TrainingError, with the last good checkpoint kept, when the loss or its gradient is not finite.
    """
    try:
        return _train(task, run, settings, optimiser_settings, resume=resume, on_progress=on_progress)
    except BaseException:
        run.restore_earlier()
        raise


def _train(
    task: Task,
    run: RunFolder,
    settings: TrainingSettings,
    optimiser_settings: OptimiserSettings,
    *,
    resume: bool,
    on_progress: ProgressListener,
) -> TrainingOutcome:
    began = time.monotonic()
    optimiser = build_optimiser(task.model, optimiser_settings)
    # A run that was stopped before its first checkpoint goes on from its beginning.
    position = _resume(task, run, optimiser) if resume and run.checkpoint_path.is_file() else _begin(run)
    first_step, recent_losses = position.step, list[float]()

    while position.step < settings.steps and not _is_patience_over(position, settings):
        rate = learning_rate(position.step, settings.steps, optimiser_settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        task.model.train()
        loss = task.loss(position.step)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient_norm = float(_clip(task, optimiser_settings.clip_norm))
        position.step += 1
        _require_finite({"loss": loss.item(), "norm of the gradient": gradient_norm}, position, run)
        recent_losses.append(loss.item())
        optimiser.step()

        if position.step % settings.evaluate_every == 0 or position.step == settings.steps:
            figures = _look(task, run, position)
            mean_loss = sum(recent_losses) / len(recent_losses)
            run.append_metrics(
                {
                    "step": position.step,
                    "learning_rate": rate,
                    "gradient_norm": gradient_norm,
                    "train": {"loss": mean_loss},
                    "validation": figures,
                }
            )
            run.save_checkpoint(_checkpoint(task, optimiser, position))
            run.forget_earlier()
            recent_losses = []
        seconds = time.monotonic() - began
        on_progress(
            Progress(
                done=position.step,
                total=settings.steps,
                unit="steps",
                figures={
                    "loss": loss.item(),
                    "best validation loss": position.best_loss,
                    "steps/s": (position.step - first_step) / max(seconds, 1e-9),
                },
            )
        )
    return TrainingOutcome(
        steps=position.step,
        best_step=position.best_step,
        best_loss=position.best_loss,
        seconds=time.monotonic() - began,
        stopped_early=_is_patience_over(position, settings) and position.step < settings.steps,
    )


def _clip(task: Task, clip_norm: float) -> Tensor:
    learning = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    return torch.nn.utils.clip_grad_norm_(learning, clip_norm or math.inf)


def _require_finite(figures: dict[str, float], position: _Position, run: RunFolder) -> None:
    for name, figure in figures.items():
        if not math.isfinite(figure):
            kept = f"the weights of step {position.best_step} and the last checkpoint are kept in {run.path}"
            raise TrainingError(
                f"the {name} is {figure} at step {position.step}; lower optimiser.learning_rate, or set "
                f"optimiser.clip_norm; {kept if position.best_step else 'there was no checkpoint yet'}"
            )


def _look(task: Task, run: RunFolder, position: _Position) -> dict[str, float]:
    """Validate, and keep the weights if they are the best so far."""
    task.model.eval()
    with torch.inference_mode():
        figures = task.validate()
    _require_finite({"validation loss": figures["loss"]}, position, run)
    if figures["loss"] < position.best_loss:
        position.best_loss, position.best_step, position.num_looks_since_best = figures["loss"], position.step, 0
        save_model(run.path, task.description, task.model.state_dict())
    else:
        position.num_looks_since_best += 1
    return figures


def _is_patience_over(position: _Position, settings: TrainingSettings) -> bool:
    return bool(settings.patience) and position.num_looks_since_best >= settings.patience


def _checkpoint(task: Task, optimiser: torch.optim.Optimizer, position: _Position) -> dict[str, Any]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return {
        "description": asdict(task.description),
        "model": task.model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "position": vars(position),
        "random_states": states,
    }


def _begin(run: RunFolder) -> _Position:
    run.cut_metrics(0)
    return _Position()


def _resume(task: Task, run: RunFolder, optimiser: torch.optim.Optimizer) -> _Position:
    checkpoint = run.load_checkpoint()
    try:
        run.require_same_description(checkpoint["description"], asdict(task.description))
        task.model.load_state_dict(checkpoint["model"])
        optimiser.load_state_dict(checkpoint["optimiser"])
        torch.set_rng_state(checkpoint["random_states"]["cpu"])
        if torch.cuda.is_available() and "cuda" in checkpoint["random_states"]:
            torch.cuda.set_rng_state(checkpoint["random_states"]["cuda"])
        position = _Position(**checkpoint["position"])
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{run.checkpoint_path}: not a checkpoint of this run ({reason})") from error
    run.cut_metrics(position.step)
    return position
