"""What a classifier is measured against: classifiers without a trained LSTM, fitted on the same videos, in its run.

Shapes: V videos, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import InputError
from ..features.store import Features
from ..files import writing_file
from ..models.pretrained import PretrainedEncoders
from .cross_validation import mean_by_number
from .representations import FrozenEncoder, represent
from .row_classifiers import CLASSIFIER_KINDS, FittedClassifier, LabeledVideos, fit_best
from .video_features import VIDEO_FEATURES, frames_of, source_numbers, video_rows

NAME = "baselines.safetensors"
_METADATA = "baselines"
_DESCRIBED = ("kind", "reads", "setting", "validation_accuracy")

FROZEN, RANDOM = "frozen encoder", "random encoder"
"""The encoder that a classifier started from, and an untrained one of the same architecture."""

_FOLDS_SEED = 0
_KINDS_OF_ENCODERS = {FROZEN: ("linear", "kNN", "prototypes"), RANDOM: ("linear",)}


def baseline_encoders(start: PretrainedEncoders | None) -> dict[str, FrozenEncoder]:
    """Return the encoders whose representations are baselines, by name; none for a classifier from scratch."""
    if start is None:
        return {}
    return {
        FROZEN: FrozenEncoder.pretrained(start),
        RANDOM: FrozenEncoder.random(start.description, start.inputs()),
    }


@dataclass(frozen=True)
class Baseline:
    """A fitted classifier, and the encoder whose representations it reads, "" for features."""

    encoder: str
    fitted: FittedClassifier

    @property
    def name(self) -> str:
        """What tables call it: "mean feature", or "frozen encoder, mean h, kNN"."""
        return f"{self.encoder}, {self.fitted.reads}, {self.fitted.kind}" if self.encoder else self.fitted.reads


@dataclass(frozen=True)
class Baselines:
    """The baselines of a run."""

    every: tuple[Baseline, ...]

    @property
    def need_encoders(self) -> bool:
        """Whether some read the representations of an encoder."""
        return any(one.encoder for one in self.every)

    def probabilities(
        self, features: Features, videos: Sequence[int], encoders: Mapping[str, FrozenEncoder], *, device: torch.device
    ) -> dict[str, NDArray[np.float64]]:
        """Classify videos: {baseline: (V, K)}, NaN for a video without frames.

        encoders: those of `baseline_encoders`.
        """
        found = self._of_features(features, videos)
        for encoder in dict.fromkeys(one.encoder for one in self.every if one.encoder):
            representations = represent(encoders[encoder], features, videos, device=device)
            for one in self.every:
                if one.encoder == encoder:
                    samples = representations[one.fitted.reads]
                    found[one.name] = samples.mean(one.fitted.classifier.probabilities(samples.rows))
        return found

    def _of_features(self, features: Features, videos: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """Classify videos by the baselines that read features, one video at a time."""
        numbers = [number for number, video in enumerate(videos) if features.videos[video].length]
        found: dict[str, list[NDArray[np.float64]]] = {one.name: [] for one in self.every if not one.encoder}
        for number in numbers:
            frames = frames_of(features, videos[number])
            for one in self.every:
                if not one.encoder:
                    rows = VIDEO_FEATURES[one.fitted.reads].rows(frames)
                    found[one.name].append(one.fitted.classifier.probabilities(rows).mean(axis=0))
        if not found:
            return {}
        positions = np.array(numbers, dtype=np.int64)
        return {name: mean_by_number(np.stack(some), positions, len(videos)) for name, some in found.items()}


def fit_baselines(
    features: Features,
    videos: Sequence[int],
    *,
    classes: NDArray[np.int64],
    groups: Sequence[str],
    num_classes: int,
    encoders: Mapping[str, FrozenEncoder],
    device: torch.device,
) -> Baselines:
    """Fit classifiers to videos, (V,), with what cross-validation over whole groups chooses.

    classes, groups: of each of the videos, (V,). encoders: those of `baseline_encoders`.
    Crops of a video are several rows of one video in the folds, which depend on the videos alone: runs that learn from
    the same videos are measured against the same baselines, however their networks are trained.
    """
    first, sources = source_numbers(features, videos)
    labeled = LabeledVideos.of(classes[first], [groups[number] for number in first], num_classes, seed=_FOLDS_SEED)
    every = []
    for name in VIDEO_FEATURES:
        samples = video_rows(features, videos, name).renumbered(sources, len(first))
        every.append(Baseline("", fit_best("linear", {name: samples}, labeled)))
    for encoder, frozen in encoders.items():
        representations = {
            name: samples.renumbered(sources, len(first))
            for name, samples in represent(frozen, features, videos, device=device).items()
        }
        every += [Baseline(encoder, fit_best(kind, representations, labeled)) for kind in _KINDS_OF_ENCODERS[encoder]]
    return Baselines(tuple(every))


def save_baselines(folder: Path, baselines: Baselines) -> None:
    """Publish the baselines in a run folder."""
    arrays = {
        f"{number}.{name}": value
        for number, one in enumerate(baselines.every)
        for name, value in vars(one.fitted.classifier).items()
    }
    described = [
        {"encoder": one.encoder, **{name: getattr(one.fitted, name) for name in _DESCRIBED}} for one in baselines.every
    ]
    content = save(arrays, metadata={_METADATA: json.dumps(described)})
    with writing_file(folder / NAME, num_bytes=len(content)) as file:
        file.write_at(content, 0)


def load_baselines(folder: Path) -> Baselines:
    """Read the baselines of a run folder.

    Raises InputError if they are missing, damaged or of an earlier version.
    """
    path = folder / NAME
    try:
        with safe_open(path, framework="numpy") as file:
            described = json.loads((file.metadata() or {})[_METADATA])
            return Baselines(tuple(_loaded(file, number, one) for number, one in enumerate(described)))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); the run is not finished, damaged or of an earlier version"
        ) from error


def _loaded(file: Any, number: int, described: dict[str, Any]) -> Baseline:
    fitted = CLASSIFIER_KINDS[described["kind"]].fitted
    classifier = fitted(**{one.name: file.get_tensor(f"{number}.{one.name}") for one in fields(fitted)})
    known = {name: described[name] for name in _DESCRIBED}
    return Baseline(described["encoder"], FittedClassifier(classifier=classifier, **known))
