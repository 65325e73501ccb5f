"""A labeled folder of small video files, made from nothing: what `vidrep sample` writes."""

import csv
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, OutputError, some_names
from ..files import write_text
from ..progress import Progress, ProgressListener, ignore_progress
from ..segments.segment import Annotations, combined
from ..segments.writing import write_segments
from ..video.writing import write_h264
from .clips import render_clip
from .motions import MOTIONS

LABELS, ANNOTATIONS, SPLITS = "labels.csv", "annotations.csv", "splits.csv"
"""The table of short videos, and those of long ones."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One video that is to be written.

    video: its path in the folder, "/" between the parts.
    label: its motion, or "" for a video of several.
    split: "train" or "test".
    group: its source, or "" where there are none.
    annotations: when which motion happens in a video of several.
    render: draws its frames, (T, H, W, 3) RGB; the same ones at every call.
    """

    video: str
    label: str = ""
    split: str
    group: str = ""
    annotations: Annotations = field(default_factory=Annotations)
    render: Callable[[], NDArray[np.uint8]]


class ClipSet(Protocol):
    """Settings that say which videos to write."""

    @property
    def frames_per_second(self) -> int:
        """The frame rate that is written in the files."""

    def clips(self) -> Sequence[Clip]:
        """Return all videos; either each one has a label, or none has, and so for groups."""


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Clips that have nothing in common but their motion: how many, of what size."""

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
        check_pictures(frame_size=self.frame_size, frames_per_second=self.frames_per_second, seed=self.seed)

    @property
    def num_train_per_class(self) -> int:
        """Clips of each motion whose split is 'train'."""
        return max(1, round((1 - self.test_fraction) * self.videos_per_class))

    def clips(self) -> list[Clip]:
        """Return <motion>/<motion>-0001.mp4 and so on."""
        numbers = range(1, self.videos_per_class + 1)
        return [self._clip(motion, number) for motion in MOTIONS for number in numbers]

    def _clip(self, motion: str, number: int) -> Clip:
        return Clip(
            video=f"{motion}/{motion}-{number:04d}.mp4",
            label=motion,
            split="train" if number <= self.num_train_per_class else "test",
            render=partial(self._render, motion, number),
        )

    def _render(self, motion: str, number: int) -> NDArray[np.uint8]:
        # A generator of its own makes a clip independent of how many others there are.
        rng = np.random.default_rng([self.seed, MOTIONS.index(motion), number - 1])
        return render_clip(motion, rng, num_frames=self.num_frames, frame_size=self.frame_size)


def check_pictures(*, frame_size: int, frames_per_second: int, seed: int) -> None:
    """Check the settings that every ClipSet has; raises ConfigError."""
    if frame_size < 16 or frame_size % 2:
        raise ConfigError(f"frame_size is {frame_size}; it must be even and at least 16")
    if frames_per_second < 1:
        raise ConfigError(f"frames_per_second is {frames_per_second}; it must be at least 1")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class SampleSummary:
    """What was written: where, how many videos, and their frames and bytes in all."""

    folder: Path
    num_videos: int
    num_frames: int
    num_bytes: int


def write_samples(
    output: Path | str, config: ClipSet, *, on_progress: ProgressListener = ignore_progress
) -> SampleSummary:
    """Write the videos of a SampleConfig, SourceSampleConfig or LongVideoConfig, then tables, into a new folder.

    labels.csv has the columns video, label, split, and where videos have groups, group. Long videos have
    annotations.csv (see `vidrep.segments.formats.csv_table`) and splits.csv with video, split.

    Raises OutputError if the folder holds something or cannot be written.
    """
    folder = Path(output)
    _check_folder(folder)
    clips = config.clips()
    num_frames = num_bytes = 0
    # NumPy and the encoder let go of Python's lock, so threads share the work; a clip depends on nothing but itself.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        write = partial(_write_clip, folder, frames_per_second=config.frames_per_second)
        for done, (frames, size) in enumerate(pool.map(write, clips), start=1):
            num_frames, num_bytes = num_frames + frames, num_bytes + size
            on_progress(Progress(done=done, total=len(clips), unit="videos"))
    if clips[0].label:
        groups = ["group"] if clips[0].group else []
        write_text(folder / LABELS, _table(clips, ["video", "label", "split", *groups]))
    else:
        write_text(folder / SPLITS, _table(clips, ["video", "split"]))
        write_segments(combined([clip.annotations for clip in clips]), folder / ANNOTATIONS)
    return SampleSummary(folder=folder, num_videos=len(clips), num_frames=num_frames, num_bytes=num_bytes)


def _write_clip(folder: Path, clip: Clip, *, frames_per_second: int) -> tuple[int, int]:
    """Write one clip; return its frames and bytes."""
    frames = clip.render()
    write_h264(folder / clip.video, frames, frames_per_second=frames_per_second)
    return len(frames), (folder / clip.video).stat().st_size


def _table(clips: Sequence[Clip], columns: Sequence[str]) -> str:
    text = io.StringIO()
    rows = sorted([getattr(clip, column) for column in columns] for clip in clips)
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder that is new or empty")
    if found := sorted(entry.name for entry in folder.iterdir()):
        raise OutputError(f"{folder} already holds {some_names(found, count=3)}; name a folder that is new or empty")
