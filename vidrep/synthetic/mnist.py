"""The handwritten digits of MNIST, read from the IDX files that everyone has them in."""

import contextlib
import gzip
import io
import logging
import os
import struct
import tempfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, some_names

MnistSplit = Literal["train", "test"]

DIGIT_SIDE = 28
"""Pixels along each side of a digit."""

_STEMS: dict[MnistSplit, str] = {"train": "train", "test": "t10k"}
_FOLDERS = (Path(), Path("MNIST", "raw"))  # the second is where torchvision puts them
_HEADER = struct.Struct(">4sIII")  # magic, images, rows, columns
_MAGIC = bytes([0, 0, 8, 3])  # two zeros, unsigned bytes, three dimensions

_log = logging.getLogger(__name__)


def load_digits(folder: Path | None, split: MnistSplit) -> NDArray[np.uint8]:
    """Read the images of one split of MNIST: (N, 28, 28) uint8, ink is 255; N is 60000 (train) or 10000 (test).

    folder: where the IDX files are, gzipped or not, in it or in its MNIST/raw. None means the user's cache folder,
    filled by torchvision from the network when it lacks the digits.

    Raises InputError if the folder or file is missing or damaged, or the digits cannot be fetched.
    """
    if split not in _STEMS:
        raise ValueError(f"split {split!r}: MNIST has 'train' and 'test'")
    source = _cache_folder() if folder is None else folder
    try:
        path = _find_images(source, split)
        if path is None and folder is None:
            _fetch(source, split)
            path = _find_images(source, split)
        if path is None:
            raise InputError(_nothing_found(source, split))
        content = _read_bytes(path)
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error}") from error
    return _parse_images(content, path)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vidrep" / "mnist"


def _file_names(split: MnistSplit) -> list[str]:
    return [f"{_STEMS[split]}-images{dot}idx3-ubyte{end}" for dot in "-." for end in ("", ".gz")]


def _find_images(folder: Path, split: MnistSplit) -> Path | None:
    candidates = (folder / inner / name for inner in _FOLDERS for name in _file_names(split))
    return next((path for path in candidates if path.is_file()), None)


def _nothing_found(folder: Path, split: MnistSplit) -> str:
    if not folder.is_dir():
        return f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; --mnist DIR holds the MNIST files"
    held = some_names(sorted(path.name for path in folder.iterdir())) or "nothing"
    return (
        f"{folder}: no MNIST {split} images; looked for {', '.join(_file_names(split))} in it and in its MNIST/raw; "
        f"it holds {held}"
    )


def _fetch(cache: Path, split: MnistSplit) -> None:
    """Let torchvision fetch MNIST, and put both splits' images in `cache`, each whole or not at all."""
    from torchvision.datasets import MNIST

    _log.info("fetching MNIST with torchvision into %s", cache)
    silence = io.StringIO()  # torchvision draws a progress bar
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as temporary:
            with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
                MNIST(root=temporary, download=True)
            for each in _STEMS:
                name = f"{_STEMS[each]}-images-idx3-ubyte.gz"
                Path(temporary, "MNIST", "raw", name).replace(cache / name)
    except (OSError, RuntimeError, HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"MNIST is not in {cache} and torchvision could not fetch it ({reason}); put "
            f"{_STEMS[split]}-images-idx3-ubyte.gz there, or in a folder of your own named by --mnist DIR"
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error


def _parse_images(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Parse an IDX file of images (format: http://yann.lecun.com/exdb/mnist): big-endian header, then the pixels."""
    if not content.startswith(_MAGIC):
        raise _damaged(path, f"it begins with {content[:4].hex() or 'nothing'}, IDX images with {_MAGIC.hex()}")
    if len(content) < _HEADER.size:
        raise _damaged(path, f"{len(content)} bytes are less than the header of {_HEADER.size}")
    _, count, rows, columns = _HEADER.unpack_from(content)
    if count == 0 or (rows, columns) != (DIGIT_SIDE, DIGIT_SIDE):
        raise _damaged(path, f"{count} images of {rows}x{columns}, MNIST has many of {DIGIT_SIDE}x{DIGIT_SIDE}")
    held, promised = len(content) - _HEADER.size, count * rows * columns
    if held != promised:
        raise _damaged(path, f"{held} bytes of pixels, its header promises {promised}")
    return np.frombuffer(content, np.uint8, offset=_HEADER.size).reshape(count, rows, columns).copy()  # writable


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path}: not a whole file of MNIST images: {what}; replace it with a good copy")
