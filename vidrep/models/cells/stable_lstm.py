"""The conditions under which an LSTM is stable: two states come closer at every time step, whatever it reads.

Shapes: D input width, H hidden width.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from .projections import row_scales


@dataclass(frozen=True, kw_only=True)
class StableGates:
    """The weights of an LSTM without peepholes, in the gate order i, f, g, o, and their bounds.

    Sufficient conditions (Miller and Hardt 2019, arXiv 1805.10369, proposition 2), |.| being the infinity norm, the
    largest sum of absolute values of a row, B the bound of the inputs and F what the forget gates stay below, in the
    names of `LSTMCell`, where U is recurrent; h and c start at 0:

        F = sigmoid(|Uf| + B |Wf| + |bf|) < 1
        |Ui|, |Uo| < 1 - F        |Ug| <= (1 - F) / 4        |Uf| < (1 - F)^2

    Since |h|, |i|, |o|, |g|, |tanh c| <= 1, |c| <= 1 / (1 - F) and a sigmoid's slope is at most 1/4, the distance of
    two states, the largest difference of a value of h or c, is multiplied in a time step by at most

        contraction = F + |Ui| / 4 + |Ug| + |Uf| / (4 (1 - F)) + |Uo| / 4 < F + 4 (1 - F) / 4 = 1

    The source measures states by the Euclidean norm, and so calls stable what O(log H) time steps make of a state; by
    the largest difference, each time step is a contraction.

    Here F is the largest such sigmoid of one unit: at most that of the three norms, and it bounds f as well. It is kept
    below a chosen `largest_forget`. Where weights reach a bound, their rows are scaled down: each row of Ui, Uo, Ug and
    Uf alone, and then each forget gate's row of Uf and Wf with its bias as one.

    input_weight: (4H, D), None without input. recurrent_weight: (4H, H). bias: (4H,). input_bound: B.
    """

    input_weight: Tensor | None
    recurrent_weight: Tensor
    bias: Tensor
    input_bound: float
    largest_forget: float

    def project(self) -> None:
        """Scale down, in place, what does not meet the conditions."""
        rest = 1 - self.largest_forget
        for weight, bound in zip(self.recurrent_weight.chunk(4), (rest, rest**2, rest / 4, rest), strict=True):
            weight.mul_(row_scales(_row_sums(weight), bound)[:, None])
        largest_drive = math.log(self.largest_forget / rest)
        scales = row_scales(self._forget_drives(), largest_drive)
        for matrix in (self.recurrent_weight, self.input_weight):
            if matrix is not None:
                matrix.chunk(4)[1].mul_(scales[:, None])
        self.bias.chunk(4)[1].mul_(scales)

    def bounded(self) -> dict[str, Tensor]:
        """Return the norms of the conditions, F and the contraction, as they are: scalars."""
        i, f, g, o = (_row_sums(weight).amax() for weight in self.recurrent_weight.chunk(4))
        largest_forget = self._forget_drives().amax().sigmoid()
        return {
            "input_gate_norm": i,
            "forget_gate_norm": f,
            "candidate_norm": g,
            "output_gate_norm": o,
            "largest_forget": largest_forget,
            "contraction": largest_forget + i / 4 + g + f / (4 * (1 - largest_forget)) + o / 4,
        }

    def _forget_drives(self) -> Tensor:
        """Return the most that each forget gate's map can be, (H,)."""
        drives = _row_sums(self.recurrent_weight.chunk(4)[1]) + self.bias.chunk(4)[1].abs()
        if self.input_weight is not None:
            drives = drives + self.input_bound * _row_sums(self.input_weight.chunk(4)[1])
        return drives


def _row_sums(weight: Tensor) -> Tensor:
    return weight.abs().sum(dim=1)
