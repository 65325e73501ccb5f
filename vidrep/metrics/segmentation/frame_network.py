"""The network of a segmentation as a classifier of frames, read over videos of any length.

Shapes: B windows, D values of a frame, K labels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...models.description import ModelDescription
from ...models.members import member_folders
from ...models.saved import TrainedModel, load_model
from ...models.segmenter import Segmenter
from ...models.state import State
from .frame_stream import Block, Window, pieces, windows
from .truth import BACKGROUND

# Frames that a causal network reads at once: always so many, so that a frame's probabilities are the same bits whatever
# follows. Windows that another one reads at once.
_CHUNK, _WINDOWS_AT_ONCE = 256, 16
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class FrameNetwork:
    """A trained network that labels frames; a `FrameClassifier`. device: where it computes."""

    model: TrainedModel
    description: ModelDescription
    device: torch.device = _CPU

    @classmethod
    def of_folder(cls, folder: Path, device: torch.device | None = None) -> "FrameNetwork":
        """Read it from a run, or a folder within one; raises as `load_model` does."""
        return cls(*load_model(member_folders(folder)[0]), device or _CPU)

    @property
    def network(self) -> Segmenter:
        """The network without what transforms its inputs."""
        assert isinstance(self.model.network, Segmenter)
        return self.model.network

    @property
    def labels(self) -> tuple[str, ...]:
        """The K labels."""
        return tuple(self.description.classes)

    @property
    def background(self) -> str | None:
        """The label of time in which nothing happens; None if there is none, and where several labels may hold."""
        name = self.description.head["background"] or BACKGROUND
        return name if name in self.description.classes else None

    @property
    def several_labels(self) -> bool:
        """Whether labels may hold at once."""
        return self.network.several_labels

    @property
    def frames_ahead(self) -> int:
        """See FrameClassifier: as many as a window has after its margin."""
        lengths = self.description.windows
        return 0 if self.is_causal else int(lengths["length"] - lengths["before"] - 1)

    @property
    def is_causal(self) -> bool:
        """Whether a frame's probabilities depend on no later frame."""
        return self.network.reads_forward and not self.model.inputs.reads_windows

    def probabilities(self, blocks: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
        """See FrameClassifier. It takes as little memory as a few windows do.

        A causal network reads on from frame to frame; another one reads windows as in training, whose margins overlap.
        """
        self.model.to(self.device).eval()
        frames = (block.reshape(len(block), -1) for block in blocks if len(block))
        if self.is_causal:
            yield from self._read_on(pieces(frames, _CHUNK))
            return
        lengths = self.description.windows
        before, after = lengths["before"], lengths["after"]
        every = windows(frames, lengths["length"] - before - after, before, after)
        while at_once := list(islice(every, _WINDOWS_AT_ONCE)):
            yield from self._classified(at_once)

    @torch.inference_mode()
    def _read_on(self, every: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
        state: State = None
        num_before = self.model.inputs.num_before
        before: Block | None = None
        for piece in every:
            stored = np.zeros((num_before + _CHUNK, 1, piece.shape[1]), dtype=piece.dtype)
            stored[:num_before, 0] = piece[:1] if before is None else before
            stored[num_before : num_before + len(piece), 0] = piece
            before = stored[_CHUNK:, 0]
            frames = self.model.inputs(torch.from_numpy(stored).to(self.device))[num_before:]
            found, state = self.network(frames.contiguous(), state)
            yield found[: len(piece), 0].float().cpu().numpy()

    @torch.inference_mode()
    def _classified(self, some: list[Window]) -> Iterator[NDArray[np.float32]]:
        """Classify the cores of windows."""
        lengths = [len(window.frames) for window in some]
        first = some[0].frames
        stored = np.zeros((max(lengths), len(some), first.shape[1]), dtype=first.dtype)
        for column, window in enumerate(some):
            stored[: len(window.frames), column] = window.frames
        valid: Tensor | None = None
        if min(lengths) < max(lengths):
            valid = (torch.arange(max(lengths))[:, None] < torch.tensor(lengths)).to(self.device)
        found, _ = self.network(self.model.inputs(torch.from_numpy(stored).to(self.device), valid), valid=valid)
        probabilities = found.float().cpu().numpy()
        for column, window in enumerate(some):
            yield probabilities[window.first : window.stop, column]
