"""What is to be measured: a trained run, the videos to measure it on, and the options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import ConfigError
from ..extraction.compatibility import require_same_features
from ..features.annotations import SPLITS, AnnotatedVideos, Annotation
from ..features.groups import NO_RULE, GroupRule
from ..features.store import Features
from ..models.description import ModelDescription
from ..models.members import member_folders
from ..models.saved import TrainedModel, load_model
from ..progress import ProgressListener, ignore_progress
from ..segments.segment import Annotations


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How to measure; which of them a kind of run takes, that kind checks.

    mnist: a folder of MNIST digits to make Moving MNIST of, in place of features; num_digits, num_sequences, seed: of
    these sequences. segments: annotations with time, for a run that labels frames.
    num_future: frames to predict. split: the videos of this split alone. shuffle_frames: put each
    window's frames into random order. probe: put classifiers on what a pretraining makes of labeled videos.
    filmstrip: a PNG to draw. errors, predictions: CSV files of the mistakes of a classifier or of what labels frames,
    and of all that it predicts. reliability: a PNG of how well its probabilities are calibrated.

    Raises ConfigError for an unknown split, and for options of features beside MNIST digits.
    """

    mnist: Path | None = None
    num_digits: int | None = None
    num_sequences: int = 10_000
    seed: int = 1
    num_future: int | None = None
    split: str | None = None
    annotations: Mapping[str, Annotation] | None = None
    segments: Annotations | None = None
    group_rule: GroupRule = NO_RULE
    shuffle_frames: bool = False
    probe: bool = False
    filmstrip: Path | None = None
    errors: Path | None = None
    predictions: Path | None = None
    reliability: Path | None = None
    on_progress: ProgressListener = ignore_progress

    def __post_init__(self) -> None:
        of_features = (self.split, self.annotations, self.group_rule.is_given, self.shuffle_frames, self.probe)
        if self.mnist is not None and any(of_features):
            raise ConfigError("MNIST digits make sequences without splits and labels; those are for features")
        if self.split is not None and self.split not in SPLITS:
            raise ConfigError(f"split {self.split!r}: allowed are {', '.join(SPLITS)}")


@dataclass(frozen=True)
class TrainedRun:
    """A run folder, the models that it holds, one or those of an ensemble, and where to compute."""

    folder: Path
    models: Sequence[TrainedModel]
    description: ModelDescription
    device: torch.device

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "TrainedRun":
        """Read a run folder; raises as `load_model` does."""
        loaded = [load_model(member) for member in member_folders(folder)]
        return cls(folder, [model for model, _ in loaded], loaded[0][1], device)

    def require_features(self, features: Features) -> None:
        """Raise FeatureFileError, with the difference, unless features are like those that the run was trained on."""
        require_same_features(features, self.description)

    @property
    def model(self) -> TrainedModel:
        """The model; of an ensemble the first."""
        return self.models[0]


@dataclass(frozen=True)
class SelectedVideos:
    """The videos of features to measure on.

    indices: of them. which: a name for them. num_left_out: videos left out because the run was trained on them.
    """

    features: Features
    annotated: AnnotatedVideos
    indices: list[int]
    which: str
    num_left_out: int
