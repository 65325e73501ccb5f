"""One optimizer step."""

import torch
from torch import Tensor

from ..config.settings import OptimizerSettings
from ..sequences.window_batch import WindowBatch
from .collectives import SINGLE_PROCESS, Ranks
from .optimizers import LearningRates, clip_gradient, set_learning_rates
from .task import Task


class TrainingStep:
    """Does the optimizer steps of one training, of which other ranks compute other shards of each batch."""

    def __init__(
        self,
        task: Task,
        optimizer: torch.optim.Optimizer,
        settings: OptimizerSettings,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        self._task, self._optimizer, self._settings, self._ranks = task, optimizer, settings, ranks
        self._is_last_micro_batch = False
        for weight in task.model.parameters() if ranks.size > 1 else ():
            if weight.requires_grad:
                # A weight's gradient is summed over ranks while those of the layers below are still being computed.
                weight.register_post_accumulate_grad_hook(self._start_sum)  # type: ignore[no-untyped-call]

    def _start_sum(self, weight: Tensor) -> None:
        if self._is_last_micro_batch and weight.grad is not None:
            self._ranks.start_all_reduce(weight.grad)

    def __call__(self, batch: WindowBatch, rates: LearningRates) -> dict[str, Tensor]:
        """Do a step; return the batch's metrics and "gradient_norm", scalars on the device that may still be computed.

        After a step with a metric that is not finite, the weights may be invalid.
        """
        set_learning_rates(self._optimizer, rates)
        return self.run(batch)

    def run(self, batch: WindowBatch) -> dict[str, Tensor]:
        """Do a step at the learning rates that are set."""
        self._task.model.train()
        self._optimizer.zero_grad()
        totals: dict[str, Tensor] = {}
        for loss in self._task.losses(batch):
            self._is_last_micro_batch = loss.is_last
            loss.objective.backward()  # type: ignore[no-untyped-call]
            for name, metric in loss.metrics.items():
                totals[name] = totals[name] + metric if name in totals else metric
        self._ranks.finish_all_reduces()
        metrics = self._ranks.all_reduce(totals)
        metrics["gradient_norm"] = clip_gradient(self._task.model, self._settings)
        self._optimizer.step()
        return metrics
