"""Where the rows of videos belong in an output: found by the content of the files, whatever their names are now.

A row's content is its source's SHA-256 and its crop; its place, the root and the path in it under which that content
lies now. So a file that was moved or renamed keeps its rows, under its new place and label.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import some_names
from ..features.annotations import MergedAnnotations
from ..features.failures import Failure
from ..features.table import VideoRow
from ..video.reading import DECODING_VERSION
from ..video.sources import VideoSource
from ..video.unlabeled_folders import unlabeled_folder
from .events import KnownContent

_log = logging.getLogger(__name__)

RootAndPath = tuple[str, str]
"""The name of a root, and a path in it, without the ending of a crop."""


@dataclass(kw_only=True)
class Changes:
    """What an extraction changed in its output: keys of source videos, sorted.

    added: of new content. moved, relabeled: of content that was there. back: which were missing before.
    replaced: whose place other content took. missing: whose source is gone since the last extraction.
    copies: files of content that is there under another key, which counts once: {"b.mp4": "a.mp4"}.
    num_unchanged: videos that are as they were.
    """

    added: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    relabeled: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    num_unchanged: int = 0


@dataclass(frozen=True)
class _Target:
    """What the rows of a content are to say; a group of None leaves that of the rows."""

    place: RootAndPath
    label: str
    split: str
    group: str | None


def known_contents(rows: Iterable[VideoRow], crop_names: Collection[str]) -> dict[str, KnownContent]:
    """Return what is known of each content all of whose crops are there.

    What an earlier version of decoding took for damage need not be one, and is not known.
    """
    by_content: dict[str, dict[str, VideoRow]] = defaultdict(dict)
    for row in rows:
        by_content[row.source_sha256][row.path.removeprefix(row.source_key)] = row
    return {
        content: KnownContent(min(row.decoding_version for row in crops.values()), next(iter(crops.values())).fps)
        for content, crops in by_content.items()
        if content
        and crops.keys() == set(crop_names)
        and not any(row.status == "partial" and row.decoding_version < DECODING_VERSION for row in crops.values())
    }


class Placement:
    """Decides where each row of an output belongs, by what was found on disk.

    sources: what was found; wanted: their labels, splits and groups. A video that stays where it is keeps the label and
    split of its rows where annotations do not decide them.
    contents: the SHA-256 of those that could be read, by number.
    before: the rows of the output before this extraction, the oldest first; of one content the last one counts.

    changes: what is changed. conflicts: videos of one content with two labels or in two splits, which are left out.
    """

    def __init__(
        self,
        sources: Sequence[VideoSource],
        wanted: MergedAnnotations,
        contents: Mapping[int, str],
        before: Iterable[VideoRow],
    ) -> None:
        self._sources, self._wanted = sources, wanted
        roots = {source.root for source in sources}
        # Rows of former vidreps have no root: theirs is the only one there is.
        self._root_of_old_rows = roots.pop() if len(roots) == 1 else ""
        self._before = {row.source_sha256 or row.source_key: row for row in before}
        self._searched = {source.root for source in sources if source.is_searched}
        self._places = self._places_of_sources(contents)
        self._content_at = {self._places[number]: content for number, content in contents.items()}
        self._unread = {self._places[number] for number, _ in enumerate(sources) if number not in contents}
        self.changes, self.conflicts = Changes(), list[Failure]()
        by_content: dict[str, list[int]] = defaultdict(list)
        for number in sorted(contents, key=self._places.__getitem__):
            by_content[contents[number]].append(number)
        self._targets: dict[str, _Target | None] = {
            content: self._target(content, numbers) for content, numbers in by_content.items()
        }
        self._note_rows_without_source()

    def edited(self, row: VideoRow) -> VideoRow | None:
        """Return a row as it is to be: in its place, or missing; None if other content took its place."""
        place = self._place_of(row)
        content = row.source_sha256 or self._content_at.get(place, "")
        if content in self._targets:
            target = self._targets[content]
            if target is None:
                return replace(row, missing=True)
            crop = row.path.removeprefix(row.source_key)
            return replace(
                row,
                root=target.place[0],
                path=target.place[1] + crop,
                label=target.label,
                split=target.split,
                group=row.group if target.group is None else target.group,
                missing=False,
                decoding_version=DECODING_VERSION,  # what an earlier version read otherwise was decoded again
            )
        if place in self._content_at:
            return None
        if place[0] in self._searched and place not in self._unread:
            return replace(row, missing=True)
        return row

    def edited_without_missing(self, row: VideoRow) -> VideoRow | None:
        """Return a row as it is to be; None if it is missing, too."""
        after = self.edited(row)
        return None if after is None or after.missing else after

    def _place_of(self, row: VideoRow) -> RootAndPath:
        return row.root or self._root_of_old_rows, row.source_key

    def _places_of_sources(self, contents: Mapping[int, str]) -> dict[int, RootAndPath]:
        """Return the place of each source: a searched folder that shares nothing with rows of its name is another."""
        rows_of: dict[str, list[VideoRow]] = defaultdict(list)
        for row in self._before.values():
            if not row.missing:
                rows_of[self._place_of(row)[0]].append(row)
        found, places = set(contents.values()), {source.place for source in self._sources}
        others = {
            root
            for root in self._searched
            if rows_of[root]
            and not any(row.source_sha256 in found or self._place_of(row) in places for row in rows_of[root])
        }
        renamed = {source.root: _with_parent(source) for source in self._sources if source.root in others}
        for root, name in renamed.items():
            _log.warning(
                "%s shares no video with the folder of that name in the output, and is taken for another one: %s",
                root,
                name,
            )
        self._searched = {renamed.get(root, root) for root in self._searched}
        return {
            number: (renamed.get(source.root, source.root), source.place[1])
            for number, source in enumerate(self._sources)
        }

    def _target(self, content: str, numbers: Sequence[int]) -> _Target | None:
        """Return what the rows of a content are to say, None if its files contradict each other; note what changes."""
        labels, splits = (
            {names[number] for number in numbers} - {""} for names in (self._wanted.labels, self._wanted.splits)
        )
        if len(labels) > 1 or len(splits) > 1:
            self._note_conflict(numbers, labels if len(labels) > 1 else splits)
            return None
        first = numbers[0]
        key = self._sources[first].key
        self.changes.copies |= {self._sources[other].key: key for other in numbers[1:]}
        group = self._wanted.groups[first]
        target = _Target(
            self._places[first],
            next(iter(labels), ""),
            next(iter(splits), ""),
            group if group or self._decides("group", numbers) else None,
        )
        row = self._before.get(content) or self._before_without_hash(first)
        if row is None:
            self.changes.added.append(key)
            return target
        is_named = not any(self._sources[number].is_searched for number in numbers)
        target = self._beside_row(target, row, numbers, is_named=is_named)
        self._note_changes(target, row, key)
        return target

    def _before_without_hash(self, number: int) -> VideoRow | None:
        row = self._before.get(self._places[number][1])
        return row if row is not None and not row.source_sha256 else None

    def _decides(self, column: str, numbers: Sequence[int]) -> bool:
        """Return whether annotations decide the label, split or group of one of some videos."""
        return not self._wanted.decided[column].isdisjoint(numbers)

    def _beside_row(self, target: _Target, row: VideoRow, numbers: Sequence[int], *, is_named: bool) -> _Target:
        """Return a target that keeps what a row knows better.

        A file that was named alone does not tell where its folder is, nor does one found in a folder within the root
        of its rows.
        """
        place = self._place_of(row)
        old, new = "/".join(filter(None, place)), "/".join(target.place)
        is_taken = self._content_at.get(place, row.source_sha256) != row.source_sha256
        if old == new:
            place = target.place
        elif is_taken or not (is_named or old.endswith("/" + new)):
            return target
        keeps_label = not (self._decides("label", numbers) or _is_of_unlabeled_folder(row.label, target.place[1]))
        label = row.label if keeps_label else target.label
        split = target.split if self._decides("split", numbers) else row.split or target.split
        return _Target(place, label, split, target.group)

    def _note_changes(self, target: _Target, row: VideoRow, key: str) -> None:
        moved, relabeled = target.place != self._place_of(row), target.label != row.label
        if row.missing:
            self.changes.back.append(key)
        if moved:
            self.changes.moved.append(key)
        if relabeled:
            self.changes.relabeled.append(key)
        if not (row.missing or moved or relabeled):
            self.changes.num_unchanged += 1

    def _note_conflict(self, numbers: Sequence[int], names: Collection[str]) -> None:
        keys = some_names(repr(self._sources[number].key) for number in numbers)
        reason = f"one video under the names {keys}, with {some_names(map(repr, sorted(names)))}: keep one of them"
        for number in numbers:
            source = self._sources[number]
            self.conflicts.append(Failure(path=source.key, status="conflict", reason=reason, source=str(source.path)))

    def _note_rows_without_source(self) -> None:
        for row in self._before.values():
            after = self.edited(row)
            if after is None:
                self.changes.replaced.append(row.source_key)
            elif after.missing and not row.missing and row.source_sha256 not in self._targets:
                self.changes.missing.append(row.source_key)
        for keys in (self.changes.replaced, self.changes.missing):
            keys.sort()


def _is_of_unlabeled_folder(label: str, path_in_root: str) -> bool:
    """Return whether a label, or none, is what an unlabeled folder gave a video, with or without all labels."""
    folders = path_in_root.split("/")[:-1]
    return bool(unlabeled_folder(folders)) and label in ("", folders[-1])


def _with_parent(source: VideoSource) -> str:
    """Return the name of a source's root with its parent folder's name in front."""
    depth = source.path_in_root.count("/") + 1 + source.root.count("/") + 1
    folders = source.path.absolute().parts[:-depth]
    return f"{folders[-1]}/{source.root}" if len(folders) > 1 else source.root
