"""Labels, splits and groups that annotation files give to a set of videos, matched to their keys by name."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    extends: whether its list is of some videos only, and the others keep what they have; see `merge`.
    other_names: what else the video may be called, tried in this order where the name that it stands under is nowhere.
    """

    label: str | None
    split: str | None
    group: str | None = None
    place: str = field(default="", compare=False, kw_only=True)
    extends: bool = field(default=False, compare=False, kw_only=True)
    other_names: tuple[str, ...] = field(default=(), compare=False, kw_only=True)


@dataclass(frozen=True)
class MergedAnnotations:
    """Labels, splits and groups of all videos after annotations were merged in.

    labels, splits: in the order of the keys.
    groups: those that the annotations name, in the order of the keys, '' for the others.
    missing: annotated names that match no video, in the order of the annotations.
    unlisted: keys without an annotation, in their order; empty if there are no annotations at all.
    lost: {"label": those of the unlisted that had a label and have none now, "split": so for splits}.
    decided: {"label", "split", "group": the positions of the videos that the annotations decide it of}, '' included.
    """

    labels: list[str]
    splits: list[str]
    groups: list[str]
    missing: list[str]
    unlisted: list[str]
    lost: Mapping[str, list[str]] = field(default_factory=dict)
    decided: Mapping[str, frozenset[int]] = field(default_factory=dict, compare=False)

    def log(self) -> None:
        """Log what the annotations name and is not there, in a line, and what they do not name, in another."""
        if self.missing:
            count, names = len(self.missing), some_names(self.missing)
            _log.warning("%d videos are listed but not among the videos: %s", count, names)
        if self.unlisted:
            lost = ", ".join(f"{len(keys)} of them have no {column} now" for column, keys in self.lost.items() if keys)
            remedy = f"; {lost} (--labels-extend keeps what they have)" if lost else ""
            _log.warning("%d videos are not listed: %s%s", len(self.unlisted), some_names(self.unlisted), remedy)


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
    has it. The file's column counts for a video only if the annotations do not decide its group. Names that match no
    video and videos without an annotation are logged.

    Raises what merge and choose_groups raise.
    """
    videos = features.videos
    merged = merge(
        [row.path for row in videos], [row.label for row in videos], [row.split for row in videos], annotations or {}
    )
    merged.log()
    decided = merged.decided["group"]
    rows = [replace(row, group="") if index in decided else row for index, row in enumerate(videos)]
    groups = choose_groups(rows, merged.groups, labels=merged.labels, rule=group_rule)
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
    "left\\a.mp4" as "left/a.mp4". Several names may be of one video if they do not contradict each other. All names are
    compared, and labels, splits and groups returned, in NFC.

    Annotations are the whole truth for what they have: if one names a label, even '', videos that none names a label of
    have none, and so for splits and groups; but where all that name it extend (`Annotation.extends`), these stay as
    they are.

    paths: the videos' absolute paths, if they have some.

    Raises LabelError for a name that could be several videos, names of one video that contradict each other, and if
    no annotated video is among the keys.
    """
    if not len(keys) == len(labels) == len(splits):
        raise ValueError(f"{len(keys)} keys, {len(labels)} labels and {len(splits)} splits; give one of each a video")
    new_labels, new_splits, groups = list(labels), list(splits), [""] * len(keys)
    by_video, missing = _by_video(VideoFinder(keys, paths), annotations)
    if annotations and not by_video:
        raise _nothing_in_common(keys, annotations)
    decided: dict[str, frozenset[int]] = {}
    for column, names in (("label", new_labels), ("split", new_splits), ("group", groups)):
        given = {index: name for index, one in by_video.items() if (name := getattr(one, column)) is not None}
        if any(getattr(one, column) is not None and not one.extends for one in annotations.values()):
            given = dict.fromkeys(range(len(keys)), "") | given
        for index, name in given.items():
            names[index] = name
        decided[column] = frozenset(given)
    unlisted = [index for index in range(len(keys)) if index not in by_video] if annotations else []
    changed = {"label": (labels, new_labels), "split": (splits, new_splits)}
    new_labels, new_splits, groups = ([composed(name) for name in names] for names in (new_labels, new_splits, groups))
    return MergedAnnotations(
        new_labels,
        new_splits,
        groups,
        missing,
        unlisted=[keys[index] for index in unlisted],
        lost={
            column: [keys[index] for index in unlisted if old[index] and not new[index]]
            for column, (old, new) in changed.items()
        },
        decided=decided,
    )


def require_distinct_classes(labels: Iterable[str]) -> None:
    """Raise LabelError, with both, if two labels differ by case or surrounding blanks alone."""
    first: dict[str, str] = {}
    for label in sorted(set(labels)):
        other = first.setdefault(label.strip().casefold(), label)
        if other != label:
            raise LabelError(
                f"the classes {other!r} and {label!r} differ by case or blanks alone; give both one name, by their "
                "folders or --labels"
            )


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


class VideoFinder:
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
        # "a.avi" is "a.avi.npy" before it is "a.mp4": features are often named by their whole video.
        return found or self._by_bare_source.find(name) or self._by_bare_source.find(without_extension(name))

    def are_one(self, found: Sequence[int]) -> bool:
        """Return whether some keys are crops of one video."""
        return len({self._sources[index] for index in found}) == 1


def _by_video(videos: VideoFinder, annotations: Mapping[str, Annotation]) -> tuple[dict[int, Annotation], list[str]]:
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
        extends=first.extends and second.extends,
        other_names=tuple(dict.fromkeys([*first.other_names, *second.other_names])),
    )


def _named(first: str | None, second: str | None) -> str | None:
    """Return the one that is a name; else '' before None."""
    return first or second or (second if first is None else first)
