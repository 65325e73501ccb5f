"""Videos to prepared frames, in this process or in decoding workers: the first stage of extraction.

    for event in decode(jobs, decoding, workers=2):
        ...     # FrameReady | VideoEnded | VideoUnchanged | VideoFailed | None: nothing came for a while

Whatever the number of workers, the frames of one video come in order and then its end; those of several videos come
interleaved. Whatever happens to one video, even a crash of the decoder, the others come as if it had not been there:
each worker has its own pipe and its own few slots of shared memory, so that nothing can be left locked or half written
by one that is killed. Slots bound how far decoding runs ahead.
"""

import multiprocessing
import pickle
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pickle import UnpicklingError
from typing import Any

from ..errors import ResourceError
from ..machine import available_cores
from ..plugins import loaded_plugins
from .decoding import decode_video
from .events import Decoding, Event, FrameReady, Job, VideoEnded, VideoFailed, VideoUnchanged
from .preparation import Preparation
from .worker_process import NO_MAIN_GUARD, PROCESS_NAME, FramesInSlot, Ready, Slots, run_worker

DEFAULT_TIMEOUT = 120.0
"""Seconds without a heartbeat after which a worker's video is given up."""

# How often the consumer gets None although nothing came.
_POLL_SECONDS = 0.2
# Polls are closer together than this, unless this process, and perhaps the worker too, was stopped for a while.
_LONGEST_POLL_SECONDS = 1.0
_LONGEST_END_SECONDS = 5.0
_LONGEST_START_SECONDS = 120.0
# A worker that ends so often without a video is not worth starting again.
_MAX_FAILED_STARTS = 3


def default_workers(num_videos: int) -> int:
    """Return how many decoding workers serve so many videos: one a core.

    In a process that may have no children, such as a worker of a multiprocessing pool, none.
    """
    if multiprocessing.current_process().daemon:
        return 0
    return min(available_cores(), num_videos)


def decode(
    jobs: Iterable[Job],
    decoding: Decoding,
    *,
    workers: int = 0,
    timeout: float = DEFAULT_TIMEOUT,
    check_stop: Callable[[], None] | None = None,
) -> Generator[Event | None]:
    """Decode videos; yield their frames and how each video ended.

    workers: decoding processes, started anew rather than forked; 0 decodes in this one, which a decoder that crashes or
        hangs takes with it.
    timeout: seconds without a heartbeat (a packet read, a block of the file hashed) after which a video is given up.
    check_stop: called often while this process decodes; what it raises ends the decoding.

    Close the iterator to end the workers early. Raises ResourceError if workers cannot be started.
    """
    if workers:
        yield from _decode_in_workers(jobs, decoding, workers=workers, timeout=timeout)
    else:
        for job in jobs:
            yield from decode_video(job, decoding, on_progress=check_stop)


