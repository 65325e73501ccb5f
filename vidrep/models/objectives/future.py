"""Future prediction: emit the frames that follow the ones that the encoder read."""

from .frame_objective import FrameObjective


class FuturePrediction(FrameObjective):
    """Emits x_{T+1} .. x_{T+F} (Srivastava et al. 2015, section 2.3)."""

    needs_future = True

    def span(self, num_context: int, num_future: int) -> tuple[int, int]:
        """Return the frames after the context."""
        return num_context, num_context + num_future
