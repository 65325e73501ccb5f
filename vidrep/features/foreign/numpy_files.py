""".npy files, of one array without a name, and .npz files, of arrays by name. Pickled objects are never loaded."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ...errors import FeatureFileError
from ..untrusted import reason_of
from .tree import ArrayInfo, ArrayTree

SUFFIXES = frozenset({".npy", ".npz"})
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# The name that numpy gives to the only array of a file if none was given.
_NO_NAME = "arr_0"


def open_tree(path: Path) -> ArrayTree:
    """Open an .npy or .npz file, whichever of the two its content is; raises FeatureFileError if it is neither."""
    with _readable(path), path.open("rb") as file:
        magic = file.read(6)
        if magic == npy.MAGIC_PREFIX:
            return _NpyTree(path)
        if magic[:2] == b"PK":
            return _NpzTree(path)
    raise FeatureFileError(f"{path}: neither an .npy nor an .npz file")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # numpy evaluates a damaged header, which can fail in any way
        raise FeatureFileError(f"{path}: not an array that can be read ({reason_of(error)})") from error


class _NpyTree(ArrayTree):
    """One array, memory-mapped."""

    def __init__(self, path: Path) -> None:
        self._array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        super().__init__(path, {"": ArrayInfo(self._array.shape, self._array.dtype)}, {})

    def read(self, name: str) -> NDArray[Any]:
        """Return the memory map."""
        return self._array


class _NpzTree(ArrayTree):
    """Arrays by name, each read as a whole. The only one of a file has no name if none was given."""

    def __init__(self, path: Path) -> None:
        arrays, unfit = {}, {}
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            for member in members:
                name = member.removesuffix(".npy")
                with archive.open(member) as file:
                    shape, _, dtype = _HEADERS[npy.read_magic(file)](file)
                if dtype.hasobject:
                    unfit[name] = f"/{name} holds Python objects"
                else:
                    arrays[name] = ArrayInfo(shape, dtype)
        if list(arrays) == [_NO_NAME] and not unfit:
            arrays[""] = arrays.pop(_NO_NAME)
        super().__init__(path, arrays, unfit)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array that was read from the archive."""
        # Opened here: numpy leaves a file open that begins like a zip archive and is none.
        with _readable(self.path), self.path.open("rb") as file:
            array: NDArray[Any] = np.load(file, allow_pickle=False)[name or _NO_NAME]
            return array
