"""Results print the shapes of tensors, not their values."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from small_networks import lstm_spec, pretraining_network, random

from vidrep.models.cells.lstm import LSTMSettings, LSTMState
from vidrep.models.network import Losses
from vidrep.models.objectives.objective import Encoded, Loss, Window
from vidrep.models.transforms.transform import Statistics
from vidrep.sequences.window_batch import WindowBatch
from vidrep.shapes import repr_with_shapes

STATE = LSTMState(torch.zeros(2, 3), torch.ones(2, 3))


class PluginState(NamedTuple):
    """A named tuple without a repr of its own."""

    memory: torch.Tensor


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (STATE, "LSTMState(h=(2, 3), c=(2, 3))"),
        (
            Encoded(torch.zeros(4, 2, 3), (STATE, PluginState(torch.zeros(2)))),
            "Encoded(outputs=(4, 2, 3), state=(LSTMState(h=(2, 3), c=(2, 3)), PluginState(memory=(2,))), "
            "views=None, anchors={})",
        ),
        (
            Window(torch.zeros(4, 2, 5), torch.zeros(0, 2, 5)),
            "Window(context=(4, 2, 5), future=(0, 2, 5), video=None, group=None)",
        ),
        (Loss(torch.tensor(2.5, requires_grad=True), 4, 5), "Loss(total=2.5, num_frames=4, num_values=5)"),
        (Loss(torch.zeros((), device="meta"), torch.tensor(3.5)), "Loss(total=(), num_frames=3.5, num_values=1)"),
        (
            Losses({"future": Loss(torch.tensor(2.0))}, {"future": 0.5}, ({"a": [torch.zeros(2)]},)),
            "Losses(by_name={'future': Loss(total=2, num_frames=1, num_values=1)}, weights={'future': 0.5}, "
            "state=({'a': [(2,)]},))",
        ),
        (Statistics(torch.zeros(3), torch.ones(3)), "Statistics(mean=(3,), std=(3,))"),
        (
            WindowBatch(torch.zeros(4, 2, 5), is_first=torch.zeros(2, dtype=torch.bool)),
            "WindowBatch(frames=(4, 2, 5), valid=None, is_first=(2,), video=None, group=None, classes=None, "
            "num_valid=None, targets=None, num_known=None, views=None)",
        ),
    ],
)
def test_results_print_shapes(result: Any, expected: str) -> None:
    assert repr(result) == str(result) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros((2, 3)), "(2, 3)"),
        (np.float32(1.5), "1.5"),
        (torch.arange(3), "(3,)"),
        ((), "()"),
        ([torch.zeros(1), None, "a"], "[(1,), None, 'a']"),
        (7, "7"),
    ],
)
def test_any_nest_is_printed(value: Any, expected: str) -> None:
    assert repr_with_shapes(value) == expected


def test_a_real_encoding_prints_one_short_line() -> None:
    encoded = pretraining_network(stack=lstm_spec(num_layers=2)).encode(random(4, 2, 5))
    assert repr(encoded) == (
        "Encoded(outputs=(4, 2, 6), state=(LSTMState(h=(2, 6), c=(2, 6)), LSTMState(h=(2, 6), c=(2, 6))), "
        "views=None, anchors={})"
    )


def test_a_model_prints_the_sizes_and_settings_of_its_cells() -> None:
    text = repr(pretraining_network(stack=lstm_spec(peepholes=True), objectives={"future": {}}))
    settings = repr(LSTMSettings(peepholes=True))
    assert f"LSTMCell(5 -> 6, {settings})" in text
    assert f"LSTMCell(None -> 6, {settings})" in text
