"""Kills a process, or lets the disk fail, at one of the operations that change what lies in a folder."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What changes a file or a folder; of os.open only what makes a file does.
OPERATIONS = (
    "open",
    "pwrite",
    "posix_fallocate",
    "ftruncate",
    "fsync",
    "replace",
    "rename",
    "unlink",
    "mkdir",
    "rmdir",
)
FAULTS = ("SIGKILL", "ENOSPC", "EIO")


class Faults:
    """Stands between the program and `os`: counts, writes down, and strikes once."""

    def __init__(self, folder: Path, *, fault: str | None, at: int, log: Path | None) -> None:
        self._folder, self._fault, self._at = os.path.realpath(folder), fault, at
        self._log = log.open("w", encoding="utf-8", buffering=1) if log else None
        self._count = 0
        for name in OPERATIONS:
            setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(target: Any, *arguments: Any, **options: Any) -> Any:
            path = self._path(target, options.get("dir_fd"))
            if self._changes(name, path, arguments):
                self._count += 1
                if self._log:
                    self._log.write(f"{name} {path}\n")
                if self._count == self._at:
                    self._strike(name, real, target, arguments)
            return real(target, *arguments, **options)

        return operation

    @staticmethod
    def _path(target: Any, folder: int | None) -> str:
        """Say where a path, in an open folder or not, or the file of a descriptor lies."""
        if isinstance(target, int):
            return str(Path(f"/proc/self/fd/{target}").readlink())
        return str(
            Path(f"/proc/self/fd/{folder}").readlink() / target if folder is not None else Path(target).absolute()
        )

    def _changes(self, name: str, path: str, arguments: tuple[Any, ...]) -> bool:
        makes = name != "open" or bool(arguments and arguments[0] & os.O_CREAT)
        return makes and path.startswith(self._folder)

    def _strike(self, name: str, real: Callable[..., Any], target: Any, arguments: tuple[Any, ...]) -> None:
        if self._fault == "SIGKILL":
            if name == "pwrite":
                content, offset = arguments
                real(target, content[: len(content) // 2], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, str(self._fault))
        raise OSError(number, os.strerror(number))
