"""How each kind of trained network is built from its description."""

from collections.abc import Callable, Sequence

import torch

from ..config.doors import settings_of_names
from .classifier import Classifier, balanced_weights
from .description import ModelDescription
from .encoder import Numerics, StackSpec
from .inputs import InputTransforms
from .joined import JoinedInputs
from .network import Network
from .pretraining import PretrainingNetwork
from .segmenter import Segmenter


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
    return _BUILDERS[description.kind](description, frame_sizes, numerics or Numerics())


def _build_pretraining(
    description: ModelDescription, frame_sizes: Sequence[int], numerics: Numerics
) -> PretrainingNetwork:
    return PretrainingNetwork(
        frame_size=frame_sizes[0],
        stack=stack_of(description),
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
        encoders=[(size, stack_of(part)) for size, part in zip(frame_sizes, description.parts, strict=True)],
        num_classes=len(description.classes),
        head=name,
        head_settings=settings_of_names("head", [name], {name: settings})[name],
        objectives=settings_of_names("objective", list(description.objectives), description.objectives),
        likelihood=description.likelihood,
        class_weights=balanced_weights(description.class_counts) if is_balanced else None,
        numerics=numerics,
        **others,
    )


def _build_segmenter(description: ModelDescription, frame_sizes: Sequence[int], numerics: Numerics) -> Segmenter:
    head = description.head
    return Segmenter(
        encoders=[(size, stack_of(part)) for size, part in zip(frame_sizes, description.parts, strict=True)],
        num_labels=len(description.classes),
        several_labels=head["several_labels"],
        dropout=head["dropout"],
        input_noise=head["input_noise"],
        transfer=head["transfer"],
        weights=torch.ones(len(description.classes)) if head["class_weights"] == "balanced" else None,
        numerics=numerics,
    )


def stack_of(description: ModelDescription) -> StackSpec:
    """Return what the encoder is built of."""
    name = description.encoder["cell"]
    return StackSpec(**description.encoder, settings=settings_of_names("cell", [name], {name: description.cell})[name])


_BUILDERS: dict[str, Callable[[ModelDescription, Sequence[int], Numerics], Network]] = {
    "pretraining": _build_pretraining,
    "classifier": _build_classifier,
    "segmentation": _build_segmenter,
}
