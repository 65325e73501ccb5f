"""The rows of one HDF5 file, mapped into memory when they are first read."""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError
from .hdf5 import open_hdf5
from .untrusted import UNREADABLE, ArrayLayout, FileState, reason_of


class Rows(Protocol):
    """An array of which ranges of rows can be read: views of a memory map, or copies from chunks."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class RowsFile:
    """Some arrays of a file. It keeps nothing open, so that it can be pickled.

    state: that of the file when its layouts were read; they do not fit another file at this path.
    """

    path: Path
    state: FileState
    layouts: Mapping[str, ArrayLayout]

    def open(self) -> dict[str, Rows]:
        """Return the arrays by name: views of a map, which they keep alive. Arrays in chunks are read when sliced.

        Raises FeatureFileError if the file is gone or has changed.
        """
        is_chunked = any(layout.offset is None and layout.num_bytes for layout in self.layouts.values())
        try:
            return self._open_chunked() if is_chunked else self._map()
        except UNREADABLE as error:
            reason = reason_of(error)
            raise FeatureFileError(f"{self.path}: can no longer be read ({reason}); open it again") from error

    def _map(self) -> dict[str, Rows]:
        with self.path.open("rb") as file:
            self._require_same(FileState.of(file.fileno()))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return {name: _view(mapped, layout) for name, layout in self.layouts.items()}

    def _open_chunked(self) -> dict[str, Rows]:
        file = open_hdf5(self.path)
        try:
            self._require_same(FileState.of(file.id.get_vfd_handle()))
            return {name: _ChunkedRows(self.path, file, layout.name) for name, layout in self.layouts.items()}
        except BaseException:
            file.close()
            raise

    def _require_same(self, state: FileState) -> None:
        if state != self.state:
            raise FeatureFileError(f"{self.path}: the file was changed or replaced after it was opened; open it again")


def _view(mapped: mmap.mmap, layout: ArrayLayout) -> NDArray[Any]:
    if not layout.num_bytes:
        return np.empty(layout.shape, dtype=layout.dtype)
    values = np.frombuffer(mapped, dtype=layout.dtype, count=layout.num_values, offset=layout.offset or 0)
    return values.reshape(layout.shape)


def release_pages(view: NDArray[Any]) -> None:
    """Release the memory of a mapped view, which is then read from the file again. Do nothing for other arrays.

    Without this, a large file that was read once counts as memory of the process until the system runs short of it.
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
    """An array in chunks, decompressed at every access. It keeps the file open."""

    def __init__(self, path: Path, file: h5py.File, name: str) -> None:
        self._path, self._file, self._dataset = path, file, file[name]

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        try:
            values: NDArray[Any] = self._dataset[rows]
        except UNREADABLE as error:
            raise FeatureFileError(
                f"{self._path}: rows {rows.start} to {rows.stop} of {self._dataset.name} cannot be read "
                f"({reason_of(error)}); make the file again"
            ) from error
        return values


@dataclass(frozen=True, eq=False)
class LoadedRows:
    """Arrays in memory, with the interface of a RowsFile."""

    path: Path
    arrays: Mapping[str, NDArray[Any]]

    def open(self) -> dict[str, Rows]:
        """Return the arrays by name."""
        return dict(self.arrays)
