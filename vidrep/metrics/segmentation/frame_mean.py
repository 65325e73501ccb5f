"""The average of two classifiers of frames."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np

from .bouts import Floats
from .frame_baselines import FrameClassifier
from .frame_stream import Block, pieces

_FRAMES_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class MeanOfTwo:
    """Gives each label the mean of two classifiers' probabilities; a `FrameClassifier`."""

    first: FrameClassifier
    second: FrameClassifier

    @property
    def frames_ahead(self) -> int:
        """See FrameClassifier."""
        return max(self.first.frames_ahead, self.second.frames_ahead)

    def probabilities(self, blocks: Iterable[Block]) -> Iterator[Floats]:
        """See FrameClassifier."""
        both = (
            pieces(one.probabilities(some), _FRAMES_AT_ONCE)
            for one, some in zip((self.first, self.second), tee(blocks), strict=True)
        )
        for first, second in zip(*both, strict=True):
            yield (first.astype(np.float64) + second.astype(np.float64)) / 2
