"""Images in IDX files, the format of MNIST, as sequences of pixels: NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte.

Format: big-endian, two zero bytes, the type (8: unsigned bytes), the number of dimensions, the size of each, the values
(LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist).
"""

import gzip
import math
import re
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FeatureFileError
from .tree import ForeignFrames, ForeignVideo, require_unpackable

_IMAGES = re.compile(r"(.+)-images[-.]idx3-ubyte(\.gz)?", flags=re.IGNORECASE)
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
_UNSIGNED_BYTES = 8


def image_files(folder: Path) -> list[Path]:
    """Return the files of images in a folder, sorted by name; of a file that is there packed too, the packed one."""
    found = sorted(path for path in folder.iterdir() if _IMAGES.fullmatch(path.name) and path.is_file())
    return list({_stem(path): path for path in found}.values())


def other_files(folder: Path) -> list[str]:
    """Return the names of what is in a folder besides images and their labels, sorted."""
    images = image_files(folder)
    used = {*images, *filter(None, map(_labels_beside, images))}
    return sorted(path.name for path in folder.iterdir() if path not in used and not path.name.startswith("."))


def videos_of(folder: Path) -> list[ForeignVideo]:
    """Return each image as a video of one-value frames, its pixels row by row: (rows x columns, 1) uint8.

    Its key is NAME/NUMBER, its label that of the file of labels beside the images, if there is one; its split is train
    or test if the file's name says so.

    Raises FeatureFileError, which names the file, for a damaged one, and for labels that are not one an image.
    """
    videos = []
    for path in image_files(folder):
        name, images, labels = _stem(path), _read(path, num_dimensions=3), _labels_of(path)
        if labels is not None and len(labels) != len(images):
            raise FeatureFileError(f"{path}: {len(images)} images, but {len(labels)} labels beside them")
        digits, pixels = len(str(len(images))), images.reshape(len(images), -1, 1)
        videos += [
            ForeignVideo(
                key=f"{name}/{number:0{digits}d}",
                label="" if labels is None else str(labels[number]),
                split=_SPLITS.get(name.lower(), ""),
                source=str(path),
                load=partial(_frames, pixels, number),
            )
            for number in range(len(images))
        ]
    return videos


def _frames(pixels: NDArray[np.uint8], number: int) -> ForeignFrames:
    return ForeignFrames(pixels[number])


def _stem(path: Path) -> str:
    match = _IMAGES.fullmatch(path.name)
    assert match is not None
    return match[1]


def _labels_beside(images: Path) -> Path | None:
    names = (f"{_stem(images)}-labels{dot}idx1-ubyte{end}" for dot in "-." for end in ("", ".gz"))
    return next((one for one in map(images.with_name, names) if one.is_file()), None)


def _labels_of(images: Path) -> NDArray[Any] | None:
    path = _labels_beside(images)
    return None if path is None else _read(path, num_dimensions=1)


def _read(path: Path, *, num_dimensions: int) -> NDArray[np.uint8]:
    magic = bytes([0, 0, _UNSIGNED_BYTES, num_dimensions])
    header = struct.Struct(f">4s{num_dimensions}I")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            start = file.read(header.size)
            if not start.startswith(magic) or len(start) < header.size:
                raise _damaged(path, f"it begins with {start[:4].hex() or 'nothing'}, and should with {magic.hex()}")
            _, *shape = header.unpack(start)
            size = math.prod(shape)
            require_unpackable(path, "images", size)
            content = file.read(size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error, OSError) as error:
        raise _damaged(path, str(error)) from error
    if len(content) != size or not size:
        raise _damaged(path, f"its header promises {size} bytes, it has {'more' if len(content) > size else 'fewer'}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _damaged(path: Path, what: str) -> FeatureFileError:
    return FeatureFileError(f"{path}: not a whole IDX file of unsigned bytes: {what}; replace it with a good copy")
