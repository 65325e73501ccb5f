"""Which errors of the operating system are the user's to mend, and which are bugs of ours."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

# The state of a disk, whatever is being written to it.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
# What a path can be refused for. A path that is missing, or of the wrong kind, is not here: the library checks that.
_PATH = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP})


def is_refusal(error: OSError, words: Iterable[str]) -> bool:
    """Return whether the system refuses what the user asked for, given the words of the command line.

    That is so if a disk is full, over its quota or broken, and if a path is refused that the user named: the path
    itself, one above or below it, or a temporary file beside it. Any other error of the system is a bug of ours.
    """
    if error.errno in _DISK:
        return True
    if error.errno not in _PATH or not isinstance(error.filename, str | bytes):
        return False
    refused = Path(os.fsdecode(error.filename)).absolute()
    return any(_concerns(refused, _path_in(word)) for word in words)


def _path_in(word: str) -> Path:
    """Return the path that a word may be: "runs/a" of "runs/a" and of "--output=runs/a"."""
    return Path(word.partition("=")[2] if word.startswith("--") and "=" in word else word).absolute()


def _concerns(refused: Path, given: Path) -> bool:
    is_beside = refused.parent == given.parent and given.name in refused.name
    return is_beside or refused.is_relative_to(given) or given.is_relative_to(refused)
