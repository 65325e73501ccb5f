"""Opening HDF5 files on disk to read them: the only place that does, under the lock that HDF5 itself takes.

A program that has a file open for writing through HDF5, such as a notebook, holds an exclusive lock (`flock`) on it;
readers hold a shared one. Some network disks have no locks: there files are read without. So they are on Windows, and
everywhere if the environment variable HDF5_USE_FILE_LOCKING is FALSE, as in HDF5.
"""

import errno
import io
import os
import sys
from pathlib import Path

import h5py

from ..errors import FileInUseError

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK)


def open_hdf5(path: Path, stream: io.FileIO | None = None) -> h5py.File:
    """Open a file to read it, through `stream` if that is given, an open file; close it in the end.

    Raises FileInUseError if another program has it open for writing, or what h5py raises.
    """
    if stream is not None:
        _lock(path, stream.fileno())
        return h5py.File(stream, "r")
    # HDF5 takes no lock for a stream. So that both ways have one rule, it takes none for a path either.
    file = h5py.File(path, "r", locking=False)
    try:
        _lock(path, file.id.get_vfd_handle())
    except BaseException:
        file.close()
        raise
    return file


def _lock(path: Path, descriptor: int) -> None:
    """Take the shared lock of a reader, as long as the descriptor is open."""
    if sys.platform == "win32" or os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() in ("FALSE", "0"):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise FileInUseError(
                f"{path}: open for writing in another program, such as a notebook; close it there, then run the "
                "command again"
            ) from error
        if error.errno not in _NO_LOCKS:
            raise
