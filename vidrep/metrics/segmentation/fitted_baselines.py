"""The baselines of a training from segments: fitted to the same videos as the network, and kept in its run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...errors import InputError
from ...features.store import Features
from ...files import writing_file
from ...models.logistic_regression import LinearClassifier
from ..row_classifiers import FittedClassifier
from .frame_baselines import (
    FrameClassifier,
    LabeledFrames,
    Majority,
    WindowClassifier,
    fit_frame_baselines,
    refitted,
)
from .truth import Truth

NAME = "frame_baselines.safetensors"
_METADATA = "frame_baselines"
_PART = ("kind", "reads", "setting", "validation_accuracy")


def fit_baselines(
    features: Features, truth: Truth, videos: Sequence[int], *, groups: Sequence[str]
) -> dict[str, FrameClassifier]:
    """Fit the baselines to annotated videos; groups: of all videos of the features."""
    edges = [np.diff(truth.videos[video].edges) for video in videos]
    rate = 1 / float(np.median(np.concatenate(edges)))
    return fit_frame_baselines(_labeled(features, truth, videos, groups), len(truth.labels), frames_per_second=rate)


def refit_baselines(
    classifiers: Mapping[str, FrameClassifier],
    features: Features,
    truth: Truth,
    videos: Sequence[int],
    *,
    groups: Sequence[str],
) -> dict[str, FrameClassifier]:
    """Fit baselines to other videos, as they were chosen before."""
    return refitted(classifiers, _labeled(features, truth, videos, groups), len(truth.labels))


def _labeled(features: Features, truth: Truth, videos: Sequence[int], groups: Sequence[str]) -> list[LabeledFrames]:
    return [
        LabeledFrames(frames=features[video], targets=truth.targets(video), group=groups[video])
        for video in videos
        if features.videos[video].length
    ]


def save_frame_baselines(folder: Path, baselines: Mapping[str, FrameClassifier]) -> None:
    """Publish the baselines in a run folder; raises OutputError if that is impossible."""
    arrays: dict[str, Any] = {}
    described: dict[str, Any] = {}
    for name, one in baselines.items():
        if isinstance(one, Majority):
            described[name] = {}
            arrays[f"{name}.shares"] = one.shares
        elif isinstance(one, WindowClassifier):
            described[name] = {
                "lengths": one.lengths,
                "several_labels": one.several_labels,
                "parts": [{key: getattr(part, key) for key in _PART} for part in one.parts],
            }
            for number, part in enumerate(one.parts):
                arrays |= {f"{name}.{number}.{key}": value for key, value in vars(part.classifier).items()}
    content = save(arrays, metadata={_METADATA: json.dumps(described, ensure_ascii=False)})
    with writing_file(folder / NAME, num_bytes=len(content)) as file:
        file.write_at(content, 0)


def load_frame_baselines(folder: Path) -> dict[str, FrameClassifier]:
    """Read the baselines of a run folder; raises InputError if they are missing or damaged."""
    path = folder / NAME
    try:
        with safe_open(path, framework="numpy") as file:
            described = json.loads((file.metadata() or {})[_METADATA])
            return {name: _loaded(file, name, one) for name, one in described.items()}
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); the run is not finished, or damaged") from error


def _loaded(file: Any, name: str, described: Mapping[str, Any]) -> FrameClassifier:
    if "parts" not in described:
        return Majority(file.get_tensor(f"{name}.shares"))
    parts = [
        FittedClassifier(
            classifier=LinearClassifier(
                **{one.name: file.get_tensor(f"{name}.{number}.{one.name}") for one in fields(LinearClassifier)}
            ),
            **part,
        )
        for number, part in enumerate(described["parts"])
    ]
    return WindowClassifier(
        parts=tuple(parts), lengths=tuple(described["lengths"]), several_labels=described["several_labels"]
    )
