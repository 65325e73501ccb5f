"""A trained model on disk: the weights in model.safetensors, its description in model.json.

model.json holds registered names (of the cell, objectives, head, transforms) and their settings; it names no code.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..config.settings import Likelihood
from ..errors import ConfigError, InputError
from ..files import write_text, writing_file
from ..names import composed
from .description import ModelDescription
from .encoder import Numerics
from .inputs import InputTransforms
from .kinds import NETWORK_KINDS, build_inputs, build_network
from .members import MEMBERS_FOLDER, member_folder
from .network import Network

FORMAT = "vidrep-model"
VERSION = 2
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"


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


def read_description(folder: Path) -> ModelDescription:
    """Read model.json of a run folder; names of classes come in NFC, as labels do.

    Raises InputError if the folder holds no finished model, or one of another version.
    """
    path = folder / DESCRIPTION_NAME
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; `vidrep train` and `vidrep finetune` make one")
    if not path.is_file() and (folder / MEMBERS_FOLDER).is_dir():
        raise InputError(f"{folder}: a run of several models; name one of them, such as {member_folder(folder, 1)}")
    if not path.is_file():
        raise InputError(f"{folder}: no {DESCRIPTION_NAME} in it, so no run has come as far as a first model there")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("format"), content.pop("version")
        if found != (FORMAT, VERSION):
            raise InputError(
                f"{path}: {found[0]} version {found[1]}; this vidrep reads {FORMAT} version {VERSION}; train the run "
                "again, or use the vidrep that trained it"
            )
        description = ModelDescription(**content)
        _check(description)
        description = replace(description, classes=[composed(name) for name in description.classes])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: not a model description ({reason})") from error
    return description


def _check(description: ModelDescription) -> None:
    """Raise ValueError or KeyError for a description that contradicts itself."""
    if description.kind not in NETWORK_KINDS:
        raise ValueError(f"kind {description.kind!r}; known are {', '.join(NETWORK_KINDS)}")
    kind = NETWORK_KINDS[description.kind]
    if not description.windows.keys() >= kind.window_keys:
        raise ValueError(f"windows of {kind.noun} have {', '.join(sorted(kind.window_keys))}")
    if description.likelihood not in get_args(Likelihood):
        raise ValueError(f"likelihood {description.likelihood!r}")
    if len(description.classes) != len(description.class_counts):
        raise ValueError("classes and class_counts do not agree")
    if description.frame_size < 1:
        raise ValueError(f"frames of shape {description.frame_shape}")


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
