"""Whether a training went on after its validation loss had its lowest value, by its metrics.jsonl."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..config.old_keys import with_transfer
from ..errors import InputError
from ..models.members import member_folders
from .run_metrics import METRICS_NAME, read_metrics
from .run_videos import CONFIG_NAME

# By which share of its lowest value the validation loss has risen: less is noise.
_LEAST_RISE = 0.05


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """A training whose validation loss rose at last, while its training loss fell.

    since_step: of the lowest validation loss; lowest: that loss. step: the last one that was validated; validation,
    training: the losses there. remedies: what to try.
    """

    since_step: int
    lowest: float
    step: int
    validation: float
    training: float
    remedies: tuple[str, ...]

    def __str__(self) -> str:
        losses = f"validation {self.validation:.4g} (lowest {self.lowest:.4g}), training {self.training:.4g}"
        remedies = f"{', '.join(self.remedies[:-1])} or {self.remedies[-1]}"
        return f"Overfits since step {self.since_step}: at step {self.step} {losses}; try {remedies}"


def find_overfitting(run: Path) -> Overfitting | None:
    """Return how a run overfits, None if it does not; of an ensemble its first model.

    It does if the validation loss ends more than 5 % above its lowest value, with a training loss below that of then.

    Raises InputError if the run's metrics or settings cannot be read.
    """
    folder = member_folders(run)[0]
    losses = _losses(folder)
    if not losses:
        return None
    best, last = min(losses, key=lambda one: one.validation), losses[-1]
    has_risen = last.validation > best.validation + _LEAST_RISE * abs(best.validation)
    if not has_risen or last.training >= best.training:
        return None
    return Overfitting(
        since_step=best.step,
        lowest=best.validation,
        step=last.step,
        validation=last.validation,
        training=last.training,
        remedies=_remedies(_settings(folder), best.step),
    )


class _Losses(NamedTuple):
    step: int
    training: float
    validation: float


def _losses(folder: Path) -> list[_Losses]:
    """Read the losses of every validation; of a head that was fitted, which has no training loss, none."""
    try:
        return [
            _Losses(int(line["step"]), float(line["train"]["loss"]), float(line["validation"]["loss"]))
            for line in read_metrics(folder)
            if "train" in line
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{folder / METRICS_NAME}: not the metrics of a run ({error!r})") from error


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_NAME
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); is it a run folder?") from error


def _remedies(settings: Mapping[str, Any], steps: int) -> tuple[str, ...]:
    fewer = f"fewer steps (--steps {steps})"
    if "classifier" not in settings:
        others = [] if settings.get("objectives") == ["contrast"] else ["--recipe few-labels"]
        return fewer, "more dropout (encoder.dropout)", *others
    is_frozen = with_transfer(settings["classifier"]).get("transfer") == "frozen"
    others = [] if is_frozen else ["--freeze" if "started_from" in settings else "--from a pretraining"]
    return fewer, "more dropout (classifier.dropout)", *others
