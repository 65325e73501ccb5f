"""Whether probabilities are what they say: of predictions with a probability of 0.8, are 80 % right?

Shapes: N predictions, K classes.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .cross_validation import measured

NUM_BINS = 15
"""Of equal width, as in Guo et al. 2017."""


@dataclass(frozen=True, kw_only=True)
class ConfidenceBin:
    """Predictions whose confidence, the probability of the predicted class, is above `low` and at most `high`.

    count: how many. confidence, accuracy: their mean confidence, and the share that is right; 0 for none.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far confidence and accuracy agree.

    expected_calibration_error: the mean over predictions of |accuracy - confidence| of their bin (Guo et al. 2017,
    arXiv 1706.04599, equation 3). Of few predictions it is too high: the accuracy of a bin of few is mostly chance.
    log_loss: nats a prediction.
    """

    expected_calibration_error: float
    log_loss: float
    bins: list[ConfidenceBin] = field(repr=False)

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], classes: NDArray[np.int64]) -> "Reliability":
        """Compare probabilities, (N, K), with the true classes, (N,), one or more."""
        confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == classes
        edges = np.arange(NUM_BINS + 1) / NUM_BINS
        numbers = np.searchsorted(edges[1:-1], confidence, side="left")  # a bin holds its upper edge
        bins = []
        for number in range(NUM_BINS):
            inside = numbers == number
            count = int(inside.sum())
            bins.append(
                ConfidenceBin(
                    low=float(edges[number]),
                    high=float(edges[number + 1]),
                    count=count,
                    confidence=float(confidence[inside].mean()) if count else 0.0,
                    accuracy=float(is_right[inside].mean()) if count else 0.0,
                )
            )
        error = sum(one.count * abs(one.accuracy - one.confidence) for one in bins) / len(classes)
        return cls(expected_calibration_error=error, log_loss=measured(0.0, probabilities, classes).log_loss, bins=bins)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What predicts, before and after its temperatures: see `Predictor`."""

    temperature: float
    final_temperature: float
    before: Reliability
    after: Reliability

    @property
    def is_fitted(self) -> bool:
        """Whether a temperature other than 1 was fitted."""
        return (self.temperature, self.final_temperature) != (1.0, 1.0)
