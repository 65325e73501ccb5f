"""A labelled folder of small video files, made from nothing: what `vidrep sample` writes."""

import csv
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, OutputError, some_names
from ..files import write_text
from ..progress import Progress, ProgressListener, ignore_progress
from ..video.writing import write_h264
from .motions import MOTIONS, render_clip


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What to write: how many clips, of what size."""

    videos_per_class: int = 40
    """Clips of each of the eight motions."""
    test_fraction: float = 0.25
    """Part of each motion's clips, the last ones, whose split is 'test'; the others are 'train', at least one."""
    num_frames: int = 20
    """Frames in a clip."""
    frame_size: int = 64
    """Width and height of a frame in pixels; even, because H.264 halves the color planes."""
    frames_per_second: int = 10
    """Frame rate written in the files; it changes no pixel."""
    seed: int = 0
    """With a clip's class and number, all that its pixels depend on."""

    def __post_init__(self) -> None:
        if self.videos_per_class < 1:
            raise ConfigError(f"videos_per_class is {self.videos_per_class}; it must be at least 1")
        if not 0 <= self.test_fraction < 1:
            raise ConfigError(f"test_fraction is {self.test_fraction}; it must be at least 0 and less than 1")
        if self.num_frames < 4:
            raise ConfigError(f"num_frames is {self.num_frames}; it must be at least 4, to show a motion")
        if self.frame_size < 16 or self.frame_size % 2:
            raise ConfigError(f"frame_size is {self.frame_size}; it must be even and at least 16")
        if self.frames_per_second < 1:
            raise ConfigError(f"frames_per_second is {self.frames_per_second}; it must be at least 1")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; it must be 0 or more")

    @property
    def num_train_per_class(self) -> int:
        """Clips of each motion whose split is 'train'."""
        return max(1, round((1 - self.test_fraction) * self.videos_per_class))


@dataclass(frozen=True, kw_only=True)
class SampleSummary:
    """What was written: where, how many videos, and their frames and bytes in all."""

    folder: Path
    num_videos: int
    num_frames: int
    num_bytes: int


def write_samples(
    output: Path | str, config: SampleConfig, *, on_progress: ProgressListener = ignore_progress
) -> SampleSummary:
    """Write <motion>/<motion>-0001.mp4 and so on, then labels.csv, into the folder `output`, new or empty."""
    folder = Path(output)
    _check_folder(folder)
    clips = [(motion, number) for motion in MOTIONS for number in range(1, config.videos_per_class + 1)]
    rows: list[tuple[str, str, str]] = []
    num_bytes = 0
    # NumPy and the encoder let go of Python's lock, so threads share the work; a clip depends on nothing but itself.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for (motion, number), (video, size) in zip(
            clips, pool.map(lambda clip: _write_clip(folder, config, *clip), clips), strict=True
        ):
            num_bytes += size
            rows.append((video, motion, "train" if number <= config.num_train_per_class else "test"))
            on_progress(Progress(done=len(rows), total=len(clips), unit="videos"))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("video", "label", "split"), *sorted(rows)])
    write_text(folder / "labels.csv", table.getvalue())
    num_frames = len(rows) * config.num_frames
    return SampleSummary(folder=folder, num_videos=len(rows), num_frames=num_frames, num_bytes=num_bytes)


def _write_clip(folder: Path, config: SampleConfig, motion: str, number: int) -> tuple[str, int]:
    """Write one clip; return its path within the folder and its bytes."""
    # A generator of its own makes a clip independent of how many others there are.
    rng = np.random.default_rng([config.seed, MOTIONS.index(motion), number - 1])
    frames = render_clip(motion, rng, num_frames=config.num_frames, frame_size=config.frame_size)
    video = f"{motion}/{motion}-{number:04d}.mp4"
    write_h264(folder / video, frames, frames_per_second=config.frames_per_second)
    return video, (folder / video).stat().st_size


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder that is new or empty")
    if found := sorted(entry.name for entry in folder.iterdir()):
        raise OutputError(f"{folder} already holds {some_names(found, count=3)}; name a folder that is new or empty")
