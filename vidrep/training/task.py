"""What a training lowers: the losses of a network on the windows of a step, micro-batch by micro-batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..config.settings import TrainingSettings
from ..errors import ConfigError
from ..models.description import ModelDescription
from ..models.network import Losses, Network
from ..models.saved import TrainedModel
from ..models.state import State, concatenate, detach, from_dict, map_state, reset_state, slice_batch, to_dict
from ..sequences.batches import Batches, BatchSet, Prefetcher
from ..sequences.window_batch import WindowBatch
from ..sequences.windows import batches_of
from .collectives import SINGLE_PROCESS, Ranks


class MicroLoss(NamedTuple):
    """The loss of a micro-batch.

    objective: a scalar to differentiate; those of a batch's micro-batches add up to the batch's.
    metrics: shares of the batch's metrics, detached scalars, which add up too; "loss" is among them.
    is_last: whether no micro-batch follows, so that every gradient is complete as soon as this one's is.
    """

    objective: Tensor
    metrics: dict[str, Tensor]
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """What a network learns from, `batch_size` windows of `window_length` frames a step, and what it is validated on.

    max_validation_batch: windows that are validated at once, if their frames are large; 0 has no limit of its own.
    """

    batches: Batches
    batch_size: int
    window_length: int
    validation: BatchSet
    max_validation_batch: int = 0


class Task:
    """A model, its losses for every step, and its validation.

    reduction: whether the loss that is differentiated is a mean over windows, frames and values, or their sum.
    stateful: whether the encoder starts a window from the state in which it left the window before.

    Raises ConfigError if a loss is of the batch as a whole and the batch is to be divided.
    """

    def __init__(
        self,
        model: TrainedModel,
        description: ModelDescription,
        data: TaskData,
        settings: TrainingSettings,
        *,
        reduction: str,
        device: torch.device,
        stateful: bool = False,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        self.model, self.description = model, description
        self._data, self._reduction, self._device, self._ranks = data, reduction, device, ranks
        self._shard = ranks.shard(data.batch_size)
        self._size = self._shard.stop - self._shard.start
        _require_whole_batch(model.network, settings, ranks)
        self._slices = divide_batch(self._size, settings.gradient_accumulation)
        # No more memory than a step takes, and the same on all ranks, whose shards may differ by a window.
        largest = divide_batch(data.batch_size // ranks.size, settings.gradient_accumulation)[0].stop
        at_once = data.max_validation_batch or largest
        # A loss of a batch as a whole depends on its size, which is to be the same wherever it is measured.
        self._validation_size = at_once if model.network.needs_whole_batch else min(largest, at_once)
        self.frames_per_step = data.batch_size * data.window_length  # padding included
        self.batch = Prefetcher(data.batches.batch, device)
        self._carried: State = self._initial_state(self._size) if stateful else None

    def _initial_state(self, batch_size: int) -> State:
        return self.model.network.encoder.initial_state(batch_size, self._device)

    @property
    def validation(self) -> BatchSet:
        """The held-out windows."""
        return self._data.validation

    def losses(self, batch: WindowBatch) -> Iterator[MicroLoss]:
        """Compute this rank's shard of a batch, each micro-batch when it is asked for: its graph is freed before the
        next one."""
        start = self._carried
        if start is not None:
            start = reset_state(start, self._initial_state(self._size), batch.is_first)
        states: list[State] = []
        for chosen in self._slices:
            state = None if start is None else slice_batch(start, chosen)
            losses = self.model.network.losses(self.model.inputs, batch.windows(chosen), state, self._gather)
            states.append(detach(losses.state))
            yield self._micro_loss(losses, is_last=chosen.stop == self._size)
        if start is not None:
            self._carried = concatenate(states)

    def _gather(self, shard: Tensor) -> Tensor:
        return self._ranks.gather(shard, self._data.batch_size)

    def _micro_loss(self, losses: Losses, *, is_last: bool) -> MicroLoss:
        """Divide losses by what they are summed over: metrics are per frame, the mean objective per value of it."""
        per_frame, objectives = {}, []
        for name, loss in losses.by_name.items():
            per_frame[name] = loss.total / (loss.num_frames * self._data.batch_size)
            objective = loss.total if self._reduction == "sum" else per_frame[name] / loss.num_values
            objectives.append(_weighted(losses.weights[name], objective))
        metrics = {name: value.detach() for name, value in per_frame.items()}
        weighted = [_weighted(losses.weights[name], value) for name, value in metrics.items()]
        return MicroLoss(torch.stack(objectives).sum(), {"loss": torch.stack(weighted).sum(), **metrics}, is_last)

    def validate(self) -> dict[str, float]:
        """Return the metrics of the held-out windows, the same on all ranks; "loss" chooses the best weights."""
        validation = self._data.validation
        batches = list(batches_of(validation, self._validation_size, equal=bool(self.model.network.needs_whole_batch)))
        num_windows = sum(map(len, batches))
        totals = {name: torch.zeros((), dtype=torch.float64) for name in ("loss", *self.model.network.metric_names)}
        for indices in batches[self._ranks.rank :: self._ranks.size]:
            losses, others = self.model.network.validation(self.model.inputs, validation.batch(indices))
            for name, loss in losses.by_name.items():
                per_frame = float(loss.total) / (float(loss.num_frames) * num_windows)
                totals[name] += per_frame
                if name != "loss":
                    totals["loss"] += losses.weights[name] * per_frame
            for name, total in others.items():
                totals[name] += float(total) / num_windows
        return {name: float(total) for name, total in self._ranks.all_reduce(totals).items()}

    def state(self) -> dict[str, Tensor]:
        """Return what is carried from step to step besides weights, of all ranks; all of them call this."""
        if self._carried is None:
            return {}

        def gather(whole: Tensor, here: Tensor) -> Tensor:
            whole = torch.zeros_like(whole)
            whole[self._shard] = here
            self._ranks.start_all_reduce(whole)
            return whole

        gathered = map_state(gather, self._initial_state(self._data.batch_size), self._carried)
        self._ranks.finish_all_reduces()
        return to_dict(gathered)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        if self._carried is not None:
            whole = from_dict(state, self._initial_state(self._data.batch_size))
            self._carried = slice_batch(whole, self._shard)


def divide_batch(batch_size: int, num_micro_batches: int) -> list[slice]:
    """Divide a batch into micro-batches as equal as can be, none of them empty."""
    count = min(num_micro_batches, batch_size)
    edges = [batch_size * number // count for number in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _require_whole_batch(network: Network, settings: TrainingSettings, ranks: Ranks) -> None:
    def needed_by(losses: Sequence[str]) -> str:
        return f"but {' and '.join(losses)} need{'s' if len(losses) == 1 else ''} the whole batch at once"

    accumulation = settings.gradient_accumulation
    if network.needs_whole_batch and accumulation > 1:
        needed = needed_by(network.needs_whole_batch)
        raise ConfigError(f"training.gradient_accumulation is {accumulation}, {needed}; set it to 1")
    if network.needs_one_rank and ranks.size > 1:
        needed = needed_by(network.needs_one_rank)
        raise ConfigError(f"{ranks.size} processes share each batch, {needed}; start one process")


def _weighted(weight: float, loss: Tensor) -> Tensor:
    return loss if weight == 1 else weight * loss
