"""The state of recurrent layers: any nest of tensors (tuples, named tuples, lists, dicts), with the batch first.

Shapes: B batch; every tensor of a state is (B, ...).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

State = Any
"""A nest of tensors; None is a nest without any."""


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> State:
    """Apply a function to every tensor of a nest, and to the tensors at the same positions of other nests."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return function(state, *others)
    if isinstance(state, dict):
        return {name: map_state(function, one, *(other[name] for other in others)) for name, one in state.items()}
    mapped = [map_state(function, *parts) for parts in zip(state, *others, strict=True)]
    return type(state)(*mapped) if hasattr(state, "_fields") else type(state)(mapped)


def detach(state: State) -> State:
    """Return a state without its graph."""
    return map_state(Tensor.detach, state)


def slice_batch(state: State, chosen: slice) -> State:
    """Return the state of some windows of the batch."""
    return map_state(lambda tensor: tensor[chosen], state)


def concatenate(states: Sequence[State]) -> State:
    """Return the state of a batch from those of its micro-batches."""
    return map_state(lambda *parts: torch.cat(parts), states[0], *states[1:])


def reset_state(state: State, initial: State, is_first: Tensor | None) -> State:
    """Return a state that is the initial one where a window is the first of its video: is_first (B,) bool."""
    if is_first is None:
        return state

    def reset(tensor: Tensor, start: Tensor) -> Tensor:
        return torch.where(is_first.view(-1, *[1] * (tensor.ndim - 1)), start, tensor)

    return map_state(reset, state, initial)


def batch_size_of(state: State) -> int:
    """Return B of a state that holds a tensor."""
    return len(next(iter(to_dict(state).values())))


def to_dict(state: State, prefix: str = "state") -> dict[str, Tensor]:
    """Return the tensors of a nest by their positions, for a checkpoint: {"state.0.h": (B, ...)}."""
    return dict(_named(state, prefix))


def from_dict(tensors: dict[str, Tensor], like: State, prefix: str = "state") -> State:
    """Return a nest of the structure of `like` from what `to_dict` returned; KeyError if a tensor is missing."""
    found = iter([tensors[name] for name, _ in _named(like, prefix)])
    return map_state(lambda tensor: next(found).to(tensor.device), like)


def _named(state: State, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if state is None:
        return
    if isinstance(state, Tensor):
        yield prefix, state
        return
    if isinstance(state, dict):
        parts: list[tuple[str, State]] = list(state.items())
    else:
        names = getattr(state, "_fields", range(len(state)))
        parts = list(zip(map(str, names), state, strict=True))
    for name, part in parts:
        yield from _named(part, f"{prefix}.{name}")
