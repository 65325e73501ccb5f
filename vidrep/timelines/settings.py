"""By what rules bouts are made of probabilities."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, some_names

SMOOTHING, ENTER, LEAVE, MINIMUM_DURATION, LARGEST_GAP, UNSURE = 0.25, 0.5, 0.4, 0.2, 0.2, 0.5
"""The defaults: seconds for what is a time, probabilities for the rest."""


@dataclass(frozen=True, kw_only=True)
class BoutSettings:
    """The rules by which bouts are found, see `vidrep.timelines.finder`.

    smoothing: seconds of the window over whose frames probabilities are averaged; 0 for none.
    enter, leave: by label, leave <= enter: a bout is as long as its label has at least the probability `leave`, and
        somewhere in it, the label has at least `enter`.
    minimum_duration: seconds; shorter bouts are dropped.
    largest_gap: seconds; gaps of that length or less between bouts of one label are filled.
    unsure: where one label holds at a time and, outside of bouts, none has this probability, none is sure.

    Raises ConfigError for what cannot be.
    """

    smoothing: float
    enter: Mapping[str, float]
    leave: Mapping[str, float]
    minimum_duration: float
    largest_gap: float
    unsure: float

    def __post_init__(self) -> None:
        for name in ("smoothing", "minimum_duration", "largest_gap"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ConfigError(f"{name} {value}: give seconds, 0 or more")
        if not 0 <= self.unsure <= 1:
            raise ConfigError(f"unsure {self.unsure}: give a probability, 0 to 1")
        if self.enter.keys() != self.leave.keys():
            raise ConfigError(f"enter has the labels {', '.join(self.enter)} and leave {', '.join(self.leave)}")
        for label, enter in self.enter.items():
            if not 0 < self.leave[label] <= enter <= 1:
                raise ConfigError(
                    f"{label!r}: enter {enter} and leave {self.leave[label]}; give 0 < leave <= enter <= 1"
                )

    @classmethod
    def default(cls, labels: Sequence[str]) -> "BoutSettings":
        """Return the rules that hold where nothing was there to choose them by."""
        return cls(
            smoothing=SMOOTHING,
            enter=dict.fromkeys(labels, ENTER),
            leave=dict.fromkeys(labels, LEAVE),
            minimum_duration=MINIMUM_DURATION,
            largest_gap=LARGEST_GAP,
            unsure=UNSURE,
        )

    def thresholds(
        self, labels: Sequence[str], background: str | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `enter` and `leave` of each label, (K,); the background's are out of reach.

        Raises ConfigError for labels without them.
        """
        if missing := [label for label in labels if label != background and label not in self.enter]:
            raise ConfigError(f"settings of bouts lack {some_names(missing)}; they have {some_names(self.enter)}")
        enter, leave = (
            np.array([np.inf if label == background else of[label] for label in labels])
            for of in (self.enter, self.leave)
        )
        return enter, leave

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON and TOML can hold; `from_dict` takes it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BoutSettings":
        """Return the settings that `to_dict` gave; ConfigError for other names than theirs."""
        if values.keys() != cls.__dataclass_fields__.keys():
            names = ", ".join(cls.__dataclass_fields__)
            raise ConfigError(f"settings of bouts have {', '.join(values)}; needed are {names}")
        try:
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ConfigError(f"settings of bouts are not what they have to be ({error})") from error
