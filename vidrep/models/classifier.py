"""The network of a classifier: an encoder with a head.

Shapes: T time, B batch, D values of a frame, H hidden width, K classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config.settings import Likelihood, Transfer
from ..errors import ConfigError
from ..registry import HEADS, OBJECTIVES
from ..sequences.window_batch import WindowBatch
from .bidirectional import build_encoder
from .collocated import CollocatedEncoder
from .decoder import init_output_biases
from .encoder import Numerics, SequenceEncoder, StackSpec
from .heads.fitted_head import FittedHead
from .heads.head import CrossEntropy, Head
from .inputs import InputTransforms
from .joined import JoinedEncoder
from .network import Gather, Losses, Network, gather_nothing
from .objectives.objective import Encoded, Loss, ModelSpec, Objective, Window
from .state import State
from .stretches import read


class Classifier(Network):
    """An encoder, whose weights may start from a pretrained one's, and a head (Srivastava et al. 2015, section 3.3).

    encoders: D, after the input transforms, and what it is built of, of an encoder or of several that are joined.
    head, head_settings: a registered name and its settings. class_weights: (K,), the factor of each class in the loss,
    1 if None. dropout, input_noise, transfer, label_smoothing, center_groups, backprop_steps: see `ClassifierSettings`.
    objectives: settings by registered name of those that are learned beside the classification; they read the window
    alone. likelihood: of the frames that these emit.

    Raises ValueError if groups are to be centered for a head that is not fitted, and ConfigError for backprop_steps of
    encoders that read later frames too.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        encoders: Sequence[tuple[int, StackSpec]],
        num_classes: int,
        head: str,
        head_settings: Any,
        dropout: float = 0.0,
        input_noise: float = 0.0,
        transfer: Transfer = "init",
        label_smoothing: float = 0.0,
        center_groups: bool = False,
        backprop_steps: int = 0,
        class_weights: Tensor | None = None,
        objectives: Mapping[str, Any] | None = None,
        likelihood: Likelihood = "gaussian",
        numerics: Numerics | None = None,
    ) -> None:
        super().__init__()
        numerics = numerics or Numerics()
        build = CollocatedEncoder if transfer == "collocation" else build_encoder
        parts: list[SequenceEncoder] = [
            build(size, stack, dropout=stack.dropout, numerics=numerics) for size, stack in encoders
        ]
        self.encoder: SequenceEncoder = parts[0] if len(parts) == 1 else JoinedEncoder(parts)
        if transfer == "frozen":
            self.encoder.requires_grad_(False)
        self.dropout, self.input_noise, self.label_smoothing = dropout, input_noise, label_smoothing
        self.backprop_steps = backprop_steps
        if backprop_steps and any(stack.bidirectional for _, stack in encoders):
            raise ConfigError(
                "classifier.backprop_steps is of an encoder that reads forward alone, and encoder.bidirectional is true"
            )
        self.register_buffer("class_weights", class_weights)
        self.head: Head = HEADS[head](self.encoder.hidden_size, num_classes, head_settings)
        self.head.directions = self.encoder.directions
        self.center_groups = center_groups
        if center_groups:
            if not isinstance(self.head, FittedHead):
                raise ValueError(f"the head {head} is not fitted, and reads no representations to be centered")
            self.head.add_center()
        frame_size, stack = encoders[0]
        spec = ModelSpec(frame_size=frame_size, stack=stack, likelihood=likelihood, numerics=numerics)
        self.objectives = nn.ModuleDict(
            {name: OBJECTIVES[name](settings, spec) for name, settings in (objectives or {}).items()}
        )
        if transfer == "collocation" and (backprop_steps or self.has_random_anchors):
            why = "classifier.backprop_steps" if backprop_steps else f"objectives {', '.join(self.objectives)}"
            raise ConfigError(
                f"{why}: they read a window piece by piece, and classifier.transfer 'collocation' attends to all of "
                "it; leave one of the two out"
            )

    @property
    def _objectives(self) -> dict[str, Objective]:
        return {name: one for name, one in self.objectives.items() if isinstance(one, Objective)}

    @property
    def metric_names(self) -> list[str]:
        """The loss, with objectives its parts too, and the accuracy."""
        return ["loss", *(["classification", *self.objectives] if self.objectives else []), "window_accuracy"]

    def init_output_bias(self, mean_frame: Tensor) -> None:
        """Set the output biases of decoders so that untrained they emit about this frame, (D,)."""
        init_output_biases(self.objectives, mean_frame)

    @property
    def has_random_anchors(self) -> bool:
        """Whether an objective draws anchors."""
        return any(one.reads_anchors_alone for one in self._objectives.values())

    def forward(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the probabilities of classes: (T, B, D), valid (T, B) or None -> (B, K).

        A classifier that centers groups takes each window as alone in its group.
        """
        probabilities: Tensor = self.head.probabilities(self._outputs(frames, valid), self._of_last(valid))
        return probabilities

    def _outputs(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return what the head reads, (T, B, H), or (K, B, H) of the last K = `backprop_steps`."""
        return self._dropped(self._read(frames, valid)[""].outputs)

    def _dropped(self, outputs: Tensor) -> Tensor:
        return F.dropout(outputs, self.dropout, self.training)

    @property
    def fitted_head(self) -> FittedHead:
        """The head; TypeError if it is not one that is fitted."""
        if not isinstance(self.head, FittedHead):
            raise TypeError(f"{type(self.head).__name__} is no FittedHead")
        return self.head

    def representations(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return what a fitted head reads of windows, minus its center: (T, B, D), valid (T, B) or None -> (B, H)."""
        return self.fitted_head.representation(self._outputs(frames, valid), self._of_last(valid))

    def classify_representations(self, representations: Tensor) -> Tensor:
        """Return the probabilities of classes by a fitted head, of representations that may be centered by group.

        (B, H) -> (B, K).
        """
        return self.fitted_head.logits(representations).softmax(dim=-1)

    def losses(
        self, inputs: InputTransforms, batch: WindowBatch, state: State = None, gather: Gather = gather_nothing
    ) -> Losses:
        """Return the head's loss, cross-entropy in nats, with label smoothing, and those of the objectives.

        Noise is added to the frames that the encoder reads, not to those that objectives learn to emit.
        """
        frames = inputs(batch.frames, batch.valid)
        encoded = self._read(self._noisy(frames), batch.valid)
        cross_entropy = CrossEntropy(self.label_smoothing, self.class_weights)
        loss = self._head_loss(self._dropped(encoded[""].outputs), batch, cross_entropy)
        window = _window_of(frames, batch)
        by_name = {name: one(encoded[name], window) for name, one in self._objectives.items()}
        return _losses(loss, by_name, {name: one.settings.weight for name, one in self._objectives.items()})

    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return the head's loss without label smoothing, and how many windows it classifies correctly.

        The losses of objectives have the weight 0: the classification chooses the best weights.
        """
        frames = inputs(batch.frames, batch.valid)
        encoded = self._read(frames, batch.valid)
        outputs = self._dropped(encoded[""].outputs)
        loss = self._head_loss(outputs, batch, CrossEntropy(class_weights=self.class_weights))
        is_right = self.head.probabilities(outputs, self._of_last(batch.valid)).argmax(dim=-1).eq(_classes_of(batch))
        window = _window_of(frames, batch)
        by_name = {name: one.validation_loss(encoded[name], window) for name, one in self._objectives.items()}
        return _losses(loss, by_name, dict.fromkeys(by_name, 0.0)), {"window_accuracy": is_right.sum()}

    def _noisy(self, frames: Tensor) -> Tensor:
        if not (self.training and self.input_noise):
            return frames
        return frames + self.input_noise * torch.randn_like(frames)

    def _head_loss(self, outputs: Tensor, batch: WindowBatch, cross_entropy: CrossEntropy) -> Loss:
        valid, num_valid = self._of_last(batch.valid), batch.num_valid
        if num_valid is not None:
            num_valid = num_valid - (len(batch.frames) - len(outputs))  # padding is last, so that each has lost as many
        return self.head.loss(outputs, valid, _classes_of(batch), num_valid, cross_entropy)

    def _read(self, frames: Tensor, valid: Tensor | None) -> dict[str, Encoded]:
        """Read windows, (T, B, D), for the head, as "", and for the objectives."""
        return read(self.encoder, frames, self._objectives, valid=valid, last=self.backprop_steps or None)

    def _of_last(self, valid: Tensor | None) -> Tensor | None:
        """Return which of the time steps that the head reads are frames, (K, B)."""
        if valid is None or not self.backprop_steps:
            return valid
        if not valid[-self.backprop_steps :].any(dim=0).all():
            raise ConfigError(
                f"a window of {int(valid.sum(dim=0).min())} frames beside one of {len(valid)} has none among the last "
                f"{self.backprop_steps}, which classifier.backprop_steps lets the head read; set windows.length to the "
                "frames of the shortest video at most, or backprop_steps to 0"
            )
        return valid[-self.backprop_steps :]


def _window_of(frames: Tensor, batch: WindowBatch) -> Window:
    return Window(frames, frames[:0], batch.video, batch.group)


def _losses(of_head: Loss, by_name: dict[str, Loss], weights: dict[str, float]) -> Losses:
    """Return the head's loss as the only one, or as "classification" beside those of objectives."""
    name = "classification" if by_name else "loss"
    return Losses({name: of_head, **by_name}, {name: 1.0, **weights})


def balanced_weights(class_counts: Sequence[int]) -> Tensor:
    """Return the weight of each class, (K,): inversely proportional to its videos, 1 on average over all videos.

    As `class_weight="balanced"` of scikit-learn. A class without a video has the weight of one with one.
    """
    counts = torch.tensor(class_counts, dtype=torch.float64)
    return (counts.sum() / (len(counts) * counts.clamp(min=1))).float()


def _classes_of(batch: WindowBatch) -> Tensor:
    if batch.classes is None:
        raise ValueError("a batch without classes cannot train a classifier")
    return batch.classes


def valid_frames(lengths: Tensor, num_steps: int) -> Tensor:
    """Return which time steps of padded windows are frames: lengths (B,) -> (T, B) bool."""
    return torch.arange(num_steps, device=lengths.device)[:, None] < lengths
