"""The part of a trained run that a fine-tuning starts from: its input transforms and its encoder.

A fine-tuning keeps a copy in its own folder, so that resuming it needs no other run. The hash of the weights identifies
them, wherever they are stored.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from .collocated import CollocatedEncoder
from .description import JOINED, ModelDescription, read_description
from .encoder import SequenceEncoder
from .inputs import InputTransforms
from .joined import JoinedEncoder, JoinedInputs
from .kinds import build_inputs
from .members import member_folder, member_folders, write_members
from .saved import hash_of_weights, load_weights, read_weights, save_model

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
        """Read a run folder, or what `save` wrote.

        Raises InputError as `load_model` does, ConfigError for a run whose encoder learned by collocation.
        """
        description = read_description(folder)  # which has the better message for a folder that is no run
        if description.head.get("transfer") == "collocation":
            raise ConfigError(
                f"{folder}: its encoder learned by collocation and reads another one, so that no run starts from it; "
                "give the run that it started from"
            )
        kept = {name: value for name, value in read_weights(folder).items() if name.startswith((_INPUTS, _ENCODER))}
        return cls(folder, description, kept)

    def split(self) -> list["PretrainedEncoder"]:
        """Return each encoder on its own, of a run that joined several."""
        parts = self.description.parts
        if len(parts) == 1:
            return [self]
        return [
            replace(self, description=part, weights=_of_part(self.weights, number)) for number, part in enumerate(parts)
        ]

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

    def give_weights_to(self, encoder: SequenceEncoder) -> None:
        """Copy the weights into an encoder of the same cell, width and depth, or into the source that it reads."""
        source = encoder.source if isinstance(encoder, CollocatedEncoder) else encoder
        source.load_state_dict(_without_prefix(self.weights, _ENCODER))


class PretrainedEncoders:
    """Encoders to start from: one, or several whose outputs stand side by side.

    Raises ConfigError, naming the runs, if they were trained on different features or read clips of different lengths.
    """

    def __init__(self, parts: Sequence[PretrainedEncoder]) -> None:
        self.parts = list(parts)
        for other in parts[1:]:
            for name in ("extractor", "frame_shape", "dtype", "clips"):
                first, second = (_compared(one.description, name) for one in (parts[0], other))
                if first == second:
                    continue
                if isinstance(first, dict):
                    first, second = _without_common(first, second), _without_common(second, first)
                raise ConfigError(
                    f"{parts[0].folder} and {other.folder} cannot be joined: their {name} are {first} and {second}; "
                    "give runs of the same features and clips"
                )

    @classmethod
    def load(cls, folders: Sequence[Path]) -> "PretrainedEncoders":
        """Read the encoders of runs, of every member of an ensemble; raises as `PretrainedEncoder.load` does."""
        members = [member for folder in folders for member in member_folders(folder)]
        return cls([part for member in members for part in PretrainedEncoder.load(member).split()])

    @property
    def description(self) -> ModelDescription:
        """That of the first, with the others joined to it."""
        first, *others = (one.description for one in self.parts)
        return replace(first, joined=[{name: getattr(one, name) for name in JOINED} for one in others])

    @property
    def sha256(self) -> str:
        """The hash of all weights, which identifies them."""
        hashes = [one.sha256 for one in self.parts]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write them into a folder, from which `load` reads them; raises OutputError if a file cannot be written."""
        if len(self.parts) == 1:
            self.parts[0].save(folder)
            return
        for number, part in enumerate(self.parts, start=1):
            part.save(member_folder(folder, number))
        write_members(folder, len(self.parts))

    def inputs(self) -> InputTransforms:
        """Build their input transforms."""
        built = [part.inputs() for part in self.parts]
        return built[0] if len(built) == 1 else JoinedInputs(built)

    def give_weights_to(self, encoder: SequenceEncoder) -> None:
        """Copy the weights into an encoder of the same cells, widths and depths."""
        encoders = encoder.parts if isinstance(encoder, JoinedEncoder) else [encoder]
        for part, one in zip(self.parts, encoders, strict=True):
            assert isinstance(one, SequenceEncoder)
            part.give_weights_to(one)


def _compared(description: ModelDescription, name: str) -> Any:
    """Return what must agree; of clips, how long they are: the crops of training do not matter."""
    value = getattr(description, name)
    return {key: value.get(key) for key in ("num_frames", "clip_seconds")} if name == "clips" and value else value


def _without_common(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in others or others[key] != value}


def _of_part(weights: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    """Return the weights of one of several encoders, named as those of a single one."""
    return {
        prefix + name: value
        for prefix in (_INPUTS, _ENCODER)
        for name, value in _without_prefix(weights, f"{prefix}parts.{number}.").items()
    }


def _without_prefix(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
