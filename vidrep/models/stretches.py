"""Reading windows for objectives, which may need the gradient of some stretches of a long window alone.

Shapes: T time, B batch, D values of a frame, H width of the encoder's outputs.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from .encoder import SequenceEncoder
from .objectives.objective import Encoded, Objective
from .state import State


def read(
    encoder: SequenceEncoder,
    frames: Tensor,
    objectives: Mapping[str, Objective],
    state: State = None,
    *,
    valid: Tensor | None = None,
    last: int | None = None,
) -> dict[str, Encoded]:
    """Read windows of T frames, (T, B, D), for each of some objectives by name, and for what reads none, as "".

    last: how many of the last time steps have outputs, and a gradient, where there are anchors; None for all.
    """
    wanted = {name: one.anchors(len(frames)) for name, one in objectives.items()}
    anchors: dict[int, int] = {}
    for anchor, back in (pair for of_one in wanted.values() for pair in of_one.items()):
        anchors[anchor] = max(back, anchors.get(anchor, 0))
    if anchors or last is not None:
        encoded = read_stretches(encoder, frames, state, anchors=anchors, last=last)
    else:
        encoded = Encoded(*encoder(frames, state, valid=valid))
    own = {name: {anchor: encoded.anchors[anchor] for anchor in of_one} for name, of_one in wanted.items()}
    return {"": encoded, **{name: encoded._replace(anchors=of_one) for name, of_one in own.items()}}


def read_stretches(
    encoder: SequenceEncoder, frames: Tensor, state: State, *, anchors: Mapping[int, int], last: int | None
) -> Encoded:
    """Read T frames, (T, B, D), of which only those that a gradient needs are kept in memory.

    anchors: {frames read until then: how many of them the gradient of that state goes back through}. last: K, how many
    of the last time steps a gradient goes back through, and have outputs; None for all. The gradients of stretches that
    overlap, or follow each other at once, go through both. So memory and the time of the backward pass do not grow
    with T (truncated backpropagation through time).
    """
    num_steps = len(frames)
    start_of_last = 0 if last is None else max(0, num_steps - last)
    stretches = [(max(0, anchor - back), anchor) for anchor, back in anchors.items()] + [(start_of_last, num_steps)]
    outputs, states = [frames.new_zeros(0, frames.shape[1], encoder.hidden_size)], {}
    for start, stop in pairwise(sorted({0, *(end for stretch in stretches for end in stretch)})):
        has_gradient = any(low <= start and stop <= high for low, high in stretches)
        with torch.set_grad_enabled(torch.is_grad_enabled() and has_gradient):
            output, state = encoder(frames[start:stop], state)
        if start >= start_of_last:
            outputs.append(output)
        if stop in anchors:
            states[stop] = state
    return Encoded(torch.cat(outputs), state, anchors=states)
