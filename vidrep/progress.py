"""Progress of long-running library calls, for a function of the caller; the library itself prints nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a long call stands.

    done, total: units of work finished and in all.
    unit: what is counted, in the plural ("videos", "steps").
    figures: what else is worth showing now, by name, such as {"frames/s": 812.0}.
    """

    done: int
    total: int
    unit: str
    metrics: dict[str, float] = field(default_factory=dict)


ProgressListener = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Listen to nothing: the default listener."""
