"""The squared error of each window by a model and by trivial predictors, and what the differences come to.

Shapes: W windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .paired import PairedDifference, paired_difference
from .verdicts import error_verdict

MODEL = "model"
MEAN_FRAME, PERSISTENCE = "mean frame", "persistence"
FUTURE = "future"

# What a model should be better than, and what it emits, in the words of a verdict.
_TRIVIAL = {PERSISTENCE: "repeating the last frame", MEAN_FRAME: "the mean frame"}
_EMITTED = {FUTURE: "The prediction of the future", "reconstruction": "The reconstruction"}


@dataclass(frozen=True)
class WindowErrors:
    """The squared error of each window, in the model's own units, a mean over its time steps.

    groups: the number of each window's group, (W,). by_objective: objective -> predictor -> (W,).
    """

    groups: NDArray[np.int64]
    by_objective: Mapping[str, Mapping[str, NDArray[np.float64]]]

    def saved(self, objective: str, predictor: str) -> NDArray[np.float64]:
        """Return the share of another predictor's mean error that the model saves in each window, (W,).

        If that predictor has no error at all, it is a share of the model's own.
        """
        of_model, of_other = (self.by_objective[objective][name] for name in (MODEL, predictor))
        whole = of_other.mean() or of_model.mean() or 1.0
        shares: NDArray[np.float64] = (of_other - of_model) / whole
        return shares

    def paired(self) -> dict[str, dict[str, PairedDifference]]:
        """Return the share of each trivial predictor's error that the model saves: objective -> predictor."""
        return {
            objective: {
                name: saved_difference(self.saved(objective, name), self.groups)
                for name in _TRIVIAL
                if name in by_predictor
            }
            for objective, by_predictor in self.by_objective.items()
        }


def saved_difference(saved: NDArray[np.float64], groups: NDArray[np.int64]) -> PairedDifference:
    """Return the mean of what windows save, (W,), with its 95 % bootstrap interval over their groups, (W,)."""
    return paired_difference(saved, np.zeros(len(saved)), [str(group) for group in groups.tolist()])


def main_objective(names: Mapping[str, object]) -> str:
    """Return which of the objectives that emit frames counts first: the future, else the first of them."""
    return FUTURE if FUTURE in names else next(iter(names))


def prediction_verdict(saved_errors: Mapping[str, Mapping[str, PairedDifference]]) -> str:
    """Say in one sentence what the emitted frames are worth; saved_errors: as of `WindowErrors.paired`."""
    if not saved_errors:
        return "No objective emits frames: a classifier shows what the encoder is worth (evaluate --probe, finetune)"
    objective = main_objective(saved_errors)
    saved = {_TRIVIAL[name]: paired for name, paired in saved_errors[objective].items()}
    return error_verdict(_EMITTED.get(objective, f"The output of {objective}"), saved)
