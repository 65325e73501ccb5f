"""One writer an output: a lock that ends with its process, and that says who holds it.

The lock is the kernel's, on a hidden file beside the output: it is free the moment its holder ends, however it ends,
and no other process can pass for the holder. The file's content only tells the others who that is.
This module imports nothing heavy: a command takes the lock before it loads torch.
"""

import errno
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from .errors import OutputError
from .files import make_folder, naming_output, remove, resize, write_at

_log = logging.getLogger(__name__)

_NO_KERNEL_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
# Between taking the lock and saying who holds it a process does next to nothing; on a busy machine that takes time.
_SECONDS_TO_SIGN = 0.25
_SECONDS_BETWEEN_LOOKS = 0.02
_MOST_TRIES = 20
_MOST_BYTES = 4096

if sys.platform == "win32":
    import msvcrt

    # What is locked there nobody else can read, so the locked byte lies far behind the content.
    _LOCKED_BYTE = 1 << 30

    def _lock_in_kernel(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _lock_in_kernel(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True


@contextmanager
def locking_output(output: Path) -> Iterator[None]:
    """Be the only process that writes `output`, a file or a folder, as long as the block runs.

    Raises OutputError at once, naming the other process, if there is one; also if no lock can be made there.
    """
    named = output if output.name.strip(".") else output.resolve()
    lock = named.with_name(f".{named.name}.lock")
    with naming_output(lock):
        make_folder(lock.parent)
        descriptor = _take(lock, output)
    _held.add(descriptor)
    try:
        with naming_output(lock):
            _sign(descriptor)
        yield
    finally:
        if descriptor in _held:  # in a child made by a fork it is not: the lock is its parent's
            _held.remove(descriptor)
            _release(lock, descriptor)


@dataclass(frozen=True)
class _Holder:
    """Who holds a lock, as its file says."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on host {self.host} since {self.since}"

    def may_live(self) -> bool:
        """Say if this process may still run; of another host, and on Windows, that cannot be known."""
        if self.host != socket.gethostname() or os.name == "nt":
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _take(lock: Path, output: Path) -> int:
    """Return the descriptor of the locked file, which no other process has."""
    for _ in range(_MOST_TRIES):
        descriptor, created = _open(lock)
        try:
            if _lock(descriptor, lock, output, created=created) and _is_still(lock, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise OutputError(f"{output}: cannot be locked; if no other process writes it, remove {lock} and {_removal(lock)}")


def _open(lock: Path) -> tuple[int, bool]:
    """Open the lock file, not for child processes; say if this call made it."""
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
    while True:
        try:
            return os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            pass
        try:
            return os.open(lock, flags), False
        except FileNotFoundError:
            continue  # its holder has just released it


def _lock(descriptor: int, lock: Path, output: Path, *, created: bool) -> bool:
    """Lock the open file; False to try again with a new one. OutputError if another process has it."""
    try:
        locked = _lock_in_kernel(descriptor)
    except OSError as error:
        if error.errno not in _NO_KERNEL_LOCKS:
            raise
        return _lock_by_existence(descriptor, lock, output, created=created)
    if not locked:
        holder = _holder_once_signed(descriptor)
        if _is_still(lock, descriptor):
            raise OutputError(
                f"{output} is being written by {holder or 'another process'}; "
                "wait for it, stop it, or give another output"
            )
    elif _is_still(lock, descriptor) and (earlier := _holder(descriptor)):
        _log.warning("%s: %s was writing it and ended half way; this run goes on in its place", output, earlier)
    return locked


def _lock_by_existence(descriptor: int, lock: Path, output: Path, *, created: bool) -> bool:
    """Where the file system has no locks: who made the file has the lock, and its process number tells if it lives."""
    if created:
        return True
    holder = _holder_once_signed(descriptor)
    if not _is_still(lock, descriptor):
        return False
    if holder is None or holder.may_live():
        raise OutputError(
            f"{output} is being written by {holder or 'another process'}; wait for it or give another output; "
            f"if that process has ended, remove {lock} (this file system has no locks that tell)"
        )
    _log.warning("%s: %s was writing it and ended half way; this run goes on in its place", output, holder)
    _remove_leftover(lock, descriptor)
    return False


def _remove_leftover(lock: Path, descriptor: int) -> None:
    """Remove what an ended process left. One process at a time: it must not be what another has just put there."""
    removal = _removal(lock)
    try:
        os.close(os.open(removal, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        return
    try:
        if _is_still(lock, descriptor):
            remove(lock)
    finally:
        remove(removal)


def _removal(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.removal")


def _holder(descriptor: int) -> _Holder | None:
    """Read who signed the open lock file; None if nobody has yet."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        content = json.loads(os.read(descriptor, _MOST_BYTES))
        return _Holder(pid=int(content["pid"]), host=str(content["host"]), since=str(content["since"]))
    except (ValueError, KeyError, TypeError):
        return None


def _holder_once_signed(descriptor: int) -> _Holder | None:
    """Read who holds the lock; who has just taken it may not have signed yet, over what an ended process left."""
    deadline = time.monotonic() + _SECONDS_TO_SIGN
    while True:
        holder = _holder(descriptor)
        if (holder and holder.may_live()) or time.monotonic() > deadline:
            return holder
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _sign(descriptor: int) -> None:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    content = json.dumps(asdict(_Holder(os.getpid(), socket.gethostname(), since))).encode()
    resize(descriptor, 0)
    write_at(descriptor, content, 0)


def _is_still(lock: Path, descriptor: int) -> bool:
    """Say if the open file is the one of that name: a holder that ends removes it, and the next makes another."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _release(lock: Path, descriptor: int) -> None:
    """Remove the lock file and give the lock back; a file that cannot be removed locks nobody out."""
    if os.name == "nt":  # an open file cannot be removed there
        os.close(descriptor)
    with suppress(OSError):
        lock.unlink(missing_ok=True)
    if os.name != "nt":
        os.close(descriptor)


_held = set[int]()


def _forget_in_child() -> None:
    """A child made by a fork would keep the lock after its parent's end."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
