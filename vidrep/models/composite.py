"""The composite model: an encoder that reads the past, a decoder that gives it back, a decoder that goes on.

Shapes: T frames seen, R frames reconstructed, F frames predicted, N frames that a decoder emits, B batch, D values of a
frame, H hidden width, L layers.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .initialization import Initialization
from .lstm import LSTM, LSTMState
from .lstm_kernels.reference import Activation
from .output_projection import Values, project_output, projected_loss

# Values that were never anything but 0 or 1 start as if they could be something else.
_LEAST_START = 1e-3


class Prediction(NamedTuple):
    """What the decoders say, before the output non-linearity, in natural order of time; None for a decoder not there.

    reconstruction (R, B, D): frames x_{T-R+1} .. x_T. future (F, B, D): frames x_{T+1} .. x_{T+F}.
    """

    reconstruction: Tensor | None
    future: Tensor | None


class Decoder(nn.Module):
    """An LSTM that starts from the encoder's state, and a linear readout.

    Its first time step is an LSTM step with zero input. If it is conditional, the input of every later one is the frame
    before: the true one (teacher forcing), or else the one that it emitted, after the output non-linearity (free
    running). If not, there is no input at all.
    """

    def __init__(self, lstm: LSTM, frame_size: int, values: Values, initialization: Initialization) -> None:
        super().__init__()
        self.values: Values = values
        self.lstm = lstm
        self.readout = nn.Linear(lstm.hidden_size, frame_size)
        initialization.draw_readout(self.readout)

    @property
    def conditional(self) -> bool:
        """Whether it reads the frame before."""
        return self.lstm.input_size is not None

    def forward(self, representation: LSTMState, num_steps: int, *, truth: Tensor | None = None) -> Tensor:
        """Emit N = `num_steps` frames, (N, B, D), from the encoder's state, before the output non-linearity.

        truth: (N, B, D), the frames that it should emit, for teacher forcing; None runs free.
        """
        if not self.conditional:
            return self._read_out(self.lstm(None, representation, num_steps=num_steps)[0])
        if truth is not None:
            return self._read_out(self._outputs(representation, truth))
        return self._run_free(representation, num_steps)

    def cost(self, representation: LSTMState, truth: Tensor) -> Tensor:
        """Return what it costs to emit `truth`, (N, B, D), with teacher forcing: a scalar, summed over everything.

        The cost of a value is its Bernoulli cross-entropy in nats, or for real values its squared error. With
        `lstm.segment` only so many time steps' frames are kept for the gradient at once.
        """
        outputs = self._outputs(representation, truth)
        segment = self.lstm.segment or len(truth)
        costs = [
            self._segment_cost(outputs[start : start + segment], truth[start : start + segment])
            for start in range(0, len(truth), segment)
        ]
        return torch.stack(costs).sum()

    def _segment_cost(self, outputs: Tensor, truth: Tensor) -> Tensor:
        if self.lstm.segment and torch.is_grad_enabled():
            cost: Tensor = checkpoint(self._cost, outputs, truth, use_reentrant=False)
            return cost
        return self._cost(outputs, truth)

    def _cost(self, outputs: Tensor, truth: Tensor) -> Tensor:
        readout = self.readout
        return projected_loss(outputs, readout.weight, readout.bias, truth, self.values, products=self.lstm.products)

    def _outputs(self, representation: LSTMState, truth: Tensor) -> Tensor:
        """Run the LSTM with teacher forcing: its h at every time step, (N, B, H)."""
        if not self.conditional:
            outputs: Tensor = self.lstm(None, representation, num_steps=len(truth))[0]
            return outputs
        outputs, _ = self.lstm(torch.cat([torch.zeros_like(truth[:1]), truth[:-1]]), representation)
        return outputs

    def _run_free(self, state: LSTMState, num_steps: int) -> Tensor:
        frame = state.h.new_zeros(1, state.h.shape[1], self.readout.out_features)
        emitted = []
        for _ in range(num_steps):
            outputs, state = self.lstm(frame, state)
            emitted.append(self._read_out(outputs))
            frame = to_frames(emitted[-1], self.values)
        return torch.cat(emitted)

    def _read_out(self, outputs: Tensor) -> Tensor:
        return project_output(outputs, self.readout.weight, self.readout.bias, products=self.lstm.products)


class CompositeModel(nn.Module):
    """The composite LSTM of Srivastava, Mansimov, Salakhutdinov (ICML 2015), section 2.4.

    Its encoder's last state, h and c of every layer, is the representation. The reconstruction decoder emits the
    frames seen in reverse order, x_T first; they are turned round here, once, so that nobody else sees that.

    conditional_reconstruction, conditional_future: see `Decoder`. peepholes, activation, dropout: see `LSTM`; dropout
    is the encoder's. initialization, uniform_scale, forget_bias: see `Initialization`.
    values: "probability" for frames in [0, 1], whose readout is a logit; "real" for standardized ones.
    """

    def __init__(
        self,
        *,
        frame_size: int,
        hidden_size: int,
        num_layers: int = 1,
        reconstruct: bool = True,
        future: bool = True,
        conditional_reconstruction: bool = False,
        conditional_future: bool = False,
        peepholes: bool = False,
        activation: Activation = "tanh",
        dropout: float = 0.0,
        initialization: Literal["orthogonal", "xavier", "uniform"] = "orthogonal",
        uniform_scale: float = 0.01,
        forget_bias: float = 1.0,
        values: Values = "real",
    ) -> None:
        super().__init__()
        start = Initialization(method=initialization, uniform_scale=uniform_scale, forget_bias=forget_bias)

        def stack(input_size: int | None, dropout: float = 0.0) -> LSTM:
            return LSTM(
                input_size,
                hidden_size,
                num_layers,
                peepholes=peepholes,
                activation=activation,
                dropout=dropout,
                initialization=start,
            )

        def decoder(*, conditional: bool) -> Decoder:
            return Decoder(stack(frame_size if conditional else None), frame_size, values, start)

        self.values: Values = values
        self.encoder = stack(frame_size, dropout)
        self.reconstruction_decoder = decoder(conditional=conditional_reconstruction) if reconstruct else None
        self.future_decoder = decoder(conditional=conditional_future) if future else None

    def encode(self, seen: Tensor, state: LSTMState | None = None) -> LSTMState:
        """Read frames, (T, B, D), and return the representation, two times (L, B, H).

        state: where the encoder starts, as after the window before; zeros if None.
        """
        _, representation = self.encoder(seen, state)
        last: LSTMState = representation
        return last

    def decode(
        self,
        representation: LSTMState,
        *,
        num_reconstructed: int,
        num_predicted: int,
        seen: Tensor | None = None,
        coming: Tensor | None = None,
    ) -> Prediction:
        """Reconstruct the last R = `num_reconstructed` frames seen, and predict the next F = `num_predicted`.

        seen (T, B, D), coming (F, B, D): the true frames, for teacher forcing of decoders that are conditional; without
        them these run free.
        """
        reconstruction = future = None
        if self.reconstruction_decoder is not None:
            truth = None if seen is None else seen[len(seen) - num_reconstructed :].flip(0)
            reconstruction = self.reconstruction_decoder(representation, num_reconstructed, truth=truth).flip(0)
        if self.future_decoder is not None:
            future = self.future_decoder(representation, num_predicted, truth=coming)
        return Prediction(reconstruction, future)

    def forward(self, seen: Tensor, num_predicted: int, *, num_reconstructed: int | None = None) -> Prediction:
        """Read frames, (T, B, D); reconstruct them, all or the last ones, and predict the next, free running."""
        return self.decode(
            self.encode(seen),
            num_reconstructed=len(seen) if num_reconstructed is None else num_reconstructed,
            num_predicted=num_predicted,
        )

    def costs(self, representation: LSTMState, *, seen: Tensor, coming: Tensor) -> dict[str, Tensor]:
        """Return what each decoder's frames cost, "reconstruction" and "future": see `Decoder.cost`.

        seen (R, B, D): the frames to reconstruct, in natural order of time; coming (F, B, D): those to predict.
        """
        costs = {}
        if self.reconstruction_decoder is not None:
            costs["reconstruction"] = self.reconstruction_decoder.cost(representation, seen.flip(0))
        if self.future_decoder is not None:
            costs["future"] = self.future_decoder.cost(representation, coming)
        return costs

    def frames(self, emitted: Tensor) -> Tensor:
        """Apply the output non-linearity: turn what a decoder emitted into frames."""
        return to_frames(emitted, self.values)

    @torch.no_grad()
    def set_output_bias(self, mean_frame: Tensor) -> None:
        """Let the decoders of an untrained model emit about this frame, (D,), of probabilities."""
        for decoder in (self.reconstruction_decoder, self.future_decoder):
            if decoder is not None:
                decoder.readout.bias.copy_(mean_frame.clamp(_LEAST_START, 1 - _LEAST_START).logit())

    def set_computation(self, *, products: torch.dtype | None = None, segment: int = 0) -> None:
        """Set how all of its LSTMs compute; see `LSTM`."""
        for module in self.modules():
            if isinstance(module, LSTM):
                module.products, module.segment = products, segment


def to_frames(emitted: Tensor, values: Values) -> Tensor:
    """Turn what a readout says into frames of values in [0, 1], or real ones."""
    return emitted.sigmoid() if values == "probability" else emitted
