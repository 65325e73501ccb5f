"""The /videos table of a feature file: one row a video, in equally long columns. See docs/feature-file.md."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..names import composed

Status = Literal["ok", "partial"]
STATUSES: tuple[str, ...] = get_args(Status)

_CROP = re.compile(r"#(crop-\d+|cell-\d+-\d+)")


@dataclass(frozen=True)
class VideoRow:
    """What a feature file records of one video. A column that a file lacks has the default given here.

    path: relative to its source folder, '/' separated; a crop's ends in "#crop-1" or "#cell-1-2". In a file, root and
        path together are unique. Where features are read, it is the key: the root is in front of it if several videos
        have this path.
    start, length: its frames are rows start .. start + length of /features and /timestamps; the writer fills them in.
    label, split, group: names, '' if none. Videos of one group, such as those of one person, belong in one split.
    fps: the stream's average frame rate before sampling, 0.0 if unknown.
    num_frames_from_header: the number in the container's header, 0 if it has none; it may be wrong.
    status, message: "ok", perhaps with a note, or "partial" with the reason.
    source_size, source_sha256: the source's bytes and their SHA-256; 0 and '' if there is no source file.
    decoding_version: which frames of the source these are, see `vidrep.video.reading`; 0 if not known.
    root: the name of the folder that `path` is relative to, '' unless recorded.
    missing: whether the source is gone, or not to be used: it is read by the next extraction alone.
    checksum: SHA-256 of its rows of /features followed by those of /timestamps, little-endian, in hexadecimal; the
        writer fills it in.
    """

    path: str
    _: KW_ONLY
    start: int = 0
    length: int = 0
    label: str = ""
    split: str = ""
    group: str = ""
    fps: float = 0.0
    num_frames_from_header: int = 0
    status: str = "ok"
    message: str = ""
    source_size: int = 0
    source_sha256: str = ""
    decoding_version: int = 0
    root: str = ""
    missing: bool = False
    checksum: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Root and path: unique in a file, and what its rows are sorted by."""
        return self.root, self.path

    @property
    def source_key(self) -> str:
        """The key of the source video: `path` without the ending of a crop."""
        return without_crop(self.path)


def without_crop(key: str) -> str:
    """Return a key without the ending of a crop: "a.mp4" of "a.mp4#crop-1" and of "a.mp4#cell-1-2"."""
    video, mark, crop = key.rpartition("#")
    return video if _CROP.fullmatch(mark + crop) else key


COLUMNS: dict[str, type] = {field.name: field.type for field in fields(VideoRow)}  # type: ignore[misc]
REQUIRED_COLUMNS = frozenset({"path", "start", "length", "checksum"})
"""Columns without which a file's rows cannot be found or checked. Any other may be absent."""

_COMPARED = frozenset({"path", "label", "split", "group"})
_NUMBER_DTYPES = {int: np.dtype("<i8"), bool: np.dtype("<i8"), float: np.dtype("<f8")}


def is_column_dtype(dtype: np.dtype[Any], kind: type) -> bool:
    """Return whether a column of this type can hold a field: int64 (bool too), float64, or bytes of fixed length."""
    return dtype.kind == "S" if kind is str else dtype == _NUMBER_DTYPES[kind]


def columns_of(rows: Sequence[VideoRow]) -> dict[str, NDArray[np.generic]]:
    """Turn rows into columns: int64 (bool as 0 or 1), float64, or UTF-8 bytes padded with NUL to the longest value."""
    columns: dict[str, NDArray[np.generic]] = {}
    for name, kind in COLUMNS.items():
        values = [getattr(row, name) for row in rows]
        if kind is str:
            encoded = [value.encode("utf-8", "backslashreplace") for value in values]
            width = max((len(value) for value in encoded), default=1) or 1
            columns[name] = np.array(encoded, dtype=f"S{width}")
        else:
            columns[name] = np.array(values, dtype=_NUMBER_DTYPES[kind])
    return columns


def rows_of(columns: Mapping[str, NDArray[np.generic]]) -> list[VideoRow]:
    """Turn columns back into rows; a field without a column has its default.

    Keys, labels, splits and groups come in NFC, in which they are compared, also from files that have another form.

    Raises UnicodeDecodeError if a text column is not UTF-8.
    """
    decoded: dict[str, list[Any]] = {}
    for name, column in columns.items():
        kind, values = COLUMNS[name], column.tolist()
        decoded[name] = (
            [value.decode("utf-8") for value in values] if kind is str else [kind(value) for value in values]
        )
        if name in _COMPARED:
            decoded[name] = [composed(value) for value in decoded[name]]
    return [VideoRow(**dict(zip(decoded, values, strict=True))) for values in zip(*decoded.values(), strict=True)]
