"""Objectives of short segments of a long sequence, beside points that are drawn in it.

Shapes: T frames of a window, N frames of a segment, B batch, D values of a frame.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from ...config.checks import Range
from ...errors import ConfigError
from ..decoder import Decoder
from ..output_projection import frame_loss
from .objective import Encoded, Loss, ModelSpec, Objective, ObjectiveSettings, Window


@dataclass(frozen=True, kw_only=True)
class AnchoredSettings(ObjectiveSettings):
    """What can be set in `[objective.past_segment]` and in `[objective.next_segment]`."""

    frames: Annotated[int, Range(at_least=1)] = 20
    """N, of a segment; the gradient goes back through as many frames before the anchor, and no further."""
    conditional: bool = False
    """As of `FrameObjectiveSettings`."""
    anchors: Annotated[int, Range(at_least=1)] = 1
    """Points that are drawn in each window."""


class AnchoredObjective(Objective):
    """Emits a segment of the window from the encoder's state at an anchor, by a decoder of its own.

    The auxiliary losses of Trinh, Dai, Luong and Le 2018 (arXiv 1803.00144): anchors are drawn at random, and their
    gradient is truncated, so that neither cost nor memory grows with the length of the sequence. Chosen here: the
    windows of a batch share their anchors, which are drawn anew at every step and stand evenly in validation; the
    decoder has the encoder's cell, width and depth, and starts from all of its state; frames are emitted in natural
    order of time.
    """

    Settings = AnchoredSettings
    reads_anchors_alone = True

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        if spec.stack.bidirectional:
            raise ConfigError(
                "a state within a window is of an encoder that reads forward alone, and encoder.bidirectional is true"
            )
        self.decoder = Decoder(
            spec.stack,
            frame_size=spec.frame_size,
            likelihood=spec.likelihood,
            conditional=settings.conditional,
            numerics=spec.numerics,
        )

    @abstractmethod
    def span(self, anchor: int) -> tuple[int, int]:
        """Return which frames of a window belong to an anchor, from .. to, in natural order of time."""

    def anchors(self, num_steps: int) -> dict[int, int]:
        """Return the frames that are read until each anchor, and the N of them that its gradient goes back through.

        Raises ConfigError for windows of too few frames.
        """
        length = self.settings.frames
        low = max(1, -self.span(0)[0])
        high = num_steps - max(0, self.span(0)[1])
        if high < low:
            raise ConfigError(
                f"segments of {length} frames beside an anchor do not fit windows of {num_steps}: set the objective's "
                f"frames to {max(1, num_steps - 1)} at most, or longer windows"
            )
        if self.training:
            drawn = torch.randint(low, high + 1, (self.settings.anchors,)).tolist()
        else:
            drawn = torch.linspace(low, high, self.settings.anchors + 2)[1:-1].round().int().tolist()
        return dict.fromkeys(drawn, length)

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of all segments, a conditional decoder being teacher-forced."""
        losses = []
        for anchor, state in encoded.anchors.items():
            start, stop = self.span(anchor)
            losses.append(self.decoder.loss(state, window.context[start:stop]))
        return self._summed(losses, window)

    def validation_loss(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of the segments that the decoder emits, running free."""
        losses = []
        for anchor, state in encoded.anchors.items():
            start, stop = self.span(anchor)
            target = window.context[start:stop]
            losses.append(frame_loss(self.decoder(state, len(target)), target, self.spec.likelihood))
        return self._summed(losses, window)

    def _summed(self, losses: list[Tensor], window: Window) -> Loss:
        return Loss(torch.stack(losses).sum(), len(losses) * self.settings.frames, window.context.shape[-1])


class PastSegment(AnchoredObjective):
    """r-LSTM: emits the segment that ends at the anchor.

    The source draws one that may lie further back, and feeds its first frame to the decoder.
    """

    def span(self, anchor: int) -> tuple[int, int]:
        """Return the frames before the anchor."""
        return anchor - self.settings.frames, anchor


class NextSegment(AnchoredObjective):
    """p-LSTM: emits the segment that begins at the anchor."""

    def span(self, anchor: int) -> tuple[int, int]:
        """Return the frames after the anchor."""
        return anchor, anchor + self.settings.frames
