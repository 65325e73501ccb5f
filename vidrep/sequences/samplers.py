"""Which windows each optimiser step takes: a pure function of (seed, step), so that a resumed training goes on."""

import numpy as np
from numpy.typing import NDArray


class EndlessSampler:
    """Deals out `num_items` in an order shuffled anew every epoch, for ever.

    The epochs follow each other without a gap, so that every batch is full: one may hold the end of an epoch and the
    beginning of the next.
    """

    def __init__(self, num_items: int, batch_size: int, seed: int) -> None:
        if num_items < 1 or batch_size < 1:
            raise ValueError(f"{num_items} items in batches of {batch_size}: both must be at least 1")
        self._num_items, self._batch_size, self._seed = num_items, batch_size, seed
        self._shuffled: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    def batch(self, step: int) -> NDArray[np.int64]:
        """Return the items of a step, (B,)."""
        epoch, offset = divmod(step * self._batch_size, self._num_items)
        parts: list[NDArray[np.int64]] = []
        missing = self._batch_size
        while missing:
            part = self._epoch(epoch)[offset : offset + missing]
            parts.append(part)
            missing -= len(part)
            epoch, offset = epoch + 1, 0
        return np.concatenate(parts)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if self._shuffled[0] != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._num_items)
            self._shuffled = (epoch, order)
        return self._shuffled[1]
