"""From the outputs at every time step to one vector a window.

Shapes: T time, B batch, H width of the outputs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Direction(NamedTuple):
    """So many of an encoder's outputs: whether they read a window from its last frame to its first."""

    size: int
    is_backward: bool = False


def last_valid(outputs: Tensor, valid: Tensor | None = None, directions: Sequence[Direction] = ()) -> Tensor:
    """Return the outputs where each has read all of its window: (T, B, H) -> (B, H).

    That is at the window's last frame, and of a backward direction at its first one.

    valid: (T, B) bool, which time steps are frames rather than padding, which comes last; None if all are.
    directions: of the H outputs, in their order; none for outputs that all read forward.
    """
    last = outputs[-1]
    if valid is not None:
        position = (valid.sum(dim=0) - 1).view(1, -1, 1)
        last = outputs.gather(0, position.expand(1, -1, outputs.shape[-1]))[0]
    if not any(direction.is_backward for direction in directions):
        return last
    sizes = [direction.size for direction in directions]
    parts = zip(directions, torch.split(last, sizes, dim=-1), torch.split(outputs[0], sizes, dim=-1), strict=True)
    return torch.cat([first if direction.is_backward else last for direction, last, first in parts], dim=-1)


def mean_valid(outputs: Tensor, valid: Tensor | None) -> Tensor:
    """Return the mean of the outputs at each window's frames: (T, B, H) -> (B, H)."""
    if valid is None:
        return outputs.mean(dim=0)
    return (outputs * valid.unsqueeze(-1)).sum(dim=0) / valid.sum(dim=0).unsqueeze(-1)
