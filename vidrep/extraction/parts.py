"""Parts: small feature files that extraction publishes one after the other, so that a crash loses little work."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import Stopped
from ..features.parts_folder import MARKER, find_parts, mark, number_of_part
from ..features.table import VideoRow
from ..features.writer import FeatureWriter, writing_features
from ..files import make_folder, naming_output, remove, remove_folder

PART_MAX_VIDEOS = 50
PART_MAX_BYTES = 64 << 20
PART_MAX_SECONDS = 60.0
_SPOOL_BYTES = 4 << 20
_LEFTOVERS = ".part-*.tmp"


class Spool:
    """The features of one video on their way into a part: in memory, beyond 4 MB in an unnamed temporary file.

    rows: (n, crops, *frame_shape), appended as they come. close it in the end.
    """

    def __init__(self, folder: Path, row_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._folder, self._row_shape, self._dtype = folder, row_shape, dtype
        self._row_bytes = int(np.prod(row_shape, dtype=np.int64)) * dtype.itemsize
        # Named as leftovers are, where such a file has a name for a moment.
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            max_size=_SPOOL_BYTES, dir=str(folder), prefix=".part-", suffix=".tmp"
        )
        self._times: list[NDArray[np.float64]] = [np.empty(0)]
        self.num_rows = 0

    @property
    def num_bytes(self) -> int:
        """Of all rows so far."""
        return self.num_rows * self._row_bytes

    def append(self, features: NDArray[np.generic], timestamps: NDArray[np.float64]) -> None:
        """Append the next frames: (n, crops, *frame_shape), (n,) seconds."""
        with naming_output(self._folder):
            self._file.write(np.ascontiguousarray(features, dtype=self._dtype).data)
        self._times.append(timestamps)
        self.num_rows += len(features)

    def blocks(self) -> Iterator[tuple[NDArray[np.generic], NDArray[np.float64]]]:
        """Yield all rows in blocks of bounded size, as they were appended."""
        times = np.concatenate(self._times)
        rows_at_once = max(1, _SPOOL_BYTES // max(1, self._row_bytes))
        self._file.seek(0)
        for start in range(0, self.num_rows, rows_at_once):
            stop = min(start + rows_at_once, self.num_rows)
            block = np.frombuffer(self._file.read((stop - start) * self._row_bytes), dtype=self._dtype)
            yield block.reshape(stop - start, *self._row_shape), times[start:stop]

    def close(self) -> None:
        """Free the memory and the temporary file, whose content is not needed any more."""
        with suppress(OSError):  # on a full disk, what was buffered cannot be written
            self._file.close()


class PartsWriter:
    """Writes videos into numbered parts in `folder`: part-000001.h5, part-000002.h5, ...

    with PartsWriter(folder, settings=..., ...) as writer:
        spool = writer.new_spool()              # several videos may be under way at once
        spool.append(features, timestamps)
        writer.add_video([row], spool)          # one row for each crop

    A part is published once it has 50 videos, 64 MB, or is 60 s old, and at the end, also if that is Stopped. Rows wait
    in memory, those of long videos in temporary files, so that a long video costs disk and not memory.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
        num_crops: int,
        frame_shape: tuple[int, ...],
        dtype: str,
    ) -> None:
        self._folder = folder
        self._settings, self._versions = settings, versions
        self._num_crops, self._frame_shape, self._dtype = num_crops, frame_shape, np.dtype(dtype).newbyteorder("<")
        with naming_output(folder):
            make_folder(folder)
            mark(folder)
        for leftover in folder.glob(_LEFTOVERS):
            remove(leftover)
        there = find_parts(folder)
        self._number = number_of_part(there[-1]) if there else 0
        self._spools: set[Spool] = set()
        self._videos: list[tuple[Sequence[VideoRow], Spool]] = []
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None or issubclass(kind, Stopped):
                self._publish()
        finally:
            for spool in self._spools:
                spool.close()

    def new_spool(self) -> Spool:
        """Return a spool for the next video; `drop` it if the video fails."""
        spool = Spool(self._folder, (self._num_crops, *self._frame_shape), self._dtype)
        self._spools.add(spool)
        return spool

    def drop(self, spool: Spool) -> None:
        """Close a spool whose video is not to be kept, or is published."""
        self._spools.remove(spool)
        spool.close()

    def add_video(self, rows: Sequence[VideoRow], spool: Spool) -> None:
        """Take a finished video, one row for each of its crops."""
        self._videos.append((rows, spool))
        self.publish_if_due()

    def publish_if_due(self) -> None:
        """Publish the finished videos as a part if they are many, large or old enough; to be called often."""
        full = len(self._videos) >= PART_MAX_VIDEOS or sum(one.num_bytes for _, one in self._videos) >= PART_MAX_BYTES
        if full or time.monotonic() - self._began >= PART_MAX_SECONDS:
            self._publish()

    def _publish(self) -> None:
        """Publish the finished videos that wait as the next part."""
        if self._videos:
            self._number += 1
            with writing_features(
                self._folder / f"part-{self._number:06d}.h5",
                settings=self._settings,
                versions=self._versions,
                num_rows=sum(len(rows) * spool.num_rows for rows, spool in self._videos),
                frame_shape=self._frame_shape,
                dtype=self._dtype.name,
            ) as writer:
                for rows, spool in self._videos:
                    _write_video(writer, rows, spool)
        for _, spool in self._videos:
            self.drop(spool)
        self._videos = []
        self._began = time.monotonic()


def _write_video(writer: FeatureWriter, rows: Sequence[VideoRow], spool: Spool) -> None:
    for crop, row in enumerate(rows):
        for features, timestamps in spool.blocks():
            writer.append(features[:, crop], timestamps)
        writer.end_video(row)


def remove_parts(folder: Path) -> None:
    """Remove the parts in a folder, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for file in [*find_parts(folder), *folder.glob(_LEFTOVERS)]:
        remove(file)
    if {file.name for file in folder.iterdir()} <= {MARKER}:  # last, as what is marked is one of parts
        remove(folder / MARKER)
        remove_folder(folder)
