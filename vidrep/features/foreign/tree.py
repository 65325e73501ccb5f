"""A file as a tree of named arrays, whatever its format, and the videos that are found in it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FeatureFileError
from ..rows import Rows

LARGEST_PACKED_BYTES = 4 << 30
"""What is unpacked or converted in one piece can be no larger: a small file can declare a huge array."""


@dataclass(frozen=True)
class ArrayInfo:
    """The shape and type of an array that can be read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers, not text."""
        return self.dtype.kind in "biufc"


class ArrayTree(ABC):
    """The arrays of one file.

    arrays: by path, "name" or "group/name"; the path of the only array of a file without names is "".
    unfit: by path, why an array cannot be read.
    """

    def __init__(self, path: Path, arrays: Mapping[str, ArrayInfo], unfit: Mapping[str, str]) -> None:
        self.path, self.arrays, self.unfit = path, arrays, unfit

    @abstractmethod
    def read(self, name: str) -> NDArray[Any]:
        """Return a whole array; raises FeatureFileError, which names the file, if it cannot be read."""

    def rows(self, name: str) -> Rows:
        """Return an array of which ranges of rows can be read; raises what `read` does."""
        return self.read(name)

    def column(self, name: str) -> NDArray[Any]:
        """Return a small array, of numbers or of text, with one dimension or none; raises what `read` does."""
        return self.read(name)

    def class_names(self, labels: str) -> list[str | int | float] | None:
        """Return the names of the numbers in an array of labels, in the order of the numbers; None if there are none.

        Raises FeatureFileError if they cannot be read.
        """
        return None


@dataclass(frozen=True)
class ForeignFrames:
    """A video's features as they are in the source.

    features: (T, ...), maybe with leading axes of 1. fps: 0.0 if unknown. seconds: the times that the source has for
    the frames, (n,), not checked; None if it has none. left_out: other arrays of a file that is this video's alone.
    """

    features: NDArray[Any]
    fps: float = 0.0
    seconds: NDArray[np.float64] | None = None
    left_out: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ForeignVideo:
    """A video that was found in a source.

    source: the path of the file. file: the same if it is this video's alone, else None.
    load: reads the frames; raises FeatureFileError, which names the source, if they cannot be read.
    """

    key: str
    label: str = ""
    split: str = ""
    group: str = ""
    source: str
    file: Path | None = None
    load: Callable[[], ForeignFrames]


def require_unpackable(path: Path, name: str, num_bytes: int) -> None:
    """Raise FeatureFileError if an array that is read in one piece is too large for that."""
    if num_bytes > LARGEST_PACKED_BYTES:
        raise FeatureFileError(
            f"{path}: /{name} has {num_bytes} bytes, packed; at most {LARGEST_PACKED_BYTES} are read in one piece"
        )
