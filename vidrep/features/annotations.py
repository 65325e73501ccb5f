"""Labels, splits and groups that annotation files give to a set of videos, matched to their keys by name."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import LabelError, some_names
from ..names import composed
from .groups import NO_RULE, GroupRule, choose_groups
from .keys import without_extension
from .store import Features
from .table import without_crop

SPLITS = ("train", "validation", "test")
"""The names that a split can have; '' is none."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Annotation:
    """What an annotation file gives for one video: None where it has no such column, '' where the cell is empty.

    place: the file and the line, for messages.
    other_names: what else the video may be called, tried in this order where the name that it stands under is nowhere.
    """

    label: str | None
    split: str | None
    group: str | None = None
    place: str = field(default="", compare=False, kw_only=True)
    other_names: tuple[str, ...] = field(default=(), compare=False, kw_only=True)


@dataclass(frozen=True)
class MergedAnnotations:
    """Labels, splits and groups of all videos after annotations were merged in.

    labels, splits: in the order of the keys.
    groups: those that the annotations name, in the order of the keys, '' for the others.
    missing: annotated names that match no video, in the order of the annotations.
    unlisted: keys without an annotation, in their order; empty if there are no annotations at all.
    """

    labels: list[str]
    splits: list[str]
    groups: list[str]
    missing: list[str]
    unlisted: list[str]


@dataclass(frozen=True)
class AnnotatedVideos:
    """Labels, splits and groups of a feature file's videos, in their order; '' is no label and no split."""

    labels: list[str]
    splits: list[str]
    groups: list[str]


def annotate(
    features: Features, annotations: Mapping[str, Annotation] | None = None, group_rule: GroupRule = NO_RULE
) -> AnnotatedVideos:
    """Merge annotations into the labels, splits and groups of a feature file.

    Every video has a group: from the annotations, else by the rule, else from the file's column, else as choose_groups
    has it. Names that match no video and videos without an annotation are logged.

    Raises what merge and choose_groups raise.
    """
    videos = features.videos
    merged = merge(
        [row.path for row in videos], [row.label for row in videos], [row.split for row in videos], annotations or {}
    )
    if merged.missing:
        count, names = len(merged.missing), some_names(merged.missing)
        _log.warning("%d annotated videos are not in the features: %s", count, names)
    if merged.unlisted:
        _log.warning("%d videos have no annotation: %s", len(merged.unlisted), some_names(merged.unlisted))
    groups = choose_groups(videos, merged.groups, labels=merged.labels, rule=group_rule)
    return AnnotatedVideos(merged.labels, merged.splits, groups)


def merge(
    keys: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str],
    annotations: Mapping[str, Annotation],
    *,
    paths: Sequence[str] = (),
) -> MergedAnnotations:
    """Merge annotations into the labels and splits of videos, which are given in the order of their keys.

    A name in the annotations is a video's path, also without an extension, or its key, or else the end of exactly one
    key ("Archery/a.avi" of "UCF-101/Archery/a.avi") or ends with exactly one key, whole folder names compared. Only if
    there is none, the same is tried without the endings of crops, where a name stands for all crops of one video, and
    last without extensions of videos and arrays (.npy, .npz). A name that is nowhere is read again as a Windows path,
    "left\\a.mp4" as "left/a.mp4". Several names may be of one video if they do not contradict each other. Videos
    without an annotation stay as they are. All names are compared, and labels, splits and groups returned, in NFC.

    paths: the videos' absolute paths, if they have some.

    Raises LabelError for a name that could be several videos, names of one video that contradict each other, and if
    no annotated video is among the keys.
    """
    if not len(keys) == len(labels) == len(splits):
        raise ValueError(f"{len(keys)} keys, {len(labels)} labels and {len(splits)} splits; give one of each a video")
    new_labels, new_splits, groups = list(labels), list(splits), [""] * len(keys)
    by_video, missing = _by_video(_VideoFinder(keys, paths), annotations)
    if annotations and not by_video:
        raise _nothing_in_common(keys, annotations)
    for index, given in by_video.items():
        new_labels[index] = new_labels[index] if given.label is None else given.label
        new_splits[index] = new_splits[index] if given.split is None else given.split
        groups[index] = given.group or ""
    unlisted = [key for index, key in enumerate(keys) if index not in by_video] if annotations else []
    new_labels, new_splits, groups = ([composed(name) for name in names] for names in (new_labels, new_splits, groups))
    return MergedAnnotations(new_labels, new_splits, groups, missing, unlisted)


