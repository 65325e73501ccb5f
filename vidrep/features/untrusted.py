"""HDF5 files that may come from anywhere, read without trusting them.

An array is looked at before a byte of it is read: it must lie in the file itself, not behind a link and not in another
file, be of a plain type, and not declare more than the file can hold. Filters other than HDF5's own for compression are
not run, so that no plug-in is loaded.
"""

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

from ..errors import FeatureFileError

# Deflate, the tightest of HDF5's own filters, makes one byte of 1032 at most.
_LARGEST_COMPRESSION = 1100
_COMPRESSORS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF}
_HARMLESS_FILTERS = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
# HDF5 takes a whole chunk into memory to read one row of it.
_LARGEST_CHUNK_BYTES = 1 << 30
_LARGEST_COLUMN_BYTES = 1 << 30
_LARGEST_TEXT_BYTES = 1 << 16
# References of variable-length text may all point to one long text: they are followed so many at a time.
_TEXTS_AT_A_TIME = 64
_MOST_ATTRIBUTE_VALUES = 1 << 16
# "Global heap collection" of the HDF5 file format; its header and those of its objects are equally long.
_HEAP_SIGNATURE = re.compile(rb"GCOL\x01\0\0\0")
_HEAP_OBJECT = struct.Struct("<H6xQ")
_HEAP_HEADER_BYTES = _HEAP_OBJECT.size
_MOST_SCANNED_BYTES = 256 << 20
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
"""What h5py raises, one or the other, for files that are damaged or laid out otherwise than expected."""


class UnfitError(ValueError):
    """What is wrong with a part of a file; the message names the part, and whoever catches it the file."""


@dataclass(frozen=True)
class FileState:
    """What tells whether a path still names the same, unchanged file."""

    inode: int
    num_bytes: int
    modified_nanoseconds: int

    @classmethod
    def of(cls, descriptor: int) -> "FileState":
        """Look at an open file."""
        status = os.fstat(descriptor)
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class ArrayLayout:
    """Where an array lies in its file and how: `offset` is that of its first byte, None if it is in chunks."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None

    @property
    def num_values(self) -> int:
        """Values of the whole array."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Bytes of the whole array, decompressed."""
        return self.num_values * self.dtype.itemsize


@contextmanager
def open_untrusted(path: Path, *, what: str, advice: str) -> Iterator["UntrustedFile"]:
    """Open an HDF5 file to read; what goes wrong within the block becomes a FeatureFileError of one line.

    what: what the file was taken for, "feature file"; advice: what to do if it is none.
    """
    try:
        with h5py.File(path, "r") as file:
            yield UntrustedFile(file)
    except UNREADABLE as error:
        raise FeatureFileError(f"{path}: not a readable {what} ({_reason(error)}); {advice}") from error


def _reason(error: BaseException) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"it lacks {reason}" if isinstance(error, KeyError) else reason


class UntrustedFile:
    """An open HDF5 file.

    state: of the very file that HDF5 has open, whatever lies at its path by now.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._groups = {"": file.id}
        self._are_heaps_checked = False
        self.state = FileState.of(file.id.get_vfd_handle())

    def names(self) -> list[str]:
        """Return the names of all that is at the top of the file."""
        return list(self._file)

    def array(self, name: str) -> "PlainArray":
        """Return an array, "features" or "videos/path", once it has been seen that it can be read safely.

        Raises UnfitError, naming the array, if it cannot; KeyError if it is not there.
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
        if layout.dtype.kind == "O":
            self._require_sound_heaps()
        return PlainArray(dataset, layout)

    def _linked_hard(self, name: str) -> h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID:
        """Open what lies under a name in the file itself: a link to elsewhere is not followed."""
        parent, _, last = name.rpartition("/")
        if parent not in self._groups:
            self._groups[parent] = self._linked_hard(parent)
        group, encoded = self._groups[parent], last.encode("utf-8", "surrogateescape")
        if not isinstance(group, h5py.h5g.GroupID):
            raise UnfitError(f"/{parent} is no group")
        if not group.links.exists(encoded):
            raise KeyError(name)
        kind = group.links.get_info(encoded).type
        if kind != h5py.h5l.TYPE_HARD:
            raise UnfitError(f"/{name} is {_LINKS.get(kind, 'a link')}; only what lies in the file itself is read")
        return h5py.h5o.open(group, encoded)

    def attribute(self, name: str) -> str | int | float | None:
        """Return an attribute of the file that is one text or number, None if it is not there.

        Raises UnfitError if it is anything else.
        """
        self._require_sound_heaps()
        value = _attribute(self._file.id, name)
        if value is None:
            return None
        if value.shape:
            raise UnfitError(f"attribute {name} has shape {value.shape}; wanted is one value")
        return _decoded(value.item())

    def list_attribute(self, name: str, *, of: str) -> list[str | int | float] | None:
        """Return an attribute that lists texts or numbers: that of an array, or else of the file; None if neither is.

        Raises UnfitError if it is anything else.
        """
        self._require_sound_heaps()
        values = _attribute(self._linked_hard(of), name)
        if values is None:
            values = _attribute(self._file.id, name)
        return None if values is None else [_decoded(value) for value in values.ravel().tolist()]

    def _require_sound_heaps(self) -> None:
        """Raise UnfitError if a heap, where texts of free length lie, is one that HDF5 would never come to the end of.

        Looked through is what lies between contiguous arrays, the first part of it if it is large.
        """
        if self._are_heaps_checked:
            return
        self._are_heaps_checked = True
        descriptor, scanned, begin = self._file.id.get_vfd_handle(), 0, 0
        for start, stop in [*sorted(self._contiguous()), (self.state.num_bytes, self.state.num_bytes)]:
            between = os.pread(descriptor, min(max(0, start - begin), _MOST_SCANNED_BYTES - scanned), begin)
            for match in _HEAP_SIGNATURE.finditer(between):
                if not _is_sound_heap(between, match.start()):
                    raise UnfitError(f"the heap of texts at byte {begin + match.start()} is damaged")
            scanned, begin = scanned + len(between), max(begin, stop)

    def _contiguous(self) -> Iterator[tuple[int, int]]:
        """Yield where each contiguous array at the top of the file begins and ends."""
        for name in self.names():
            try:
                layout = self.array(name).layout
            except UNREADABLE:
                continue
            if layout.offset is not None:
                yield layout.offset, layout.offset + layout.num_bytes


