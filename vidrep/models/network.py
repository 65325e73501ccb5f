"""The interface of every kind of trained network: it reads windows, and returns losses for training and validation.

Shapes: T time, B batch, E values of a frame after the input transforms.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from ..sequences.window_batch import WindowBatch
from ..shapes import repr_with_shapes
from .encoder import SequenceEncoder
from .inputs import InputTransforms
from .objectives.objective import Loss
from .state import State


class Losses(NamedTuple):
    """Losses by name, a single one as "loss"; the weight of each in their sum; and the encoder's last state."""

    by_name: dict[str, Loss]
    weights: dict[str, float]
    state: State = None

    def __repr__(self) -> str:
        return repr_with_shapes(self)


Gather = Callable[[Tensor], Tensor]
"""Returns the batch of all ranks, (B, ...), from the shard of this rank; gradients flow back."""


def gather_nothing(local: Tensor) -> Tensor:
    """Return the batch of a single rank."""
    return local


class Network(nn.Module, ABC):
    """An encoder and the layers that are trained with it."""

    encoder: SequenceEncoder

    @property
    @abstractmethod
    def metric_names(self) -> list[str]:
        """The names of all losses and metrics of `validation`."""

    @property
    def needs_whole_batch(self) -> list[str]:
        """The names of the losses that are of a batch as a whole, rather than a sum over windows."""
        return []

    @property
    def needs_one_rank(self) -> list[str]:
        """The names of those of them that cannot gather the batch from several ranks."""
        return self.needs_whole_batch

    @property
    def has_random_anchors(self) -> bool:
        """Whether what is computed changes from step to step, as an objective draws where it reads the encoder."""
        return False

    @abstractmethod
    def losses(
        self, inputs: InputTransforms, batch: WindowBatch, state: State = None, gather: Gather = gather_nothing
    ) -> Losses:
        """Return the losses of a batch, to train by.

        state: where the encoder starts, its initial state if None. gather: for losses of a batch as a whole, of which
        this is one rank's shard.
        """

    @abstractmethod
    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return the losses of a batch, to choose weights by, and the sums over its windows of other metrics."""
