"""The network of a classifier: an encoder with a head.

Shapes: T time, B batch, D values of a frame, H hidden width, K classes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..registry import HEADS
from ..sequences.window_batch import WindowBatch
from .encoder import Encoder, Numerics, StackSpec
from .heads.head import Head
from .inputs import InputTransforms
from .network import Gather, Losses, Network, gather_nothing
from .state import State


class Classifier(Network):
    """An encoder, whose weights may start from a pretrained one's, and a head (Srivastava et al. 2015, section 3.3).

    frame_size: D, after the input transforms. head, head_settings: a registered name and its settings. dropout: the
    probability of dropping a value that enters the head. freeze_encoder: whether the encoder's weights stay as
    they are.
    """

    def __init__(
        self,
        *,
        frame_size: int,
        num_classes: int,
        stack: StackSpec,
        head: str,
        head_settings: Any,
        dropout: float = 0.0,
        freeze_encoder: bool = False,
        numerics: Numerics | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(frame_size, stack, dropout=stack.dropout, numerics=numerics)
        self.encoder.requires_grad_(not freeze_encoder)
        self.dropout = dropout
        self.head: Head = HEADS[head](stack.hidden_size, num_classes, head_settings)

    @property
    def metric_names(self) -> list[str]:
        """The loss and the accuracy."""
        return ["loss", "window_accuracy"]

    def forward(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the probabilities of classes: (T, B, D), valid (T, B) or None -> (B, K)."""
        probabilities: Tensor = self.head.probabilities(self._outputs(frames), valid)
        return probabilities

    def _outputs(self, frames: Tensor) -> Tensor:
        """Return what the head reads, (T, B, H)."""
        outputs, _ = self.encoder(frames)
        return F.dropout(outputs, self.dropout, self.training)

    def losses(
        self, inputs: InputTransforms, batch: WindowBatch, state: State = None, gather: Gather = gather_nothing
    ) -> Losses:
        """Return the head's loss, cross-entropy in nats."""
        return self._loss(self._outputs(inputs(batch.frames, batch.valid)), batch)

    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return the head's loss, and how many windows it classifies correctly."""
        outputs = self._outputs(inputs(batch.frames, batch.valid))
        chosen = self.head.probabilities(outputs, batch.valid).argmax(dim=-1)
        return self._loss(outputs, batch), {"window_accuracy": chosen.eq(_classes_of(batch)).sum()}

    def _loss(self, outputs: Tensor, batch: WindowBatch) -> Losses:
        loss = self.head.loss(outputs, batch.valid, _classes_of(batch), batch.num_valid)
        return Losses({"loss": loss}, {"loss": 1.0})


def _classes_of(batch: WindowBatch) -> Tensor:
    if batch.classes is None:
        raise ValueError("a batch without classes cannot train a classifier")
    return batch.classes


def valid_frames(lengths: Tensor, num_steps: int) -> Tensor:
    """Return which time steps of padded windows are frames: lengths (B,) -> (T, B) bool."""
    return torch.arange(num_steps, device=lengths.device)[:, None] < lengths
