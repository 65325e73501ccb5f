"""Objectives whose decoder emits frames.

Shapes: T frames of context, F frames that follow, N frames that a decoder emits, B batch, D values of a frame.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..bidirectional import StateProjection
from ..decoder import Decoder
from ..output_projection import frame_loss
from ..state import State
from .objective import Encoded, Loss, ModelSpec, Objective, ObjectiveSettings, Window


@dataclass(frozen=True, kw_only=True)
class FrameObjectiveSettings(ObjectiveSettings):
    """What an objective with a decoder has in `[objective.NAME]`."""

    conditional: bool = False
    """Whether the decoder reads the frame before: the true one in training (teacher forcing), its own in validation and
    evaluation (free running)."""
    attention: bool = False
    """Whether each frame is also emitted from a weighted sum of the encoder's outputs, see `DecoderAttention`. The last
    state then need not hold all that the frames are emitted from."""


class FrameObjective(Objective):
    """Emits frames from the encoder's last state, with attention from all of its outputs too.

    Its loss is their cross-entropy or squared error, summed. In training a conditional decoder is teacher-forced; in
    validation it runs free. Of a bidirectional encoder it starts from the forward state alone, or from a projection of
    both: see `reads_backward`.
    """

    Settings = FrameObjectiveSettings
    predicts_frames = True
    reads_backward: ClassVar[bool] = False
    """Whether the decoder starts from the states of both directions, of an encoder that has two."""

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        self.decoder = Decoder(
            spec.stack,
            frame_size=spec.frame_size,
            likelihood=spec.likelihood,
            conditional=settings.conditional,
            attention=settings.attention,
            numerics=spec.numerics,
        )
        self.start: StateProjection | None = None
        if spec.stack.bidirectional and self.reads_backward:
            like = self.decoder.stack.initial_state(1, self.decoder.projection.weight.device)
            self.start = StateProjection(like, spec.stack.initial_weights)

    def _start(self, state: State) -> State:
        """Return the first state of the decoder from the encoder's last."""
        if not self.spec.stack.bidirectional:
            return state
        return state.forward if self.start is None else self.start(state)

    @abstractmethod
    def span(self, num_context: int, num_future: int) -> tuple[int, int]:
        """Return which frames of a window it emits, from .. to, in natural order of time."""

    def in_emission_order(self, frames: Tensor) -> Tensor:
        """Put frames, (N, B, D), from natural order of time into the order in which the decoder emits them, or back."""
        return frames

    def target(self, window: Window) -> Tensor:
        """Return the true frames that it is to emit, (N, B, D), in natural order of time."""
        num_context = len(window.context)
        start, stop = self.span(num_context, len(window.future))
        return window.context[start:stop] if stop <= num_context else window.future[start - num_context :]

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of the target frames, a conditional decoder being teacher-forced."""
        target = self.target(window)
        start, memory = self._start(encoded.state), encoded.outputs
        total = self.decoder.loss(start, self.in_emission_order(target), memory=memory)
        return Loss(total, len(target), target.shape[-1])

    def validation_loss(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of the frames that the decoder emits, running free."""
        target = self.target(window)
        output = self.predict(encoded, len(target))
        return Loss(frame_loss(output, target, self.spec.likelihood), len(target), target.shape[-1])

    def predict(self, encoded: Encoded, num_frames: int, *, target: Tensor | None = None) -> Tensor:
        """Emit frames before the output non-linearity, (N, B, D), in natural order of time.

        target: (N, B, D) in natural order, for teacher forcing; None runs free.
        """
        forced = None if target is None else self.in_emission_order(target)
        start, memory = self._start(encoded.state), encoded.outputs
        output: Tensor = self.decoder(start, num_frames, target=forced, memory=memory)
        return self.in_emission_order(output)
