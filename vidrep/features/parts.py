"""Parts: small feature files that extraction publishes one after the other, so that a crash loses little."""

import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..files import make_folder, naming_output, remove, remove_folder
from .table import VideoRow
from .writer import FeatureWriter, writing_features

PART_MAX_VIDEOS = 50
PART_MAX_BYTES = 64 << 20
PART_MAX_SECONDS = 60.0
_NAME = re.compile(r"part-(\d{6,})\.h5")
_LEFTOVERS = ".part-*.tmp"


def find_parts(folder: Path) -> list[Path]:
    """Return the parts in a folder, the oldest first; none if there is no such folder."""
    numbered = {int(match[1]): file for file in folder.glob("part-*.h5") if (match := _NAME.fullmatch(file.name))}
    return [numbered[number] for number in sorted(numbered)]


class PartsWriter:
    """Writes videos into numbered parts in `folder`: part-000001.h5, part-000002.h5, ...

    with PartsWriter(folder, settings=..., ...) as writer:
        writer.append(features, timestamps)
        writer.end_video(row)
        writer.publish()    # what is left

    A part is published once it has 50 videos, 64 MB, or is 60 s old, at the end of a video. Rows wait in memory, beyond
    64 MB in an unnamed temporary file, so that a long video costs disk and not memory.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
        frame_shape: tuple[int, ...],
        dtype: str,
    ) -> None:
        self._folder = folder
        self._settings, self._versions = settings, versions
        self._frame_shape, self._dtype = frame_shape, np.dtype(dtype).newbyteorder("<")
        with naming_output(folder):
            make_folder(folder)
        for leftover in folder.glob(_LEFTOVERS):
            remove(leftover)
        there = find_parts(folder)
        self._number = int(there[-1].stem.rpartition("-")[2]) if there else 0
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def _begin(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(max_size=PART_MAX_BYTES, dir=str(self._folder))  # noqa: SIM115
        self._times: list[NDArray[np.float64]] = [np.empty(0)]
        self._rows: list[VideoRow] = []
        self._num_rows = self._num_finished_rows = 0
        self._began = time.monotonic()

    def append(self, features: NDArray[np.generic], timestamps: NDArray[np.float64]) -> None:
        """Append the next frames of the current video: (n, *frame_shape), (n,) seconds."""
        with naming_output(self._folder):
            self._spool.write(np.ascontiguousarray(features, dtype=self._dtype).data)
        self._times.append(timestamps)
        self._num_rows += len(features)

    def end_video(self, row: VideoRow) -> None:
        """Close the current video, and publish the part if it is full or old enough."""
        self._rows.append(replace(row, start=self._num_finished_rows, length=self._num_rows - self._num_finished_rows))
        self._num_finished_rows = self._num_rows
        full = len(self._rows) >= PART_MAX_VIDEOS or self._spool.tell() >= PART_MAX_BYTES
        if full or time.monotonic() - self._began >= PART_MAX_SECONDS:
            self.publish()

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self._frame_shape, dtype=np.int64)) * self._dtype.itemsize

    def publish(self) -> None:
        """Publish the finished videos as the next part; frames of an unfinished video must not be waiting."""
        if self._rows:
            self._number += 1
            times = np.concatenate(self._times)
            self._spool.seek(0)
            with writing_features(
                self._folder / f"part-{self._number:06d}.h5",
                settings=self._settings,
                versions=self._versions,
                num_rows=self._num_rows,
                frame_shape=self._frame_shape,
                dtype=self._dtype.name,
            ) as writer:
                for row in self._rows:
                    self._copy_video(writer, row, times)
        self._spool.close()
        self._begin()

    def _copy_video(self, writer: FeatureWriter, row: VideoRow, times: NDArray[np.float64]) -> None:
        rows_at_once = max(1, (16 << 20) // max(1, self._row_bytes))
        for start in range(row.start, row.start + row.length, rows_at_once):
            stop = min(start + rows_at_once, row.start + row.length)
            block = np.frombuffer(self._spool.read((stop - start) * self._row_bytes), dtype=self._dtype)
            writer.append(block.reshape(stop - start, *self._frame_shape), times[start:stop])
        writer.end_video(row)


def remove_parts(folder: Path) -> None:
    """Remove the parts in a folder, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for file in [*find_parts(folder), *folder.glob(_LEFTOVERS)]:
        remove(file)
    remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing; leave any other."""
    if folder.is_dir() and not any(folder.iterdir()):
        remove_folder(folder)