@dataclass
class _Worker:
    """The main process's side of one worker; a process that ended is replaced, its slots stay."""

    decoding: Decoding
    slots: Slots
    process: SpawnProcess | None = None
    connection: Connection = field(init=False)
    is_ready: bool = False
    job: Job | None = None
    not_begun: Job | None = None
    given_again: int | None = None
    num_failed_starts: int = 0
    _beat_when_given: int = 0
    _last_beat: int = 0
    _last_poll: float = 0.0
    _silent_seconds: float = 0.0
    last_exit_code: int | None = None

    def start(self) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        process = context.Process(
            target=run_worker, args=(other_end, self.slots, *_sent(self.decoding)), name=PROCESS_NAME, daemon=True
        )
        self.is_ready = False
        try:
            process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            other_end.close()
        self.process = process
        self._break_silence()

    def give(self, job: Job | None) -> None:
        """Give the worker its next video, or None to end it."""
        self.job, self._beat_when_given = job, self.slots.heartbeat.value
        self._break_silence()
        self._send(job)

    def give_back(self, slot: int) -> None:
        """Let the worker fill a slot again; it may have waited for it."""
        self._break_silence()
        self._send(slot)

    def receive(self) -> Ready | FramesInSlot | Event | None:
        """Return the worker's next message; None if it died, perhaps in the middle of one."""
        try:
            message: Ready | FramesInSlot | Event = self.connection.recv()
        except (EOFError, OSError, UnpicklingError):
            return None
        return message

    def _send(self, message: Job | int | None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it died; the next read from its pipe shows it
            self.connection.send(message)

    def _break_silence(self) -> None:
        self._last_beat, self._last_poll, self._silent_seconds = self.slots.heartbeat.value, time.monotonic(), 0.0

    def silent_seconds(self) -> float:
        """Return how long there was no heartbeat; time in which this process itself was stopped does not count."""
        now = time.monotonic()
        if self.slots.heartbeat.value != self._last_beat:
            self._break_silence()
        else:
            self._silent_seconds += min(now - self._last_poll, _LONGEST_POLL_SECONDS)
            self._last_poll = now
        return self._silent_seconds

    def time_limit(self, timeout: float) -> float | None:
        """Return how long it may be silent now: with a video `timeout`, longer while it starts, idle without end."""
        if not self.is_ready:
            return max(timeout, _LONGEST_START_SECONDS)
        return None if self.job is None else timeout

    def has_begun(self) -> bool:
        """Return whether there was a heartbeat since the worker was given its video."""
        return self.slots.heartbeat.value != self._beat_when_given

    def end(self) -> None:
        """End the process at once; without one, do nothing."""
        if self.process is not None:
            self.process.kill()
            # One that hangs in the kernel, on a disk that is gone, cannot be waited for.
            self.process.join(_LONGEST_END_SECONDS)
            self.connection.close()
            self.last_exit_code, self.process = self.process.exitcode, None


def _sent(decoding: Decoding) -> tuple[tuple[str, ...], bytes]:
    """Return the plug-ins that a worker needs, and the decoding in a form that it can unpickle once it has them."""
    is_own = type(decoding.preparation) is Preparation
    return () if is_own else loaded_plugins(), pickle.dumps(decoding)


def _decode_in_workers(
    jobs: Iterable[Job], decoding: Decoding, *, workers: int, timeout: float
) -> Iterator[Event | None]:
    waiting = iter(jobs)
    pool = [_Worker(decoding, Slots(decoding.preparation.shape)) for _ in range(workers)]
    try:
        for worker in pool:
            worker.start()
        at_work = list(pool)
        while at_work:
            readable = wait([worker.connection for worker in at_work], timeout=_POLL_SECONDS)
            if not readable:
                yield None
            for worker in list(at_work):
                if worker.connection in readable:
                    is_done = yield from _attend(worker, waiting)
                    if is_done:
                        at_work.remove(worker)
                elif (limit := worker.time_limit(timeout)) and worker.silent_seconds() > limit:
                    yield from _replace(worker, f"no heartbeat for {limit:g} s")
    finally:
        for worker in pool:
            worker.end()


def _attend(worker: _Worker, waiting: Iterator[Job]) -> Generator[Event, None, bool]:
    """Take the next message of a worker; return whether it has no more to do."""
    message = worker.receive()
    if message is None:
        yield from _replace(worker)
        return False
    if isinstance(message, Ready):
        worker.is_ready, worker.num_failed_starts = True, 0
    if isinstance(message, FramesInSlot):
        frames = worker.slots.frames()[message.slot]
        for prepared, seconds in zip(frames, message.seconds, strict=False):
            yield FrameReady(message.number, prepared, seconds)
        worker.give_back(message.slot)
        return False
    if isinstance(message, VideoEnded | VideoUnchanged | VideoFailed):
        yield message
    job, worker.not_begun = worker.not_begun or next(waiting, None), None
    worker.give(job)
    return job is None


def _replace(worker: _Worker, hang: str = "") -> Iterator[Event]:
    """End a worker that died, or hangs, and start it anew; the video that it had begun is lost.

    hang: how long there was no heartbeat, if it did not die.
    """
    worker.end()
    how = hang or _how_it_ended(worker.last_exit_code)
    if worker.job is None:
        worker.num_failed_starts += 1
        if worker.num_failed_starts == _MAX_FAILED_STARTS or worker.last_exit_code == NO_MAIN_GUARD:
            raise ResourceError(_why_no_start(worker.num_failed_starts, how, worker.last_exit_code))
    elif hang or worker.has_begun() or worker.given_again == worker.job.number:
        why = f"given up: the decoder showed {hang}" if hang else f"the decoder crashed on it ({how})"
        yield VideoFailed(worker.job.number, why)
    else:  # it died because of the video before
        worker.not_begun, worker.given_again = worker.job, worker.job.number
    worker.job = None
    worker.start()


def _why_no_start(times: int, how: str, exit_code: int | None) -> str:
    if exit_code == NO_MAIN_GUARD:
        return (
            "decoding workers cannot start: each imports the script that calls extract, and would call it again; put "
            'the call under `if __name__ == "__main__":`, or give workers=0 to decode without workers'
        )
    return (
        f"a decoding worker failed to start {times} times ({how}); use --workers 0 (in Python, workers=0) to decode "
        'without workers; a Python script needs its calls under `if __name__ == "__main__":` for workers to start'
    )


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    known = {number.value: number.name for number in signal.Signals}
    name = known.get(-exit_code, f"signal {-exit_code}")
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name
