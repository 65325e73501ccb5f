"""Which classes a classifier takes for which, and how well it does on each of them.

Shapes: N predictions, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """How well a classifier does on one class.

    support: how often the class is true; predictions: how often it is predicted. precision, recall, f1: None where
    the count that they divide by is 0. confused_with: the class that is predicted most often in its place, the first
    of equals, '' if none is; num_confused: how often.
    """

    name: str
    support: int
    predictions: int
    precision: float | None
    recall: float | None
    f1: float | None
    confused_with: str
    num_confused: int


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often each class is predicted for each: counts (K, K), in the order of `classes`.

    rows, columns: what they stand for.
    """

    classes: list[str]
    counts: list[list[int]]
    rows: Literal["true"] = "true"
    columns: Literal["predicted"] = "predicted"

    @classmethod
    def of(cls, classes: Sequence[str], true: NDArray[np.int64], predicted: NDArray[np.int64]) -> "Confusion":
        """Count the true classes and the predicted ones, both (N,)."""
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (true, predicted), 1)
        return cls(classes=list(classes), counts=counts.tolist())

    def by_class(self) -> list[ClassMetrics]:
        """Return the metrics of each class, in the order of `classes`."""
        counts = np.array(self.counts, dtype=np.int64)
        wrong = counts - np.diag(np.diag(counts))
        supports, totals = counts.sum(axis=1), counts.sum(axis=0)
        found = []
        for number, name in enumerate(self.classes):
            right, support, predicted = int(counts[number, number]), int(supports[number]), int(totals[number])
            other = int(wrong[number].argmax())
            found.append(
                ClassMetrics(
                    name=name,
                    support=support,
                    predictions=predicted,
                    precision=_share(right, predicted),
                    recall=_share(right, support),
                    f1=_share(2 * right, support + predicted),
                    confused_with=self.classes[other] if wrong[number, other] else "",
                    num_confused=int(wrong[number, other]),
                )
            )
        return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
