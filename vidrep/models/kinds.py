"""The kinds of trained networks: how each is built from its description, and which keys the description must have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..config.doors import settings_of_names
from .classifier import Classifier, balanced_weights
from .description import ModelDescription
from .encoder import Numerics
from .inputs import InputTransforms
from .joined import JoinedInputs
from .network import Network
from .pretraining import PretrainingNetwork


@dataclass(frozen=True, kw_only=True)
class NetworkKind:
    """One kind of network.

    noun: what messages call it. window_keys: the keys that a description's `windows` must have. build: returns the
    network of a description, for frames of so many values after the input transforms of each encoder.
    """

    noun: str
    window_keys: frozenset[str]
    build: Callable[[ModelDescription, Sequence[int], Numerics], Network]


def build_inputs(description: ModelDescription) -> InputTransforms:
    """Build the input transforms of a description, not fitted yet."""
    parts = [
        InputTransforms(part.frame_size, settings_of_names("transform", list(part.transforms), part.transforms))
        for part in description.parts
    ]
    return parts[0] if len(parts) == 1 else JoinedInputs(parts)


def build_network(
    description: ModelDescription, frame_sizes: Sequence[int], numerics: Numerics | None = None
) -> Network:
    """Build the network of a description, with fresh weights; KeyError for an unknown kind.

    frame_sizes: the values of a frame after the input transforms of each of its encoders.
    """
    return NETWORK_KINDS[description.kind].build(description, frame_sizes, numerics or Numerics())


def _build_pretraining(
    description: ModelDescription, frame_sizes: Sequence[int], numerics: Numerics
) -> PretrainingNetwork:
    return PretrainingNetwork(
        frame_size=frame_sizes[0],
        stack=description.stack,
        objectives=settings_of_names("objective", list(description.objectives), description.objectives),
        likelihood=description.likelihood,
        num_context=description.windows["context"],
        num_reconstructed=description.windows["num_reconstructed"],
        numerics=numerics,
    )


def _build_classifier(description: ModelDescription, frame_sizes: Sequence[int], numerics: Numerics) -> Classifier:
    others = dict(description.head)
    name, settings = others.pop("name"), others.pop("settings")
    is_balanced = others.pop("class_weights", "none") == "balanced"
    return Classifier(
        encoders=[(size, part.stack) for size, part in zip(frame_sizes, description.parts, strict=True)],
        num_classes=len(description.classes),
        head=name,
        head_settings=settings_of_names("head", [name], {name: settings})[name],
        objectives=settings_of_names("objective", list(description.objectives), description.objectives),
        likelihood=description.likelihood,
        class_weights=balanced_weights(description.class_counts) if is_balanced else None,
        numerics=numerics,
        **others,
    )


NETWORK_KINDS = {
    "pretraining": NetworkKind(
        noun="a pretraining",
        window_keys=frozenset({"context", "num_future", "num_reconstructed", "stride"}),
        build=_build_pretraining,
    ),
    "classifier": NetworkKind(
        noun="a classifier", window_keys=frozenset({"length", "stride"}), build=_build_classifier
    ),
}
"""The kinds by the names in model.json."""
