"""States are nests of tensors of every kind: tuples, named tuples, lists, dictionaries, and None."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from vidrep.models.cells.lstm import LSTMState
from vidrep.models.state import (
    batch_size_of,
    concatenate,
    detach,
    from_dict,
    map_state,
    reset_state,
    slice_batch,
    to_dict,
)

B = 3


class Pair(NamedTuple):
    first: Tensor
    second: Any


def tensor(start: float, *shape: int) -> Tensor:
    return (start + torch.arange(B * (torch.Size(shape).numel() or 1), dtype=torch.float32)).view(B, *shape)


def nest() -> Any:
    """A nest of all kinds; tensors have 1 to 3 dimensions."""
    return (
        LSTMState(tensor(0, 2), tensor(10, 2)),
        {"a": [tensor(20), (tensor(30, 2, 2),)], "b": Pair(tensor(40, 1), None)},
        None,
    )


NAMES = ["state.0.h", "state.0.c", "state.1.a.0", "state.1.a.1.0", "state.1.b.first"]
NESTS = [nest(), LSTMState(tensor(0, 2), tensor(1, 2)), [tensor(0)], {"only": (tensor(0),)}, tensor(5, 4)]


def same_structure(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_structure(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same_structure, one, other))
    return True


def test_a_function_is_applied_to_every_tensor_and_the_nest_keeps_its_kinds() -> None:
    doubled = map_state(lambda one: 2 * one, nest())
    assert same_structure(doubled, nest())
    for name, value in to_dict(doubled).items():
        assert torch.equal(value, 2 * to_dict(nest())[name])


def test_a_function_of_several_nests_gets_tensors_of_equal_positions() -> None:
    ones = map_state(torch.ones_like, nest())
    difference = map_state(lambda one, other, third: one - other + third, nest(), nest(), ones)
    assert all(torch.equal(one, torch.ones_like(one)) for one in to_dict(difference).values())


@pytest.mark.parametrize("other", [(tensor(0),), {"a": tensor(0)}], ids=["shorter", "other key"])
def test_nests_of_other_structure_are_an_error(other: Any) -> None:
    one = (tensor(0), tensor(1)) if isinstance(other, tuple) else {"a": tensor(0), "b": tensor(1)}
    with pytest.raises((ValueError, KeyError)):
        map_state(torch.add, one, other)


def test_detached_states_have_the_same_values_and_no_graph() -> None:
    state = map_state(lambda one: one.requires_grad_() * 1, nest())
    assert all(one.requires_grad for one in to_dict(state).values())
    free = detach(state)
    assert same_structure(free, nest())
    for name, value in to_dict(free).items():
        assert not value.requires_grad
        assert torch.equal(value, to_dict(nest())[name])


@pytest.mark.parametrize("state", NESTS)
def test_slices_of_the_batch_are_put_together_again(state: Any) -> None:
    parts = [slice_batch(state, slice(0, 1)), slice_batch(state, slice(1, B))]
    assert [batch_size_of(part) for part in parts] == [1, B - 1]
    whole = concatenate(parts)
    assert same_structure(whole, state)
    for name, value in to_dict(whole).items():
        assert torch.equal(value, to_dict(state)[name])


def test_one_part_is_the_whole_and_none_stays_none() -> None:
    assert concatenate([None, None]) is None
    assert slice_batch(None, slice(0, 1)) is None and detach(None) is None
    assert to_dict(concatenate([nest()])).keys() == to_dict(nest()).keys()


def test_where_a_video_begins_the_state_is_the_initial_one() -> None:
    initial = map_state(lambda one: torch.full_like(one, -1), nest())
    is_first = torch.tensor([True, False, True])
    state = reset_state(nest(), initial, is_first)
    assert same_structure(state, nest())
    for name, value in to_dict(state).items():
        before = to_dict(nest())[name]
        assert torch.equal(value[1], before[1])
        assert torch.equal(value[[0, 2]], torch.full_like(before[[0, 2]], -1))


def test_without_is_first_every_window_continues() -> None:
    state = nest()
    assert reset_state(state, map_state(torch.zeros_like, state), None) is state


@pytest.mark.parametrize("state", NESTS)
def test_a_state_goes_through_a_dictionary_of_tensors(state: Any) -> None:
    kept = to_dict(state)
    back = from_dict(kept, map_state(torch.zeros_like, state))
    assert same_structure(back, state)
    assert to_dict(back).keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in to_dict(back).items())


def test_tensors_are_named_by_their_positions() -> None:
    assert list(to_dict(nest())) == NAMES
    assert list(to_dict((tensor(0),), "carried")) == ["carried.0"]
    assert to_dict(None) == {}


def test_other_tensors_in_the_dictionary_do_not_matter_and_a_missing_one_is_an_error() -> None:
    kept = to_dict(nest()) | {"weight": tensor(7)}
    assert to_dict(from_dict(kept, nest())).keys() == set(NAMES)
    del kept["state.1.a.0"]
    with pytest.raises(KeyError, match=r"state\.1\.a\.0"):
        from_dict(kept, nest())
