"""Which windows each optimizer step takes: a pure function of (seed, step), so that a resumed training goes on."""

import numpy as np
from numpy.typing import NDArray


class InfiniteSampler:
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
        known, order = self._shuffled  # read once: another thread may be asking for another epoch
        if known != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._num_items)
            self._shuffled = (epoch, order)
        return order


class ConsecutiveSampler:
    """Deals out windows so that a place in the batch goes through whole videos, window after window.

    Every epoch puts the videos one after the other in an order shuffled anew, and cuts the row of their windows into B
    stretches of the same length, one for each place; fewer than B windows are left over, others every epoch. So what is
    carried from window to window at a place never depends on more than (seed, step).

    videos: (W,) the video of each window, windows of one video next to each other and in order of time.
    """

    def __init__(self, videos: NDArray[np.int64], batch_size: int, seed: int) -> None:
        if not 1 <= batch_size <= len(videos):
            raise ValueError(f"batches of {batch_size} of {len(videos)} windows: give 1 to as many as there are")
        self._videos, self._batch_size, self._seed = videos, batch_size, seed
        self._num_steps = len(videos) // batch_size  # of an epoch
        self._stretches: tuple[int, NDArray[np.int64]] = (-1, np.empty((0, 0), dtype=np.int64))

    def batch(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the windows of a step, (B,), and which of them begin anew, (B,)."""
        epoch, number = divmod(step, self._num_steps)
        stretches = self._epoch(epoch)
        chosen = stretches[:, number]
        if number == 0:
            return chosen, np.ones(self._batch_size, dtype=np.bool_)
        return chosen, self._videos[chosen] != self._videos[stretches[:, number - 1]]

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        """Return the windows of each place, (B, steps of an epoch)."""
        known, stretches = self._stretches  # read once, as above
        if known != epoch:
            names = np.unique(self._videos)
            ranks = np.random.default_rng([self._seed, epoch]).permutation(len(names))
            row = np.argsort(ranks[np.searchsorted(names, self._videos)], kind="stable")
            kept = row[: self._batch_size * self._num_steps]
            stretches = kept.reshape(self._batch_size, self._num_steps)
            self._stretches = (epoch, stretches)
        return stretches
