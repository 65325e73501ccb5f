"""Features in the files that other tools read: a file a video, with names and time grids as those tools have them.

Shapes: T frames, C values of a frame.
"""

import csv
import io
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, InputError, OutputError, nearest_names, some_names
from ..files import write_text
from .export_formats import FORMATS, ExportedVideo, ExportFormat, Grid
from .exported_arrays import write_times
from .keys import without_extension
from .store import Features, opened

_log = logging.getLogger(__name__)

TABLE, DATABASE = "videos.csv", "actionformer.json"
_NOT_SAFE = re.compile(r"[^\w-]")
_SUBSETS = {"train": "training", "validation": "validation", "test": "testing", "": ""}


@dataclass(frozen=True)
class Exported:
    """What was exported: the files, and the number of videos, of frames and of values a frame."""

    files: tuple[Path, ...]
    num_videos: int
    num_frames: int
    width: int


def export_features(
    features: Features | Path | str, output: Path | str, format: str = "npy", *, overwrite: bool = False
) -> Exported:
    """Write a file for each video into the folder `output`, and `videos.csv`, which says what each of them is.

    Frames of several dimensions become rows of C values. A file is named as its video's key, without the extension: '/'
    becomes '__', and what is neither a letter nor a digit nor '_' or '-' becomes '_'. format: one of FORMATS:

    - npy: NAME.npy (T, C), of the features' own type, and NAME.times.npy (T,) float64 seconds.
    - actionformer: NAME.npy (T, C) float32, and actionformer.json, ActivityNet's JSON with the `fps` of each video's
      features, so that `feat_stride` and `num_frames` are 1 and `default_fps` is null in the tool's settings.
    - mstcn: NAME.npy (C, T) float32; NAME has no dot, at which MS-TCN ends names.
    - cbas: NAME_cls.h5 with the array `cls` (T, C) float32, to lie beside NAME.mp4.

    What a format cannot hold, and videos without a frame, are a warning each. Files are published whole, one by one.

    Raises ConfigError for an unknown format, InputError for two videos of one name or without any frame, OutputError
    for files that exist, unless they may be overwritten, or cannot be written, and what `open_features` raises.
    """
    if format not in FORMATS:
        hint = nearest_names(format, FORMATS)
        raise ConfigError(f"format {format!r}: {hint or 'give one of ' + ', '.join(FORMATS)}")
    chosen, store, folder = FORMATS[format], opened(features), Path(output)
    videos = _videos(store)
    paths = [folder / f"{video.name}{chosen.suffix}" for video in videos]
    times = [folder / f"{video.name}.times.npy" for video in videos] if chosen.times_beside else []
    files = (*paths, *times, *([folder / DATABASE] if chosen.has_database else []), folder / TABLE)
    _require_new(folder, files, overwrite=overwrite)
    dtype = np.dtype(chosen.dtype or store.dtype).newbyteorder("<")
    for number, (video, path) in enumerate(zip(videos, paths, strict=True)):
        chosen.write(path, store, video.index, dtype)
        if times:
            write_times(times[number], store, video.index)
    if chosen.has_database:
        write_text(folder / DATABASE, _database(videos, store.frame_size))
    write_text(folder / TABLE, _table(videos, chosen))
    lost = chosen.lost(videos, store.frame_size)
    if len(store.frame_shape) != 1:
        lost.insert(0, f"the shape of a frame, {store.frame_shape}: rows of {store.frame_size} values")
    if lost:
        _log.warning("%s: %s does not hold: %s", folder, chosen.title, "; ".join(lost))
    num_frames = sum(video.row.length for video in videos)
    return Exported(files, len(videos), num_frames, store.frame_size)


def _videos(features: Features) -> list[ExportedVideo]:
    """Return the videos that have frames; raises InputError for two of one name, and if there is none."""
    names: dict[str, str] = {}
    videos, empty = [], []
    for index, row in enumerate(features.videos):
        if not row.length:
            empty.append(row.path)
            continue
        name = safe_name(row.path)
        # Some file systems do not distinguish cases.
        if (other := names.setdefault(name.casefold(), row.path)) != row.path:
            raise InputError(
                f"{features.path}: {other!r} and {row.path!r} would both be named {name!r}; rename one of the "
                "videos and extract again"
            )
        videos.append(ExportedVideo(index, row, name, Grid.of(features.timestamps(index), row.fps)))
    if empty:
        _log.warning("%d videos without a frame are left out: %s", len(empty), some_names(empty))
    if not videos:
        raise InputError(f"{features.path}: none of its {len(features)} videos has a frame; there is nothing to export")
    return videos


def safe_name(key: str) -> str:
    """Return the name of a video's files: "run__a_1" of "run/a.1.mp4"."""
    return _NOT_SAFE.sub("_", without_extension(key).replace("/", "__"))


def _require_new(folder: Path, files: Sequence[Path], *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give the name of a folder")
    there = [file for file in files if file.exists()]
    if there and not overwrite:
        raise OutputError(f"{there[0]} exists, of {len(files)} files {len(there)}; give a new folder or --overwrite")


def _table(videos: Sequence[ExportedVideo], chosen: ExportFormat) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "video", "frames", "frames_per_second", "first_seconds", "label", "split", "group"])
    for video in videos:
        row, grid = video.row, video.grid
        times = (f"{grid.rate:.9g}", f"{grid.first:.9g}")
        writer.writerow([f"{video.name}{chosen.suffix}", row.path, row.length, *times, row.label, row.split, row.group])
    return text.getvalue()


def _database(videos: Sequence[ExportedVideo], width: int) -> str:
    """Return ActionFormer's JSON: feature i is of the middle of frame i, (i + 0.5) / fps seconds after the first."""
    entries: Mapping[str, Any] = {
        video.name: {
            "subset": _SUBSETS[video.row.split],
            "duration": video.row.length / video.grid.rate,
            "fps": video.grid.rate,
            "annotations": [],
        }
        for video in videos
    }
    settings = {"feat_stride": 1, "num_frames": 1, "default_fps": None, "input_dim": width}
    return json.dumps({"version": "vidrep", **settings, "database": entries}, indent=1, ensure_ascii=False) + "\n"
