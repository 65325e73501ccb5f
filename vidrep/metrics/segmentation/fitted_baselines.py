"""The baselines of a training from segments: classifiers of frames, and for each the rules by which bouts are found.

They are fitted to the same videos as the network, their rules are chosen on the same validation videos, and they are
kept in its run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...errors import ConfigError, InputError
from ...features.store import Features
from ...files import writing_file
from ...models.logistic_regression import LinearClassifier
from ...timelines.calibration import ValidationVideo, calibrate
from ...timelines.settings import BoutSettings
from ...timelines.timeline import Timeline
from ..row_classifiers import FittedClassifier
from .frame_baselines import FrameClassifier, LabeledFrames, Majority, WindowClassifier, fit_frame_baselines
from .truth import Truth

NAME = "frame_baselines.safetensors"
_METADATA = "frame_baselines"
_PART = ("kind", "reads", "setting", "validation_accuracy")


@dataclass(frozen=True, eq=False)
class FrameBaseline:
    """A classifier of frames, and the rules for bouts that fit it."""

    classifier: FrameClassifier
    bouts: BoutSettings

    def timeline(self, features: Features, video: int, truth: Truth) -> Timeline:
        """Return the probabilities of all frames of a video; truth: whose labels they are, and when its frames are."""
        return Timeline(
            video=features.videos[video].path,
            edges=truth.videos[video].edges,
            probabilities=self.classifier.probabilities(features[video]).astype(np.float32).clip(0, 1),
            labels=truth.labels,
            background=truth.background,
            several_labels=truth.several_labels,
        )


def fit_baselines(
    features: Features, truth: Truth, train: Sequence[int], validation: Sequence[int], *, groups: Sequence[str]
) -> dict[str, FrameBaseline]:
    """Fit the baselines to training videos, and choose their rules on validation videos, if there are some.

    groups: of all videos of the features.
    """
    videos = [
        LabeledFrames(frames=features[video], targets=truth.targets(video), group=groups[video])
        for video in train
        if features.videos[video].length
    ]
    spacing = float(np.median(np.concatenate([np.diff(truth.videos[video].edges) for video in train])))
    fitted = fit_frame_baselines(videos, len(truth.labels), frames_per_second=1 / spacing)
    default = BoutSettings.default([name for name in truth.labels if name != truth.background])
    found = {}
    for name, classifier in fitted.items():
        untuned = FrameBaseline(classifier, default)
        validated = [
            ValidationVideo(
                untuned.timeline(features, video, truth), truth.videos[video].bouts, truth.videos[video].known
            )
            for video in validation
        ]
        found[name] = FrameBaseline(classifier, calibrate(validated, name=name) if validated else default)
    return found


def save_frame_baselines(folder: Path, baselines: Mapping[str, FrameBaseline]) -> None:
    """Publish the baselines in a run folder; raises OutputError if that is impossible."""
    arrays: dict[str, Any] = {}
    described: dict[str, Any] = {}
    for name, one in baselines.items():
        described[name] = {"bouts": one.bouts.to_dict()}
        if isinstance(one.classifier, Majority):
            arrays[f"{name}.shares"] = one.classifier.shares
        elif isinstance(one.classifier, WindowClassifier):
            described[name] |= {
                "lengths": one.classifier.lengths,
                "several_labels": one.classifier.several_labels,
                "parts": [{key: getattr(part, key) for key in _PART} for part in one.classifier.parts],
            }
            for number, part in enumerate(one.classifier.parts):
                arrays |= {f"{name}.{number}.{key}": value for key, value in vars(part.classifier).items()}
    content = save(arrays, metadata={_METADATA: json.dumps(described, ensure_ascii=False)})
    with writing_file(folder / NAME, num_bytes=len(content)) as file:
        file.write_at(content, 0)


def load_frame_baselines(folder: Path) -> dict[str, FrameBaseline]:
    """Read the baselines of a run folder; raises InputError if they are missing or damaged."""
    path = folder / NAME
    try:
        with safe_open(path, framework="numpy") as file:
            described = json.loads((file.metadata() or {})[_METADATA])
            return {
                name: FrameBaseline(_loaded(file, name, one), BoutSettings.from_dict(one["bouts"]))
                for name, one in described.items()
            }
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, ConfigError) as error:
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
