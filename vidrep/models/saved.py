"""A trained model on disk: model.safetensors holds the weights, model.json how to build it and what it expects."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import InputError
from ..files import write_text, writing_file
from .classifier import Classifier
from .composite import CompositeModel
from .output_projection import Values
from .scaling import FrameScaler

FORMAT = "vidrep-model"
VERSION = 1
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"

Kind = Literal["composite", "classifier"]


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """Everything but the weights that it takes to use a model.

    kind: "composite" (a pretraining) or "classifier". arguments: of the model's class.
    frame_shape, dtype, extractor: of the features it was trained on. values: what their values are to the model.
    windows: settings of the windows that it reads, see `PredictionWindows` and `ClassificationWindows`.
    classes: names in the order of its outputs, () for a composite; class_counts: training videos of each.
    """

    kind: Kind
    arguments: dict[str, Any]
    frame_shape: list[int]
    dtype: str
    values: Values
    extractor: dict[str, Any]
    windows: dict[str, int]
    classes: list[str] = field(default_factory=list)
    class_counts: list[int] = field(default_factory=list)


class ScaledModel(nn.Module):
    """A model and the scaler in front of it, saved and loaded together."""

    def __init__(self, scaler: FrameScaler, model: CompositeModel | Classifier) -> None:
        super().__init__()
        self.scaler = scaler
        self.model = model


def build_model(description: ModelDescription) -> ScaledModel:
    """Build the model that a description describes, with fresh weights."""
    arguments = description.arguments
    scaler = FrameScaler(arguments["frame_size"], description.values)
    if description.kind == "composite":
        return ScaledModel(scaler, CompositeModel(values=description.values, **arguments))
    return ScaledModel(scaler, Classifier(**arguments))


def save_model(folder: Path, description: ModelDescription, state: dict[str, Tensor]) -> None:
    """Publish a model in `folder`; its weights first, so that a description never stands without them.

    Raises OutputError if the disk refuses; each file is then the old one or the new one.
    """
    weights = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    with writing_file(folder / WEIGHTS_NAME, num_bytes=len(weights)) as file:
        file.write_at(weights, 0)
    content = {"format": FORMAT, "version": VERSION, **asdict(description)}
    write_text(folder / DESCRIPTION_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_description(folder: Path) -> ModelDescription:
    """Read model.json of a run folder.

    Raises InputError if the folder holds no finished model, or one of an unknown version.
    """
    path = folder / DESCRIPTION_NAME
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; `vidrep train` and `vidrep finetune` make one")
    if not path.is_file():
        raise InputError(
            f"{folder}: no {DESCRIPTION_NAME} in it, so it is no run that has come as far as a first model"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("format"), content.pop("version")
        if found != (FORMAT, VERSION):
            raise InputError(f"{path}: {found[0]} version {found[1]}; this vidrep reads {FORMAT} version {VERSION}")
        description = ModelDescription(**content)
        _check(description)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: not a model description ({reason})") from error
    return description


# What a description must say of its windows; it may say more.
_WINDOW_KEYS = {"composite": {"seen", "predicted", "stride"}, "classifier": {"length", "stride"}}


def _check(description: ModelDescription) -> None:
    """Raise ValueError or KeyError for a description that contradicts itself."""
    if not description.windows.keys() >= _WINDOW_KEYS[description.kind]:
        raise ValueError(f"windows of a {description.kind} have {', '.join(sorted(_WINDOW_KEYS[description.kind]))}")
    if description.values not in ("probability", "real"):
        raise ValueError(f"values are {description.values!r}")
    if description.arguments["frame_size"] != math.prod(description.frame_shape):
        raise ValueError(f"frames of {description.frame_shape} and frame_size {description.arguments['frame_size']}")
    if not len(description.classes) == len(description.class_counts) == description.arguments.get("num_classes", 0):
        raise ValueError("classes, class_counts and num_classes do not agree")


def load_model(folder: Path | str) -> tuple[ScaledModel, ModelDescription]:
    """Load a run's model for use: in evaluation mode, on the CPU.

    Raises InputError if the folder holds none or the files are damaged or do not fit together.
    """
    folder = Path(folder)
    description = read_description(folder)
    try:
        with torch.device("meta"):  # neither memory nor time nor random numbers for weights that are replaced at once
            model = build_model(description)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder / DESCRIPTION_NAME}: describes no model that can be built ({error})") from error
    try:
        weights = {name: value.float() for name, value in load_file(folder / WEIGHTS_NAME).items()}
        model.load_state_dict(weights, assign=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder / WEIGHTS_NAME}: cannot be loaded ({reason})") from error
    return model.eval(), description
