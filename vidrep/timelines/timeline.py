"""How likely each label is at each frame of a video.

Shapes: T frames, K labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..segments.segment import Span


@dataclass(frozen=True, eq=False)
class Timeline:
    """The probabilities of labels over a video's frames.

    edges: (T + 1,) float64 seconds, where each frame begins and where the last one ends. probabilities: (T, K) float32.
    labels: K names. background: the label of time in which nothing happens, which is no bout; None if there is none.
    several_labels: whether labels may hold at once, each with a probability of its own; else those of a frame sum to 1.
    """

    video: str
    edges: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    labels: tuple[str, ...]
    background: str | None
    several_labels: bool

    def __post_init__(self) -> None:
        require_frames(self.edges, self.probabilities, len(self.labels))
        if self.background is not None and self.background not in self.labels:
            raise ValueError(f"background {self.background!r} is not one of the labels {', '.join(self.labels)}")

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def span(self) -> Span:
        """The whole of the video."""
        return Span(float(self.edges[0]), float(self.edges[-1]))


def require_frames(edges: NDArray[np.float64], probabilities: NDArray[np.float32], num_labels: int) -> None:
    """Raise ValueError unless these are (T + 1,) seconds that do not fall and (T, num_labels) probabilities."""
    if probabilities.shape != (len(edges) - 1, num_labels):
        raise ValueError(
            f"probabilities {probabilities.shape} and {len(edges)} edges; needed are ({len(edges) - 1}, {num_labels})"
        )
    if not ((np.diff(edges) >= 0).all() and np.isfinite(edges).all()):
        raise ValueError("edges of frames fall, or are no numbers; sort the frames by time")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError(f"{np.sum(~((probabilities >= 0) & (probabilities <= 1)))} probabilities are not in 0 to 1")
