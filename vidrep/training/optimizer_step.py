"""One optimizer step: a batch's gradient, piece by piece, clipped, and what the optimizer makes of it."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ..config import OptimizerSettings
from ..models.saved import ScaledModel
from .collectives import SINGLE_PROCESS, Ranks
from .optimizers import clip_gradient, set_learning_rate

Batch = TypeVar("Batch", contravariant=True)


class Piece(NamedTuple):
    """A part of a batch.

    objective: a scalar to differentiate; those of a batch's pieces add up to the batch's.
    figures: shares of the batch's figures, detached scalars, which add up too; "loss" is among them.
    is_last: whether no more pieces come, so that every gradient is complete as soon as this piece's is.
    """

    objective: Tensor
    metrics: dict[str, Tensor]
    is_last: bool


class Objective(Protocol[Batch]):
    """What a step lowers."""

    model: ScaledModel

    def pieces(self, batch: Batch) -> Iterator[Piece]:
        """Compute a batch piece by piece, each when it is asked for: its graph is freed before the next one."""


def piece_slices(batch_size: int, gradient_accumulation: int) -> list[slice]:
    """Divide a batch into `accumulate` pieces as equal as can be, none of them empty."""
    num_pieces = min(gradient_accumulation, batch_size)
    edges = [batch_size * number // num_pieces for number in range(num_pieces + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


class OptimizerStep:
    """Does optimizer steps of one training, of which other ranks compute other parts of each batch.

    A weight's gradient is summed over ranks while those of the layers below are still being computed.
    """

    def __init__(
        self,
        objective: Objective[Any],
        optimizer: torch.optim.Optimizer,
        settings: OptimizerSettings,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        self._objective, self._optimizer, self._settings, self._ranks = objective, optimizer, settings, ranks
        self._is_last_piece = False
        for weight in objective.model.parameters() if ranks.size > 1 else ():
            if weight.requires_grad:
                weight.register_post_accumulate_grad_hook(self._share)  # type: ignore[no-untyped-call]

    def _share(self, weight: Tensor) -> None:
        if self._is_last_piece and weight.grad is not None:
            self._ranks.start_all_reduce(weight.grad)

    def __call__(self, batch: Any, learning_rate: float) -> dict[str, Tensor]:
        """Do a step; return the batch's figures and "gradient_norm", scalars that nobody has waited for yet.

        Weights of which a figure says that it is not finite are spoilt.
        """
        set_learning_rate(self._optimizer, learning_rate)
        return self._do(batch)

    def _do(self, batch: Any) -> dict[str, Tensor]:
        metrics = self._add_up_gradient(batch)
        metrics["gradient_norm"] = clip_gradient(self._objective.model, self._settings)
        self._optimizer.step()
        return metrics

    def _add_up_gradient(self, batch: Any) -> dict[str, Tensor]:
        self._objective.model.train()
        self._optimizer.zero_grad()
        totals: dict[str, Tensor] = {}
        for piece in self._objective.pieces(batch):
            self._is_last_piece = piece.is_last
            piece.objective.backward()  # type: ignore[no-untyped-call]
            for name, figure in piece.metrics.items():
                totals[name] = totals[name] + figure if name in totals else figure
        self._ranks.finish_all_reduces()
        return self._ranks.all_reduce(totals)
