"""What a training reports at every validation: a line of metrics.jsonl, and an event if TensorBoard is installed."""

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
    """The metrics of one training after a step; what is there of later steps is removed, for it is written again."""

    def __init__(self, run: Path, *, step: int) -> None:
        """Go on after `step`; raises OutputError, here and in `append`, if the disk refuses."""
        self._path = run / METRICS_NAME
        cut_metrics(run, step)
        self._events: _Events | None = None
        with suppress(ImportError):  # TensorBoard is optional
            self._events = _Events(run / EVENTS_FOLDER, step)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line: {"step": number, metric: number, group: {metric: number}}."""
        _append(self._path, (json.dumps(line) + "\n").encode())
        if self._events is not None:
            self._events.append(line)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Read the lines of metrics.jsonl, one a validation, as far as they are complete; none if it is not there.

    Raises InputError if it is not one that a training writes.
    """
    path = run / METRICS_NAME
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not the metrics of a run ({error})") from error


def cut_metrics(run: Path, step: int) -> None:
    """Remove the lines of metrics.jsonl that come after `step`, and a half-written last line.

    Raises InputError if the file is not one that a training writes.
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
                with suppress(OSError):  # the first error counts; a resume removes half a line
                    resize(descriptor, length)
                raise
        finally:
            os.close(descriptor)


class _Events:
    """A file of TensorBoard events; a resume begins another, because the last event of a killed training may be half.

    TensorBoard's own writer, which torch.utils.tensorboard uses too, writes in a thread: if the disk refuses, that
    prints a traceback and leaves half an event. So its events and records are written here without the thread.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        with naming_output(folder):
            make_folder(folder)
        # TensorBoard reads the files in the order of their names.
        numbers = [int(file.suffix[1:]) for file in folder.glob(f"events.out.tfevents.{'[0-9]' * 6}")]
        self._path = folder / f"events.out.tfevents.{max(numbers, default=0) + 1:06d}"
        # A start makes TensorBoard forget what earlier files hold of this step and later ones.
        start = SessionLog(status=SessionLog.START)
        self._write(Event(file_version="brain.Event:2"), Event(step=step + 1, session_log=start))
        sync_folder(folder)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add the metrics of a line of metrics.jsonl."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _tagged(line)]
        self._write(Event(step=line["step"], summary=Summary(value=values)))

    def _write(self, *events: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        content = io.BytesIO()
        for event in events:
            event.wall_time = time.time()
            RecordWriter(content).write(event.SerializeToString())
        _append(self._path, content.getvalue())


def _tagged(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Name all metrics of a line but the step, as "validation/loss"."""
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from _tagged(value, f"{prefix}{name}/")
        elif prefix or name != "step":
            yield prefix + name, value


class Speed:
    """The speed of the steps since the last validation: the only metrics that differ between equal trainings.

    Of the time spent waiting for data, only the host's is measured; on CUDA the device may wait besides.
    """

    def __init__(self) -> None:
        self._num_frames, self._seconds, self._waited = 0, 0.0, 0.0
        self._all_seconds, self._all_waited = 0.0, 0.0

    @property
    def data_share(self) -> float:
        """The share of all steps' time, 0 to 1, that was spent waiting for data."""
        return self._all_waited / max(self._all_seconds, 1e-9)

    def add(self, *, num_frames: int, seconds: float, waited: float) -> None:
        """Count a step: the frames that it read, its seconds, and those of them that it waited for data."""
        self._num_frames += num_frames
        self._seconds += seconds
        self._waited += waited
        self._all_seconds += seconds
        self._all_waited += waited

    def take(self) -> dict[str, float]:
        """Return the metrics of the steps counted so far, and begin anew."""
        seconds = max(self._seconds, 1e-9)
        metrics = {"frames_per_second": self._num_frames / seconds, "data_share": self._waited / seconds}
        self._num_frames, self._seconds, self._waited = 0, 0.0, 0.0
        return metrics
