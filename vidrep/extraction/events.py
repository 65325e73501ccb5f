"""What decoding takes, jobs, and what it yields, events."""

from dataclasses import dataclass
from pathlib import Path

from ..video.reading import DECODING_VERSION, DecodeReport
from ..video.sampling import Sampling
from .preparation import Pixels, Preparation


@dataclass(frozen=True, slots=True)
class Job:
    """A video to decode.

    number: by which events name it. key: what random crops depend on.
    done: size and SHA-256 of the source whose rows are there already, if they are; decoding_version: of these rows.
    frame_rate: images a second of a folder of frames; None for a file.
    """

    number: int
    path: Path
    key: str
    done: tuple[int, str] | None
    decoding_version: int = DECODING_VERSION
    frame_rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How every video is decoded. stream: which of its video streams, see `open_video`."""

    preparation: Preparation
    sampling: Sampling
    stream: int | None = None


@dataclass(frozen=True, slots=True)
class FrameReady:
    """A frame: prepared, `Preparation.shape` uint8, valid until the next event is taken; seconds in its source."""

    number: int
    prepared: Pixels
    seconds: float


@dataclass(frozen=True, slots=True)
class VideoEnded:
    """All frames of a video came. size, sha256: of its file. cpu_seconds: what decoding and preparing it took."""

    number: int
    size: int
    sha256: str
    report: DecodeReport
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class VideoUnchanged:
    """The file is the one whose rows are there, and would give the same ones."""

    number: int


@dataclass(frozen=True, slots=True)
class VideoFailed:
    """The video cannot be used; frames of it that came are to be dropped."""

    number: int
    reason: str


Event = FrameReady | VideoEnded | VideoUnchanged | VideoFailed
