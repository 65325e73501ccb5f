"""MATLAB's .mat files: those of version 7.3, which are HDF5, and those of versions 5 to 7.

The older ones are read here, after MathWorks' "MAT-File Format": the reader of scipy crashes on damaged files. An
element a variable holds, as elements of its own, flags, dimensions, name and values; it may be compressed.

Every variable of MATLAB has at least two dimensions: (1, 1) and (N, 1) are read as a number and a column.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

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
_ADVICE = "save each video as a numeric variable of its own"

# Versions 5 to 7. An element begins with its type and its number of bytes.
_HEADER_BYTES, _TAG_BYTES = 128, 8
_MATRIX, _COMPRESSED = 14, 15
# Flags, dimensions and name of a variable take less.
_DESCRIPTION_BYTES = 1 << 12
_CLASSES = (
    "unknown", "cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8", "int16", "uint16",
    "int32", "uint32", "int64", "uint64", "function", "opaque",
)  # fmt: skip
_IS_COMPLEX = 0x800
_STORED_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def open_tree(path: Path) -> ArrayTree:
    """Open a .mat file of version 5 to 7.3; raises FeatureFileError if it is damaged or older."""
    with _readable(path), path.open("rb") as file:
        beginning = file.read(max(_HDF5_PLACES) + len(_HDF5_SIGNATURE))
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
            raise UnfitError(f"/{name} is of MATLAB's class {kind}; {_ADVICE}")
        return super()._layout(file, name)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array with its axes as in MATLAB."""
        return super().read(name).T.reshape(self.arrays[name].shape)

    def rows(self, name: str) -> Rows:
        """Return the whole array."""
        return self.read(name)

    def column(self, name: str) -> NDArray[Any]:
        """Return an array of numbers; raises FeatureFileError for text."""
        if name in self._texts:
            raise _no_text(self.path, name)
        return self.read(name)


@dataclass(frozen=True)
class _Variable:
    """Where a variable of a file of version 5 to 7 is, and what MATLAB has it for."""

    start: int
    num_bytes: int
    is_compressed: bool
    kind: str
    shape: tuple[int, ...]


class _MatlabTree(ArrayTree):
    """A file of version 5 to 7; a variable is read as a whole when it is asked for."""

    def __init__(self, path: Path) -> None:
        arrays, unfit = {}, {}
        with _readable(path), path.open("rb") as file:
            self._order = {b"IM": "<", b"MI": ">"}.get(file.read(_HEADER_BYTES)[-2:], "")
            if not self._order:
                raise ValueError("it does not begin like one")
            self._variables = dict(self._described(file, path.stat().st_size))
        for name, variable in self._variables.items():
            if variable.kind in (_TEXT, *_NUMBERS):
                dtype = np.dtype("U1" if variable.kind == _TEXT else _NUMBERS[variable.kind])
                arrays[name] = ArrayInfo(_unsqueezed(variable.shape), dtype)
            elif name:  # what has no name is MATLAB's own
                unfit[name] = f"/{name} is of MATLAB's class {variable.kind}; {_ADVICE}"
        super().__init__(path, arrays, unfit)

    def read(self, name: str) -> NDArray[Any]:
        """Return a variable, in MATLAB's class of it; raises FeatureFileError for text."""
        variable = self._variables[name]
        if variable.kind == _TEXT:
            raise _no_text(self.path, name)
        require_unpackable(self.path, name, variable.num_bytes)
        with _readable(self.path):
            with self.path.open("rb") as file:
                file.seek(variable.start)
                content = file.read(variable.num_bytes)
            if variable.is_compressed:
                content = self._unpacked(name, content)
            stored_as, values = next(islice(_elements(content, self._order), 3, None))
            stored = np.frombuffer(values, dtype=f"{self._order}{_STORED_TYPES[stored_as]}")
            # MATLAB stores whole numbers in the smallest type that holds them.
            array = stored.astype(_NUMBERS[variable.kind]).reshape(variable.shape, order="F")
            return array.reshape(self.arrays[name].shape)

    def _unpacked(self, name: str, content: bytes) -> bytes:
        unpacker = zlib.decompressobj()
        size = struct.unpack(f"{self._order}II", unpacker.decompress(content, _TAG_BYTES))[1]
        require_unpackable(self.path, name, size)
        unpacked = unpacker.decompress(unpacker.unconsumed_tail, size + 1)
        if not unpacker.eof:  # which is where the checksum is compared
            raise ValueError(f"/{name} unpacks to more than the {size} bytes that it declares")
        return unpacked

    def _described(self, file: BinaryIO, num_bytes: int) -> Iterator[tuple[str, _Variable]]:
        """Yield the names and places of all variables; raises ValueError if the file is damaged or cut short."""
        start = _HEADER_BYTES
        while start < num_bytes:
            file.seek(start)
            kind, size = struct.unpack(f"{self._order}II", file.read(_TAG_BYTES))
            start += _TAG_BYTES
            if kind not in (_MATRIX, _COMPRESSED) or start + size > num_bytes:
                raise ValueError(f"it is damaged or cut short at byte {start}")
            description = file.read(min(size, _DESCRIPTION_BYTES))
            if kind == _COMPRESSED:
                description = zlib.decompressobj().decompress(description, _DESCRIPTION_BYTES)[_TAG_BYTES:]
            (_, flags), (_, shape), (_, name) = islice(_elements(description, self._order), 3)
            (class_and_flags,) = struct.unpack_from(f"{self._order}I", flags)
            matlab_class = _CLASSES[class_and_flags & 0xFF]
            dimensions = tuple(int(one) for one in np.frombuffer(shape, dtype=f"{self._order}i4"))
            if min(dimensions) < 0:
                raise ValueError(f"a variable before byte {start + size} has a negative dimension")
            yield (
                bytes(name).decode("utf-8", "backslashreplace"),
                _Variable(
                    start,
                    size,
                    kind == _COMPRESSED,
                    f"complex {matlab_class}" if class_and_flags & _IS_COMPLEX else matlab_class,
                    dimensions,
                ),
            )
            start += size


def _elements(content: bytes, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the content of each element; raises ValueError if the content ends within one."""
    place, view = 0, memoryview(content)
    while place < len(view):
        kind, size = struct.unpack_from(f"{order}II", view, place)
        start, end = place + _TAG_BYTES, place + _TAG_BYTES + size + -size % _TAG_BYTES
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start, end = kind & 0xFFFF, kind >> 16, place + _TAG_BYTES // 2, place + _TAG_BYTES
        if start + size > min(end, len(view)):
            raise ValueError(f"it is damaged or cut short: {size} bytes of an element are not there")
        yield kind, view[start : start + size]
        place = end


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, RuntimeError, MemoryError, struct.error, zlib.error) as error:
        raise FeatureFileError(
            f"{path}: not a .mat file of version 5 to 7.3 that can be read ({reason_of(error)}); save it again"
        ) from error


def _no_text(path: Path, name: str) -> FeatureFileError:
    return FeatureFileError(f"{path}: /{name} is text, which is not read from .mat files; give labels by --labels")
