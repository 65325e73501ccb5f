"""The network of a pretraining: an encoder with objectives.

With reconstruction and future prediction it is the composite model of Srivastava, Mansimov, Salakhutdinov (ICML 2015),
section 2.4.

Shapes: T frames of context, F frames that follow, N frames that a decoder emits, B batch, D values of a frame.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..config.settings import Likelihood
from ..registry import OBJECTIVES
from ..sequences.window_batch import WindowBatch
from .bidirectional import build_encoder
from .decoder import init_output_biases
from .encoder import Numerics, StackSpec
from .inputs import InputTransforms
from .network import Gather, Losses, Network, gather_nothing
from .objectives.frame_objective import FrameObjective
from .objectives.objective import Encoded, Loss, ModelSpec, Objective, Views, Window
from .pooling import last_valid
from .state import State
from .stretches import read


class PretrainingNetwork(Network):
    """An encoder that reads the context of a window, and objectives whose losses train it.

    The encoder's last state is the representation.

    frame_size: D, after the input transforms. objectives: settings by registered name. num_context: T, the frames of a
    window that the encoder reads; the others are the future.
    """

    def __init__(
        self,
        *,
        frame_size: int,
        stack: StackSpec,
        objectives: Mapping[str, Any],
        likelihood: Likelihood,
        num_context: int,
        num_reconstructed: int = 0,
        numerics: Numerics | None = None,
    ) -> None:
        super().__init__()
        numerics = numerics or Numerics()
        self.likelihood: Likelihood = likelihood
        self.num_context = num_context
        self.encoder = build_encoder(frame_size, stack, dropout=stack.dropout, numerics=numerics)
        spec = ModelSpec(
            frame_size=frame_size,
            stack=stack,
            likelihood=likelihood,
            num_reconstructed=num_reconstructed,
            numerics=numerics,
        )
        self.objectives = nn.ModuleDict(
            {name: OBJECTIVES[name](settings, spec) for name, settings in objectives.items()}
        )

    @property
    def _objectives(self) -> dict[str, Objective]:
        return {name: one for name, one in self.objectives.items() if isinstance(one, Objective)}

    @property
    def frame_objectives(self) -> dict[str, FrameObjective]:
        """The objectives that emit frames, by name."""
        return {name: one for name, one in self.objectives.items() if isinstance(one, FrameObjective)}

    @property
    def metric_names(self) -> list[str]:
        """The names of the objectives."""
        return list(self.objectives)

    @property
    def needs_whole_batch(self) -> list[str]:
        """The names of the objectives whose loss is of a batch as a whole."""
        return [name for name, one in self._objectives.items() if one.needs_whole_batch]

    @property
    def needs_one_rank(self) -> list[str]:
        """The names of those of them that do not compare views, which are gathered."""
        return [name for name, one in self._objectives.items() if one.needs_whole_batch and not one.needs_views]

    def init_output_bias(self, mean_frame: Tensor) -> None:
        """Set the output biases so that untrained decoders emit about this frame, (D,)."""
        init_output_biases(self.objectives, mean_frame)

    @property
    def has_random_anchors(self) -> bool:
        """Whether an objective draws anchors."""
        return any(one.reads_anchors_alone for one in self._objectives.values())

    def encode(self, context: Tensor, state: State = None) -> Encoded:
        """Read frames, (T, B, D), T at least 0; state: where the encoder starts, its initial state if None."""
        if len(context):
            return Encoded(*self.encoder(context, state))
        num_windows = context.shape[1]
        if state is None:
            state = self.encoder.initial_state(num_windows, context.device)
        return Encoded(context.new_zeros(0, num_windows, self.encoder.hidden_size), state)

    def transformed(self, inputs: InputTransforms, stored: Tensor, num_context: int | None = None) -> Tensor:
        """Turn stored frames of windows, (T + F, B, D'), into the model's, (T + F, B, D).

        num_context: T, that of the network if None. Transforms use no frame of the future to transform others.
        """
        steps = torch.arange(len(stored), device=stored.device)
        is_context = steps < (self.num_context if num_context is None else num_context)
        frames: Tensor = inputs(stored, is_context[:, None].expand(stored.shape[:2]))
        return frames

    def losses(
        self, inputs: InputTransforms, batch: WindowBatch, state: State = None, gather: Gather = gather_nothing
    ) -> Losses:
        """Return each objective's loss; conditional decoders are teacher-forced."""
        encoded, window = self._read(inputs, batch, state, gather)
        return self._losses({name: one(encoded[name], window) for name, one in self._objectives.items()}, encoded)

    def validation(self, inputs: InputTransforms, batch: WindowBatch) -> tuple[Losses, dict[str, Tensor]]:
        """Return each objective's loss to choose weights by; decoders run free."""
        encoded, window = self._read(inputs, batch, None, gather_nothing)
        by_name = {name: one.validation_loss(encoded[name], window) for name, one in self._objectives.items()}
        return self._losses(by_name, encoded), {}

    def _read(
        self, inputs: InputTransforms, batch: WindowBatch, state: State, gather: Gather
    ) -> tuple[dict[str, Encoded], Window]:
        frames = self.transformed(inputs, batch.frames)
        window = Window(frames[: self.num_context], frames[self.num_context :], batch.video, batch.group)
        objectives = self._objectives
        if not len(window.context):
            encoded = dict.fromkeys(["", *objectives], self.encode(window.context, state))
        else:
            has_last = not all(one.reads_anchors_alone for one in objectives.values())
            encoded = read(self.encoder, window.context, objectives, state, last=None if has_last else 0)
        if any(one.needs_views for one in objectives.values()):
            views = self._encode_views(inputs, batch, gather)
            encoded = {name: one._replace(views=views) for name, one in encoded.items()}
        return encoded, window

    def _encode_views(self, inputs: InputTransforms, batch: WindowBatch, gather: Gather) -> Views:
        if batch.views is None or batch.video is None or batch.group is None:
            raise ValueError("a batch without views, videos and groups cannot train an objective that compares views")
        num_clips, num_views = batch.views.shape[1:3]
        outputs = self.encode(inputs(batch.views.flatten(1, 2))).outputs
        representations = last_valid(outputs, directions=self.encoder.directions).view(num_clips, num_views, -1)
        return Views(gather(representations), gather(batch.video), gather(batch.group))

    def _losses(self, by_name: dict[str, Loss], encoded: Mapping[str, Encoded]) -> Losses:
        weights = {name: one.settings.weight for name, one in self._objectives.items()}
        return Losses(by_name, weights, encoded[""].state)
