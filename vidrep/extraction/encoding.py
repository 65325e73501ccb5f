"""Frames of many videos through an extractor in batches of one fixed shape: the second stage of extraction."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, VideoError
from .events import FrameReady, VideoEnded
from .extractors.extractor import Extractor
from .windows import WindowedFrames

_POLL_SECONDS = 0.2


def network_threads(extractor: Extractor, threads: int) -> int:
    """Return how many batches are computed at once.

    On a CPU `threads`; on a CUDA device two, so that one's copies overlap the other's products; on another device one;
    0, which means on the calling thread, if there is no network.
    """
    return {"": 0, "cpu": threads, "cuda": 2}.get(extractor.network_device, 1)


class FeatureSink(Protocol):
    """Where features go, in the order of time for each video; videos come interleaved."""

    def add_features(self, number: int, features: NDArray[Any], seconds: NDArray[np.float64]) -> None:
        """Take the next features of a video: (n, crops, *frame_shape), and the seconds of each, (n,)."""

    def end_video(self, ended: VideoEnded) -> None:
        """Close a video, all of whose features came."""


@dataclass
class _Run:
    """Windows of one video that follow each other in a batch, up to `stop`; then perhaps the end of that video."""

    number: int
    stop: int
    ended: VideoEnded | None = None


@dataclass
class _Batch:
    frames: NDArray[np.uint8]
    seconds: list[float] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)


@dataclass(frozen=True)
class _Encoded:
    features: NDArray[Any]
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


class BatchedEncoder:
    """Gathers frames, encodes them B windows at a time, whichever videos they come from, and emits features in order.

    with BatchedEncoder(extractor, sink, num_threads=2) as encoder:
        encoder.add_frame(...)
        encoder.end_video(...)
        encoder.flush()         # what waits

    The last batch is padded with what stood in its memory before, so that all have one shape: a feature depends neither
    on its neighbors nor on its place in the batch.

    num_threads: batches that are computed at the same time, each by one thread of its own; 0 computes them on the
        calling thread. One thread a batch, rather than many for one batch, so that no thread waits for a core that
        decoding uses, and so that features do not depend on the number of threads.
    check_stop: called while waiting; it raises to end the wait.

    cpu_seconds, wall_seconds: what encoding took so far, of all threads together.
    """

    def __init__(
        self, extractor: Extractor, sink: FeatureSink, *, num_threads: int, check_stop: Callable[[], None]
    ) -> None:
        self._extractor, self._sink, self._check_stop = extractor, sink, check_stop
        self._num_threads = num_threads
        self._threads = ThreadPoolExecutor(num_threads, "vidrep-network", use_one_core) if num_threads else None
        self._shape = batch_shape(extractor)
        self._takes_single_frames = extractor.frames_per_feature == extractor.stride == 1
        self._windows: dict[int, WindowedFrames] = {}
        self._batch = _Batch(np.zeros(self._shape, dtype=np.uint8))
        self._spare: list[NDArray[np.uint8]] = []
        self._computing: deque[tuple[Future[_Encoded], _Batch]] = deque()
        self._settings = ExitStack()
        self.cpu_seconds = self.wall_seconds = 0.0

    def __enter__(self) -> Self:
        if self._extractor.network_device == "cuda":
            import torch

            from ..devices import torch_settings

            # All threads share them, so that fp32 features are exact in whichever thread.
            self._settings.enter_context(torch_settings(torch.device("cuda")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=kind is None, cancel_futures=True)
        self._settings.close()

    def add_frame(self, frame: FrameReady) -> None:
        """Take the next frame of a video."""
        place = self._batch.frames[len(self._batch.seconds)]
        if self._takes_single_frames:
            place[...] = frame.prepared
            self._add_to_batch(frame.number, frame.seconds)
            return
        windows = self._windows_of(frame.number)
        if windows.add(frame.prepared, frame.seconds):
            seconds = windows.copy_to(place.reshape(windows.shape))
            self._add_to_batch(frame.number, seconds)

    def _windows_of(self, number: int) -> WindowedFrames:
        if number not in self._windows:
            self._windows[number] = WindowedFrames(
                self._extractor.preparation.shape,
                frames_per_feature=self._extractor.frames_per_feature,
                stride=self._extractor.stride,
            )
        return self._windows[number]

    def _add_to_batch(self, number: int, seconds: float) -> None:
        batch = self._batch
        batch.seconds.append(seconds)
        if batch.runs and batch.runs[-1].number == number:
            batch.runs[-1].stop = len(batch.seconds)
        else:
            batch.runs.append(_Run(number, len(batch.seconds)))
        if len(batch.seconds) == len(batch.frames):
            self._compute()

    def end_video(self, ended: VideoEnded) -> None:
        """Close a video; the sink's `end_video` is called once its last feature is computed.

        Raises VideoError if it had too few frames for one feature; the sink is not called for such a video.
        """
        if not self._takes_single_frames:
            wanted, got = self._extractor.frames_per_feature, self._windows_of(ended.number).num_frames
            self.drop_video(ended.number)
            if got < wanted:
                raise VideoError(f"it has {got} frames to use, and a feature takes {wanted}")
        runs = self._batch.runs
        if not runs or runs[-1].number != ended.number:
            runs.append(_Run(ended.number, len(self._batch.seconds)))
        runs[-1].ended = ended

    def drop_video(self, number: int) -> None:
        """Forget the frames of a video of which no more come; features of it may still be emitted."""
        self._windows.pop(number, None)

    def emit(self) -> None:
        """Emit what is computed, without waiting."""
        while self._computing and self._computing[0][0].done():
            self._emit_oldest()

    def flush(self) -> None:
        """Encode and emit all that waits."""
        if self._batch.seconds:
            self._compute()
        while self._computing:
            self._emit_oldest()
        for run in self._batch.runs:  # the ends of videos whose last frame filled a batch
            if run.ended is not None:
                self._sink.end_video(run.ended)
        self._batch.runs.clear()

    def _compute(self) -> None:
        batch = self._batch
        frames = self._spare.pop() if self._spare else np.zeros(self._shape, dtype=np.uint8)
        self._batch = _Batch(frames)
        if self._threads is None:
            self._emit(batch, self._encode(batch.frames))
        else:
            self._computing.append((self._threads.submit(self._encode, batch.frames), batch))
            # One batch more than threads, so that none of them waits for this one.
            while len(self._computing) > self._num_threads + 1:
                self._emit_oldest()

    def _encode(self, frames: NDArray[np.uint8]) -> _Encoded:
        cpu, wall = time.thread_time(), time.perf_counter()
        num_windows, num_crops = self._shape[:2]
        features = self._extractor.encode(frames.reshape(num_windows * num_crops, *self._shape[2:]))
        _require_declared(self._extractor, features, num_windows * num_crops)
        features = features.reshape(num_windows, num_crops, *features.shape[1:])
        return _Encoded(features, time.thread_time() - cpu, time.perf_counter() - wall)

    def _emit_oldest(self) -> None:
        future, batch = self._computing.popleft()
        while not future.done():
            self._check_stop()
            wait([future], timeout=_POLL_SECONDS)
        self._emit(batch, future.result())

    def _emit(self, batch: _Batch, encoded: _Encoded) -> None:
        self.cpu_seconds += encoded.cpu_seconds
        self.wall_seconds += encoded.wall_seconds
        start = 0
        for run in batch.runs:
            if run.stop > start:
                rows, seconds = encoded.features[start : run.stop], np.array(batch.seconds[start : run.stop])
                self._sink.add_features(run.number, rows, seconds)
            if run.ended is not None:
                self._sink.end_video(run.ended)
            start = run.stop
        self._spare.append(batch.frames)


def batch_shape(extractor: Extractor) -> tuple[int, ...]:
    """Return the shape of a batch: (B, crops, *crop_shape), or (B, crops, W, *crop_shape) if a feature takes W > 1."""
    preparation, length = extractor.preparation, extractor.frames_per_feature
    window = (length,) if length > 1 else ()
    return (extractor.batch_size, preparation.num_crops, *window, *preparation.crop_shape)


def _require_declared(extractor: Extractor, features: NDArray[Any], num_features: int) -> None:
    want = (num_features, *extractor.frame_shape)
    if features.shape != want or features.dtype != np.dtype(extractor.dtype):
        raise ConfigError(
            f"extractor {extractor.name!r}: encode returned {features.dtype} of shape {features.shape}; its dtype and "
            f"frame_shape make that {extractor.dtype} of shape {want}"
        )


def use_one_core() -> None:
    """Make torch compute on the calling thread alone."""
    import torch

    torch.set_num_threads(1)
