"""Which errors of the operating system are the user's to mend, and which are bugs of ours."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

# The state of a disk, whatever is being written to it.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
# What a path can be refused for. A path that is missing, or of the wrong kind, is not here: the library checks that.
_PATH = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP})


def remedy(error: OSError, words: Iterable[str]) -> str | None:
    """Return what the user can do about an error, given the words of the command line; None if it is a bug of ours.

    The user can mend a disk that is full, over its quota or broken, and a refusal of a path that the command line
    names: the path itself, one above or below it, or a temporary file beside it.
    """
    if error.errno in _DISK:
        return "free some space or choose another place; what is finished is kept"
    if error.errno not in _PATH or not isinstance(error.filename, str | bytes):
        return None
    refused = Path(os.fsdecode(error.filename)).absolute()
    is_named = any(_concerns(refused, _path_in(word)) for word in words)
    return "give another path, or change its permissions" if is_named else None


def _path_in(word: str) -> Path:
    """Return the path that a word may be: "runs/a" of "runs/a" and of "--output=runs/a"."""
    return Path(word.partition("=")[2] if word.startswith("--") and "=" in word else word).absolute()


def _concerns(refused: Path, given: Path) -> bool:
    is_beside = refused.parent == given.parent and given.name in refused.name
    return is_beside or refused.is_relative_to(given) or given.is_relative_to(refused)
