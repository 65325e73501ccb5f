"""videos.csv of a run: which videos were in which split, with their labels, groups and checksums."""

import csv
import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, InputError
from ..features.annotations import SPLITS
from ..features.checksum import content_digest
from ..features.groups import NO_RULE, GroupRule
from ..features.table import VideoRow
from ..names import composed
from ..sequences.split import VideoSplit

CONFIG_NAME = "config.toml"
VIDEOS_NAME = "videos.csv"
PRETRAINED_NAME = "pretrained"


@dataclass(frozen=True)
class RunVideos:
    """The videos of a run: all rows of its features, their labels and groups, and which split each is in.

    group_rule: what made the groups, if they are not annotated. features_path: of their file, as it was given.
    """

    rows: Sequence[VideoRow]
    labels: Sequence[str]
    split: VideoSplit
    groups: Sequence[str]
    group_rule: GroupRule = NO_RULE
    features_path: str = ""

    @property
    def content(self) -> str:
        """The hash of the features, "" if there are none; see `content_digest`."""
        return content_digest(row.checksum for row in self.rows) if self.rows else ""

    def count(self, split: str, *, at_least: int = 1, labeled: bool = False) -> int:
        """Return how many videos of a split have so many frames, and a label if asked; crops of one video are one."""
        rows = [self.rows[index] for index in getattr(self.split, split) if not labeled or self.labels[index]]
        return len({(row.source_key, row.source_sha256) for row in rows if row.length >= at_least})

    def table(self) -> str:
        """Return videos.csv."""
        split_of = {index: name for name in SPLITS for index in getattr(self.split, name)}
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["video", "label", "split", "group", "checksum", "source_sha256"])
        for index, row in enumerate(self.rows):
            if index in split_of:
                known = [self.labels[index], split_of[index], self.groups[index]]
                table.writerow([row.path, *known, row.checksum, row.source_sha256])
        return text.getvalue()

    def recorded(self) -> dict[str, Any]:
        """Return what a run's config.toml holds of them."""
        return {"groups": self.group_rule.recorded} if self.group_rule.is_given else {}


def difference(before: str, now: str) -> str:
    """Return how two tables of videos differ, "3 new, 1 with other features", or '' if they do not."""
    first, second = ({row["video"]: row for row in csv.DictReader(io.StringIO(one))} for one in (before, now))
    common = [(first[key], second[key]) for key in first.keys() & second.keys()]
    counts = {"new": len(second.keys() - first.keys()), "gone": len(first.keys() - second.keys())}
    for column, what in (("checksum", "features"), ("label", "labels"), ("split", "splits"), ("group", "groups")):
        counts[f"with other {what}"] = sum(one[column] != other[column] for one, other in common)
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def earlier_videos(folder: Path) -> str:
    """Return videos.csv of a run with the rows of the runs that it continued; raises InputError if there is none."""
    try:
        tables = [path.read_text(encoding="utf-8").splitlines(keepends=True) for path in _tables_of(folder)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: {VIDEOS_NAME} cannot be read ({error}); is it a run folder?") from error
    return "".join([*tables[0], *(row for table in tables[1:] for row in table[1:] if row not in tables[0])])


def trained_content(table: str) -> frozenset[str]:
    """Return the checksums, of rows and of source files, of the videos in split "train" of a videos.csv."""
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["split"] == "train"]
    return frozenset({row[column] for row in rows for column in ("checksum", "source_sha256")} - {""})


def _tables_of(folder: Path) -> list[Path]:
    """Return videos.csv of a run, and that of the runs that it continued, if it did."""
    earlier = folder / PRETRAINED_NAME / VIDEOS_NAME
    return [folder / VIDEOS_NAME, *([earlier] if earlier.is_file() else [])]


class UsedVideos(NamedTuple):
    """The videos that trained a run or chose its weights.

    content: checksums of rows and of source files: a video that is renamed, or whose frames are sampled otherwise, is
    still the same one. groups: their names. group_rule: what made them.
    """

    content: frozenset[str]
    groups: frozenset[str]
    group_rule: GroupRule


def read_used_videos(folder: Path) -> UsedVideos:
    """Read which videos a run used, from its videos.csv and config.toml.

    Raises InputError if one of them is missing or damaged.
    """
    content: set[str] = set()
    groups: set[str] = set()
    try:
        recorded = tomllib.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")).get("groups", {})
        rule = GroupRule.from_recorded(recorded)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError, TypeError, ConfigError) as error:
        raise InputError(f"{folder}: {CONFIG_NAME} cannot be read ({error}); is it a run folder?") from error
    try:
        for path in _tables_of(folder):
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    if row["split"] != "test":
                        content |= {row["checksum"], row["source_sha256"]}
                        groups.add(composed(row["group"]))
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{folder}: {VIDEOS_NAME} cannot be read ({error}); is it a run folder?") from error
    return UsedVideos(frozenset(content - {""}), frozenset(groups - {""}), rule)
