"""Settings of experiments: what a pretraining and a fine-tuning depend on, but the data and the machine.

A recipe is a TOML file with the same sections as its config class has fields, and `kind = "pretrain"` or `"finetune"`;
`vidrep.config.reader` reads it. What is registered by name (a cell, an objective, a transform, a head) has settings of
its own, in a section of its name: `[cell.lstm]`, `[objective.future]`, `[transform.pca]`, `[head.every_step]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

from ..registry import OBJECTIVES
from .checks import Range, Settings, require
from .doors import settings_of_names

AtLeastOne = Annotated[int, Range(at_least=1)]
NotNegative = Annotated[int, Range(at_least=0)]
Probability = Annotated[float, Range(at_least=0, below=1)]
Positive = Annotated[float, Range(above=0)]
ZeroOrMore = Annotated[float, Range(at_least=0)]
Share = Annotated[float, Range(above=0, at_most=1)]
Fraction = Annotated[float, Range(above=0, below=1)]
Jitter = Annotated[float, Range(at_least=0, below=1)]
Seed = Annotated[int, Range(at_least=0, below=2**63)]
Auto = Literal["auto"]
Likelihood = Literal["bernoulli", "gaussian"]
Transfer = Literal["init", "frozen", "collocation"]


COMPOSITE = ("reconstruction", "future")
"""The objectives of the composite model."""
AUTO_OBJECTIVES = (*COMPOSITE, "contrast")
"""The objectives that "auto" chooses from."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(Settings):
    """The encoder, a stack of recurrent layers; decoders have the same cell, width and depth."""

    cell: str = "lstm"
    """The registered cell that every layer has; its settings stand in `[cell.NAME]`."""
    hidden_size: AtLeastOne = 512
    """H, the width of a layer."""
    num_layers: AtLeastOne = 1
    """L, the number of layers."""
    bidirectional: bool = False
    """Whether the encoder has a second stack, which reads each window from its last frame to its first; the outputs of
    both stand side by side."""
    dropout: Probability = 0.0
    """The probability of dropping a value that enters a layer of the encoder."""
    initialization: Literal["orthogonal", "xavier", "uniform"] = "orthogonal"
    """Of weight matrices: orthogonal for recurrent ones and Xavier uniform for others, Xavier, or uniform."""
    uniform_scale: Positive = 0.01
    """The bound of "uniform": weights start between minus and plus this."""


@dataclass(frozen=True, kw_only=True)
class DecoderSettings(Settings):
    """What the decoders of all objectives share."""

    init_output_bias: bool = True
    """Decoders start by emitting the training split's mean frame, by the biases of their output projections, rather
    than from biases of 0. For "gaussian" frames, which are standardized, that is the same."""


