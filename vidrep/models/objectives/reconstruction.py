"""Reconstruction: emit the frames that the encoder read, the last one first."""

from torch import Tensor

from .frame_objective import FrameObjective


class Reconstruction(FrameObjective):
    """Emits the context, or its last frames, in reverse order: x_T .. x_{T-N+1} (Srivastava et al. 2015, section 2.2).

    Nothing but this class reverses frames; everywhere else they are in natural order of time.
    """

    reads_backward = True

    def span(self, num_context: int, num_future: int) -> tuple[int, int]:
        """Return the last frames of the context."""
        return num_context - (self.spec.num_reconstructed or num_context), num_context

    def in_emission_order(self, frames: Tensor) -> Tensor:
        """Reverse the order of time."""
        return frames.flip(0)
