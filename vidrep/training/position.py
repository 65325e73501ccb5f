"""How far a training has come, and the checkpoints that hold it."""

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from .run import RunFolder
from .task import Task

_log = logging.getLogger(__name__)


@dataclass
class Position:
    """How far a training has come; all of it goes into a checkpoint.

    step: optimizer steps done. best_loss, best_step: of the best validation so far. num_validations_since_best:
    validations since then. num_plateaus: how often the learning rate was reduced for want of a better validation.
    sums, num_summed: of the metrics of the steps since the last validation.
    """

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    num_validations_since_best: int = 0
    num_plateaus: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0

    def add(self, metrics: Mapping[str, float]) -> None:
        """Add the metrics of a step."""
        for name, metric in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + metric
        self.num_summed += 1

    def take_means(self) -> dict[str, float]:
        """Return the mean metrics of the steps since the last validation, and begin anew."""
        means = {name: total / self.num_summed for name, total in self.sums.items()}
        self.sums, self.num_summed = {}, 0
        return means

    def note_validation(self, loss: float, *, plateau_patience: int, keep_last: bool = False) -> None:
        """Take a validation into account: whether its weights are the best so far; `keep_last` takes them as such."""
        if keep_last or loss < self.best_loss:
            self.best_loss, self.best_step, self.num_validations_since_best = loss, self.step, 0
        else:
            self.num_validations_since_best += 1
            self.num_plateaus += self.num_validations_since_best % plateau_patience == 0


def checkpoint_of(
    task: Task, optimizer: torch.optim.Optimizer, position: Position, numerics: Mapping[str, str]
) -> dict[str, Any]:
    """Return everything that it takes to go on: weights, optimizer, carried state, position and random states.

    numerics: what the last bits of a result depend on. With several ranks all of them call this.
    """
    states, device = {"cpu": torch.get_rng_state()}, device_of(task)
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {
        "description": asdict(task.description),
        "model": task.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "state": task.state(),
        "position": asdict(position),
        "random_states": states,
        "numerics": dict(numerics),
    }


def restore(
    task: Task,
    run: RunFolder,
    optimizer: torch.optim.Optimizer,
    checkpoint: Mapping[str, Any],
    numerics: Mapping[str, str],
) -> Position:
    """Go on from a checkpoint; return its position.

    Raises OutputError if the run's model is another one, InputError if the checkpoint does not fit.
    """
    device = device_of(task)
    try:
        run.require_same_description(checkpoint["description"], asdict(task.description))
        task.model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        task.load_state(checkpoint["state"])
        torch.set_rng_state(checkpoint["random_states"]["cpu"])
        if device.type == "cuda" and "cuda" in checkpoint["random_states"]:
            torch.cuda.set_rng_state(checkpoint["random_states"]["cuda"], device)
        position = Position(**checkpoint["position"])
        before = dict(checkpoint["numerics"])
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise run.checkpoints.unusable("not a checkpoint of this run", error) from error
    changed = [f"{name} {now}, not {before.get(name)}" for name, now in numerics.items() if before.get(name) != now]
    if changed:
        _log.warning("%s goes on with %s: the result may differ in the last bits", run.path, "; ".join(changed))
    return position


def device_of(task: Task) -> torch.device:
    """Return the device that a task computes on."""
    return next(task.model.parameters()).device
