"""HDF5 files with a group for each video that holds arrays of it; written block by block, published whole.

HDF5 lays out the file in memory, see `layout`; the arrays' values go to their places on disk.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError
from ..files import NewFile, writing_file
from .layout import Layout
from .untrusted import UntrustedFile, open_untrusted
from .writer import place_rows

_VIDEO = "video"
Attribute = str | int | tuple[str, ...]


@dataclass(frozen=True)
class VideoArray:
    """An array that is written: its shape, its type, its rows block by block, and its attributes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[NDArray[np.generic]]
    attributes: Mapping[str, Attribute]


class VideoArraysWriter:
    """Writes an open file, video after video; see `writing_video_arrays`."""

    def __init__(self, path: Path, described: h5py.File, file: NewFile) -> None:
        self._path, self._described, self._file = path, described, file

    def add(self, video: str, arrays: Mapping[str, VideoArray]) -> None:
        """Write the arrays of a video, each under its name, into a group with the video's name.

        Raises OutputError for a name that cannot be that of a new group.
        """
        try:
            group = self._described.create_group(video)
        except ValueError as error:
            raise OutputError(f"{self._path}: {video!r} cannot be the name of a group ({error}); rename it") from error
        _set_attribute(group, _VIDEO, video)
        for name, array in arrays.items():
            offset = place_rows(group, name, array.shape, array.dtype)
            for key, value in array.attributes.items():
                _set_attribute(group[name], key, value)
            for block in array.blocks:
                content = np.ascontiguousarray(block, dtype=array.dtype).reshape(-1).view(np.uint8).data
                self._file.write_at(content, offset)
                offset += len(content)


@contextmanager
def writing_video_arrays(path: Path) -> Iterator[VideoArraysWriter]:
    """Give the writer of a new file; publish the file if the block ends well; OutputError if it cannot be written."""
    with writing_file(path) as file:
        layout = Layout()
        with h5py.File(layout, "w", libver=("earliest", "v110")) as described:
            yield VideoArraysWriter(path, described, file)
        for offset, piece in layout.pieces():
            file.write_at(piece, offset)
        file.resize(layout.num_bytes)


def _set_attribute(holder: h5py.Group | h5py.Dataset, name: str, value: Attribute) -> None:
    if isinstance(value, int):
        holder.attrs[name] = np.int64(value)
        return
    encoded = np.array([text.encode() for text in ([value] if isinstance(value, str) else value)])
    kind = h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1))
    holder.attrs.create(name, encoded[0] if isinstance(value, str) else encoded, dtype=kind)


@contextmanager
def reading_video_arrays(path: Path, *, what: str, advice: str) -> Iterator["VideoArrays"]:
    """Open a file of `writing_video_arrays`, of any origin; what, advice, and what is raised: see `open_untrusted`."""
    with open_untrusted(path, what=what, advice=advice) as file:
        yield VideoArrays(file)


class VideoArrays:
    """The arrays of the videos of an open file; whatever does not fit is a ValueError or a KeyError.

    Of an array that a group holds, `array` is the path: "clip.mp4/probabilities".
    """

    def __init__(self, file: UntrustedFile) -> None:
        self._file = file

    def videos(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the path of the group of each video that has an array of this name, and the video's own name."""
        for path in sorted(self._file.paths()):
            group, _, last = path.rpartition("/")
            if group and last == name:
                yield group, str(self._file.attribute(_VIDEO, of=group) or group)

    def attribute(self, name: str, array: str) -> str | int | float | None:
        """Return an attribute of an array that is one text or number; None if it is not there."""
        return self._file.attribute(name, of=array)

    def texts(self, name: str, array: str) -> tuple[str, ...]:
        """Return an attribute of an array that lists texts."""
        values = self._file.list_attribute(name, of=array)
        if values is None:
            raise KeyError(f"{array}: {name}")
        return tuple(map(str, values))

    def values(self, array: str) -> NDArray[Any]:
        """Return all values of an array."""
        found = self._file.array(array)
        values: NDArray[Any] = np.empty(found.layout.shape, dtype=found.layout.dtype)
        found.dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values
