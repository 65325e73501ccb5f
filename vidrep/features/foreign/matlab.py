"""MATLAB's .mat files: those of version 7.3, which are HDF5, and those of versions 5 to 7.

Every variable of MATLAB has at least two dimensions: (1, 1) and (N, 1) are read as a number and a column.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FeatureFileError
from ..rows import Rows
from ..untrusted import ArrayLayout, UnfitError, UntrustedFile, reason_of
from .hdf5 import Hdf5Tree
from .tree import ArrayInfo, ArrayTree, require_unpackable

SUFFIXES = frozenset({".mat"})

_HDF5_SIGNATURE, _HDF5_PLACES = b"\x89HDF\r\n\x1a\n", (0, 512)
_NUMBERS = {
    "double": "f8", "single": "f4", "logical": "u1", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8",
}  # fmt: skip
_TEXT = "char"
_HOW_TO_SAVE = "save each video as a numeric variable of its own"
# Version 5: a header, then an element a variable, which begins with its type and its number of bytes.
_HEADER_BYTES, _TAG_BYTES = 128, 8
_MATRIX, _COMPRESSED = 14, 15


def open_tree(path: Path) -> ArrayTree:
    """Open a .mat file of version 5 to 7.3; raises FeatureFileError if it is damaged or older."""
    try:
        with path.open("rb") as file:
            beginning = file.read(max(_HDF5_PLACES) + len(_HDF5_SIGNATURE))
    except OSError as error:
        raise FeatureFileError(f"{path}: not a .mat file that can be read ({reason_of(error)})") from error
    if any(beginning[place:].startswith(_HDF5_SIGNATURE) for place in _HDF5_PLACES):
        return _MatlabHdf5Tree(path)
    return _MatlabTree(path)


def _unsqueezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a number or a column without the dimensions that only MATLAB gives it."""
    if len(shape) == 2 and shape[1] == 1:
        return () if shape[0] == 1 else shape[:1]
    return shape


class _MatlabHdf5Tree(Hdf5Tree):
    """A file of version 7.3; HDF5 has the axes of its arrays in the opposite order."""

    def __init__(self, path: Path) -> None:
        self._texts: set[str] = set()
        super().__init__(path)
        self.arrays = {
            name: ArrayInfo(_unsqueezed(info.shape[::-1]), np.dtype("U1") if name in self._texts else info.dtype)
            for name, info in self.arrays.items()
            if not name.startswith("#")  # what MATLAB refers to from elsewhere
        }

    def _layout(self, file: UntrustedFile, name: str) -> ArrayLayout:
        kind = file.attribute("MATLAB_class", of=name)
        if kind == _TEXT:
            self._texts.add(name)
        elif kind is not None and kind not in _NUMBERS:
            raise UnfitError(f"/{name} is of MATLAB's class {kind}; {_HOW_TO_SAVE}")
        return super()._layout(file, name)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array with its axes as in MATLAB."""
        return super().read(name).T.reshape(self.arrays[name].shape)

    def rows(self, name: str) -> Rows:
        """Return the whole array."""
        return self.read(name)

    def column(self, name: str) -> NDArray[Any]:
        """Return an array of numbers; raises FeatureFileError for text, which has a row a letter in such files."""
        if name in self._texts:
            raise FeatureFileError(f"{self.path}: /{name} is text, which is read from .mat files up to version 7")
        return self.read(name)


class _MatlabTree(ArrayTree):
    """A file of version 5 to 7; a variable is read as a whole when it is asked for."""

    def __init__(self, path: Path) -> None:
        from scipy.io import whosmat  # here, as it takes a moment to import

        try:
            self._places = _element_places(path)
            variables = whosmat(path)
            if len(variables) != len(self._places):
                raise ValueError(f"{len(self._places)} elements, {len(variables)} variables")
        except Exception as error:  # scipy's reader can fail in any way on a file of unknown origin
            raise _unreadable(path, error) from error
        arrays, unfit = {}, {}
        self._index = {}
        for index, (name, shape, kind) in enumerate(variables):
            self._index[name] = index
            if kind == _TEXT or kind in _NUMBERS:
                dtype = np.dtype("U1" if kind == _TEXT else _NUMBERS[kind])
                arrays[name] = ArrayInfo(_unsqueezed(shape), dtype)
            elif not name.startswith("__"):  # what MATLAB keeps for its own objects
                unfit[name] = f"/{name} is of MATLAB's class {kind}; {_HOW_TO_SAVE}"
        super().__init__(path, arrays, unfit)

    def read(self, name: str) -> NDArray[Any]:
        """Return a variable, in MATLAB's class of it. Only its own bytes are read."""
        from scipy.io import loadmat

        start, end = self._places[self._index[name]]
        try:
            with self.path.open("rb") as file:
                content = io.BytesIO(file.read(_HEADER_BYTES))
                file.seek(start)
                content.seek(_HEADER_BYTES)
                content.write(file.read(end - start))
            content.seek(0)
            # MATLAB stores whole numbers in the smallest type; mat_dtype restores that of the variable.
            array: NDArray[Any] = loadmat(content, variable_names=[name], mat_dtype=True)[name]
        except Exception as error:  # as above
            raise _unreadable(self.path, error) from error
        return array.reshape(self.arrays[name].shape) if self.arrays[name].is_numeric else array


def _unreadable(path: Path, error: BaseException) -> FeatureFileError:
    return FeatureFileError(
        f"{path}: not a .mat file of version 5 to 7.3 that can be read ({reason_of(error)}); save it again in MATLAB"
    )


def _element_places(path: Path) -> list[tuple[int, int]]:
    """Return where the elements of a file of version 5 begin and end.

    Raises ValueError if it is none or cut short, FeatureFileError for an element that is too large to be unpacked.
    """
    num_bytes = path.stat().st_size
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(_HEADER_BYTES)[126:])
        if order is None:
            raise ValueError("it does not begin like one")
        tag, places, start = struct.Struct(f"{order}II"), [], _HEADER_BYTES
        while start < num_bytes:
            file.seek(start)
            kind, size = tag.unpack(file.read(_TAG_BYTES))
            end = start + _TAG_BYTES + size
            if kind not in (_MATRIX, _COMPRESSED) or end > num_bytes:
                raise ValueError(f"it is damaged or cut short at byte {start}")
            if kind == _COMPRESSED:
                unpacked = zlib.decompressobj().decompress(file.read(min(size, 1 << 10)), _TAG_BYTES)
                require_unpackable(path, f"byte {start}", tag.unpack(unpacked)[1])
            places.append((start, end))
            start = end
    return places
