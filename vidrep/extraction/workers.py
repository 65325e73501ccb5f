"""Decoding in processes of their own: frames through shared memory, and no worker's end touches another.

Each worker has its own pipe and its own few slots of shared memory, so that nothing can be left locked or half
written by one that is killed. Slots bound how far decoding runs ahead.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pickle import UnpicklingError
from typing import Any

import numpy as np

from ..errors import VidrepError
from ..machine import torch_on_one_core, tune_malloc
from .decoding import Decoding, Event, FrameReady, Job, VideoEnded, VideoFailed, VideoUnchanged, decode_video
from .preparation import Pixels

# Slots are small, for containers often have 64 MB of shared memory for all workers together.
_SLOT_BYTES = 1 << 20
_SLOT_MAX_FRAMES = 64
_NUM_SLOTS = 4
# How long frames may wait in a slot that is not full, so that one kept frame a minute does not starve the consumer.
_SLOT_MAX_SECONDS = 0.5
# How often the consumer gets to look up although nothing came.
_POLL_SECONDS = 0.2
# Looks are closer together than this, unless this process, and perhaps the worker too, was stopped for a while.
_LONGEST_LOOK_SECONDS = 1.0
_LONGEST_END_SECONDS = 5.0
_LONGEST_START_SECONDS = 120.0
# A worker that ends so often without a video is not worth starting again.
_MAX_FAILED_STARTS = 3


@dataclass(frozen=True, slots=True)
class _Frames:
    """What a worker sends when a slot is full, or its video at an end."""

    number: int
    slot: int
    seconds: list[float]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A worker has started and waits for its first video."""


