"""HDF5 files of any origin, read without trusting them.

Every array is checked before a byte of it is read. It must be in the file itself, neither behind a link nor in another
file. It must be of a plain type, and must not declare more than the file can hold. Only HDF5's own compression filters
run, so that no plug-in is loaded.
"""

import io
import math
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import LONGEST_MESSAGE, FeatureFileError, shortened
from .hdf5 import open_hdf5

# Deflate, the strongest of HDF5's own filters, unpacks a byte to at most 1032.
_LARGEST_COMPRESSION = 1100
_COMPRESSORS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF}
_HARMLESS_FILTERS = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
# HDF5 loads a whole chunk to read one row of it.
_LARGEST_CHUNK_BYTES = 1 << 30
_LARGEST_COLUMN_BYTES = 1 << 30
_LARGEST_TEXT_BYTES = 1 << 16
# Many variable-length texts may refer to the same bytes. HDF5 follows so many references in one call.
_TEXTS_AT_A_TIME = 64
_MOST_ATTRIBUTE_VALUES = 1 << 12
# Variable-length texts are stored in "global heap collections": of 4 to 64 KiB each, or as large as one text.
_HEAP_SIGNATURE = re.compile(rb"GCOL\x01\0\0\0")
_HEAP_OBJECT = struct.Struct("<H6xQ")
_LARGEST_HEAP_BYTES = 1 << 18
_MOST_OBJECTS = 1 << 20
_DEEPEST_GROUP = 32
_NUMBER_KINDS = "biuf"
_LINKS = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "a link into another file"}

UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    SystemError,
)
"""The exceptions that h5py raises for files that are damaged or have another layout than expected."""


class UnfitError(ValueError):
    """A part of a file cannot be read; the message names the part. `open_untrusted` adds the name of the file."""


@dataclass(frozen=True)
class FileState:
    """The identity of a file: equal as long as a path leads to the same, unchanged file."""

    inode: int
    num_bytes: int
    modified_nanoseconds: int

    @classmethod
    def of(cls, descriptor: int) -> "FileState":
        """Return the state of an open file."""
        status = os.fstat(descriptor)
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class ArrayLayout:
    """An array's place in its file: `offset` is that of its first byte, None if the array is in chunks."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None

    @property
    def num_values(self) -> int:
        """The number of values of the whole array."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """The size of the whole array in bytes, decompressed."""
        return self.num_values * self.dtype.itemsize


@contextmanager
def open_untrusted(path: Path, *, what: str, advice: str) -> Iterator["UntrustedFile"]:
    """Open an HDF5 file to read it; any failure within the block becomes a FeatureFileError of one line.

    It is a FileInUseError if another program has the file open for writing.

    what: the kind of file that the caller expects, "feature file"; advice: what to do if it is of another kind.
    """
    try:
        with _GuardedFile(path) as guarded, open_hdf5(path, guarded) as file:
            yield UntrustedFile(file, FileState.of(guarded.fileno()))
    except UNREADABLE as error:
        raise FeatureFileError(f"{path}: not a readable {what} ({reason_of(error)}); {advice}") from error


def reason_of(error: BaseException) -> str:
    """Return the message of an exception in one line, shortened like an error; its type if it has no message."""
    reason = shortened(" ".join(str(error).split()) or type(error).__name__, LONGEST_MESSAGE)
    return f"it lacks {reason}" if isinstance(error, KeyError) else reason


class _GuardedFile(io.FileIO):
    """A file whose damaged heaps are refused when HDF5 reads them.

    HDF5 2.0 loops for ever on a heap with an object of size zero, and no signal stops it.
    """

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer from the current place; UnfitError if a damaged heap begins in it."""
        start = self.tell()
        if super().readinto(buffer) != len(buffer):
            raise UnfitError(f"it ends before byte {start + len(buffer)}")
        for match in _HEAP_SIGNATURE.finditer(buffer):
            place = self.seek(start + match.start())
            if not _is_sound_heap(self.read(_LARGEST_HEAP_BYTES)):
                raise UnfitError(f"the heap of texts at byte {place} is damaged, or above {_LARGEST_HEAP_BYTES} bytes")
        return len(buffer)


