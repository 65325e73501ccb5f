"""One process at a time writes an output; any other is refused at once, with the name of the one that writes.

The lock is the kernel's (`flock`), on a hidden file beside the output: it is free the moment its holder ends, however
it ends. The file itself only names the holder; one that stays behind locks nobody out.

Some network disks have no kernel locks. There the process that makes the file has the lock. If a crash leaves the file,
the next process on the same host takes the lock over; a process on another host is refused until somebody removes the
file, which the error names. Windows is treated the same, without the taking over, and has never been tried.

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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import OutputError
from .files import make_folder, naming_output, resize, write_at

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)

_NO_KERNEL_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
_FOLDER_OF_THIS_HOST = "/"
_SECONDS_TO_SIGN = 0.25  # what a new holder may need, on a busy machine, to write its name into the file
_SECONDS_BETWEEN_ATTEMPTS = 0.02
_MOST_BYTES = 4096

_held = set[int]()  # descriptors


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
    """The process that a lock file names."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on host {self.host} since {self.since}"

    def has_ended(self) -> bool:
        """Return True only where that is certain: never for another host's process, and never on Windows."""
        if sys.platform == "win32" or self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except OSError as error:
            return error.errno == errno.ESRCH
        return False


def _take(lock: Path, output: Path) -> int:
    """Return the descriptor of the lock file as soon as this process has the lock; see `_attempt`."""
    deadline = time.monotonic() + _SECONDS_TO_SIGN
    while True:
        with ExitStack() as closing:
            descriptor, is_new = _open(lock)
            closing.callback(os.close, descriptor)
            if _attempt(lock, descriptor, output, is_new=is_new, is_last=time.monotonic() > deadline):
                closing.pop_all()
                return descriptor
        time.sleep(_SECONDS_BETWEEN_ATTEMPTS)


def _open(lock: Path) -> tuple[int, bool]:
    """Open the lock file; return its descriptor, and whether this call made the file."""
    while True:
        with suppress(FileExistsError):
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        with suppress(FileNotFoundError):  # its holder has just removed it
            return os.open(lock, os.O_RDWR), False


def _attempt(lock: Path, descriptor: int, output: Path, *, is_new: bool, is_last: bool) -> bool:
    """Lock the open file; False to try again: there is a new file, or its holder has yet to sign it.

    Raises OutputError if another process has the lock.
    """
    in_kernel, holder = _lock_in_kernel(descriptor), _signed_by(descriptor)
    taken = (is_new or _take_over(descriptor, holder)) if in_kernel is None else in_kernel
    if not _is_still(lock, descriptor):
        return False
    if taken and holder:
        _log.warning("%s: %s was writing it and ended half way; this run goes on in its place", output, holder)
    if not taken and (is_last or (holder and not holder.has_ended())):
        remedy = "wait for it, stop it, or give another output"
        if in_kernel is None:
            remedy += f"; if that process has ended, remove {lock} (this disk has no locks that end with their process)"
        raise OutputError(f"{output} is being written by {holder or 'another process'}; {remedy}")
    return taken


def _lock_in_kernel(descriptor: int) -> bool | None:
    """Return whether this process now has the kernel's lock; None where there are no such locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_KERNEL_LOCKS:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _take_over(descriptor: int, holder: _Holder | None) -> bool:
    """Sign the file in the place of a holder that has ended; False if none has, or another process is quicker.

    Only processes of one host can do that, so a kernel lock on a folder of that host lets them do it one by one.
    """
    if holder is None or not holder.has_ended():
        return False
    folder = os.open(_FOLDER_OF_THIS_HOST, os.O_RDONLY)
    try:
        if not _lock_in_kernel(folder) or _signed_by(descriptor) != holder:
            return False
        _sign(descriptor)
        return True
    finally:
        os.close(folder)


def _is_still(lock: Path, descriptor: int) -> bool:
    """Return whether the open file has that name: a holder that ends removes it, and the next one makes another."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _signed_by(descriptor: int) -> _Holder | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        return _Holder(**json.loads(os.read(descriptor, _MOST_BYTES)))
    except (ValueError, TypeError):  # nobody yet
        return None


def _sign(descriptor: int) -> None:
    holder = _Holder(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S%z"))
    resize(descriptor, 0)
    write_at(descriptor, json.dumps(asdict(holder)).encode(), 0)


def _release(lock: Path, descriptor: int) -> None:
    if sys.platform == "win32":  # it removes no open file
        os.close(descriptor)
    with suppress(OSError):  # a file that stays locks nobody out
        lock.unlink()
    if sys.platform != "win32":
        os.close(descriptor)


def _forget_in_child() -> None:
    """Close what a child made by a fork would keep beyond its parent's end."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
