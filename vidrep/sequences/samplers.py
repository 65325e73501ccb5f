"""Which windows each optimizer step uses: a pure function of (seed, step), so that a resumed training continues."""

import numpy as np
from numpy.typing import NDArray


class InfiniteSampler:
    """Chooses from `num_items` items without end, in an order shuffled anew every epoch.

    Epochs follow each other without a gap, so that every batch is full: one batch may hold the end of an epoch and the
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
        pieces: list[NDArray[np.int64]] = []
        missing = self._batch_size
        while missing:
            piece = self._epoch(epoch)[offset : offset + missing]
            pieces.append(piece)
            missing -= len(piece)
            epoch, offset = epoch + 1, 0
        return np.concatenate(pieces)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        cached_epoch, order = self._shuffled  # read once: another thread may replace it with another epoch's
        if cached_epoch != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._num_items)
            self._shuffled = (epoch, order)
        return order


class ConsecutiveSampler:
    """Chooses windows so that each position of the batch takes the windows of whole videos in order of time.

    Every epoch shuffles the videos, joins their windows to one sequence, and cuts it into B runs of the same length,
    one for each position of the batch. Fewer than B windows are left out, other ones every epoch. So the state that is
    carried from window to window at a position depends on (seed, step) alone.

    videos: (W,) the video of each window; windows of one video are adjacent and in order of time.
    """

    def __init__(self, videos: NDArray[np.int64], batch_size: int, seed: int) -> None:
        if not 1 <= batch_size <= len(videos):
            raise ValueError(f"batches of {batch_size} of {len(videos)} windows: give at least 1, at most all windows")
        self._videos, self._batch_size, self._seed = videos, batch_size, seed
        self._num_steps = len(videos) // batch_size  # of an epoch
        self._runs: tuple[int, NDArray[np.int64]] = (-1, np.empty((0, 0), dtype=np.int64))

    def batch(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the windows of a step, (B,), and which of them are the first of their video or epoch, (B,)."""
        epoch, number = divmod(step, self._num_steps)
        runs = self._epoch(epoch)
        chosen = runs[:, number]
        if number == 0:
            return chosen, np.ones(self._batch_size, dtype=np.bool_)
        return chosen, self._videos[chosen] != self._videos[runs[:, number - 1]]

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        """Return the windows of each position, (B, steps of an epoch)."""
        cached_epoch, runs = self._runs  # read once, as above
        if cached_epoch != epoch:
            numbers = np.unique(self._videos)
            order = np.random.default_rng([self._seed, epoch]).permutation(len(numbers))
            windows = np.argsort(order[np.searchsorted(numbers, self._videos)], kind="stable")
            kept = windows[: self._batch_size * self._num_steps]
            runs = kept.reshape(self._batch_size, self._num_steps)
            self._runs = (epoch, runs)
        return runs
