"""Attention of a decoder over the encoder's outputs.

Shapes: T frames that the encoder read, N frames that a decoder emits, B batch, H hidden width, M width of the encoder's
outputs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .initialization import Initialization


class DecoderAttention(nn.Module):
    """Mixes what a decoder's stack of cells puts out, h, with a weighted sum of the encoder's outputs m.

        a_s = softmax over s of (h . Wa m_s)        c = sum over s of a_s m_s        h~ = tanh(Wc [c; h])

    (Luong, Pham, Manning 2015, arXiv 1508.04025, section 3.1, equations 5 to 8.) Of its forms: global, with the
    "general" score and without input feeding. So the cells run as they do without attention, and the attention of all
    time steps is computed at once. There is no mask, for windows that are to be emitted hold no padding.

    query is Wa transposed, (M, H); mix is Wc, (H, M + H), with the columns of c first.
    """

    def __init__(self, hidden_size: int, memory_size: int, initialization: Initialization) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(memory_size, hidden_size))
        self.mix = nn.Parameter(torch.empty(hidden_size, memory_size + hidden_size))
        with torch.no_grad():
            initialization.reset(self.query)
            initialization.reset(self.mix)

    def weights(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Return the weight of every frame, (B, N, T): hidden (N, B, H), memory (T, B, M)."""
        scores = F.linear(hidden, self.query).transpose(0, 1) @ memory.permute(1, 2, 0)
        return scores.softmax(dim=-1)

    def forward(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Return h~, (N, B, H): hidden (N, B, H), memory (T, B, M)."""
        read = (self.weights(hidden, memory) @ memory.transpose(0, 1)).transpose(0, 1)
        return torch.tanh(F.linear(torch.cat([read, hidden], dim=-1), self.mix))
