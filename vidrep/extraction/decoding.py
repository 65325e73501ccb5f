"""Videos to prepared frames, in this process or in decoding workers: the first stage of extraction.

    for event in decode(jobs, decoding, workers=2):
        ...     # FrameReady | VideoEnded | VideoUnchanged | VideoFailed | None: nothing came for a while

Whatever the number of workers, the frames of one video come in order and then its end; those of several videos come
interleaved. What one video does, a crash of the decoder included, reaches the others in no way.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import VideoError
from ..files import sha256_of_file
from ..video.reading import DecodeReport, open_video
from ..video.sampling import Sampling
from .preparation import Pixels, Preparation

DEFAULT_TIMEOUT = 120.0
"""Seconds without a heartbeat after which a worker's video is given up."""


@dataclass(frozen=True, slots=True)
class Job:
    """A video to decode.

    number: by which events name it. key: what random crops depend on.
    done: size and SHA-256 of the source whose rows are there already, if they are.
    """

    number: int
    path: Path
    key: str
    done: tuple[int, str] | None


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How every video is decoded."""

    preparation: Preparation
    sampling: Sampling
    decoder: str


@dataclass(frozen=True, slots=True)
class FrameReady:
    """A frame: prepared, `Preparation.shape` uint8, good until the next event is asked for; seconds in its source."""

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
    """The file is the one whose rows are there."""

    number: int


@dataclass(frozen=True, slots=True)
class VideoFailed:
    """The video cannot be had; frames of it that came are not to be kept."""

    number: int
    reason: str


Event = FrameReady | VideoEnded | VideoUnchanged | VideoFailed


def decode(
    jobs: Iterable[Job],
    decoding: Decoding,
    *,
    workers: int = 0,
    timeout: float = DEFAULT_TIMEOUT,
    check_stop: Callable[[], None] | None = None,
) -> Generator[Event | None]:
    """Decode videos and yield what becomes of them.

    workers: decoding processes, started anew rather than forked; 0 decodes in this one, where a decoder that crashes
        or hangs is not survived.
    timeout: seconds without a heartbeat (a packet read, a block of the file hashed) after which a video is given up.

    check_stop: called often while this process decodes; what it raises ends the decoding.

    Close the iterator to end the workers early.
    """
    if workers:
        from .workers import decode_in_workers

        yield from decode_in_workers(jobs, decoding, workers=workers, timeout=timeout)
    else:
        for job in jobs:
            yield from decode_video(job, decoding, on_progress=check_stop)


def decode_video(job: Job, decoding: Decoding, *, on_progress: Callable[[], None] | None = None) -> Iterator[Event]:
    """Decode one video: its frames, then how it ended.

    on_progress: called for every packet read and every block hashed.
    """
    spent = -time.thread_time()
    try:
        size, sha256 = _fingerprint(job.path, on_progress)
        if job.done == (size, sha256):
            yield VideoUnchanged(job.number)
            return
        prepare = decoding.preparation.for_video(job.key)
        with open_video(job.path, decoder=decoding.decoder, on_packet=on_progress) as video:
            for frame in video.frames(decoding.sampling):
                ready = FrameReady(job.number, prepare(frame.rgb), frame.seconds)
                spent += time.thread_time()
                yield ready
                spent -= time.thread_time()
            report = video.report()
    except VideoError as error:
        yield VideoFailed(job.number, str(error))
        return
    yield VideoEnded(job.number, size, sha256, report, spent + time.thread_time())


def _fingerprint(path: Path, on_progress: Callable[[], None] | None) -> tuple[int, str]:
    try:
        return path.stat().st_size, sha256_of_file(path, on_block=on_progress)
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error