class _Slots:
    """A worker's shared memory: `num` slots of some frames each, and a counter that is its heartbeat.

    It is unlinked as soon as it is made, so that nothing of it is left when processes are killed.
    """

    def __init__(self, frame_shape: tuple[int, ...]) -> None:
        frame_bytes = int(np.prod(frame_shape))
        num_frames = min(_SLOT_MAX_FRAMES, max(1, _SLOT_BYTES // frame_bytes))
        self._shape = (_NUM_SLOTS, num_frames, *frame_shape)
        self._memory = multiprocessing.RawArray(ctypes.c_uint8, int(np.prod(self._shape)))
        self.heartbeat = multiprocessing.RawValue(ctypes.c_uint64, 0)

    def frames(self) -> Pixels:
        """Return all slots, (slots, frames, *frame_shape)."""
        memory: Pixels = np.frombuffer(memoryview(self._memory), dtype=np.uint8)
        return memory.reshape(self._shape)


# ---- the worker's side


def _work(connection: Connection, slots: _Slots, decoding: Decoding) -> None:
    """Decode the videos that come through the pipe until there is None, or no one at its other end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach the whole group: the main process decides
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_main_process, name="vidrep-parent-watch", daemon=True).start()
    tune_malloc()
    decoding.preparation.load()
    # The workers are the parallelism. A main module that imports torch did so before this function runs.
    with torch_on_one_core(), suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the main process is gone
        connection.send(_Ready())
        sender = _Sender(connection, slots)
        while (job := sender.next_job()) is not None:
            for event in decode_video(job, decoding, on_progress=sender.show_life):
                sender.send(event)


def _end_with_main_process() -> None:
    """End this process when the main one is gone, were it killed, and whatever the decoder is at."""
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
        os._exit(1)


class _Sender:
    """Packs the frames of one worker into its slots."""

    def __init__(self, connection: Connection, slots: _Slots) -> None:
        self._connection, self._slots = connection, slots
        self._frames = slots.frames()
        self._free = list(range(len(self._frames)))
        self._seconds: list[float] = []
        self._slot = -1
        self._slot_began = 0.0

    def show_life(self) -> None:
        self._slots.heartbeat.value += 1

    def next_job(self) -> Job | None:
        """Wait for a job; slots that come back meanwhile are free again."""
        while isinstance(message := self._connection.recv(), int):
            self._free.append(message)
        job: Job | None = message
        return job

    def send(self, event: Event) -> None:
        if isinstance(event, FrameReady):
            self._add_frame(event)
        else:
            self._send_slot(event.number)
            self._connection.send(event)

    def _add_frame(self, frame: FrameReady) -> None:
        if self._slot < 0:
            while not self._free:
                self._free.append(self._connection.recv())
            self._slot, self._slot_began = self._free.pop(), time.monotonic()
        self._frames[self._slot, len(self._seconds)] = frame.prepared
        self._seconds.append(frame.seconds)
        is_full = len(self._seconds) == self._frames.shape[1]
        if is_full or time.monotonic() - self._slot_began > _SLOT_MAX_SECONDS:
            self._send_slot(frame.number)

    def _send_slot(self, number: int) -> None:
        if self._slot >= 0:
            self._connection.send(_Frames(number, self._slot, self._seconds))
            self._slot, self._seconds = -1, []


# ---- the main process's side


@dataclass
class _Worker:
    """One worker as the main process sees it; a process that ended is replaced, its slots stay."""

    decoding: Decoding
    slots: _Slots
    process: SpawnProcess | None = None
    connection: Connection = field(init=False)
    is_ready: bool = False
    job: Job | None = None
    not_begun: Job | None = None
    given_twice: int | None = None
    num_failed_starts: int = 0
    _beat_when_given: int = 0
    _last_beat: int = 0
    _last_look: float = 0.0
    _silent_seconds: float = 0.0
    last_exit_code: int | None = None

    def start(self) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        process = context.Process(
            target=_work, args=(other_end, self.slots, self.decoding), name="vidrep-decoding", daemon=True
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
        """Hand the worker its next video, or None to end it."""
        self.job, self._beat_when_given = job, self.slots.heartbeat.value
        self._break_silence()
        self._send(job)

    def give_back(self, slot: int) -> None:
        """Let the worker fill a slot again; it may have waited for it."""
        self._break_silence()
        self._send(slot)

    def _send(self, message: Job | int | None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it died meanwhile: the next look at its pipe says so
            self.connection.send(message)

    def _break_silence(self) -> None:
        self._last_beat, self._last_look, self._silent_seconds = self.slots.heartbeat.value, time.monotonic(), 0.0

    def silent_seconds(self) -> float:
        """Return how long the worker has shown no life; a pause of this process, who stopped it, does not count."""
        now = time.monotonic()
        if self.slots.heartbeat.value != self._last_beat:
            self._break_silence()
        else:
            self._silent_seconds += min(now - self._last_look, _LONGEST_LOOK_SECONDS)
            self._last_look = now
        return self._silent_seconds

    def time_limit(self, timeout: float) -> float | None:
        """Return how long it may be silent now: with a video `timeout`, while it starts longer, idle for ever."""
        if not self.is_ready:
            return max(timeout, _LONGEST_START_SECONDS)
        return None if self.job is None else timeout

    def has_begun(self) -> bool:
        """Say whether the worker has shown life since it was given its video."""
        return self.slots.heartbeat.value != self._beat_when_given

    def end(self) -> None:
        """End the process at once; without one, do nothing."""
        if self.process is not None:
            self.process.kill()
            # One that hangs in the kernel, on a disk that is gone, cannot be waited for.
            self.process.join(_LONGEST_END_SECONDS)
            self.connection.close()
            self.last_exit_code, self.process = self.process.exitcode, None


def decode_in_workers(
    jobs: Iterable[Job], decoding: Decoding, *, workers: int, timeout: float
) -> Iterator[Event | None]:
    """Decode videos in `workers` processes; see `vidrep.extraction.decoding.decode`.

    Raises VidrepError if workers cannot be started.
    """
    waiting = iter(jobs)
    pool = [_Worker(decoding, _Slots(decoding.preparation.shape)) for _ in range(workers)]
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
    try:
        message = worker.connection.recv()
    except (EOFError, OSError, UnpicklingError):  # it died, perhaps in the middle of a message
        yield from _replace(worker)
        return False
    if isinstance(message, _Ready):
        worker.is_ready, worker.num_failed_starts = True, 0
    if isinstance(message, _Frames):
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

    hang: how long it showed no life, if it did not die.
    """
    worker.end()
    how = hang or _how_it_ended(worker.last_exit_code)
    if worker.job is None:
        worker.num_failed_starts += 1
        if worker.num_failed_starts == _MAX_FAILED_STARTS:
            raise VidrepError(
                f"a decoding worker failed to start {_MAX_FAILED_STARTS} times ({how}); "
                "use --workers 0 to decode without workers"
            )
    elif hang or worker.has_begun() or worker.given_twice == worker.job.number:
        why = f"given up: the decoder showed {hang}" if hang else f"the decoder crashed on it ({how})"
        yield VideoFailed(worker.job.number, why)
    else:  # it died of what came before
        worker.not_begun, worker.given_twice = worker.job, worker.job.number
    worker.job = None
    worker.start()


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    known = {number.value: number.name for number in signal.Signals}
    name = known.get(-exit_code, f"signal {-exit_code}")
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name
