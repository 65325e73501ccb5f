"""A trained model on disk: the weights in model.safetensors, its description in model.json.

model.json holds registered names (of the cell, objectives, head, transforms) and their settings; it names no code.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import ConfigError, InputError
from ..files import write_text, writing_file
from .description import DESCRIPTION_NAME, FORMAT, VERSION, ModelDescription, read_description
from .encoder import Numerics
from .inputs import InputTransforms
from .kinds import build_inputs, build_network
from .network import Network

WEIGHTS_NAME = "model.safetensors"


class TrainedModel(nn.Module):
    """Input transforms and the network behind them, saved and loaded together."""

    def __init__(self, inputs: InputTransforms, network: Network) -> None:
        super().__init__()
        self.inputs = inputs
        self.network = network

    @classmethod
    def build(cls, description: ModelDescription, numerics: Numerics | None = None) -> "TrainedModel":
        """Build the model of a description, with fresh weights."""
        inputs = build_inputs(description)
        return cls(inputs, build_network(description, inputs.part_sizes, numerics))


def save_model(folder: Path, description: ModelDescription, state: Mapping[str, Tensor]) -> None:
    """Write a model into `folder`; the weights first, so that there is no description without them.

    Raises OutputError if a file cannot be written; each file is then the old one or the new one.
    """
    weights = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    with writing_file(folder / WEIGHTS_NAME, num_bytes=len(weights)) as file:
        file.write_at(weights, 0)
    content = {"format": FORMAT, "version": VERSION, **asdict(description)}
    write_text(folder / DESCRIPTION_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def load_model(folder: Path | str) -> tuple[TrainedModel, ModelDescription]:
    """Load a run's model for use: in evaluation mode, on the CPU.

    Raises InputError if the folder holds none or the files are damaged or do not fit together, ConfigError if a name in
    it is not registered.
    """
    folder = Path(folder)
    description = read_description(folder)
    try:
        with torch.device("meta"):  # weights that are replaced at once take no memory, time or random numbers
            model = TrainedModel.build(description)
    except ConfigError as error:
        raise ConfigError(f"{folder / DESCRIPTION_NAME}: {error}") from error
    except (TypeError, ValueError, RuntimeError, LookupError) as error:
        raise InputError(f"{folder / DESCRIPTION_NAME}: describes no model that can be built ({error})") from error
    load_weights(model, read_weights(folder), folder)
    return model.eval(), description


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read model.safetensors of a run folder, in float32; raises InputError if it cannot be read."""
    try:
        return {name: value.float() for name, value in load_file(folder / WEIGHTS_NAME).items()}
    except (OSError, SafetensorError) as error:
        raise _unloadable(folder, error) from error


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Load weights into a module, without a copy; raises InputError, naming the folder, if they do not fit."""
    try:
        module.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise _unloadable(folder, error) from error


def _unloadable(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder / WEIGHTS_NAME}: cannot be loaded ({' '.join(str(error).split())})")


def hash_of_weights(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().data)
    return digest.hexdigest()
