"""The network that labels every frame of a video: an encoder, and a softmax or sigmoids at every time step.

Shapes: T time, B batch, D values of a frame, H width of the encoder's outputs, K labels.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..sequences.frame_targets import UNKNOWN
from ..sequences.window_batch import WindowBatch
from .bidirectional import build_encoder
from .encoder import Numerics, SequenceEncoder, StackSpec
from .inputs import InputTransforms
from .joined import JoinedEncoder
from .network import Gather, Losses, Network, gather_nothing
from .objectives.objective import Loss
from .state import State


class Segmenter(Network):
    """An encoder, and a linear layer whose outputs are labels of the frame (Srivastava et al. 2015, section 3.3).

    encoders: D, after the input transforms, and what it is built of, of an encoder or of several that are joined.
    several_labels: a sigmoid a label, with binary cross-entropy, in place of a softmax. weights: (K,), the factor of
    each label in the loss, of several labels that of the frames in which it holds; 1 if None. dropout, input_noise,
    transfer: see `SegmenterSettings`.

    Targets that are unknown have no loss.
    """

    weights: Tensor | None

    def __init__(
        self,
        *,
        encoders: Sequence[tuple[int, StackSpec]],
        num_labels: int,
        several_labels: bool = False,
        dropout: float = 0.0,
        input_noise: float = 0.0,
        transfer: Literal["init", "frozen"] = "init",
        weights: Tensor | None = None,
        numerics: Numerics | None = None,
    ) -> None:
        super().__init__()
        parts: list[SequenceEncoder] = [
            build_encoder(size, stack, dropout=stack.dropout, numerics=numerics) for size, stack in encoders
        ]
        self.encoder: SequenceEncoder = parts[0] if len(parts) == 1 else JoinedEncoder(parts)
        if transfer == "frozen":
            self.encoder.requires_grad_(False)
        self.projection = nn.Linear(self.encoder.hidden_size, num_labels)
        self.several_labels, self.dropout, self.input_noise = several_labels, dropout, input_noise
        self.register_buffer("weights", weights)

    @property
    def metric_names(self) -> list[str]:
        """The loss, and the share of known targets that are met."""
        return ["loss", "frame_accuracy"]

    @property
    def reads_forward(self) -> bool:
        """Whether the labels of a frame depend on no later one, as far as the encoder is concerned."""
        return not any(direction.is_backward for direction in self.encoder.directions)

    def forward(self, frames: Tensor, state: State = None, *, valid: Tensor | None = None) -> tuple[Tensor, State]:
        """Return the probabilities of every frame's labels, and the encoder's last state.

        frames: (T, B, D), after the input transforms; valid: (T, B) or None -> (T, B, K).
        """
        outputs, last = self.encoder(frames, state, valid=valid)
        logits = self.projection(outputs)
        return (logits.sigmoid() if self.several_labels else logits.softmax(dim=-1)), last

    def losses(
        self, inputs: InputTransforms, batch: WindowBatch, state: State = None, gather: Gather = gather_nothing
    ) -> Losses:
        """Return the cross-entropy of the known targets, in nats."""
        frames = inputs(batch.frames, batch.valid)
        if self.training and self.input_noise:
            frames = frames + self.input_noise * torch.randn_like(frames)
        return _only(self._loss(self._logits(frames, batch), batch))

    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return the same, and the sum over windows of the share of known targets that are met."""
        logits = self._logits(inputs(batch.frames, batch.valid), batch)
        targets, num_known = _targets_of(batch)
        found = (logits > 0).long() if self.several_labels else logits.argmax(dim=-1)
        num_met = (found.eq(targets) & targets.ne(UNKNOWN)).sum()
        return _only(self._loss(logits, batch)), {"frame_accuracy": num_met / num_known}

    def _logits(self, frames: Tensor, batch: WindowBatch) -> Tensor:
        outputs, _ = self.encoder(frames, None, valid=batch.valid)
        logits: Tensor = self.projection(F.dropout(outputs, self.dropout, self.training))
        return logits

    def _loss(self, logits: Tensor, batch: WindowBatch) -> Loss:
        targets, num_known = _targets_of(batch)
        if not self.several_labels:
            losses = F.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), weight=self.weights, ignore_index=UNKNOWN, reduction="sum"
            )
            return Loss(losses, num_known)
        every = F.binary_cross_entropy_with_logits(
            logits, targets.clamp(min=0).to(logits.dtype), pos_weight=self.weights, reduction="none"
        )
        return Loss((every * targets.ne(UNKNOWN)).sum(), num_known)


def _only(loss: Loss) -> Losses:
    return Losses({"loss": loss}, {"loss": 1.0})


def _targets_of(batch: WindowBatch) -> tuple[Tensor, Tensor]:
    if batch.targets is None or batch.num_known is None:
        raise ValueError("a batch without targets of frames cannot train what labels frames")
    return batch.targets, batch.num_known


def balanced_weights(counts: Tensor) -> Tensor:
    """Return the factor of each label, (K,), of their training frames, (K,): see `SegmenterSettings.class_weights`.

    A label without a frame has the factor of one with one.
    """
    inverse = counts.double().clamp(min=1).rsqrt()
    return (inverse * counts.sum() / (inverse * counts).sum()).float()


def positive_weights(num_positive: Tensor, num_negative: Tensor) -> Tensor:
    """Return the factor of the frames in which each of several labels holds, (K,), of how many there are of both."""
    return (num_negative.double().clamp(min=1) / num_positive.double().clamp(min=1)).sqrt().float()
