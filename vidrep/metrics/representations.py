"""What a frozen encoder makes of videos: vectors for classifiers that show what it has learned.

Shapes: T time, B batch, W windows, V videos, H hidden width.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..features.store import Features
from ..models.description import ModelDescription
from ..models.encoder import Encoder
from ..models.inputs import InputTransforms
from ..models.pretrained import PretrainedEncoder
from ..models.state import to_dict
from ..sequences.windows import Windows, batches_of, sliding_windows
from .cross_validation import VideoRows, evenly_spread, mean_by_number

_log = logging.getLogger(__name__)

MAX_WINDOWS = 20_000
"""Windows that represent a set of videos at most, evenly spread over them."""

_BATCH_SIZE = 64
_RANDOM_SEED = 0


@dataclass(frozen=True)
class FrozenEncoder:
    """Input transforms and an encoder that are not trained any more, and the windows that they read.

    length, stride: of the windows, in frames.
    """

    inputs: InputTransforms
    encoder: Encoder
    length: int
    stride: int

    @classmethod
    def of(cls, description: ModelDescription, inputs: InputTransforms, encoder: Encoder) -> "FrozenEncoder":
        """Freeze what a run trained; windows are those of the run: of a pretraining, those that it encoded."""
        windows = description.windows
        length = windows["length"] if "length" in windows else windows["context"]
        return cls(inputs.eval(), encoder.eval(), length, windows["stride"])

    @classmethod
    def pretrained(cls, start: PretrainedEncoder) -> "FrozenEncoder":
        """Freeze the encoder that a classifier started from."""
        inputs = start.inputs()
        encoder = Encoder(inputs.output_size, start.description.stack)
        start.give_weights_to(encoder)
        return cls.of(start.description, inputs, encoder)

    @classmethod
    def random(cls, description: ModelDescription, inputs: InputTransforms) -> "FrozenEncoder":
        """Return an untrained encoder of a run's architecture behind its input transforms, as a control: seed 0."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_RANDOM_SEED)
            return cls.of(description, inputs, Encoder(inputs.output_size, description.stack))


def represent(
    frozen: FrozenEncoder, features: Features, videos: Sequence[int], *, device: torch.device
) -> dict[str, VideoRows]:
    """Encode videos; return one row of H values for each that has frames, by the name of the representation.

    "last h" and "last c": the top cell's output, and the c of its state if there is one, after the last frame of a
    window; "mean h": the mean of its outputs over the frames. A video's row is the mean over its windows; a video
    shorter than a window is read as it is.
    """
    windows = sliding_windows(features, videos, length=frozen.length, stride=frozen.stride, keep_short=True)
    position = {video: number for number, video in enumerate(videos)}
    of_window = np.array([position[video] for video in windows.videos.tolist()], dtype=np.int64)
    kept = evenly_spread(len(windows), MAX_WINDOWS)
    if len(kept) < len(windows):
        _log.info("videos are encoded by %d of their %d windows, evenly spread", len(kept), len(windows))
    encoded = _encode(frozen, windows, kept, device)
    rows = {}
    for name, of_windows in encoded.items():
        of_videos = mean_by_number(of_windows.astype(np.float64), of_window[kept], len(videos))
        numbers = np.unique(of_window[kept])
        rows[name] = VideoRows(of_videos[numbers].astype(np.float32), numbers, len(videos))
    return rows


@torch.inference_mode()
def _encode(
    frozen: FrozenEncoder, windows: Windows, kept: NDArray[np.int64], device: torch.device
) -> dict[str, NDArray[np.float32]]:
    """Encode some windows: {representation: (W, H)}."""
    inputs, encoder = frozen.inputs.to(device), frozen.encoder.to(device)
    # Windows of one length together, so that no state runs on into padding.
    order = kept[np.argsort(-windows.lengths[kept], kind="stable")]
    found: dict[str, list[NDArray[np.float32]]] = {}
    for length in np.unique(windows.lengths[order])[::-1]:
        of_length = order[windows.lengths[order] == length]
        for some in batches_of(of_length, _BATCH_SIZE):
            stored = torch.from_numpy(windows.gather(of_length[some])[:length])
            for name, vectors in _represent_windows(encoder, inputs(stored.to(device))).items():
                found.setdefault(name, []).append(vectors.float().cpu().numpy())
    in_time = np.argsort(order)
    return {name: np.concatenate(parts)[in_time] for name, parts in found.items()}


def _represent_windows(encoder: Encoder, frames: Tensor) -> dict[str, Tensor]:
    """Encode windows of one length, (T, B, E): {representation: (B, H)}."""
    outputs, state = encoder(frames)
    found = {"last h": outputs[-1], "mean h": outputs.mean(dim=0)}
    cell = to_dict(state[-1]).get("state.c")
    return found if cell is None else found | {"last c": cell}
