"""The formats that an import reads, each a module of its own with the suffixes of its files and `open_tree`."""

from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from . import hdf5, matlab, numpy_files, torch_files
from .tree import ArrayTree

_FORMATS = (numpy_files, hdf5, matlab, torch_files)
_OPENERS: dict[str, Callable[[Path], ArrayTree]] = {
    suffix: module.open_tree for module in _FORMATS for suffix in sorted(module.SUFFIXES)
}

SUFFIXES = tuple(_OPENERS)
"""The suffixes of files that can be imported, in lower case; upper case is read too."""


def open_tree(path: Path) -> ArrayTree:
    """Open a file as a tree of arrays, by its suffix.

    Raises InputError if its suffix is none of SUFFIXES, FeatureFileError if it cannot be read.
    """
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise InputError(f"{path}: no file that can be imported; it must end in {', '.join(SUFFIXES)}, or be a folder")
    return opener(path)
