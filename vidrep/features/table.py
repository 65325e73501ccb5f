"""The /videos table of a feature file: one row a video, in equally long columns. See docs/feature-file.md."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Status = Literal["ok", "partial"]
STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True, kw_only=True)
class VideoRow:
    """What a feature file says of one video.

    path: the key: the path relative to its source folder, '/' separated.
    start, length: its frames are rows start .. start + length of /features and /timestamps.
    label, split: names, '' if none.
    fps: the stream's average frame rate before sampling, 0.0 if unknown.
    num_frames_from_header: what the container's header says, 0 if it says nothing; it may lie.
    status, message: "ok", or "partial" with the reason.
    source_size, source_sha256: the source's bytes and their SHA-256; 0 and '' if there is no source file.
    checksum: SHA-256 of its rows of /features followed by those of /timestamps, little-endian, in hexadecimal.
    """

    path: str
    start: int
    length: int
    label: str
    split: str
    fps: float
    num_frames_from_header: int
    status: str
    message: str
    source_size: int
    source_sha256: str
    checksum: str

    @classmethod
    def new(
        cls,
        path: str,
        *,
        label: str = "",
        split: str = "",
        fps: float = 0.0,
        num_frames_from_header: int = 0,
        status: str = "ok",
        message: str = "",
        source_size: int = 0,
        source_sha256: str = "",
    ) -> "VideoRow":
        """Make the row of a video that is not written yet: where its rows lie is the writer's to say."""
        return cls(
            path=path,
            start=0,
            length=0,
            label=label,
            split=split,
            fps=fps,
            num_frames_from_header=num_frames_from_header,
            status=status,
            message=message,
            source_size=source_size,
            source_sha256=source_sha256,
            checksum="",
        )


COLUMNS: dict[str, type] = {field.name: field.type for field in fields(VideoRow)}  # type: ignore[misc]
_NUMBER_DTYPES = {int: np.dtype("<i8"), float: np.dtype("<f8")}


def is_column_dtype(dtype: np.dtype[Any], kind: type) -> bool:
    """Say whether values of a field's type are stored like this: int64, float64, or bytes of fixed length."""
    return dtype.kind == "S" if kind is str else dtype == _NUMBER_DTYPES[kind]


def columns_of(rows: Sequence[VideoRow]) -> dict[str, NDArray[np.generic]]:
    """Turn rows into columns: int64, float64, or UTF-8 bytes padded with NUL to the longest value."""
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


def rows_of(columns: dict[str, NDArray[np.generic]]) -> list[VideoRow]:
    """Turn columns back into rows.

    Raises UnicodeDecodeError if a text column is not UTF-8.
    """
    decoded: dict[str, list[object]] = {}
    for name, kind in COLUMNS.items():
        values = columns[name].tolist()
        decoded[name] = (
            [value.decode("utf-8") for value in values] if kind is str else [kind(value) for value in values]
        )
    return [VideoRow(**dict(zip(decoded, values, strict=True))) for values in zip(*decoded.values(), strict=True)]
