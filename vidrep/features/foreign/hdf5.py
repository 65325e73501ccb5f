"""HDF5 files of other programs; values are read from the file itself, in pieces, and nothing in it is executed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FeatureFileError
from ..rows import Rows, RowsFile
from ..store import FORMAT
from ..store import SUFFIXES as SUFFIXES
from ..untrusted import ArrayLayout, UnfitError, UntrustedFile, open_untrusted
from .tree import ArrayInfo, ArrayTree, require_unpackable

_WHAT, _ADVICE = "HDF5 file", "docs/feature-file.md lists what can be imported"


def open_tree(path: Path) -> "Hdf5Tree":
    """Open an HDF5 file; raises FeatureFileError if it is a feature file of vidrep, or damaged."""
    return Hdf5Tree(path)


class Hdf5Tree(ArrayTree):
    """The arrays of an HDF5 file, which is open only while something is read from it."""

    def __init__(self, path: Path) -> None:
        self._layouts: dict[str, ArrayLayout] = {}
        unfit = {}
        with open_untrusted(path, what=_WHAT, advice=_ADVICE) as file:
            if file.attribute("format") == FORMAT:
                raise FeatureFileError(f"{path}: already a feature file of vidrep; use it as it is")
            self._state = file.state
            for name in sorted(file.paths()):
                try:
                    self._layouts[name] = self._layout(file, name)
                except UnfitError as error:
                    unfit[name] = str(error)
        arrays = {name: ArrayInfo(layout.shape, layout.dtype) for name, layout in self._layouts.items()}
        super().__init__(path, arrays, unfit)

    def _layout(self, file: UntrustedFile, name: str) -> ArrayLayout:
        return file.array(name).layout

    def rows(self, name: str) -> Rows:
        """Return an array that is memory-mapped, or unpacked when it is sliced."""
        layout = self._layouts[name]
        if layout.offset is None:
            require_unpackable(self.path, name, layout.num_bytes // max(1, layout.shape[0]))
        return self._open(name)

    def read(self, name: str) -> NDArray[Any]:
        """Return a whole array, memory-mapped unless it is packed."""
        layout = self._layouts[name]
        if layout.offset is None:
            require_unpackable(self.path, name, layout.num_bytes)
        return self._open(name)[0 : layout.shape[0]]

    def _open(self, name: str) -> Rows:
        return RowsFile(self.path, self._state, {name: self._layouts[name]}).open()[name]

    def column(self, name: str) -> NDArray[Any]:
        """Read a small array of numbers or text, of bytes where it is text."""
        with open_untrusted(self.path, what=_WHAT, advice=_ADVICE) as file:
            return np.asarray(file.array(name).column())

    def class_names(self, labels: str) -> list[str | int | float] | None:
        """Return the attribute `classes` of the labels, or of the file."""
        with open_untrusted(self.path, what=_WHAT, advice=_ADVICE) as file:
            return file.list_attribute("classes", of=labels)
