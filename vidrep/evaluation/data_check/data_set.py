"""The source videos of features as a check reads them: a video counts once, however many crops of it there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ...features.annotations import AnnotatedVideos
from ...features.store import Features
from .findings import FlaggedVideo


@dataclass(frozen=True)
class DataSet:
    """S source videos with their labels, splits and groups.

    rows: of each, the index of its first row among `features.videos`, whose label, split and group are the source's.
    """

    features: Features
    annotated: AnnotatedVideos

    @cached_property
    def rows(self) -> list[int]:
        """(S,), in the order of the keys."""
        first: dict[int, int] = {}
        for row, source in enumerate(self.features.source_videos.tolist()):
            first.setdefault(source, row)
        return list(first.values())

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> list[str]:
        """(S,)."""
        return [self.features.videos[row].source_key for row in self.rows]

    @cached_property
    def labels(self) -> list[str]:
        """(S,), '' for none."""
        return [self.annotated.labels[row] for row in self.rows]

    @cached_property
    def splits(self) -> list[str]:
        """(S,), '' for none."""
        return [self.annotated.splits[row] for row in self.rows]

    @cached_property
    def groups(self) -> list[str]:
        """(S,); a video without a named group is its own, by its hash or its key."""
        return [self.annotated.groups[row] for row in self.rows]

    @cached_property
    def lengths(self) -> list[int]:
        """(S,), frames."""
        return [self.features.videos[row].length for row in self.rows]

    @property
    def has_splits(self) -> bool:
        """Whether any video has a split."""
        return any(self.splits)

    @cached_property
    def named_groups(self) -> dict[str, list[int]]:
        """The videos of each group that is named, by their numbers: not those of a group that copies of a file are."""
        by_group: dict[str, list[int]] = {}
        for number, (row, group) in enumerate(zip(self.rows, self.groups, strict=True)):
            video = self.features.videos[row]
            if group not in (video.source_sha256, video.source_key):
                by_group.setdefault(group, []).append(number)
        return by_group

    def flagged(self, number: int, *, other: int | None = None, detail: str = "") -> FlaggedVideo:
        """Describe a video, and a second one if there is one."""
        row = self.features.videos[self.rows[number]]
        own_group = self.groups[number] in (row.source_sha256, row.source_key)
        second = (
            {}
            if other is None
            else {"other": self.keys[other], "other_split": self.splits[other], "other_label": self.labels[other]}
        )
        return FlaggedVideo(
            video=row.source_key,
            split=self.splits[number],
            label=self.labels[number],
            group="" if own_group else self.groups[number],
            detail=detail,
            **second,
        )

    def all_flagged(self, numbers: list[int], *, detail: str = "") -> list[FlaggedVideo]:
        """Describe several videos."""
        return [self.flagged(number, detail=detail) for number in numbers]

    def crops(self, number: int) -> Iterator[int]:
        """Yield the rows of a video: its own, or those of its crops."""
        source = self.features.source_videos[self.rows[number]]
        return (row for row in self._rows_of_source[int(source)])

    @cached_property
    def _rows_of_source(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for row, source in enumerate(self.features.source_videos.tolist()):
            found.setdefault(source, []).append(row)
        return found
