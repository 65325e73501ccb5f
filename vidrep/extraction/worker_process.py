"""A decoding worker: the process that takes videos from a pipe and puts their frames into shared memory."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from ..machine import torch_on_one_core, tune_malloc
from ..plugins import load_plugins
from .decoding import decode_video
from .events import Decoding, Event, FrameReady, Job
from .preparation import Pixels

PROCESS_NAME = "vidrep-decoding"
NO_MAIN_GUARD = 79
"""The exit code of a worker whose main module would start an extraction of its own."""

# Slots are small, for containers often have 64 MB of shared memory for all workers together.
_SLOT_BYTES = 1 << 20
_SLOT_MAX_FRAMES = 64
_NUM_SLOTS = 4
# How long frames may wait in a slot that is not full, so that one kept frame a minute does not starve the consumer.
_SLOT_MAX_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class FramesInSlot:
    """What a worker sends when a slot is full, or its video at an end."""

    number: int
    slot: int
    seconds: list[float]


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has started and waits for its first video."""


class Slots:
    """A worker's shared memory: some slots of some frames each, and a counter that is its heartbeat.

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


def end_worker_without_main_guard() -> None:
    """End this process if it is a worker that still imports its main module: that module would extract once more.

    A spawned process imports the script that started it, and so runs all of it that is not under
    `if __name__ == "__main__"`.
    """
    if multiprocessing.current_process().name == PROCESS_NAME:
        os._exit(NO_MAIN_GUARD)


def run_worker(connection: Connection, slots: Slots, plugins: Sequence[str], pickled_decoding: bytes) -> None:
    """Decode the videos that come through the pipe until None comes, or the main process is gone.

    plugins: imported before `pickled_decoding` is unpickled, which may need them.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach the whole group: the main process decides
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_main_process, name="vidrep-parent-watch", daemon=True).start()
    tune_malloc()
    load_plugins(plugins)
    decoding: Decoding = pickle.loads(pickled_decoding)
    decoding.preparation.load()
    # The workers are the parallelism. A main module that imports torch did so before this function runs.
    with torch_on_one_core(), suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the main process is gone
        connection.send(Ready())
        sender = _Sender(connection, slots)
        while (job := sender.next_job()) is not None:
            for event in decode_video(job, decoding, on_progress=sender.beat):
                sender.send(event)


def _end_with_main_process() -> None:
    """End this process when the main one ends, even if that is killed, and whatever the decoder is doing."""
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
        os._exit(1)


class _Sender:
    """Packs the frames of one worker into its slots."""

    def __init__(self, connection: Connection, slots: Slots) -> None:
        self._connection, self._slots = connection, slots
        self._frames = slots.frames()
        self._free = list(range(len(self._frames)))
        self._seconds: list[float] = []
        self._slot = -1
        self._slot_began = 0.0

    def beat(self) -> None:
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
            self._connection.send(FramesInSlot(number, self._slot, self._seconds))
            self._slot, self._seconds = -1, []
