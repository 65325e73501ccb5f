"""The part of a trained run that a fine-tuning starts from: its input transforms and its encoder.

A fine-tuning keeps a copy in its own folder, so that resuming it needs no other run. The hash of the weights identifies
them, wherever they are stored.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .description import ModelDescription
from .encoder import Encoder
from .inputs import InputTransforms
from .kinds import build_inputs
from .saved import hash_of_weights, load_weights, read_description, read_weights, save_model

_INPUTS, _ENCODER = "inputs.", "network.encoder."


@dataclass(frozen=True)
class PretrainedEncoder:
    """Input transforms and an encoder with their weights.

    description: of the run that trained them.
    """

    folder: Path
    description: ModelDescription
    weights: dict[str, Tensor]

    @classmethod
    def load(cls, folder: Path) -> "PretrainedEncoder":
        """Read a run folder, or what `save` wrote; raises InputError as `load_model` does."""
        description = read_description(folder)  # which has the better message for a folder that is no run
        kept = {name: value for name, value in read_weights(folder).items() if name.startswith((_INPUTS, _ENCODER))}
        return cls(folder, description, kept)

    @property
    def sha256(self) -> str:
        """The hash of the weights, which identifies it."""
        return hash_of_weights(self.weights)

    def save(self, folder: Path) -> None:
        """Write it into a folder, as a model without objectives and head.

        Raises OutputError if a file cannot be written.
        """
        save_model(folder, self.description, self.weights)

    def inputs(self) -> InputTransforms:
        """Build its input transforms."""
        with torch.device("meta"):
            inputs = build_inputs(self.description)
        load_weights(inputs, _without_prefix(self.weights, _INPUTS), self.folder)
        return inputs

    def give_weights_to(self, encoder: Encoder) -> None:
        """Copy the weights into an encoder of the same cell, width and depth."""
        encoder.load_state_dict(_without_prefix(self.weights, _ENCODER))


def _without_prefix(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
