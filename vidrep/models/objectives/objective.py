"""The interface of a pretraining objective.

Shapes: T frames of context, F frames that follow, B batch, D values of a frame, H hidden width.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NamedTuple

from torch import Tensor, nn

from ...config.checks import Range, Settings
from ...config.settings import Likelihood
from ...shapes import repr_with_shapes
from ..encoder import Numerics, StackSpec
from ..state import State


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings(Settings):
    """What every objective has in `[objective.NAME]`."""

    weight: Annotated[float, Range(above=0)] = 1.0
    """The factor of its loss in the sum of all objectives."""


class Window(NamedTuple):
    """What an objective learns from: frames as the model reads them, after the input transforms.

    context (T, B, D): what the encoder reads. future (F, B, D): the frames that follow; F is 0 if no objective needs
    them. video, group (B,) int64: equal numbers mean the same video, or the same group; None if unknown.
    """

    context: Tensor
    future: Tensor
    video: Tensor | None = None
    group: Tensor | None = None

    def __repr__(self) -> str:
        return repr_with_shapes(self)


class Views(NamedTuple):
    """What the encoder makes of two views of each clip of a batch, the whole batch of all ranks.

    representations (B, 2, H): the outputs at the views' last frames. video, group (B,) int64: as in Window.
    """

    representations: Tensor
    video: Tensor
    group: Tensor

    def __repr__(self) -> str:
        return repr_with_shapes(self)


class Encoded(NamedTuple):
    """What the encoder returns for the context of windows: outputs (T, B, H) of its top layer, and its last state.

    Without objectives that read windows, windows have no frame: T is 0 and the state is the initial one.
    views: for objectives that need views of the windows' clips, None without such. anchors: the state after so many
    frames, of those that `Objective.anchors` asked for.
    """

    outputs: Tensor
    state: State
    views: Views | None = None
    anchors: Mapping[int, State] = {}

    def __repr__(self) -> str:
        return repr_with_shapes(self)


class Loss(NamedTuple):
    """The loss of some windows.

    total: a scalar, summed over windows, frames and values. num_frames, num_values: the frames of a window and the
    values of a frame that it is summed over; 1 for a loss that is not a sum over frames, or over values.
    """

    total: Tensor
    num_frames: float | Tensor = 1
    num_values: int = 1

    def __repr__(self) -> str:
        return repr_with_shapes(self)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """The model that an objective belongs to.

    frame_size: D. stack: what the encoder is built of, and decoders too. likelihood: of frames. num_reconstructed:
    frames of the context that are reconstructed, 0 for all.
    """

    frame_size: int
    stack: StackSpec
    likelihood: Likelihood
    num_reconstructed: int = 0
    numerics: Numerics = field(default_factory=Numerics)


class Objective(nn.Module, ABC):
    """What a pretraining minimizes: a loss of a batch of windows, computed from what the encoder returns for it.

    An objective makes its own decoders or projections in `__init__`, after `super().__init__(settings, spec)`.
    settings: an instance of its `Settings`.
    """

    Settings: ClassVar[type[Any]] = ObjectiveSettings
    """A frozen dataclass of what can be set in `[objective.NAME]`, derived from ObjectiveSettings."""
    needs_future: ClassVar[bool] = False
    """Whether windows must hold frames after the context."""
    needs_whole_batch: ClassVar[bool] = False
    """Whether its loss is of a batch as a whole rather than a sum over windows. The batch is then computed at once, so
    gradient_accumulation must be 1, and one process trains. (A `ViewObjective` gets the views of all processes.)"""
    needs_views: ClassVar[bool] = False
    """Whether it compares two views of each clip, see `ViewObjective`, rather than reading windows."""
    needs_groups: ClassVar[bool] = False
    """Whether it compares the clips of a group, so that some group must have several."""
    reads_anchors_alone: ClassVar[bool] = False
    """Whether all that it reads of the encoder is its state at `anchors`. They may change from step to step."""
    predicts_frames: ClassVar[bool] = False
    """Whether it emits frames that can be compared with true ones; see `FrameObjective`."""

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__()
        self.settings, self.spec = settings, spec

    def anchors(self, num_steps: int) -> Mapping[int, int]:
        """Return where the state is needed within windows of T = num_steps frames; nowhere, unless overridden.

        {frames that are read until then: how many of them the gradient goes back through}
        """
        return {}

    @abstractmethod
    def forward(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of a batch, to train by."""

    def validation_loss(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of a batch, to choose weights by: the same as in training, unless an objective overrides."""
        loss: Loss = self(encoded, window)
        return loss
