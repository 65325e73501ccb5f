"""Publishing files so that a reader, or a crash, sees the old file or the new one, never half of either.

Whatever this package changes on disk where a half-done change would hurt goes through the functions of this module: one
system call each, of which nothing is lost and whose refusal is named.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

_HASH_BLOCK_BYTES = 1 << 20
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_HERE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_BINARY = getattr(os, "O_BINARY", 0)  # on Windows, where "\n" would become two bytes


@contextmanager
def replacing(path: Path, *, num_bytes: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, flush that file to disk and put it in its place.

    If the block raises, the temporary file is removed and `path` stays as it was.
    num_bytes: how large the file will be, if that is known: that much must be free.
    Raises OutputError if nothing can be written there, or the disk is full.
    """
    temporary = _temporary(path)
    with naming_output(path, num_bytes=num_bytes):
        make_folder(path.parent)
        _require_room(path, num_bytes)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o666))
    try:
        with naming_output(path, only=_DISK_FULL, num_bytes=num_bytes):
            yield temporary
        with naming_output(path, num_bytes=num_bytes):
            with _opened(temporary) as descriptor:
                os.fsync(descriptor)
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # what stays is removed by `remove_leftovers`; the first reason counts
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def naming_output(path: Path, *, only: tuple[int, ...] = (), num_bytes: int | None = None) -> Iterator[None]:
    """Turn the system's refusals within the block, or `only` those with these numbers, into OutputError with `path`.

    num_bytes: what was to be written, for the message.
    """
    try:
        yield
    except OSError as error:
        if only and error.errno not in only:
            raise
        raise _refusal(path, error, num_bytes) from error


def _refusal(path: Path, error: OSError, num_bytes: int | None) -> OutputError:
    reason, remedy = os.strerror(error.errno) if error.errno else str(error), "choose another place"
    if error.errno in _DISK_FULL:
        needed = None if num_bytes is None else f"needs {size_in_words(num_bytes)}"
        too_large = error.errno == errno.EFBIG
        has = _largest_file() if too_large else _room_left(path)
        reason = "; ".join(filter(None, (reason, " and ".join(filter(None, (needed, has))))))
        remedy = "raise that limit or choose another place" if too_large else "free some space or choose another place"
    return OutputError(f"{path}: cannot be written ({reason}); {remedy}; what was there is as it was")


def _largest_file() -> str:
    """Say how much this process may write to a file."""
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY:
            return f"files may have {size_in_words(limit)} (ulimit -f)"
    return "the file system takes no file so large"


def _room_left(path: Path) -> str | None:
    room = _room(path)
    return None if room is None else f"the disk has {size_in_words(room)} left"


def _room(path: Path) -> int | None:
    """Return the bytes that a new `path` may have: those that are free and those of its temporary file, if it is there.

    None where the system does not give them, as for some network disks.
    """
    try:
        usage = shutil.disk_usage(path.parent)
    except OSError:
        return None
    try:
        taken = getattr(_temporary(path).stat(), "st_blocks", 0) * _BLOCK_BYTES
    except OSError:
        taken = 0
    return usage.free + taken if usage.total else None


def _require_room(path: Path, num_bytes: int | None) -> None:
    room = _room(path)
    if num_bytes is not None and room is not None and num_bytes > room:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def size_in_words(num_bytes: int) -> str:
    """Return a size as people read it, below 1000 of its unit up to GB: "812 B", "3.4 MB", "1200.0 GB"."""
    number, unit = str(num_bytes), "B"
    for power, larger in enumerate(("kB", "MB", "GB"), start=1):
        if float(number) < 1000:  # as rounded: 999,950 bytes are 1.0 MB
            break
        number, unit = f"{num_bytes / 1000**power:.1f}", larger
    return f"{number} {unit}"


def write_text(path: Path, text: str) -> None:
    """Publish `text` as the whole of `path`, in UTF-8; bytes of file names that are not UTF-8 are written '\\xff'."""
    content = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").encode()
    with writing_file(path, num_bytes=len(content)) as file:
        file.write_at(content, 0)


@contextmanager
def writing_file(path: Path, *, num_bytes: int | None = None) -> Iterator["NewFile"]:
    """Give a new, empty file that takes the place of `path` when the block ends well; see `replacing`."""
    with replacing(path, num_bytes=num_bytes) as temporary, _opened(temporary) as descriptor:
        yield NewFile(path, descriptor, num_bytes)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | _BINARY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class NewFile:
    """A file that is being written; every refusal of the system is an OutputError with the name it is to have."""

    def __init__(self, path: Path, descriptor: int, num_bytes: int | None) -> None:
        self._path, self._descriptor, self._num_bytes = path, descriptor, num_bytes

    def reserve(self, num_bytes: int) -> None:
        """Take the space of the first bytes now, where the system can, so that a full disk is known before the rest."""
        if num_bytes and sys.platform == "linux":
            with naming_output(self._path, num_bytes=self._num_bytes):
                try:
                    os.posix_fallocate(self._descriptor, 0, num_bytes)
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise

    def write_at(self, content: bytes | memoryview, offset: int) -> None:
        """Write all of `content`, bytes, from `offset` on."""
        with naming_output(self._path, num_bytes=self._num_bytes):
            write_at(self._descriptor, content, offset)

    def resize(self, num_bytes: int) -> None:
        """Cut the file, or fill it with zeros, to `num_bytes`."""
        with naming_output(self._path, num_bytes=self._num_bytes):
            resize(self._descriptor, num_bytes)


def write_at(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    """Write all of `content`, bytes, into an open file from `offset` on."""
    rest = memoryview(content)
    while rest:
        if sys.platform == "win32":
            os.lseek(descriptor, offset, os.SEEK_SET)
            written = os.write(descriptor, rest)
        else:
            written = os.pwrite(descriptor, rest, offset)
        offset, rest = offset + written, rest[written:]


def resize(descriptor: int, num_bytes: int) -> None:
    """Cut an open file, or fill it with zeros, to `num_bytes`."""
    os.ftruncate(descriptor, num_bytes)


def remove(path: Path) -> None:
    """Remove a file if it is there; OutputError if it cannot be."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _no_removal(path, error) from error


def remove_folder(path: Path) -> None:
    """Remove an empty folder for good; OutputError if it cannot be."""
    try:
        path.rmdir()
    except OSError as error:
        raise _no_removal(path, error) from error
    sync_folder(path.parent)


def rename_folder(path: Path, target: Path) -> None:
    """Give a folder another name, for good, beside which there is none of that name; OutputError if it cannot be."""
    with naming_output(target):
        path.replace(target)
        sync_folder(target.parent)


def _no_removal(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be removed ({error.strerror}); remove it yourself, then run the command again")


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed processes left of `path`; only for who alone writes it."""
    name = re.compile(re.escape(f".{path.name}.") + r"\d+\.tmp")
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    for file in sorted(file for file in there if name.fullmatch(file.name)):
        remove(file)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, for good; it may be there already."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable, where the system can (not on Windows).

    Raises OutputError if the disk refuses: what was done is done, but may not outlast a loss of power.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise OutputError(
                f"{folder}: written, but the disk does not confirm it ({error.strerror}); "
                "check the disk, then run the command again"
            ) from error


def sha256_of_file(path: Path, *, on_block: Callable[[], None] | None = None) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; `on_block` is called for every megabyte."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
            if on_block is not None:
                on_block()
    return digest.hexdigest()
