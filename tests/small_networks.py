"""Small networks with random weights in float64, for tests."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vidrep.config.doors import settings_of_names
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.encoder import StackSpec
from vidrep.models.pretraining import PretrainingNetwork

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def lstm_spec(
    *,
    hidden_size: int = 6,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    initialization: Any = "orthogonal",
    **settings: Any,
) -> StackSpec:
    """Return a stack of LSTM cells; settings: those of LSTMSettings."""
    return StackSpec(
        cell="lstm",
        settings=LSTMSettings(**settings),
        hidden_size=hidden_size,
        num_layers=num_layers,
        bidirectional=bidirectional,
        dropout=dropout,
        initialization=initialization,
    )


def pretraining_network(
    *,
    frame_size: int = 5,
    stack: StackSpec | None = None,
    objectives: Mapping[str, Any] | None = None,
    num_context: int = 4,
    **settings: Any,
) -> PretrainingNetwork:
    """Return a network with both built-in objectives; settings: other arguments of PretrainingNetwork."""
    given = {"reconstruction": {}, "future": {}} if objectives is None else objectives
    network = PretrainingNetwork(
        frame_size=frame_size,
        stack=stack or lstm_spec(),
        objectives=settings_of_names("objective", list(given), given),
        num_context=num_context,
        **{"likelihood": "gaussian"} | settings,
    )
    return randomized(network)


def randomized(module: AnyModule, *, std: float = 0.5) -> AnyModule:
    """Draw all parameters anew, in float64."""
    module.double()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std)
    return module


def random(*shape: int) -> Tensor:
    """Return normal values that depend on the shape alone, in float64."""
    return torch.from_numpy(np.random.default_rng(list(shape)).standard_normal(shape))
