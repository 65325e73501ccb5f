"""Settings of a training from segments: a label, or several, at every frame of long videos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from .checks import Range, Settings, require
from .doors import settings_of_names
from .settings import (
    AtLeastOne,
    Auto,
    EncoderSettings,
    NotNegative,
    OptimizerSettings,
    Probability,
    TrainingSettings,
    ZeroOrMore,
)

ClassWeights = Literal["none", "balanced"]


@dataclass(frozen=True, kw_only=True)
class SegmentWindows(Settings):
    """Windows of long videos, in frames; "auto" fits the data, see `fit_segment_windows`."""

    length: AtLeastOne | Auto = "auto"
    """T, frames of a window, those of its margins included; a shorter video gives one that is padded."""
    margin: NotNegative | Auto = "auto"
    """Frames at the beginning of a window, and at its end where the encoder reads backward too, that are read and not
    classified, since too little is known there of what was before, or comes after; but at the ends of a video they
    are. A bidirectional encoder knows at least so many of the frames that follow."""
    stride: AtLeastOne | Auto = "auto"
    """Frames between the starts of two training windows of a video."""


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings(Settings):
    """What turns the encoder's outputs into labels of frames."""

    several_labels: bool = False
    """Whether labels may hold at once: a sigmoid for each in place of a softmax over all."""
    background: str = ""
    """The label of time in the annotated videos that has none; without one it is unknown, but where a file says what
    was watched."""
    dropout: Probability = 0.3
    """The probability of dropping a value that enters the last layer."""
    input_noise: ZeroOrMore = 0.0
    """The deviation of the Gaussian noise that training adds to the transformed frames."""
    transfer: Literal["init", "frozen"] = "init"
    """Whether a pretrained encoder learns on, or stays as it is."""
    class_weights: ClassWeights | Auto = "balanced"
    """The factor of each label in the loss, in training and validation: 1, or inversely proportional to the square root
    of its training frames and 1 on average over them; of several labels at once, that of the frames in which it holds
    against those in which it does not. "auto": the validation videos choose, after a training with each; without them,
    with too few bouts in them, or with `training.keep` "best", balanced."""


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(Settings):
    """Everything that a training from segments depends on, but the data, the pretrained run and the machine."""

    kind: ClassVar[str] = "segment"

    test_fraction: Annotated[float, Range(at_least=0, below=1)] = 0.2
    """Of the groups of videos, held out for `evaluate` if no splits are named."""
    transforms: tuple[str, ...] | Auto = "auto"
    """See `PretrainConfig`; a pretrained run brings its own. "auto" is "standardize", "center_clip" unless the encoder
    reads forward alone, "pca" to 64 values of larger frames, and "differences"."""
    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(hidden_size=128, bidirectional=True, dropout=0.3)
    )
    """A pretrained run brings its own cell, width, depth and directions."""
    cell: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `encoder.cell`, by its name; a pretrained run brings its own."""
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    transform: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the transforms, by their names; a pretrained run brings its own."""
    windows: SegmentWindows = field(default_factory=SegmentWindows)
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(lr_schedule="one_cycle", learning_rate=4e-3)
    )
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            steps=1000, validate_every=200, patience=0, keep="last", validation_fraction=0.2
        )
    )
    """With `training.keep` "last", a first network learns from the training videos alone, and the validation videos
    choose what labels frames and its rules for bouts; then what is kept learns from both. With "best", the validation
    videos choose the weights too, and one network is trained."""
    predictor: Literal["auto", "lstm", "linear", "average"] = "auto"
    """What labels frames: the LSTM, a linear baseline, or the average of both; "auto" is the LSTM, unless another finds
    the bouts of the validation videos better."""
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """Dotted keys that a recipe or an option set, even to their defaults: a pretrained run must not contradict them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "cell", settings_of_names("cell", (self.encoder.cell,), self.cell))
        names = () if self.transforms == "auto" else self.transforms
        object.__setattr__(self, "transform", settings_of_names("transform", names, self.transform))
        require(
            self.training.ensemble == 1,
            f"training.ensemble is {self.training.ensemble}, but what is trained from segments is one model; leave it "
            "out",
        )
