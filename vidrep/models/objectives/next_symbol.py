"""The next symbol: from each output, the probabilities of the frame that follows, where frames are one-hot letters."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import ConfigError
from .objective import Encoded, Loss, ModelSpec, Objective, Window


class NextSymbol(Objective):
    """Predicts each letter from those before it, as a language model does (Elsworth & Guettel 2020, arXiv 2003.05672).

        loss = - sum over t of x_{t+1} . log softmax(W h_t + b)

    where h_t is the encoder's output at the one-hot frame x_t, t = 1 .. T, and x_{T+1} the first frame after the
    context: `windows.num_future` is 1, further frames are not predicted. Frames are those of `vidrep symbols`.

    Raises ConfigError for frames that are not in [0, 1].
    """

    needs_future = True

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        if spec.likelihood != "bernoulli":
            raise ConfigError(
                'objective next_symbol reads one-hot letters in [0, 1], but likelihood is "gaussian"; train on the '
                "symbols.h5 that `vidrep symbols` wrote"
            )
        self.projection = nn.Linear(spec.stack.hidden_size, spec.frame_size)
        spec.stack.initial_weights.reset_linear(self.projection)

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """Return the logarithm of each letter's probability to come next, (T, B, H) -> (T, B, K)."""
        logits: Tensor = self.projection(outputs)
        return logits.log_softmax(dim=-1)

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        """Return the cross-entropy in nats, summed over windows and letters."""
        following = torch.cat([window.context[1:], window.future[:1]])
        total = F.cross_entropy(
            self.projection(encoded.outputs).flatten(0, 1), following.flatten(0, 1), reduction="sum"
        )
        return Loss(total, len(following))
