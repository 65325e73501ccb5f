"""How other tools have features: names of files, order of axes, time grids, and what these cannot hold.

Shapes: T frames, C values of a frame.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import some_names
from .exported_arrays import write_cbas, write_columns, write_rows
from .store import Features
from .table import VideoRow

# In frames: timestamps are rounded, so that those of an even grid are a little off.
_UNEVEN = 0.1
_CBAS_WIDTH = 768  # of DINOv2-base, whose features CBAS makes itself


@dataclass(frozen=True)
class Grid:
    """When the frames of a video are: frame i is shown from `first` + i / `rate` on; is_even: but for rounding."""

    rate: float
    first: float
    is_even: bool

    @classmethod
    def of(cls, times: NDArray[np.float64], fps: float) -> "Grid":
        """times: (T,) seconds, at least one; fps: the source's rate, for a single frame; 0 if unknown."""
        if times[-1] <= times[0]:
            return cls(fps or 1.0, float(times[0]), is_even=len(times) == 1)
        rate = (len(times) - 1) / float(times[-1] - times[0])
        off = np.abs((times - times[0]) * rate - np.arange(len(times)))
        return cls(rate, float(times[0]), is_even=bool(off.max() <= _UNEVEN))


@dataclass(frozen=True)
class ExportedVideo:
    """A video that is exported: its position, its row, the name of its files, and its grid."""

    index: int
    row: VideoRow
    name: str
    grid: Grid


@dataclass(frozen=True)
class ExportFormat:
    """How a tool reads features.

    suffix: what follows a video's name. dtype: None for that of the features. write: writes the values of one video.
    lost: returns what its files cannot hold, of some videos and C. times_beside: whether times are written beside the
    values. has_database: whether a list of the videos is, in ActionFormer's JSON.
    """

    name: str
    title: str
    suffix: str
    dtype: str | None
    write: Callable[[Path, Features, int, np.dtype[Any]], None]
    lost: Callable[[Sequence[ExportedVideo], int], list[str]]
    times_beside: bool = False
    has_database: bool = False


def _lost_actionformer(videos: Sequence[ExportedVideo], width: int) -> list[str]:
    return [*_uneven(videos), *_late(videos)]


def _lost_mstcn(videos: Sequence[ExportedVideo], width: int) -> list[str]:
    return ["times: a label a frame is needed, at the rate that videos.csv says", *_several_rates(videos)]


def _lost_cbas(videos: Sequence[ExportedVideo], width: int) -> list[str]:
    sampled = [video.row.path for video in videos if _is_sampled(video)]
    found = [
        f"times: {len(sampled)} videos have features of some frames only, CBAS takes one a frame "
        f"({some_names(sampled)})"
    ]
    other = f"{width} values a frame, where CBAS' own features have {_CBAS_WIDTH}: its trained models do not take them"
    return (found if sampled else []) + ([other] if width != _CBAS_WIDTH else [])


def _uneven(videos: Sequence[ExportedVideo]) -> list[str]:
    names = [video.row.path for video in videos if not video.grid.is_even]
    return [f"times that are not evenly spaced, of {len(names)} videos ({some_names(names)})"] if names else []


def _late(videos: Sequence[ExportedVideo]) -> list[str]:
    """Name videos that do not begin at 0."""
    names = [video.row.path for video in videos if abs(video.grid.first) * video.grid.rate > _UNEVEN]
    text = "a beginning after 0 s, which annotations must be moved by, of"
    return [f"{text} {len(names)} videos ({some_names(names)})"] if names else []


def _several_rates(videos: Sequence[ExportedVideo]) -> list[str]:
    rates = sorted({round(video.grid.rate, 2) for video in videos})
    return [f"several rates: {rates[0]:g} to {rates[-1]:g} frames/s"] if len(rates) > 1 else []


def _is_sampled(video: ExportedVideo) -> bool:
    return video.row.fps > 0 and abs(video.grid.rate / video.row.fps - 1) > _UNEVEN


FORMATS: Mapping[str, ExportFormat] = {
    one.name: one
    for one in (
        ExportFormat("npy", "a .npy a video", ".npy", None, write_rows, lambda videos, width: [], times_beside=True),
        ExportFormat(
            "actionformer", "ActionFormer", ".npy", "float32", write_rows, _lost_actionformer, has_database=True
        ),
        ExportFormat("mstcn", "MS-TCN", ".npy", "float32", write_columns, _lost_mstcn),
        ExportFormat("cbas", "CBAS", "_cls.h5", "float32", write_cbas, _lost_cbas),
    )
}
"""The formats, by name."""