def _is_sound_heap(content: bytes) -> bool:
    """Follow the sizes of a heap's objects: each must lead forward, and together they must lead to the heap's end."""
    place, end = _HEAP_OBJECT.size, int.from_bytes(content[8:16], "little")
    while place + _HEAP_OBJECT.size <= end <= len(content):
        number, size = _HEAP_OBJECT.unpack_from(content, place)
        # Object 0 is the free space. Its size includes its own header.
        step = _HEAP_OBJECT.size + -(-size // 8) * 8 if number else size
        if step < _HEAP_OBJECT.size:
            return False
        place += step
    return place <= end <= len(content)


class UntrustedFile:
    """An open HDF5 file.

    state: that of the file that HDF5 has open, even if its path leads to another file by now.
    """

    def __init__(self, file: h5py.File, state: FileState) -> None:
        # The check of heaps reads sizes of 8 bytes. It refuses heaps with shorter ones unless zeros follow them.
        if max(file.id.get_create_plist().get_sizes()) > 8:
            raise UnfitError("its offsets or sizes have more than 8 bytes")
        self._file, self.state = file, state

    def paths(self) -> Iterator[str]:
        """Yield the path of everything that is no group, "features" or "videos/path", at any depth.

        Whatever several links lead to has the path of the first one. Raises UnfitError if there is too much in the
        file, or groups are nested too deep.
        """
        visited = {h5py.h5o.get_info(self._file.id).addr}
        groups, num_objects = [""], 0
        while groups:
            above = groups.pop()
            group = self._linked_hard(above) if above else self._file.id
            for name in h5py.Group(group):
                path = f"{above}/{name}" if above else name
                num_objects += 1
                if num_objects > _MOST_OBJECTS or path.count("/") > _DEEPEST_GROUP:
                    raise UnfitError(f"more than {_MOST_OBJECTS} objects, or in groups deeper than {_DEEPEST_GROUP}")
                encoded = name.encode("utf-8", "surrogateescape")
                if group.links.get_info(encoded).type != h5py.h5l.TYPE_HARD:
                    yield path
                    continue
                found = h5py.h5o.get_info(group, encoded)
                if found.addr in visited:
                    continue
                visited.add(found.addr)
                if found.type == h5py.h5o.TYPE_GROUP:
                    groups.append(path)
                else:
                    yield path

    def array(self, name: str) -> "PlainArray":
        """Return an array, "features" or "videos/path", that can be read safely.

        Raises UnfitError, which names the array, if it cannot be read safely, and KeyError if it is not there.
        """
        dataset = self._linked_hard(name)
        if not isinstance(dataset, h5py.h5d.DatasetID):
            raise UnfitError(f"/{name} is no array")
        properties = dataset.get_create_plist()
        kind = properties.get_layout()
        if kind == h5py.h5d.VIRTUAL or properties.get_external_count():
            raise UnfitError(f"/{name} has its values in another file")
        layout = ArrayLayout(name, dataset.shape or (), _plain_dtype(name, dataset), dataset.get_offset())
        is_chunked = kind == h5py.h5d.CHUNKED
        if is_chunked:
            _require_plain_chunks(layout, properties)
        stored_bytes = dataset.get_storage_size()
        possible_bytes = stored_bytes * (_LARGEST_COMPRESSION if is_chunked else 1)
        is_beyond_end = layout.offset is not None and layout.offset + layout.num_bytes > self.state.num_bytes
        if stored_bytes > self.state.num_bytes or layout.num_bytes > possible_bytes or is_beyond_end:
            raise UnfitError(f"/{name} declares {layout.num_bytes} bytes that are not in the file; it may be cut short")
        return PlainArray(dataset, layout)

    def _linked_hard(self, name: str) -> h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID:
        """Open an object of the file itself; raises UnfitError for a link to elsewhere."""
        parent, _, last = name.rpartition("/")
        group = self._linked_hard(parent) if parent else self._file.id
        encoded = last.encode("utf-8", "surrogateescape")
        if not isinstance(group, h5py.h5g.GroupID):
            raise UnfitError(f"/{parent} is no group")
        if not group.links.exists(encoded):
            raise KeyError(name)
        kind = group.links.get_info(encoded).type
        if kind != h5py.h5l.TYPE_HARD:
            raise UnfitError(f"/{name} is {_LINKS.get(kind, 'a link')}; only values in the file itself are read")
        return h5py.h5o.open(group, encoded)

    def attribute(self, name: str, *, of: str = "") -> str | int | float | None:
        """Return an attribute that is one text or number, of the file or of the array `of`; None if it is not there.

        Raises UnfitError if it is anything else.
        """
        value = _attribute(self._linked_hard(of) if of else self._file.id, name)
        if value is None:
            return None
        if value.shape:
            raise UnfitError(f"attribute {name} has shape {value.shape}; wanted is one value")
        return _decoded(value.item())

    def list_attribute(self, name: str, *, of: str) -> list[str | int | float] | None:
        """Return an attribute that lists texts or numbers, of the array `of` or else of the file; None if absent.

        Raises UnfitError if it is anything else.
        """
        values = _attribute(self._linked_hard(of), name)
        if values is None:
            values = _attribute(self._file.id, name)
        return None if values is None else [_decoded(value) for value in values.ravel().tolist()]


def _attribute(holder: h5py.h5g.GroupID | h5py.h5d.DatasetID, name: str) -> NDArray[Any] | None:
    if not h5py.h5a.exists(holder, name.encode()):
        return None
    attribute = h5py.h5a.open(holder, name.encode())
    is_text = isinstance(attribute.get_type(), h5py.h5t.TypeStringID)
    is_plain = attribute.shape is not None and (is_text or attribute.dtype.kind in _NUMBER_KINDS)
    if not is_plain or math.prod(attribute.shape) > _MOST_ATTRIBUTE_VALUES:
        raise UnfitError(f"attribute {name} of shape {attribute.shape} and type {attribute.dtype}; plain text is read")
    values = np.empty(attribute.shape, dtype=attribute.dtype)
    attribute.read(values)
    return values


def _decoded(value: bytes | int | float) -> str | int | float:
    return value.decode("utf-8") if isinstance(value, bytes) else value


@dataclass(frozen=True)
class PlainArray:
    """An array of an open file that can be read safely."""

    dataset: h5py.h5d.DatasetID
    layout: ArrayLayout

    def column(self) -> NDArray[np.generic]:
        """Read a whole array of shape (n,) or (): numbers, bytes, or for variable-length text objects that are bytes.

        Raises UnfitError if it has more dimensions or is larger than a column may be.
        """
        layout = self.layout
        if len(layout.shape) > 1 or layout.num_bytes > _LARGEST_COLUMN_BYTES:
            raise UnfitError(
                f"/{layout.name} of shape {layout.shape} has {layout.num_bytes} bytes; wanted is one dimension and at "
                f"most {_LARGEST_COLUMN_BYTES} bytes"
            )
        if layout.dtype.kind == "O":
            return self._variable_texts()
        values: NDArray[np.generic] = np.empty(layout.shape, dtype=layout.dtype)
        self.dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values

    def _variable_texts(self) -> NDArray[np.generic]:
        dataset, texts = h5py.Dataset(self.dataset), np.empty(self.layout.shape, dtype=object)
        bytes_left = _LARGEST_COLUMN_BYTES
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            some = dataset[start : start + _TEXTS_AT_A_TIME]
            lengths = [len(text) for text in some]
            bytes_left -= sum(lengths)
            if max(lengths) > _LARGEST_TEXT_BYTES or bytes_left < 0:
                raise UnfitError(
                    f"/{self.layout.name} holds texts of more than {_LARGEST_TEXT_BYTES} bytes, or of more than "
                    f"{_LARGEST_COLUMN_BYTES} together"
                )
            texts[start : start + _TEXTS_AT_A_TIME] = some
        return texts


def _plain_dtype(name: str, dataset: h5py.h5d.DatasetID) -> np.dtype[Any]:
    """Return the type of numbers or text; refuse others (references, compounds, ...)."""
    stored_as = dataset.get_type()
    try:
        dtype: np.dtype[Any] = stored_as.dtype
    except TypeError as error:
        raise UnfitError(f"/{name} is of a type that numpy lacks ({error})") from error
    if isinstance(stored_as, h5py.h5t.TypeStringID):
        if dtype.itemsize > _LARGEST_TEXT_BYTES:
            raise UnfitError(f"/{name} holds texts of {dtype.itemsize} bytes; at most {_LARGEST_TEXT_BYTES} are read")
        return dtype
    # For numbers that numpy lacks, h5py takes the nearest type, in which the bytes mean something else.
    if dtype.kind not in _NUMBER_KINDS or dtype.subdtype or not stored_as.equal(h5py.h5t.py_create(dtype)):
        raise UnfitError(f"/{name} is of type {dtype}; plain numbers and text are read")
    return dtype


def _require_plain_chunks(layout: ArrayLayout, properties: h5py.h5p.PropDCID) -> None:
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    num_compressors = sum(one in _COMPRESSORS for one in filters)
    if num_compressors > 1 or not set(filters) <= _COMPRESSORS | _HARMLESS_FILTERS:
        raise UnfitError(
            f"/{layout.name} has the HDF5 filters {', '.join(map(str, filters))}; allowed is one of gzip "
            "and lzf, with or without shuffle and fletcher32; repack it with h5repack"
        )
    chunk_bytes = math.prod(properties.get_chunk()) * layout.dtype.itemsize
    if chunk_bytes > _LARGEST_CHUNK_BYTES:
        raise UnfitError(f"/{layout.name} has chunks of {chunk_bytes} bytes; at most {_LARGEST_CHUNK_BYTES} are read")
