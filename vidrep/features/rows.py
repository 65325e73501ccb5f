"""The rows of one HDF5 file, mapped into memory when they are first asked for."""

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError
from .untrusted import UNREADABLE, ArrayLayout, FileState


class Rows(Protocol):
    """An array of which a range of rows can be had: a view of a memory map, or what is read from chunks."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class RowsFile:
    """Some arrays of a file, by the names that they go by here; nothing is open, so that it can be sent elsewhere.

    state: what the file was when the layouts were read: another file at this path would be read as garbage.
    """

    path: Path
    state: FileState
    layouts: Mapping[str, ArrayLayout]

    def open(self) -> dict[str, Rows]:
        """Map the file; the arrays are views that keep the map alive. What lies in chunks is read when sliced.

        Raises FeatureFileError if the file has gone, or is not the one that it was.
        """
        with self._refusing_unreadable():
            if any(layout.offset is None and layout.num_bytes for layout in self.layouts.values()):
                return self._open_chunked()
            return self._map()

    @contextmanager
    def _refusing_unreadable(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise FeatureFileError(f"{self.path}: cannot be read any more ({reason}); open it anew") from error

    def _map(self) -> dict[str, Rows]:
        with self.path.open("rb") as file:
            self._require_same(FileState.of(file.fileno()))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return {name: _view(mapped, layout) for name, layout in self.layouts.items()}

    def _open_chunked(self) -> dict[str, Rows]:
        file = h5py.File(self.path, "r")
        try:
            self._require_same(FileState.of(file.id.get_vfd_handle()))
            return {name: _ChunkedRows(self.path, file, layout.name) for name, layout in self.layouts.items()}
        except BaseException:
            file.close()
            raise

    def _require_same(self, state: FileState) -> None:
        if state != self.state:
            raise FeatureFileError(f"{self.path}: the file was changed or replaced after it was opened; open it anew")


def _view(mapped: mmap.mmap, layout: ArrayLayout) -> NDArray[Any]:
    if not layout.num_bytes:
        return np.empty(layout.shape, dtype=layout.dtype)
    values = np.frombuffer(mapped, dtype=layout.dtype, count=layout.num_values, offset=layout.offset or 0)
    return values.reshape(layout.shape)


def give_back_pages(view: NDArray[Any]) -> None:
    """Let go of the pages of a mapped view, of which others may have to be read again; of another array do nothing.

    The system would take them back when it needs them, but until then a large file that is read through once looks
    like memory that the process needs.
    """
    whole = view
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    mapped = whole.base.obj if isinstance(whole.base, memoryview) else None
    if isinstance(mapped, mmap.mmap) and view.size and hasattr(mmap, "MADV_DONTNEED"):
        first = view.ctypes.data - np.frombuffer(mapped, dtype=np.uint8, count=1).ctypes.data
        start = first - first % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_DONTNEED, start, first + view.nbytes - start)


class _ChunkedRows:
    """An array in chunks, decompressed at every access; the file is open as long as this is alive."""

    def __init__(self, path: Path, file: h5py.File, name: str) -> None:
        self._path, self._file, self._dataset = path, file, file[name]

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        try:
            values: NDArray[Any] = self._dataset[rows]
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise FeatureFileError(
                f"{self._path}: rows {rows.start} to {rows.stop} of {self._dataset.name} cannot be read ({reason}); "
                "make the file again"
            ) from error
        return values


@dataclass(frozen=True, eq=False)
class LoadedRows:
    """Arrays that were read into memory, in the place of a RowsFile."""

    path: Path
    arrays: Mapping[str, NDArray[Any]]

    def open(self) -> dict[str, Rows]:
        """Return the arrays."""
        return dict(self.arrays)
