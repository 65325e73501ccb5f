"""Checkpoints of a run: everything needed to go on from a step, in checkpoints/NNNNNNNN.pt, for the last few steps."""

import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, OutputError
from ..files import NewFile, remove, writing_file

VERSION = 3
_NAME = re.compile(r"\d{8,}\.pt")
_OLD_NAME = "last.pt"  # of version 1
# Writes to a checkpoint that are smaller are gathered.
_BLOCK_BYTES = 1 << 20
# What a damaged checkpoint may raise.
_UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)
# Of torch's reasons why a checkpoint cannot be read, which go on with advice.
_MOST_LETTERS = 200


class Checkpoints:
    """The checkpoints in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        """Return those that are there, the oldest first."""
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(path for path in there if _NAME.fullmatch(path.name))

    def last_step(self) -> int:
        """Return the step of the newest one, 0 without any."""
        return max((int(path.stem) for path in self.paths()), default=0)

    def require_this_version(self) -> None:
        """Raise InputError if there are checkpoints of version 1 alone, which had another name."""
        if not self.paths() and (self.folder / _OLD_NAME).exists():
            raise InputError(
                f"{self.folder / _OLD_NAME}: a checkpoint of version 1; this vidrep goes on from {VERSION} only; "
                "--overwrite starts anew"
            )

    def save(self, content: Mapping[str, Any], *, step: int, keep: int) -> None:
        """Publish the checkpoint of a step, then remove all but the last `keep`; OutputError if the disk refuses."""
        path = self.folder / f"{step:08d}.pt"
        with writing_file(path, num_bytes=_num_bytes(content)) as file:
            stream = _Stream(file)
            torch.save({"version": VERSION, **content}, stream)  # type: ignore[arg-type]
            stream.close()
        self.prune(keep)

    def prune(self, keep: int) -> None:
        """Remove all but the last `keep`; a process that is killed in between leaves more."""
        for older in self.paths()[:-keep]:
            remove(older)

    def load(self) -> dict[str, Any]:
        """Read the newest one, without running code that is in it.

        Raises InputError, naming the one before, if it is damaged or of another version.
        """
        path = self.paths()[-1]
        try:
            # A checkpoint is a ZIP archive with a checksum of each member, which torch does not compare.
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} does not have its checksum")
            content = torch.load(path, map_location="cpu", weights_only=True)
            version = content["version"]
        except _UNREADABLE as error:
            raise self.unusable("not a checkpoint that can be read", error) from error
        if version != VERSION:
            raise self.unusable(f"a checkpoint of version {version}; this vidrep reads version {VERSION}")
        checkpoint: dict[str, Any] = content
        return checkpoint

    def unusable(self, what: str, error: Exception | None = None) -> InputError:
        """Build the error for a newest checkpoint that is not usable: what it is, why, and what to do."""
        *older, newest = self.paths() or [self.folder]  # which another host than rank 0's does not have
        reason = f" ({shorten(str(error) or type(error).__name__, _MOST_LETTERS)})" if error is not None else ""
        remedy = f"remove it to go on from {older[-1].name}" if older else "--overwrite starts anew"
        return InputError(f"{newest}: {what}{reason}; {remedy}")


class _Stream:
    """What torch.save writes to, in many small writes and some large ones.

    torch hides why a write was refused, so the reason is kept, and raised afterwards.
    """

    def __init__(self, file: NewFile) -> None:
        self._file, self._offset, self._small = file, 0, bytearray()
        self._refusal: OutputError | None = None

    def write(self, content: bytes | memoryview) -> int:
        """Write the next bytes."""
        if len(self._small) + len(content) >= _BLOCK_BYTES:
            self.flush()
        if len(content) >= _BLOCK_BYTES:
            self._pass_on(content)
        else:
            self._small += content
        return len(content)

    def flush(self) -> None:
        """Write what the small writes gathered."""
        self._pass_on(bytes(self._small))
        self._small.clear()

    def _pass_on(self, content: bytes | memoryview) -> None:
        """Write to the file, unless a write before was refused."""
        if self._refusal is None:
            try:
                self._file.write_at(content, self._offset)
            except OutputError as error:
                self._refusal = error
        self._offset += len(content)

    def close(self) -> None:
        """Write what is left; raise the OutputError of a write that was refused."""
        self.flush()
        if self._refusal is not None:
            raise self._refusal


def _num_bytes(content: Any) -> int:
    """Count the bytes of all tensors in a tree, which make up nearly all of a checkpoint."""
    if isinstance(content, Tensor):
        return content.nbytes
    items = content.values() if isinstance(content, Mapping) else content if isinstance(content, list) else ()
    return sum(_num_bytes(one) for one in items)
