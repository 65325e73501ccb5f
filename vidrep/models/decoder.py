"""A decoder: a stack of cells that starts from the encoder's state and emits frames.

Shapes: T frames that the encoder read, N frames that a decoder emits, B batch, D values of a frame, H hidden width.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..config.settings import Likelihood
from .attention import DecoderAttention
from .encoder import Encoder, Numerics, StackSpec
from .output_projection import output_to_frames, project_output, projected_loss
from .state import State, batch_size_of

# Keeps the output bias finite for values that are 0, or 1, in every training frame.
_LEAST_PROBABILITY = 1e-3


class Decoder(nn.Module):
    """A stack of cells with an output projection (Srivastava et al. 2015, section 2.3).

    A conditional decoder reads zeros at its first time step and the frame before at every later one: the target
    (teacher forcing), or else the frame that it emitted, after the output non-linearity (free running). An
    unconditional decoder has no input at all.

    With attention, its frames are projected from what `DecoderAttention` makes of its cells' outputs and the encoder's,
    `memory`, (T, B, H), which all methods then need.
    """

    def __init__(
        self,
        spec: StackSpec,
        *,
        frame_size: int,
        likelihood: Likelihood,
        conditional: bool,
        numerics: Numerics,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.likelihood: Likelihood = likelihood
        self.conditional = conditional
        self._numerics = numerics
        self.stack = Encoder(frame_size if conditional else None, spec, numerics=numerics)
        self.projection = nn.Linear(spec.hidden_size, frame_size)
        spec.initial_weights.reset_linear(self.projection)
        sizes = spec.hidden_size, spec.output_size
        self.attention = DecoderAttention(*sizes, spec.initial_weights) if attention else None

    def forward(
        self, state: State, num_frames: int, *, target: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor:
        """Emit N = `num_frames` frames, (N, B, D), before the output non-linearity.

        state: the encoder's last. target: (N, B, D), for teacher forcing; None runs free.
        """
        if not self.conditional:
            return self._project(self._attended(self.stack(None, state, num_steps=num_frames)[0], memory))
        if target is not None:
            return self._project(self._attended(self._teacher_forced(state, target), memory))
        return self._run_free(state, num_frames, memory)

    def loss(self, state: State, target: Tensor, *, memory: Tensor | None = None) -> Tensor:
        """Return the loss of `target`, (N, B, D), with teacher forcing: a scalar, summed over everything.

        The loss of a value is its Bernoulli cross-entropy in nats or its squared error, depending on the likelihood.
        """
        hidden = self._attended(self._teacher_forced(state, target), memory)
        stretch = self._numerics.recompute_every or len(target)
        losses = [
            self._stretch_loss(hidden[start : start + stretch], target[start : start + stretch])
            for start in range(0, len(target), stretch)
        ]
        return torch.stack(losses).sum()

    def _stretch_loss(self, hidden: Tensor, target: Tensor) -> Tensor:
        if self._numerics.recompute_every and torch.is_grad_enabled():
            loss: Tensor = checkpoint(self._loss, hidden, target, use_reentrant=False)
            return loss
        return self._loss(hidden, target)

    def _loss(self, hidden: Tensor, target: Tensor) -> Tensor:
        projection = self.projection
        return projected_loss(
            hidden,
            projection.weight,
            projection.bias,
            target,
            self.likelihood,
            compute_dtype=self._numerics.compute_dtype,
        )

    def _teacher_forced(self, state: State, target: Tensor) -> Tensor:
        """Run the stack with teacher forcing: its outputs, (N, B, H)."""
        if not self.conditional:
            hidden: Tensor = self.stack(None, state, num_steps=len(target))[0]
            return hidden
        hidden, _ = self.stack(torch.cat([torch.zeros_like(target[:1]), target[:-1]]), state)
        return hidden

    def _attended(self, hidden: Tensor, memory: Tensor | None) -> Tensor:
        """Return what is projected to frames, (N, B, H)."""
        if self.attention is None:
            return hidden
        if memory is None:
            raise ValueError("a decoder with attention reads the encoder's outputs; give them as memory")
        attended: Tensor = self.attention(hidden, memory)
        return attended

    def _run_free(self, state: State, num_frames: int, memory: Tensor | None) -> Tensor:
        frame = self.projection.weight.new_zeros(1, batch_size_of(state), self.projection.out_features)
        outputs = []
        for _ in range(num_frames):
            hidden, state = self.stack(frame, state)
            outputs.append(self._project(self._attended(hidden, memory)))
            frame = output_to_frames(outputs[-1], self.likelihood)
        return torch.cat(outputs)

    def _project(self, hidden: Tensor) -> Tensor:
        projection = self.projection
        return project_output(hidden, projection.weight, projection.bias, compute_dtype=self._numerics.compute_dtype)

    @torch.no_grad()
    def init_output_bias(self, mean_frame: Tensor) -> None:
        """Set the output bias so that an untrained decoder emits about this frame of probabilities, (D,).

        For "gaussian" frames the bias stays 0.
        """
        if self.likelihood == "bernoulli":
            probability = mean_frame.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
            self.projection.bias.copy_(probability.logit())


def init_output_biases(objectives: nn.Module, mean_frame: Tensor) -> None:
    """Set the output biases of all decoders in `objectives` so that untrained they emit about this frame, (D,)."""
    for module in objectives.modules():
        if isinstance(module, Decoder):
            module.init_output_bias(mean_frame)
