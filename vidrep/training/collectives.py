"""What the ranks of a training do together, and what a single process does in their place.

A rank is one of several processes that train one model; a single process is rank 0 of 1. Every rank holds the whole
model and computes its shard of each batch. Gradients and metrics are summed over ranks, so that all of them do the same
optimizer step. Rank 0 alone writes files.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Made = TypeVar("Made")


class Ranks:
    """The ranks of a training, and what one of them does with the others; here a single process, which does nothing."""

    rank, size = 0, 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is rank 0, which alone writes files."""
        return self.rank == 0

    def shard(self, batch_size: int) -> slice:
        """Return which windows of a batch this rank computes; shards differ in size by at most one window.

        Raises ConfigError if there are fewer windows than ranks.
        """
        if batch_size < self.size:
            raise ConfigError(
                f"training.batch_size {batch_size}: {self.size} processes share each batch; give at least {self.size}, "
                f"or start at most {batch_size} processes"
            )
        return slice(batch_size * self.rank // self.size, batch_size * (self.rank + 1) // self.size)

    def device(self, device: "torch.device") -> "torch.device":
        """Return the device that this rank trains on; ConfigError if there is none for it alone."""
        return device

    def seed(self, seed: int, step: int) -> None:
        """Seed torch for the random numbers of a step, such as dropout's; a single process leaves its state alone."""

    def start_all_reduce(self, tensor: "Tensor") -> None:
        """Begin to sum a tensor over all ranks, in place; all ranks begin the same tensors in the same order."""

    def finish_all_reduces(self) -> None:
        """Wait until everything that `start_all_reduce` began is summed."""

    def all_reduce(self, metrics: dict[str, "Tensor"]) -> dict[str, "Tensor"]:
        """Return the sums over all ranks of scalars of one dtype, which have the same names on all ranks."""
        return metrics

    def gather(self, shard: "Tensor", batch_size: int) -> "Tensor":
        """Return a batch, (B, ...), from every rank's shard of it; gradients flow back, summed over ranks."""
        return shard

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set on any rank."""
        return list(flags)

    def call_on_rank_zero(self, function: Callable[[], Made]) -> Made:
        """Call a function on rank 0 while the others wait; return its result, or raise its error, on all ranks."""
        return function()

    def on_rank_zero(self, context: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        """Return the context on rank 0, and one that does nothing on the others; no rank waits."""
        return context

    def broadcast(self, tensors: Iterable["Tensor"]) -> None:
        """Overwrite the tensors of all ranks with rank 0's."""

    def require_same(self, **values: object) -> None:
        """Raise InputError, which names the first, if the `repr` of some values differs from that on rank 0."""


SINGLE_PROCESS = Ranks()
