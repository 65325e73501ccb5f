"""A metric with its interval."""

from dataclasses import dataclass

from ..intervals import Interval


@dataclass(frozen=True)
class Estimate:
    """A metric, None where there is nothing to measure, and its 95 % interval, None for too few groups."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float | None, interval: Interval | None) -> "Estimate":
        """Put both together; without a value there is no interval."""
        return cls(None) if value is None else cls(value, *(interval or ()))
