"""What decoding takes, jobs, and what it yields, events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..video.reading import DecodeReport
from ..video.sampling import Sampling
from .preparation import Pixels, Preparation


@dataclass(frozen=True, slots=True)
class Job:
    """A video to decode.

    number: by which events name it. key: what random crops depend on; '': on the content, whatever its name is.
    frame_rate: images a second of a folder of frames; None for a file.
    """

    number: int
    path: Path
    key: str = ""
    frame_rate: float | None = None


class KnownContent(NamedTuple):
    """What there is of a content: the version of decoding that read it, and the rate of its frames."""

    decoding_version: int
    fps: float


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How every video is decoded.

    stream: which of its video streams, see `open_video`.
    known: the contents whose rows are there already, by SHA-256.
    """

    preparation: Preparation
    sampling: Sampling
    stream: int | None = None
    known: Mapping[str, KnownContent] = field(default_factory=dict)


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
    """The file's content is known, and would give the rows that are there."""

    number: int
    sha256: str


@dataclass(frozen=True, slots=True)
class VideoFailed:
    """The video cannot be used; frames of it that came are to be dropped."""

    number: int
    reason: str


Event = FrameReady | VideoEnded | VideoUnchanged | VideoFailed
