"""What `vidrep train` and `vidrep finetune` print about a training."""

from typing import TYPE_CHECKING

from .console import note
from .layout import duration

if TYPE_CHECKING:
    from vidrep.training.loop import TrainingOutcome

# A greater share of a training's time spent waiting for data is worth a hint.
_LARGE_DATA_SHARE = 0.2


def outcome_text(outcome: "TrainingOutcome") -> str:
    """Describe how a training went: "500 steps in 42 s; the weights of step 450 are kept", or "fitted in 3 s"."""
    if not outcome.steps:
        return f"fitted in {duration(outcome.seconds)}"
    early = ", stopped early" if outcome.stopped_early else ""
    done = f"{outcome.steps} steps in {duration(outcome.seconds)}{early}"
    return f"{done}; the weights of step {outcome.best_step} are kept"


def waiting_text(data_share: float) -> str:
    """Return which share of a training's time it waited for data: "0.3 % of the time waiting for data"."""
    return f"{100 * data_share:.1f} % of the time waiting for data"


def advise_on_data(data_share: float) -> None:
    """Print what to do, if a training waited for data much of its time."""
    if data_share > _LARGE_DATA_SHARE:
        note(
            "hint: the training waited for data much of the time; keep the features on a local disk, leave as much "
            "memory free as they need, and leave a core to reading them (--threads)"
        )