def _is_sound_heap(content: bytes, start: int) -> bool:
    """Follow the sizes of a heap's objects: they must lead to its end, every one by a step."""
    end = start + int.from_bytes(content[start + 8 : start + _HEAP_HEADER_BYTES], "little")
    position = start + _HEAP_HEADER_BYTES
    while position + _HEAP_HEADER_BYTES <= end <= len(content):
        number, size = (
            int.from_bytes(content[position + at : position + at + n], "little") for at, n in ((0, 2), (8, 8))
        )
        # Number 0 is the free space, whose size counts its own header.
        step = _HEAP_HEADER_BYTES + -(-size // 8) * 8 if number else size
        if step < _HEAP_HEADER_BYTES:
            return False
        position += step
    return position <= end <= len(content)


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
    """An array of an open file that can be read safely, and where it lies."""

    dataset: h5py.h5d.DatasetID
    layout: ArrayLayout

    def column(self) -> NDArray[np.generic]:
        """Read a whole array of one dimension, (n,): numbers or bytes; text of free length is objects that are bytes.

        Raises UnfitError if it has more dimensions, or more bytes than a column can have.
        """
        layout = self.layout
        if len(layout.shape) != 1 or layout.num_bytes > _LARGEST_COLUMN_BYTES:
            raise UnfitError(
                f"/{layout.name} of shape {layout.shape} has {layout.num_bytes} bytes; wanted is one dimension and at "
                f"most {_LARGEST_COLUMN_BYTES} bytes"
            )
        if layout.dtype.kind == "O":
            return self._free_texts()
        values: NDArray[np.generic] = np.empty(layout.shape, dtype=layout.dtype)
        self.dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values

    def _free_texts(self) -> NDArray[np.generic]:
        dataset, texts = h5py.Dataset(self.dataset), np.empty(self.layout.shape, dtype=object)
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            some = dataset[start : start + _TEXTS_AT_A_TIME]
            if max(map(len, some)) > _LARGEST_TEXT_BYTES:
                raise UnfitError(f"/{self.layout.name} holds texts of more than {_LARGEST_TEXT_BYTES} bytes")
            texts[start : start + _TEXTS_AT_A_TIME] = some
        return texts


def _plain_dtype(name: str, dataset: h5py.h5d.DatasetID) -> np.dtype[Any]:
    """Return the type of numbers or text; others (references, compounds, ...) are refused."""
    stored_as = dataset.get_type()
    try:
        dtype: np.dtype[Any] = stored_as.dtype
    except TypeError as error:
        raise UnfitError(f"/{name} is of a type that numpy has not ({error})") from error
    if isinstance(stored_as, h5py.h5t.TypeStringID):
        if dtype.itemsize > _LARGEST_TEXT_BYTES:
            raise UnfitError(f"/{name} holds texts of {dtype.itemsize} bytes; at most {_LARGEST_TEXT_BYTES} are read")
        return dtype
    # Numbers that numpy lacks are given the nearest type: their bytes would mean something else.
    if dtype.kind not in _NUMBER_KINDS or dtype.subdtype or not stored_as.equal(h5py.h5t.py_create(dtype)):
        raise UnfitError(f"/{name} is of type {dtype}; plain numbers and text are read")
    return dtype


def _require_plain_chunks(layout: ArrayLayout, properties: h5py.h5p.PropDCID) -> None:
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    num_compressors = sum(one in _COMPRESSORS for one in filters)
    if num_compressors > 1 or not set(filters) <= _COMPRESSORS | _HARMLESS_FILTERS:
        raise UnfitError(
            f"/{layout.name} went through the HDF5 filters {', '.join(map(str, filters))}; read is one of gzip "
            "and lzf, with or without shuffle and fletcher32; pack it anew with h5repack"
        )
    chunk_bytes = math.prod(properties.get_chunk()) * layout.dtype.itemsize
    if chunk_bytes > _LARGEST_CHUNK_BYTES:
        raise UnfitError(f"/{layout.name} has chunks of {chunk_bytes} bytes; at most {_LARGEST_CHUNK_BYTES} are read")
