"""What a training reports at every look: a line of metrics.jsonl, and events for TensorBoard where it is installed."""

import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import make_folder, naming_output, resize, sync_folder, write_at, write_text

METRICS_NAME, EVENTS_FOLDER = "metrics.jsonl", "tensorboard"


class Metrics:
    """The metrics of one training, from a step on: what was written for later steps is written again."""

    def __init__(self, run: Path, *, step: int) -> None:
        """Go on after `step`; raises OutputError, here and at every line, if the disk refuses."""
        self._path = run / METRICS_NAME
        cut_metrics(run, step)
        self._events = _new_events(run / EVENTS_FOLDER, step)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line, {"step": ..., figure: number, group: {figure: number}}."""
        _append(self._path, (json.dumps(line) + "\n").encode())
        if self._events is not None:
            self._events.append(line)


def cut_metrics(run: Path, step: int) -> None:
    """Drop the lines of metrics.jsonl that come after `step`, and one that was half written.

    Raises InputError for lines that were not written by a training.
    """
    path = run / METRICS_NAME
    if path.exists():
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            complete = [line for line in lines if line.endswith("\n")]
            kept = [line for line in complete if json.loads(line)["step"] <= step]
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path}: not the metrics of a run ({error}); remove it to go on without them") from error
        write_text(path, "".join(kept))


def _append(path: Path, content: bytes) -> None:
    """Add to a file, and to the disk, all of `content` or nothing; OutputError if the disk refuses."""
    with naming_output(path, num_bytes=len(content)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            length = os.fstat(descriptor).st_size
            try:
                write_at(descriptor, content, length)
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):  # half a line is dropped when the run goes on; the first reason counts
                    resize(descriptor, length)
                raise
        finally:
            os.close(descriptor)


def _new_events(folder: Path, step: int) -> "_Events | None":
    try:
        return _Events(folder, step)
    except ImportError:
        return None


class _Events:
    """A file of TensorBoard events; each training and each resume has one of its own, for the last may end half way.

    TensorBoard's own writer has a thread and hides what the disk refuses; only the format of a record is taken from it.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._event, self._summary = Event, Summary
        with naming_output(folder):
            make_folder(folder)
        earlier = folder.glob(f"events.out.tfevents.{'[0-9]' * 6}")
        number = 1 + max((int(file.suffix[1:]) for file in earlier), default=0)
        self._path = folder / f"events.out.tfevents.{number:06d}"
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if number > 1:  # TensorBoard forgets what it knows of this step and later ones
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=step + 1, session_log=start))
        sync_folder(folder)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add the figures of a line of metrics.jsonl."""
        values = [self._summary.Value(tag=name, simple_value=figure) for name, figure in _figures(line)]
        summary = self._summary(value=values)
        self._write(self._event(wall_time=time.time(), step=line["step"], summary=summary))

    def _write(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        _append(self._path, record.getvalue())


def _figures(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Name all figures of a line but the step, as "validation/loss"."""
    for name, figure in line.items():
        if isinstance(figure, Mapping):
            yield from _figures(figure, f"{prefix}{name}/")
        elif prefix or name != "step":
            yield prefix + name, figure


class Speed:
    """How fast the steps since the last look went; the only figures that differ between equal trainings.

    Of waiting for data, what the host waits is counted; on CUDA the device may wait besides.
    """

    def __init__(self) -> None:
        self._num_frames, self._seconds, self._waited = 0, 0.0, 0.0
        self._all_seconds, self._all_waited = 0.0, 0.0

    @property
    def data_share(self) -> float:
        """The part of all steps' time that was spent waiting for data."""
        return self._all_waited / max(self._all_seconds, 1e-9)

    def add(self, *, num_frames: int, seconds: float, waited: float) -> None:
        """Count a step: frames that it read, seconds that it took, and those of them that it waited for data."""
        self._num_frames += num_frames
        self._seconds += seconds
        self._waited += waited
        self._all_seconds += seconds
        self._all_waited += waited

    def take(self) -> dict[str, float]:
        """Return the figures of the steps counted so far, and begin anew."""
        seconds = max(self._seconds, 1e-9)
        figures = {"frames_per_second": self._num_frames / seconds, "data_share": self._waited / seconds}
        self._num_frames, self._seconds, self._waited = 0, 0.0, 0.0
        return figures
