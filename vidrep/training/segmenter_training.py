"""The training of one network that labels frames, in one run folder.

Shapes: K labels.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..config.segmentation import SegmentationConfig
from ..config.settings import TrainingSettings
from ..extraction.compatibility import require_same_features
from ..models.description import ModelDescription
from ..models.inputs import InputTransforms
from ..models.kinds import build_network
from ..models.pretrained import PretrainedEncoders
from ..models.saved import TrainedModel
from ..models.segmenter import Segmenter, balanced_weights, positive_weights
from ..models.transforms.pca import PCASettings
from .loop import TrainingOutcome
from .preparation import frames_of
from .pretrained_start import recorded_start
from .run import RunFolder
from .segmentation_data import SegmentedVideos, data_of_segments, margins
from .session import Prepared, SessionContext, SessionOptions, run_session

# Larger frames are reduced to so many principal components.
_REDUCED_SIZE = 64


@dataclass(frozen=True)
class SegmenterTraining:
    """The training of one network, on the videos of split "train"."""

    videos: SegmentedVideos
    config: SegmentationConfig
    start: PretrainedEncoders | None

    @property
    def recorded(self) -> dict[str, Any]:
        """What a run's config.toml holds besides its settings: groups, and a hash of all targets."""
        return self.videos.of_run.recorded() | {"annotations": {"targets_sha256": self.videos.targets_sha256}}

    def train_member(self, member: RunFolder, settings: TrainingSettings, options: SessionOptions) -> TrainingOutcome:
        """Train into a folder within a run."""
        return self.train(member, options)

    def train(self, run: RunFolder, options: SessionOptions) -> TrainingOutcome:
        """Train into a folder, or go on there."""
        outcome, _, _ = run_session(run, self.config, options, prepare=self._prepare, finish=_nothing)
        return outcome

    def _prepare(self, context: SessionContext) -> Prepared:
        videos, start = self.videos, self.start
        inputs, config = self._inputs()
        reads_ahead = config.encoder.bidirectional or inputs.reads_windows
        description = self._description(config, reads_ahead=reads_ahead)
        network = build_network(description, inputs.part_sizes, context.numerics)
        assert isinstance(network, Segmenter)
        if network.weights is not None:
            network.weights.copy_(self._weights())
        if start is not None:
            start.give_weights_to(network.encoder)
        return Prepared(
            config=config,
            model=TrainedModel(inputs, network),
            description=description,
            data=data_of_segments(videos, config, context, reads_ahead=reads_ahead),
            videos=videos.of_run,
            source=videos.features.settings,
            recorded=self.recorded | recorded_start(start),
        )

    def _inputs(self) -> tuple[InputTransforms, SegmentationConfig]:
        """Return the input transforms, a pretrained run's or fitted ones, and the settings with nothing "auto"."""
        features = self.videos.features
        if self.start is not None:
            require_same_features(features, self.start.description)
            return self.start.inputs(), self.config
        config = _with_transforms(self.config, features.frame_size)
        inputs = InputTransforms(features.frame_size, config.transform)
        inputs.fit(frames_of(features, self.videos.split.train))
        return inputs, config

    def _description(self, config: SegmentationConfig, *, reads_ahead: bool) -> ModelDescription:
        features, truth, start = self.videos.features, self.videos.truth, self.start
        before, after = margins(config, reads_ahead=reads_ahead)
        length = config.windows.length
        assert length != "auto"
        return ModelDescription(
            kind="segmentation",
            frame_shape=list(features.frame_shape),
            dtype=features.dtype,
            # It emits no frames, and its own transforms may take them out of [0, 1].
            likelihood="gaussian" if start is None else start.description.likelihood,
            extractor=features.settings,
            transforms={name: asdict(settings) for name, settings in config.transform.items()},
            encoder=asdict(config.encoder),
            cell=asdict(config.cell[config.encoder.cell]),
            windows={"length": length, "before": before, "after": after},
            joined=[] if start is None else start.description.joined,
            head=asdict(config.segmenter),
            classes=list(truth.labels),
            class_counts=self.videos.num_frames("train").tolist(),
        )

    def _weights(self) -> Tensor:
        """Return the factor of each label, (K,)."""
        frames = torch.from_numpy(self.videos.num_frames("train"))
        if not self.videos.truth.several_labels:
            return balanced_weights(frames)
        return positive_weights(frames, torch.from_numpy(self.videos.num_known("train")) - frames)


def _nothing(context: SessionContext, prepared: Prepared) -> None:
    pass


def _with_transforms(config: SegmentationConfig, frame_size: int) -> SegmentationConfig:
    """Return settings whose transforms are not "auto"."""
    if config.transforms != "auto":
        return config
    reduces = frame_size > _REDUCED_SIZE
    names = ["standardize", *(["center_clip"] if config.encoder.bidirectional else [])]
    names += [*(["pca"] if reduces else []), "differences"]
    return replace(
        config, transforms=tuple(names), transform={"pca": PCASettings(size=_REDUCED_SIZE)} if reduces else {}
    )
