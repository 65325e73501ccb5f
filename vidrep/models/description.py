"""Everything but the weights of a trained model, model.json: registered names, and their settings.

Reading it imports no torch, so that what a run is can be shown at once.
"""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from ..config.old_keys import with_transfer
from ..config.settings import Likelihood
from ..errors import InputError
from ..names import composed
from .members import MEMBERS_FOLDER, member_folder

FORMAT, VERSION = "vidrep-model", 2
DESCRIPTION_NAME = "model.json"
JOINED = ("transforms", "encoder", "cell")
"""What the encoders of one model differ in."""
_NAMED = {"transforms", "cell", "objectives", "head"}  # settings of what has a registered name


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """Everything but the weights that it takes to use a model.

    kind: "pretraining", "classifier" or "segmentation", see `NETWORK_KINDS`.
    frame_shape, dtype, extractor: of the features it was trained on. likelihood: of frames.
    transforms: settings of the input transforms by name, in their order.
    encoder: cell, hidden_size, num_layers, bidirectional, dropout, initialization, uniform_scale. cell: settings of
    that cell.
    objectives: settings by name. head: its name and settings, and the others of
    `ClassifierSettings`; of a segmentation `SegmenterSettings`; {} for a pretraining.
    windows: of the windows that it reads: context, num_future, num_reconstructed and stride, or length, stride and
    to_the_end, which classifiers of earlier versions lack (it is true of them); of a segmentation length and how many
    frames before and after are not classified.
    clips: the settings of clips, see `ViewSettings`, of a model that reads clips; {} for one of consecutive frames.
    joined: transforms, encoder and cell of further encoders beside the first, whose outputs stand side by side.
    classes: names in the order of its outputs, [] for a pretraining; class_counts: training videos of each, of a
    segmentation training frames.
    """

    kind: str
    frame_shape: list[int]
    dtype: str
    likelihood: Likelihood
    extractor: dict[str, Any]
    transforms: dict[str, dict[str, Any]]
    encoder: dict[str, Any]
    cell: dict[str, Any]
    windows: dict[str, int]
    clips: dict[str, float] = field(default_factory=dict)
    objectives: dict[str, dict[str, Any]] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    joined: list[dict[str, Any]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    class_counts: list[int] = field(default_factory=list)

    @property
    def frame_size(self) -> int:
        """D, values of a stored frame."""
        return math.prod(self.frame_shape)

    @property
    def architecture(self) -> dict[str, Any]:
        """What of `encoder` its weights depend on; dropout and initialization do not change their shapes."""
        kept = {name: self.encoder[name] for name in ("cell", "hidden_size", "num_layers")}
        return kept | {"bidirectional": self.encoder.get("bidirectional", False)}  # which former versions did not have

    @property
    def parts(self) -> list["ModelDescription"]:
        """The description of each encoder on its own: this one, and those that are joined to it."""
        alone = replace(self, joined=[])
        return [alone, *(replace(alone, **{name: one[name] for name in JOINED}) for one in self.joined)]


@dataclass(frozen=True, kw_only=True)
class NetworkKind:
    """One kind of network: what messages call it, and the keys that a description's `windows` must have."""

    noun: str
    window_keys: frozenset[str]


NETWORK_KINDS = {
    "pretraining": NetworkKind(
        noun="a pretraining", window_keys=frozenset({"context", "num_future", "num_reconstructed", "stride"})
    ),
    "classifier": NetworkKind(noun="a classifier", window_keys=frozenset({"length", "stride"})),
    "segmentation": NetworkKind(noun="a segmentation", window_keys=frozenset({"length", "before", "after"})),
}
"""The kinds by the names in model.json; `vidrep.models.kinds` builds them."""


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
        description = ModelDescription(
            **content | {name: _with_tuples(content[name]) for name in _NAMED & content.keys()}
        )
        _check(description)
        description = replace(
            description,
            classes=[composed(name) for name in description.classes],
            head=with_transfer(description.head),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: not a model description ({reason})") from error
    return description


def _with_tuples(value: Any) -> Any:
    """Return settings as their classes hold them, with tuples in place of JSON's lists."""
    if isinstance(value, dict):
        return {name: _with_tuples(one) for name, one in value.items()}
    return tuple(value) if isinstance(value, list) else value


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
