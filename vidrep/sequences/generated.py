"""Windows of Moving MNIST that are made when they are asked for, each from the few numbers that were drawn for it.

Shapes: T time, B batch, D = S*S pixels of a frame, W windows.
"""

import numpy as np
from numpy.typing import NDArray

from ..features.moving_mnist import MovingMnist

# Tells the batches of a training from a fixed set of windows with the same seed.
_TRAINING = 1


class GeneratedWindows:
    """A fixed number of sequences, those that `extract moving-mnist` writes with the same seed; a WindowSet."""

    def __init__(self, generator: MovingMnist, num_windows: int, seed: int) -> None:
        self.length = generator.config.num_frames
        self._generator, self._draws = generator, generator.draw(num_windows, np.random.default_rng(seed))

    def __len__(self) -> int:
        return len(self._draws)

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return some windows, (T, B, D) uint8."""
        return _flat(self._generator.render(self._draws[indices]))


def generated_batch(
    generator: MovingMnist, batch_size: int, *, seed: int, step: int, part: slice = slice(None)
) -> NDArray[np.uint8]:
    """Return the batch of an optimiser step, (T, B, D) uint8, or a part of it: a pure function of (seed, step)."""
    draws = generator.draw(batch_size, np.random.default_rng([seed, step, _TRAINING]))
    return _flat(generator.render(draws[part]))


def _flat(sequences: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return sequences.reshape(*sequences.shape[:2], -1)
