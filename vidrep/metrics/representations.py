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
from ..models.bidirectional import build_encoder
from ..models.description import ModelDescription
from ..models.encoder import SequenceEncoder
from ..models.inputs import InputTransforms
from ..models.joined import JoinedEncoder
from ..models.kinds import stack_of
from ..models.pooling import last_valid
from ..models.pretrained import PretrainedEncoders
from ..models.state import to_dict
from ..sequences.clips import clips_of
from ..sequences.windows import VideoWindows, batches_of, sliding_windows
from .cross_validation import VideoRows, evenly_spread, mean_by_number

_log = logging.getLogger(__name__)

MAX_WINDOWS = 20_000
"""Windows that represent a set of videos at most, evenly spread over them."""

_BATCH_SIZE = 64
_RANDOM_SEED = 0


@dataclass(frozen=True)
class FrozenEncoder:
    """Input transforms and an encoder that are not trained any more.

    description: of the run that they belong to; windows are those of the run: of a pretraining, those that it encoded.
    """

    inputs: InputTransforms
    encoder: SequenceEncoder
    description: ModelDescription

    @classmethod
    def of(cls, description: ModelDescription, inputs: InputTransforms, encoder: SequenceEncoder) -> "FrozenEncoder":
        """Freeze what a run trained."""
        return cls(inputs.eval(), encoder.eval(), description)

    @classmethod
    def pretrained(cls, start: PretrainedEncoders) -> "FrozenEncoder":
        """Freeze the encoders that a classifier started from."""
        inputs = start.inputs()
        with torch.random.fork_rng(devices=[]):  # for initial weights, which are replaced
            encoder = _build_encoder(start.description, inputs)
        start.give_weights_to(encoder)
        return cls.of(start.description, inputs, encoder)

    @classmethod
    def random(cls, description: ModelDescription, inputs: InputTransforms) -> "FrozenEncoder":
        """Return an untrained encoder of a run's architecture behind its input transforms, as a control: seed 0."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_RANDOM_SEED)
            return cls.of(description, inputs, _build_encoder(description, inputs))

    def windows(self, features: Features, videos: Sequence[int]) -> VideoWindows:
        """Cut videos into what the encoder reads; a video shorter than a window is read as it is."""
        clips, windows = self.description.clips, self.description.windows
        if clips:
            return clips_of(features, videos, length=int(clips["num_frames"]), clip_seconds=clips["clip_seconds"])
        length = windows["length"] if "length" in windows else windows["context"]
        return sliding_windows(
            features,
            videos,
            length=length,
            stride=windows["stride"],
            keep_short=True,
            to_the_end=bool(windows.get("to_the_end", True)),
        )


def _build_encoder(description: ModelDescription, inputs: InputTransforms) -> SequenceEncoder:
    parts = [
        build_encoder(size, stack_of(part)) for size, part in zip(inputs.part_sizes, description.parts, strict=True)
    ]
    return parts[0] if len(parts) == 1 else JoinedEncoder(parts)


def represent(
    frozen: FrozenEncoder, features: Features, videos: Sequence[int], *, device: torch.device
) -> dict[str, VideoRows]:
    """Encode videos; return one row of H values for each that has frames, by the name of the representation.

    "last h" and "last c": the top cell's output, and the c of its state if there is one, after the last frame of a
    window (of a backward direction, after the first one); "mean h": the mean of its outputs over the frames. A video's
    row is the mean over its windows; a video shorter than a window is read as it is.
    """
    windows = frozen.windows(features, videos)
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
    frozen: FrozenEncoder, windows: VideoWindows, kept: NDArray[np.int64], device: torch.device
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


def _represent_windows(encoder: SequenceEncoder, frames: Tensor) -> dict[str, Tensor]:
    """Encode windows of one length, (T, B, E): {representation: (B, H)}."""
    outputs, state = encoder(frames)
    found = {"last h": last_valid(outputs, directions=encoder.directions), "mean h": outputs.mean(dim=0)}
    cell = to_dict(state[-1]).get("state.c")
    return found if cell is None else found | {"last c": cell}
