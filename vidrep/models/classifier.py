"""The network of a classifier: an encoder with a head.

Shapes: T time, B batch, D values of a frame, H hidden width, K classes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..registry import HEADS
from ..sequences.window_batch import WindowBatch
from .encoder import Encoder, Numerics, StackSpec
from .heads.fitted_head import FittedHead
from .heads.head import CrossEntropy, Head
from .inputs import InputTransforms
from .network import Losses, Network
from .state import State


class Classifier(Network):
    """An encoder, whose weights may start from a pretrained one's, and a head (Srivastava et al. 2015, section 3.3).

    frame_size: D, after the input transforms. head, head_settings: a registered name and its settings. class_weights:
    (K,), the factor of each class in the loss, 1 if None. dropout, input_noise, freeze_encoder, label_smoothing: see
    `ClassifierSettings`.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        frame_size: int,
        num_classes: int,
        stack: StackSpec,
        head: str,
        head_settings: Any,
        dropout: float = 0.0,
        input_noise: float = 0.0,
        freeze_encoder: bool = False,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        numerics: Numerics | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(frame_size, stack, dropout=stack.dropout, numerics=numerics)
        self.encoder.requires_grad_(not freeze_encoder)
        self.dropout, self.input_noise, self.label_smoothing = dropout, input_noise, label_smoothing
        self.register_buffer("class_weights", class_weights)
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

    def representations(self, inputs: InputTransforms, batch: WindowBatch) -> Tensor:
        """Return what a fitted head reads of the windows of a batch, (B, H); TypeError if the head is no such."""
        if not isinstance(self.head, FittedHead):
            raise TypeError(f"{type(self.head).__name__} is no FittedHead")
        return self.head.representation(self._outputs(inputs(batch.frames, batch.valid)), batch.valid)

    def losses(self, inputs: InputTransforms, batch: WindowBatch, state: State = None) -> Losses:
        """Return the head's loss, cross-entropy in nats, with label smoothing; noise is added to the frames."""
        frames = inputs(batch.frames, batch.valid)
        if self.input_noise and self.training:
            frames = frames + self.input_noise * torch.randn_like(frames)
        return self._loss(self._outputs(frames), batch, CrossEntropy(self.label_smoothing, self.class_weights))

    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return the head's loss without label smoothing, and how many windows it classifies correctly."""
        outputs = self._outputs(inputs(batch.frames, batch.valid))
        chosen = self.head.probabilities(outputs, batch.valid).argmax(dim=-1)
        losses = self._loss(outputs, batch, CrossEntropy(class_weights=self.class_weights))
        return losses, {"window_accuracy": chosen.eq(_classes_of(batch)).sum()}

    def _loss(self, outputs: Tensor, batch: WindowBatch, cross_entropy: CrossEntropy) -> Losses:
        loss = self.head.loss(outputs, batch.valid, _classes_of(batch), batch.num_valid, cross_entropy)
        return Losses({"loss": loss}, {"loss": 1.0})


def balanced_weights(class_counts: Sequence[int]) -> Tensor:
    """Return the weight of each class, (K,): inversely proportional to its videos, 1 on average over all videos.

    As `class_weight="balanced"` of scikit-learn. A class without a video has the weight of one with one.
    """
    counts = torch.tensor(class_counts, dtype=torch.float64)
    return (counts.sum() / (len(counts) * counts.clamp(min=1))).float()


def _classes_of(batch: WindowBatch) -> Tensor:
    if batch.classes is None:
        raise ValueError("a batch without classes cannot train a classifier")
    return batch.classes


def valid_frames(lengths: Tensor, num_steps: int) -> Tensor:
    """Return which time steps of padded windows are frames: lengths (B,) -> (T, B) bool."""
    return torch.arange(num_steps, device=lengths.device)[:, None] < lengths