@dataclass(frozen=True)
class _NameIndex:
    """Finds names by their whole or their ends in constant time; values are positions in the sequence of names."""

    by_whole: Mapping[str, list[int]]
    by_end: Mapping[str, list[int]]

    @classmethod
    def of(cls, names: Sequence[str]) -> "_NameIndex":
        by_end = defaultdict(list)
        for index, name in enumerate(names):
            for end in _ends(name):
                by_end[end].append(index)
        return cls(_positions(names), dict(by_end))

    def find(self, name: str) -> list[int]:
        """Return where `name` is; if nowhere, where names end with it or are an end of it."""
        if name in self.by_whole:
            return self.by_whole[name]
        shorter = [index for end in _ends(name) for index in self.by_whole.get(end, [])]
        return self.by_end.get(name, []) + shorter


def _ends(name: str) -> Iterator[str]:
    """Yield what follows each '/': "b/c" and "c" of "a/b/c"."""
    while "/" in name:
        name = name.partition("/")[2]
        yield name


def _positions(names: Sequence[str]) -> dict[str, list[int]]:
    """Return where each name stands in the sequence."""
    positions = defaultdict(list)
    for index, name in enumerate(names):
        positions[name].append(index)
    return dict(positions)


class _VideoFinder:
    """Finds videos by their names in annotations."""

    def __init__(self, keys: Sequence[str], paths: Sequence[str] = ()) -> None:
        self.keys = [composed(key) for key in keys]
        whole = [composed(path).replace("\\", "/") for path in paths]
        self._by_path, self._by_bare_path = _positions(whole), _positions([without_extension(path) for path in whole])
        self._sources = [without_crop(key) for key in self.keys]
        self._by_key = _NameIndex.of(self.keys)
        self._by_source = self._by_key if self._sources == self.keys else _NameIndex.of(self._sources)
        self._by_bare_source = _NameIndex.of([without_extension(source) for source in self._sources])

    def find(self, names: Sequence[str]) -> list[int]:
        """Return the positions of the keys that the first of these names which is there may stand for."""
        as_windows = [name.replace("\\", "/") for name in names if "\\" in name]
        return next(filter(None, map(self._find, [*map(composed, names), *map(composed, as_windows)])), [])

    def _find(self, name: str) -> list[int]:
        if of_path := self._by_path.get(name) or self._by_bare_path.get(without_extension(name)):
            return of_path
        found = self._by_key.find(name) or self._by_source.find(name)
        return found or self._by_bare_source.find(without_extension(name))

    def are_one(self, found: Sequence[int]) -> bool:
        """Return whether some keys are crops of one video."""
        return len({self._sources[index] for index in found}) == 1


def _by_video(videos: _VideoFinder, annotations: Mapping[str, Annotation]) -> tuple[dict[int, Annotation], list[str]]:
    """Return the annotation of each video, by its position among the keys, and the names that match none."""
    by_video: dict[int, Annotation] = {}
    missing: list[str] = []
    for name, given in annotations.items():
        found = videos.find([name, *given.other_names])
        if not found:
            missing.append(name)
        elif len(found) > 1 and not videos.are_one(found):
            several = some_names(repr(videos.keys[index]) for index in found)
            raise LabelError(f"{given.place or 'annotations'}: {name!r} could be {several}; write the whole key")
        for index in found:
            known = by_video.get(index)
            by_video[index] = given if known is None else combined(videos.keys[index], known, given)
    return by_video, missing


def _nothing_in_common(keys: Sequence[str], annotations: Mapping[str, Annotation]) -> LabelError:
    name, given = next(iter(annotations.items()))
    there = some_names(map(repr, keys), count=1) or "none"
    return LabelError(
        f"none of the {len(annotations)} annotated videos is among the {len(keys)} to be annotated: "
        f"{given.place or 'the annotations'}: {name!r}; the videos are {there}; write names like theirs"
    )


def combined(video: str, first: Annotation, second: Annotation) -> Annotation:
    """Return the union of two annotations of one video; raises LabelError if they contradict each other."""
    places = " and ".join(dict.fromkeys(place for place in (first.place, second.place) if place))
    where = f"{places}: " if places else ""
    for got, one, other, remedy in (
        ("has the labels", first.label, second.label, "correct one of them"),
        ("is in the splits", first.split, second.split, "keep one of them"),
        ("is in the groups", first.group, second.group, "keep one of them"),
    ):
        if one and other and composed(one) != composed(other):
            raise LabelError(f"{where}{video!r} {got} {one!r} and {other!r}; {remedy}")
    return Annotation(
        _named(first.label, second.label),
        _named(first.split, second.split),
        _named(first.group, second.group),
        place=places,
        other_names=tuple(dict.fromkeys([*first.other_names, *second.other_names])),
    )


def _named(first: str | None, second: str | None) -> str | None:
    """Return the one that is a name; else '' before None."""
    return first or second or (second if first is None else first)
