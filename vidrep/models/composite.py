"""The composite model: an encoder that reads the past, a decoder that gives it back, a decoder that goes on.

Shapes: T frames seen, F frames predicted, B batch, D values of a frame, H hidden width, L layers.
"""

from typing import Literal, NamedTuple

from torch import Tensor, nn

from .lstm import LSTM, LSTMState

Values = Literal["probability", "real"]


class Prediction(NamedTuple):
    """What the decoders say, before the output non-linearity, in natural order of time; None for a decoder not there.

    reconstruction (T, B, D): frames x_1 .. x_T. future (F, B, D): frames x_{T+1} .. x_{T+F}.
    """

    reconstruction: Tensor | None
    future: Tensor | None


class Decoder(nn.Module):
    """An unconditional decoder: an LSTM without input that starts from the encoder's state, and a linear readout."""

    def __init__(self, frame_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.lstm = LSTM(None, hidden_size, num_layers)
        self.readout = nn.Linear(hidden_size, frame_size)

    def forward(self, representation: LSTMState, num_steps: int) -> Tensor:
        """Emit `num_steps` frames, (num_steps, B, D), from the encoder's state.

        The first step is an LSTM step with zero input, like all others.
        """
        outputs, _ = self.lstm(None, representation, num_steps=num_steps)
        frames: Tensor = self.readout(outputs)
        return frames


class CompositeModel(nn.Module):
    """The composite LSTM of Srivastava, Mansimov, Salakhutdinov (ICML 2015), section 2.4, unconditional decoders.

    Its encoder's last state, h and c of every layer, is the representation. The reconstruction decoder emits the
    frames seen in reverse order, x_T first; they are turned round here, once, so that nobody else sees that.

    values: "probability" for frames in [0, 1], whose readout is a logit; "real" for standardised ones.
    """

    def __init__(
        self,
        *,
        frame_size: int,
        hidden_size: int,
        num_layers: int = 1,
        reconstruct: bool = True,
        future: bool = True,
        dropout: float = 0.0,
        values: Values = "real",
    ) -> None:
        super().__init__()
        self.values: Values = values
        self.encoder = LSTM(frame_size, hidden_size, num_layers, dropout=dropout)
        self.reconstruction_decoder = Decoder(frame_size, hidden_size, num_layers) if reconstruct else None
        self.future_decoder = Decoder(frame_size, hidden_size, num_layers) if future else None

    def encode(self, seen: Tensor) -> LSTMState:
        """Read frames, (T, B, D), and return the representation, two times (L, B, H)."""
        _, representation = self.encoder(seen)
        state: LSTMState = representation
        return state

    def forward(self, seen: Tensor, num_predicted: int) -> Prediction:
        """Read frames, (T, B, D); reconstruct them, and predict the next `num_predicted`."""
        representation = self.encode(seen)
        reconstruction = future = None
        if self.reconstruction_decoder is not None:
            reconstruction = self.reconstruction_decoder(representation, len(seen)).flip(0)
        if self.future_decoder is not None:
            future = self.future_decoder(representation, num_predicted)
        return Prediction(reconstruction, future)

    def frames(self, emitted: Tensor) -> Tensor:
        """Apply the output non-linearity: turn what a decoder emitted into frames."""
        return emitted.sigmoid() if self.values == "probability" else emitted
