"""The LSTM classifier: an encoder with a softmax at every time step.

Shapes: T time, B batch, D values of a frame, H hidden width, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .lstm import LSTM
from .lstm_kernels.reference import Activation


class Classifier(nn.Module):
    """An LSTM, whose weights may start from a pretrained encoder's, and a linear readout at every time step.

    (Srivastava et al. 2015, section 3.3.) dropout: probability of dropping a value that enters a layer or the readout.
    peepholes, activation: see `LSTM`. freeze: the LSTM's weights do not learn.
    """

    def __init__(
        self,
        *,
        frame_size: int,
        num_classes: int,
        hidden_size: int,
        num_layers: int = 1,
        peepholes: bool = False,
        activation: Activation = "tanh",
        dropout: float = 0.0,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = LSTM(
            frame_size, hidden_size, num_layers, peepholes=peepholes, activation=activation, dropout=dropout
        )
        self.encoder.requires_grad_(not freeze)
        self.dropout = dropout
        self.readout = nn.Linear(hidden_size, num_classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Classify at every time step: (T, B, D) -> logits (T, B, K). A step depends on no later frame."""
        outputs, _ = self.encoder(frames)
        logits: Tensor = self.readout(F.dropout(outputs, self.dropout, self.training))
        return logits


def is_there(lengths: Tensor, num_steps: int) -> Tensor:
    """Say which time steps of padded windows are frames: lengths (B,) -> (T, B) bool."""
    return torch.arange(num_steps, device=lengths.device)[:, None] < lengths


def every_step_loss(logits: Tensor, classes: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean cross-entropy, in nats, over all time steps that are frames.

    logits (T, B, K), classes (B,) int64, lengths (B,) frames of each window.
    """
    costs = F.cross_entropy(logits.flatten(0, 1), classes.repeat(len(logits)), reduction="none")
    there = is_there(lengths, len(logits)).flatten()
    return costs[there].mean()


def window_probabilities(logits: Tensor, lengths: Tensor) -> Tensor:
    """Return each window's class probabilities: the mean of its frames' softmaxes. (T, B, K), (B,) -> (B, K)."""
    there = is_there(lengths, len(logits)).unsqueeze(-1)
    total = (logits.softmax(dim=-1) * there).sum(dim=0)
    return total / lengths.unsqueeze(-1)