@dataclass(frozen=True, kw_only=True)
class PretrainWindows(Settings):
    """Windows for pretraining, in frames. "auto" fits the data; `vidrep.sequences.window_lengths` has the rule."""

    context: NotNegative | Auto = "auto"
    """T, frames that the encoder reads; 0 if no objective reads windows."""
    num_future: NotNegative | Auto = "auto"
    """F, frames that follow the context, for objectives that need them; 0 without one."""
    num_reconstructed: NotNegative = 0
    """Frames that the reconstruction decoder emits, the last ones of the context; 0 for all of them."""
    stride: AtLeastOne | Auto = "auto"
    """Frames between the starts of two windows of a video; "auto" is half of the context."""
    stateful: bool = False
    """Windows of a video follow each other without overlap, and the encoder starts from the state in which the window
    before left it: gradients reach back one window, the state further, at no more memory."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context != "auto":
            require(
                self.num_reconstructed <= self.context,
                f"windows.num_reconstructed is {self.num_reconstructed}; it takes up to windows.context, "
                f"{self.context}, or 0 for all of them",
            )
            require(
                not self.stateful or self.stride in ("auto", self.context),
                f"windows.stateful reads one window after the other, but windows.stride is {self.stride} and "
                f"windows.context {self.context}: set both to the same",
            )

    @property
    def length(self) -> int:
        """Frames of a whole window, once nothing is "auto"."""
        assert self.context != "auto" and self.num_future != "auto"
        return self.context + self.num_future


@dataclass(frozen=True, kw_only=True)
class ViewSettings(Settings):
    """Views of clips, for objectives that compare two of them: crops in time, resampled linearly."""

    num_frames: AtLeastOne = 10
    """Frames of a view."""
    least_share: Share = 0.6
    """A view takes this share of its clip or more, up to all of it."""
    jitter: Jitter = 0.0
    """Each point in time of a view is moved by up to half of this share of the distance between two."""
    clip_seconds: Positive = 10.0
    """A clip is a video, or of a longer one a stretch of so many seconds."""
    least_groups: AtLeastOne = 4
    """Groups that the clips of a batch come from, at least; more where groups are too small to fill it."""


@dataclass(frozen=True, kw_only=True)
class FinetuneWindows(Settings):
    """Windows for classification, in frames. "auto" fits the data; `vidrep.sequences.window_lengths` has the rule."""

    length: AtLeastOne | Auto = "auto"
    """T, frames of a window; a shorter video gives one that is padded."""
    stride: AtLeastOne | Auto = "auto"
    """Frames between the starts of two windows of a video; "auto" is half of the length."""
    to_the_end: bool = True
    """Whether a last window ends with the video where no stride does; without it, up to `stride` - 1 frames at the end
    of a video are in no window, as in the protocol of Srivastava et al. 2015."""
    resample: bool | Auto = "auto"
    """Whether a window is a clip, a whole video or a stretch of `clip_seconds`, resampled in time to `length` frames,
    rather than consecutive frames. "auto" is what a pretrained run reads, and without one consecutive frames."""
    clip_seconds: Positive = 10.0
    """Of resampled clips, see `ViewSettings`; a pretrained run that reads clips brings its own."""
    least_share: Share = 1.0
    """In training, a resampled window is a crop in time of this share of its clip or more."""
    jitter: Jitter = 0.0
    """In training, each point in time of a resampled window is moved by up to half of this share of the distance
    between two."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.resample is not False or self.least_share == 1,
            f"windows.least_share is {self.least_share}, but consecutive frames are not cropped; set windows.resample",
        )
        require(
            self.resample is not False or self.jitter == 0,
            f"windows.jitter is {self.jitter}, but consecutive frames are not moved in time; set windows.resample",
        )
        require(
            self.resample is not True or self.to_the_end,
            "windows.to_the_end is false, but resampled clips always reach the end of a video; leave it out, or set "
            "windows.resample to false",
        )


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings(Settings):
    """How weights are updated."""

    name: Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "srivastava"] = "adamw"
    """Of torch.optim, or "srivastava", the released code's: gradient descent whose velocity, not whose gradient, is
    clipped, each value to `clip_velocity`."""
    learning_rate: Positive = 1e-3
    """Its highest value."""
    encoder_rate_factor: Positive = 1.0
    """The encoder's learning rate is so many times that of all other layers."""
    head_warmup_steps: NotNegative = 0
    """The encoder's learning rate is 0 for so many steps, in which the other layers learn. The optimizer's averages of
    the encoder's gradients begin at once, and the norm that is clipped includes these."""
    momentum: Probability = 0.9
    """Of sgd, rmsprop and srivastava."""
    weight_decay: ZeroOrMore = 0.0
    """Of weight matrices, not of biases."""
    decay_peepholes: bool = False
    """Whether weight decay is of peepholes too, as in the released code."""
    reduction: Literal["mean", "sum"] = "mean"
    """Whether the loss that is differentiated is a mean over the windows, frames and values of a batch, or their
    sum."""
    clip_norm: ZeroOrMore = 1.0
    """The gradient is scaled down to this norm; 0 does not clip."""
    clip_value: ZeroOrMore = 0.0
    """Each value of the gradient is cut to this size; 0 does not clip."""
    clip_velocity: Positive = 1e-4
    """Each value of the velocity of "srivastava" is cut to this size."""
    warmup_steps: NotNegative = 100
    """The learning rate rises linearly over so many steps; "one_cycle" has a rise of its own instead."""
    lr_schedule: Literal["constant", "cosine", "step", "plateau", "one_cycle"] = "cosine"
    """What follows the warm-up: the learning rate stays, falls to zero along half a cosine, or is multiplied by
    `lr_gamma` every `lr_step` steps ("step") or after `plateau_patience` validations without a better one ("plateau").
    "one_cycle" is torch's OneCycleLR: along half a cosine from 1/25 of `learning_rate` up to it, and along another down
    to a 10,000th of where it began. Momentum stays as it is."""
    one_cycle_rise: Fraction = 0.3
    """The share of all steps in which "one_cycle" rises."""
    lr_step: AtLeastOne = 10_000
    """Steps between two reductions of the schedule "step"."""
    lr_gamma: Fraction = 0.9
    """The factor of the schedules "step" and "plateau"."""
    plateau_patience: AtLeastOne = 3
    """Validations without a better one before the schedule "plateau" reduces the learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            not (self.clip_norm and self.clip_value),
            f"optimizer.clip_norm is {self.clip_norm} and optimizer.clip_value {self.clip_value}; set one of them to 0",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How long a training runs, on what batches, and how often it validates and saves."""

    steps: AtLeastOne = 2000
    """Optimizer steps at most."""
    batch_size: NotNegative = 0
    """B, windows a step; 0 takes 64, or all windows if there are fewer."""
    ensemble: AtLeastOne = 1
    """Models that are trained one after the other, with the same splits, and used as one run."""
    gradient_accumulation: AtLeastOne = 1
    """Micro-batches that a batch is computed in, to save memory. What is learned stays the same, but for what dropout
    draws."""
    recompute_every: NotNegative = 0
    """Activation checkpointing along time: so many time steps are kept for the gradient at once, and longer windows are
    computed a second time; 0 keeps all."""
    seed: Seed = 0
    """Of splits, initial weights, order and dropout."""
    member: NotNegative = 0
    """The number of a model in an ensemble, whose models have the same splits, but weights, order and dropout of their
    own."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """Of matrix products; "auto" is bf16 where the device has it natively, else fp32. tf32 is for CUDA alone. A resumed
    run may have another."""
    validation_fraction: Fraction = 0.1
    """Of the groups of videos, or of the digits if sequences are generated, held out to choose the best weights."""
    validate_every: AtLeastOne = 100
    """Steps between two validations."""
    patience: NotNegative = 10
    """Validations without a better one after which the training stops early; 0 never does."""
    checkpoint_minutes: ZeroOrMore = 10.0
    """Minutes between two checkpoints, besides one at every validation; 0 writes none by time."""
    checkpoint_every: NotNegative = 0
    """Steps between two checkpoints, besides one at every validation; 0 writes none by steps."""
    keep: Literal["best", "last"] = "best"
    """Which weights become the model: those of the best validation, or those of the last, for which all steps are done
    whatever the patience."""
    keep_checkpoints: AtLeastOne = 2
    """Checkpoints that are kept."""

    @property
    def draw_seed(self) -> int:
        """What weights, order and dropout are drawn by: the seed, for further members a mix with their number."""
        if not self.member:
            return self.seed
        return int.from_bytes(sha256(f"{self.seed} {self.member}".encode()).digest()[:7])

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            not self.batch_size or self.gradient_accumulation <= self.batch_size,
            f"training.gradient_accumulation is {self.gradient_accumulation}, but a batch has only {self.batch_size} "
            "windows; give at most that many",
        )


@dataclass(frozen=True, kw_only=True)
class MovingMnistSettings(Settings):
    """Moving MNIST sequences that are generated as training goes; the defaults are the paper's."""

    num_digits: int = 2
    """Digits in a sequence."""
    canvas: int = 64
    """Pixels along each side of a frame."""
    displacement: float = 0.1
    """Of a digit per frame, in units of its range along a side."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(Settings):
    """Everything that a pretraining depends on, but the data and the machine."""

    kind: ClassVar[str] = "pretrain"

    likelihood: Literal["auto", "bernoulli", "gaussian"] = "auto"
    """Of frames: "bernoulli" for values in [0, 1], with a sigmoid and Bernoulli cross-entropy; "gaussian" for real
    ones, with squared error. "auto" takes "bernoulli" for uint8 features (divided by 255), else "gaussian"."""
    transforms: tuple[str, ...] | Auto = "auto"
    """Registered transforms of the frames that the model reads and predicts, in their order; "auto" is "standardize"
    for "gaussian" frames, none for "bernoulli" ones."""
    objectives: tuple[str, ...] | Auto = "auto"
    """Registered objectives, whose weighted losses are added. Reconstruction and future: the composite model; the first
    alone: an autoencoder; the second alone: a future predictor. "auto" is the composite model, and beside it contrast
    for "gaussian" frames of videos."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    cell: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `encoder.cell`, by its name."""
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    objective: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the objectives, by their names."""
    transform: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the transforms, by their names."""
    windows: PretrainWindows = field(default_factory=PretrainWindows)
    views: ViewSettings = field(default_factory=ViewSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    moving_mnist: MovingMnistSettings = field(default_factory=MovingMnistSettings)
    """What to generate if there are no features but MNIST digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.objectives) > 0, "objectives is empty; give at least one, such as reconstruction or future")
        require(
            not (self.encoder.bidirectional and self.windows.stateful),
            "windows.stateful carries the state on to the window that follows, which encoder.bidirectional reads from "
            "its end; set one of them to false",
        )
        # What "auto" leaves out may not be given settings: which those are is known with the data.
        given = [name for name in AUTO_OBJECTIVES if name in self.objective]
        objectives = given if self.objectives == "auto" else self.objectives
        for section, names in (("cell", (self.encoder.cell,)), ("objective", objectives)):
            object.__setattr__(self, section, settings_of_names(section, names, getattr(self, section)))
        _resolve_transforms(self)

    @property
    def contrasts_views(self) -> bool:
        """Whether an objective compares views of clips."""
        return any(OBJECTIVES[name].needs_views for name in self.objective)

    @property
    def reads_windows(self) -> bool:
        """Whether an objective reads windows."""
        return any(not OBJECTIVES[name].needs_views for name in self.objective)


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(Settings):
    """The classifier: an encoder with a head."""

    head: str = "every_step"
    """The registered head; its settings stand in `[head.NAME]`."""
    dropout: Probability = 0.5
    """The probability of dropping a value that enters the head."""
    input_noise: ZeroOrMore = 0.0
    """The deviation of the Gaussian noise that training adds to the transformed frames; `encoder.dropout` drops values
    of them."""
    transfer: Transfer = "init"
    """What the encoder takes from a pretrained one: "init" starts from its weights, and all learn; "frozen" keeps them
    as they are and trains, or fits, the head alone; "collocation" keeps them too, and a new encoder of its cell, width
    and depth also reads its states, at each time step, through learned gates and attention."""
    backprop_steps: Annotated[int, Range(at_least=0)] = 0
    """How many of a window's last time steps the gradient of the classification goes back through, so that memory does
    not grow with long windows (truncated backpropagation through time); the head reads the outputs of these alone. 0:
    all."""
    label_smoothing: Probability = 0.0
    """The share of each target that training spreads evenly over all classes; validation does not."""
    center_groups: bool = False
    """With a head that is fitted: subtract from each representation the mean over the windows of its group, among the
    videos that are classified together, in training the training videos. The prediction for a clip then depends on the
    other clips of its group; one without others is centered by the mean of all training representations."""
    class_weights: Literal["none", "balanced"] = "none"
    """The factor of each class in the loss, in training and validation: 1, or inversely proportional to its training
    videos and 1 on average over them."""


@dataclass(frozen=True, kw_only=True)
class SelectionSettings(Settings):
    """How a fine-tuning chooses its head, transforms and windows: by cross-validation over whole groups."""

    enabled: bool = True
    """Whether candidates are tried, rather than just these settings; what is set stays in all of them."""
    folds: Annotated[int, Range(at_least=2)] = 3
    """Parts that the training videos are divided into, each of which validates what learns from the others."""
    epochs: Positive = 20.0
    """How often a candidate reads each training window, unless `training.steps` is set."""
    least_steps: AtLeastOne = 150
    """Optimizer steps of a candidate, at least."""
    most_steps: AtLeastOne = 1000
    """Optimizer steps of a candidate, at most."""
    final_steps: NotNegative = 0
    """Optimizer steps of the classifier that learns from all videos once its candidate is chosen; 0: as many as the
    candidate has. More `training.steps` for a run that goes on are these."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(Settings):
    """Everything that a fine-tuning depends on, but the data, the pretrained run and the machine."""

    kind: ClassVar[str] = "finetune"

    test_fraction: Annotated[float, Range(at_least=0, below=1)] = 0.2
    """Of the groups of videos of each class, held out for `evaluate` if the features name no splits."""
    test_folds: Annotated[int, Range(at_least=0)] = 0
    """Folds that all labeled videos are divided into, whatever their splits, each of which tests once a classifier that
    learned from the others; 0 holds out `test_fraction`."""
    transforms: tuple[str, ...] | Auto = "auto"
    """See `PretrainConfig`; a pretrained run brings its own."""
    objectives: tuple[str, ...] = ()
    """Registered objectives that are learned beside the classification: those that read a window alone, such as
    reconstruction. Their weighted losses are added in training; the classification alone chooses the best weights."""
    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(dropout=0.5))
    """A pretrained run brings its own cell, width and depth."""
    cell: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `encoder.cell`, by its name; a pretrained run brings its own."""
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    head: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `classifier.head`, by its name."""
    objective: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the objectives, by their names."""
    transform: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the transforms, by their names; a pretrained run brings its own."""
    windows: FinetuneWindows = field(default_factory=FinetuneWindows)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=1000, validate_every=50))
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    predictor: Literal["auto", "lstm", "linear", "average"] = "auto"
    """What predicts: the LSTM, the best linear baseline, or the average of both; "auto" is the one that
    cross-validation finds best, and without it the LSTM."""
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """Dotted keys that a recipe or an option set, even to their defaults: a pretrained run must not contradict them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = {"cell": (self.encoder.cell,), "head": (self.classifier.head,), "objective": self.objectives}
        for section, names in chosen.items():
            object.__setattr__(self, section, settings_of_names(section, names, getattr(self, section)))
        _resolve_transforms(self)
        require(self.test_folds != 1, "test_folds 1: what a fold tests learns from the others; give 2 or more, or 0")


def _resolve_transforms(config: PretrainConfig | FinetuneConfig) -> None:
    names = () if config.transforms == "auto" else config.transforms
    object.__setattr__(config, "transform", settings_of_names("transform", names, config.transform))
