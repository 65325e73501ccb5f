"""One video to prepared frames, in this process."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import VideoError
from ..files import sha256_of_file
from ..video.decoders import open_video
from ..video.numbered_images import numbered_images
from ..video.reading import DECODING_VERSION
from .events import Decoding, Event, FrameReady, Job, KnownContent, VideoEnded, VideoFailed, VideoUnchanged


def decode_video(job: Job, decoding: Decoding, *, on_progress: Callable[[], None] | None = None) -> Iterator[Event]:
    """Decode one video: its frames, then how it ended.

    on_progress: called for every packet read and every block hashed.
    """
    on_packet = on_progress or _do_nothing
    spent = -time.thread_time()
    try:
        size, sha256 = _fingerprint(job.path, on_packet)
        known = decoding.known.get(sha256)
        if known is not None and job.frame_rate in (None, known.fps) and not _reads_otherwise(job, known, on_packet):
            yield VideoUnchanged(job.number, sha256)
            return
        prepare = decoding.preparation.for_video(job.key or sha256)
        with open_video(job.path, stream=decoding.stream, frame_rate=job.frame_rate, on_packet=on_packet) as video:
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


def _reads_otherwise(job: Job, known: KnownContent, on_packet: Callable[[], None]) -> bool:
    if known.decoding_version >= DECODING_VERSION:
        return False
    from ..video.changes import changed_since

    return bool(changed_since(known.decoding_version, job.path, on_packet))


def _do_nothing() -> None:
    pass


def _fingerprint(path: Path, on_progress: Callable[[], None]) -> tuple[int, str]:
    if path.is_dir():
        return numbered_images(path).fingerprint(on_progress)
    try:
        return path.stat().st_size, sha256_of_file(path, on_block=on_progress)
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error
