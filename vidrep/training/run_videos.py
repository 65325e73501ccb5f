"""videos.csv of a run: which videos were in which split, with their labels and checksums."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..features.annotations import SPLITS
from ..features.table import VideoRow
from ..sequences.split import VideoSplit

VIDEOS_NAME = "videos.csv"


@dataclass(frozen=True)
class RunVideos:
    """The videos of a run: all rows of its features, their labels, and which split each is in."""

    rows: Sequence[VideoRow]
    labels: Sequence[str]
    split: VideoSplit

    def count(self, split: str, *, at_least: int = 1) -> int:
        """Return how many videos of a split have so many frames; crops of one video are one."""
        rows = [self.rows[index] for index in getattr(self.split, split)]
        return len({(row.source_key, row.source_sha256) for row in rows if row.length >= at_least})

    def table(self) -> str:
        """Return videos.csv."""
        split_of = {index: name for name in SPLITS for index in getattr(self.split, name)}
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["video", "label", "split", "checksum", "source_sha256"])
        for index, row in enumerate(self.rows):
            if index in split_of:
                table.writerow([row.path, self.labels[index], split_of[index], row.checksum, row.source_sha256])
        return text.getvalue()


def read_content_used(folder: Path) -> frozenset[str]:
    """Return the content of the videos that trained a run or chose its weights, from its videos.csv.

    These are checksums of rows and of source files: a video that is renamed, or whose frames are sampled otherwise, is
    still the same one.

    Raises InputError if videos.csv is missing or damaged.
    """
    used: set[str] = set()
    try:
        with (folder / VIDEOS_NAME).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["split"] != "test":
                    used |= {row["checksum"], row["source_sha256"]}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{folder}: {VIDEOS_NAME} cannot be read ({error}); is it a run folder?") from error
    return frozenset(used - {""})
