"""A run that learned to predict the next letter: how likely letters are, and which come next.

Shapes: P letters of a video, K letters of the alphabet, H hidden width.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..models.objectives.next_symbol import NextSymbol
from ..models.pretraining import PretrainingNetwork
from ..models.saved import TrainedModel, load_model
from .abba import Floats
from .codebook import Codebook

_NAME = "next_symbol"


@dataclass(frozen=True)
class SymbolForecaster:
    """A trained model, and the letters that it reads."""

    model: TrainedModel
    objective: NextSymbol
    network: PretrainingNetwork
    codebook: Codebook

    @classmethod
    def load(cls, run: Path) -> "SymbolForecaster":
        """Read a run folder; raises InputError if it holds no model of symbols, and as `load_model` does."""
        model, description = load_model(run)
        network = model.network
        if not isinstance(network, PretrainingNetwork) or _NAME not in network.objectives:
            raise InputError(
                f"{run}: does not predict symbols; train with --recipe symbols on the symbols.h5 that `vidrep symbols` "
                "wrote"
            )
        objective = network.objectives[_NAME]
        assert isinstance(objective, NextSymbol)
        if description.extractor.get("kind") != "symbols":
            raise InputError(f"{run}: trained on other features than those of `vidrep symbols`")
        return cls(model, objective, network, Codebook.from_json(description.extractor["codebook"]))

    @torch.inference_mode()
    def nats(self, symbols: str) -> Floats:
        """Return how unlikely each letter after the first is, given all before it: -log probability, (P - 1,)."""
        if len(symbols) < 2:
            return np.zeros(0)
        encoded = self.network.encode(self._frames(symbols[:-1]))
        likely = self.objective.log_probabilities(encoded.outputs)[:, 0].double().numpy()
        nats: Floats = -likely[np.arange(len(likely)), self.codebook.numbers(symbols[1:])]
        return nats

    @torch.inference_mode()
    def continuation(self, symbols: str, num_values: int) -> str:
        """Return the letters that come next, until they stand for at least `num_values` values.

        Each is the likeliest one after all before it, those that it returned included; there must be one letter.
        """
        encoded, following = self.network.encode(self._frames(symbols)), ""
        while self.codebook.num_steps(following) < num_values:
            likely = self.objective.log_probabilities(encoded.outputs[-1:])
            following += self.codebook.letters[int(likely.argmax())]
            encoded = self.network.encode(self._frames(following[-1]), encoded.state)
        return following

    def forecast(self, symbols: str, last: float, num_values: int) -> Floats:
        """Return the values that come next, (num_values,), after a series that ends with the value `last`."""
        return self.codebook.values(self.continuation(symbols, num_values), last)[1 : num_values + 1]

    def _frames(self, symbols: str) -> Tensor:
        """Return the frames that the encoder reads, (P, 1, K)."""
        frames: Tensor = self.model.inputs(torch.from_numpy(self.codebook.one_hot(symbols)).unsqueeze(1))
        return frames
