"""Publishing files so that a reader, or a crash, sees the old file or the new one, never half of either."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError

_HASH_BLOCK_BYTES = 1 << 20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, flush that file to disk and put it in its place.

    If the block raises, the temporary file is removed and `path` stays as it was.
    Raises OutputError if nothing can be written there, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming_output(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
    try:
        with naming_output(path, only=_DISK_FULL):
            yield temporary
        with naming_output(path):
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_output(path: Path, *, only: tuple[int, ...] = ()) -> Iterator[None]:
    """Turn the system's refusals within the block, or `only` those with these numbers, into OutputError with `path`."""
    try:
        yield
    except OSError as error:
        if only and error.errno not in only:
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = "free some space" if error.errno in _DISK_FULL else "choose another place"
        raise OutputError(f"{path}: cannot be written ({reason}); {remedy}; what was there is as it was") from error


def write_text(path: Path, text: str) -> None:
    """Publish `text` as the whole of `path`, in UTF-8; bytes of file names that are not UTF-8 are written '\\xff'."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").encode())


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable, where the system can (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: Path, *, on_block: Callable[[], None] | None = None) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; `on_block` is called for every megabyte."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
            if on_block is not None:
                on_block()
    return digest.hexdigest()
