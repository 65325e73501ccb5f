"""A folder of parts: feature files that extraction published one after the other, and that are read like one file.

Extraction marks such a folder before it writes the first part, so that a folder in which feature files happen to lie
side by side, such as those of training and of test videos, is not taken for one.
"""

import logging
import re
from pathlib import Path

from ..errors import FeatureFileError, some_names

_log = logging.getLogger(__name__)

MARKER = ".vidrep-parts"
_NAME = re.compile(r"part-(\d{6,})\.h5")


def find_parts(folder: Path) -> list[Path]:
    """Return the parts in a folder, the oldest first; none if there is no such folder."""
    numbered = {number_of_part(file): file for file in folder.glob("part-*.h5") if _NAME.fullmatch(file.name)}
    return [numbered[number] for number in sorted(numbered)]


def number_of_part(part: Path) -> int:
    """Return the number in a part's name."""
    return int(part.stem.rpartition("-")[2])


def is_marked(folder: Path) -> bool:
    """Return whether extraction made a folder one of parts."""
    return (folder / MARKER).is_file()


def mark(folder: Path) -> None:
    """Make a folder one of parts."""
    (folder / MARKER).touch()  # empty, so that no kill leaves half of it


def parts_of(folder: Path) -> list[Path]:
    """Return the parts of a folder that is read like one feature file.

    Raises FeatureFileError if it holds none, or if extraction did not make it.
    """
    parts = find_parts(folder)
    if not is_marked(folder):
        if parts:
            raise FeatureFileError(
                f"{folder}: a folder that is not marked as one of parts ({MARKER} is missing): if an older vidrep made "
                "it, run the same `vidrep extract` again, which marks it and computes nothing; or give one of its files"
            )
        raise FeatureFileError(
            f"{folder}: a folder, and none of parts that `vidrep extract -o FOLDER` made; give one feature file, or "
            "`vidrep extract` all videos into one"
        )
    if not parts:
        raise FeatureFileError(f"{folder}: no part in this folder; run the same `vidrep extract` again")
    visible = (file for file in folder.iterdir() if not file.name.startswith("."))
    others = sorted(file.name for file in visible if file.suffix in (".h5", ".hdf5") and file not in parts)
    if others:
        _log.warning("%s: not read, as these are no parts of it: %s", folder, some_names(others))
    return parts
