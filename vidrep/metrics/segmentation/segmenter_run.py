"""A finished training from segments: its network, read over videos of any length, and the rules for bouts.

Shapes: T frames of a video, B windows, D values of a frame, K labels.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ConfigError, InputError
from ...features.store import Features
from ...files import write_text
from ...models.description import ModelDescription
from ...models.members import member_folders
from ...models.saved import TrainedModel, load_model
from ...models.segmenter import Segmenter
from ...models.state import State
from ...segments.frame_clock import frame_edges
from ...timelines.settings import BoutSettings
from ...timelines.timeline import Timeline
from .truth import BACKGROUND

BOUTS_NAME = "bouts.json"
# Frames that a causal network reads at once: always so many, so that a frame's probabilities are the same bits whatever
# follows. Windows that another one reads at once.
_CHUNK, _WINDOWS_AT_ONCE = 256, 16


@dataclass(frozen=True)
class SegmenterRun:
    """A run of `finetune_segments`: its model, and the rules by which bouts are found, None while it is trained."""

    folder: Path
    model: TrainedModel
    description: ModelDescription
    bouts: BoutSettings | None = None

    @classmethod
    def load(cls, folder: Path) -> "SegmenterRun":
        """Read a run folder; raises InputError if its training is not finished, or a file is damaged."""
        run = cls.of_folder(folder)
        path = folder / BOUTS_NAME
        try:
            settings = BoutSettings.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise InputError(f"{folder}: its training is not finished; --resume goes on with it") from error
        except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
            raise InputError(f"{path}: cannot be read ({error}); the run is damaged, train it again") from error
        return cls(folder, run.model, run.description, settings)

    @classmethod
    def of_folder(cls, folder: Path) -> "SegmenterRun":
        """Read the network alone, also of a folder within a run; raises as `load_model` does."""
        return cls(folder, *load_model(member_folders(folder)[0]))

    @property
    def network(self) -> Segmenter:
        """The network."""
        assert isinstance(self.model.network, Segmenter)
        return self.model.network

    @property
    def background(self) -> str | None:
        """The label of time in which nothing happens; None if there is none, and where several labels may hold."""
        name = self.description.head["background"] or BACKGROUND
        return name if name in self.description.classes else None

    @property
    def rules(self) -> BoutSettings:
        """The rules by which bouts are found, of a finished run."""
        assert self.bouts is not None
        return self.bouts

    @property
    def delay(self) -> int:
        """Frames after one that its probabilities depend on, at most: as many as a window has after its margin."""
        windows = self.description.windows
        return 0 if self.is_causal else int(windows["length"] - windows["before"] - 1)

    @property
    def is_causal(self) -> bool:
        """Whether a frame's probabilities depend on no later frame."""
        return self.network.reads_forward and not self.model.inputs.reads_windows

    def timeline(self, features: Features, video: int, *, device: torch.device) -> Timeline:
        """Return the probabilities of all frames of a video in features."""
        read = self.probabilities((block for block, _ in features.blocks(video)), device=device)
        parts = list(read)
        num_labels = len(self.description.classes)
        return Timeline(
            video=features.videos[video].path,
            edges=frame_edges(features, video),
            probabilities=np.concatenate(parts) if parts else np.zeros((0, num_labels), dtype=np.float32),
            labels=tuple(self.description.classes),
            background=self.background,
            several_labels=self.network.several_labels,
        )

    def probabilities(
        self, blocks: Iterable[NDArray[np.generic]], *, device: torch.device
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the probabilities of the frames of one video, (n, K), in as little memory as a few windows take.

        blocks: consecutive frames as they are stored, (n, ...). A causal network reads on from frame to frame; another
        one reads windows as in training, whose margins overlap.
        """
        self.model.to(device).eval()
        frames = (block.reshape(len(block), -1) for block in blocks if len(block))
        if self.is_causal:
            yield from self._read_on(_pieces(frames, _CHUNK), device)
        else:
            windows = self.description.windows
            before, after = windows["before"], windows["after"]
            yield from self._read_windows(frames, windows["length"] - before - after, before, after, device)

    @torch.inference_mode()
    def _read_on(self, pieces: Iterable[NDArray[np.generic]], device: torch.device) -> Iterator[NDArray[np.float32]]:
        state: State = None
        num_before = self.model.inputs.num_before
        before: NDArray[np.generic] | None = None
        for piece in pieces:
            stored = np.zeros((num_before + _CHUNK, 1, piece.shape[1]), dtype=piece.dtype)
            stored[:num_before, 0] = piece[:1] if before is None else before
            stored[num_before : num_before + len(piece), 0] = piece
            before = stored[_CHUNK:, 0]
            frames = self.model.inputs(torch.from_numpy(stored).to(device))[num_before:]
            found, state = self.network(frames.contiguous(), state)
            yield found[: len(piece), 0].float().cpu().numpy()

    def _read_windows(
        self,
        frames: Iterable[NDArray[np.generic]],
        core: int,
        before: int,
        after: int,
        device: torch.device,
    ) -> Iterator[NDArray[np.float32]]:
        """Read windows of a core that is classified, and the margins around it."""
        windows = _windows(frames, core, before, after)
        while at_once := list(islice(windows, _WINDOWS_AT_ONCE)):
            yield from self._classified(at_once, device)

    @torch.inference_mode()
    def _classified(self, windows: list["_Window"], device: torch.device) -> Iterator[NDArray[np.float32]]:
        lengths = [len(window.frames) for window in windows]
        first = windows[0].frames
        stored = np.zeros((max(lengths), len(windows), first.shape[1]), dtype=first.dtype)
        for column, window in enumerate(windows):
            stored[: len(window.frames), column] = window.frames
        valid: Tensor | None = None
        if min(lengths) < max(lengths):
            valid = (torch.arange(max(lengths))[:, None] < torch.tensor(lengths)).to(device)
        found, _ = self.network(self.model.inputs(torch.from_numpy(stored).to(device), valid), valid=valid)
        probabilities = found.float().cpu().numpy()
        for column, window in enumerate(windows):
            yield probabilities[window.first : window.stop, column]


@dataclass(frozen=True)
class _Window:
    """Frames that are read at once, (n, D), of which those from `first` until before `stop` are classified."""

    frames: NDArray[np.generic]
    first: int
    stop: int


def _windows(frames: Iterable[NDArray[np.generic]], core: int, before: int, after: int) -> Iterator[_Window]:
    """Yield windows one after the other, whose cores follow each other without a gap."""
    kept: NDArray[np.generic] | None = None  # from the beginning of the next window on
    first = 0  # of the next core within them
    for block in frames:
        kept = block if kept is None else np.concatenate([kept, block])
        while len(kept) > first + core + after:  # so that the last window is never without a core
            yield _Window(kept[: first + core + after], first, first + core)
            start = max(0, first + core - before)
            first, kept = first + core - start, kept[start:]
    if kept is not None and len(kept) > first:
        yield _Window(kept, first, len(kept))


def _pieces(blocks: Iterable[NDArray[np.generic]], size: int) -> Iterator[NDArray[np.generic]]:
    """Cut blocks of any sizes into pieces of one size, (size, D), but for the last."""
    kept: NDArray[np.generic] | None = None
    for block in blocks:
        kept = block if kept is None else np.concatenate([kept, block])
        while len(kept) >= size:
            yield kept[:size]
            kept = kept[size:]
    if kept is not None and len(kept):
        yield kept


def save_bout_settings(folder: Path, settings: BoutSettings) -> None:
    """Write the rules for bouts into a run folder; raises OutputError if that is impossible."""
    write_text(folder / BOUTS_NAME, json.dumps(settings.to_dict(), indent=2, ensure_ascii=False) + "\n")
