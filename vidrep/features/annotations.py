"""Labels and splits laid over a set of videos, matched to their keys by name."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import LabelError, some_names
from ..video.sources import VIDEO_EXTENSIONS

SPLITS = ("train", "validation", "test")
"""The names a split can have; '' is none."""

_DROPPED_EXTENSIONS = VIDEO_EXTENSIONS | {".npy", ".npz"}  # not any: "subject.01" is not "subject.02"


@dataclass(frozen=True)
class Annotation:
    """What a listing says about one video: None where it does not say, '' where it says that there is none.

    place: the file and line that say so, for messages.
    """

    label: str | None
    split: str | None
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class MergedAnnotations:
    """Labels and splits of all videos after a listing was laid over them.

    labels, splits: in the order of the keys.
    missing: listed names that are no video's, in the listing's order.
    unlisted: keys that the listing does not name, in their order; their label and split are as before. Empty if there
        is no listing.
    """

    labels: list[str]
    splits: list[str]
    missing: list[str]
    unlisted: list[str]


def merge(
    keys: Sequence[str], labels: Sequence[str], splits: Sequence[str], annotations: Mapping[str, Annotation]
) -> MergedAnnotations:
    """Lay a listing over the labels and splits of videos, which are given in the order of their keys.

    A listed name is a video's key, or else the end of exactly one key ("Archery/a.avi" of "UCF-101/Archery/a.avi") or
    ends with exactly one key, whole folder names compared. Only if there is none, the same is tried with extensions
    of videos and arrays (.npy, .npz) dropped. Several names may be of one video if they do not contradict each other.
    Videos that are not listed stay as they are.

    Raises LabelError for a name that could be several videos, names of one video that contradict each other, and if
    none of the listed videos is among the keys.
    """
    if not len(keys) == len(labels) == len(splits):
        raise ValueError(f"{len(keys)} keys, {len(labels)} labels and {len(splits)} splits; give one of each a video")
    new_labels, new_splits = list(labels), list(splits)
    by_video, missing = _by_video(keys, annotations)
    if annotations and not by_video:
        raise _nothing_in_common(keys, annotations)
    for index, said in by_video.items():
        new_labels[index] = new_labels[index] if said.label is None else said.label
        new_splits[index] = new_splits[index] if said.split is None else said.split
    unlisted = [key for index, key in enumerate(keys) if index not in by_video] if annotations else []
    return MergedAnnotations(new_labels, new_splits, missing, unlisted)


@dataclass(frozen=True)
class _NameIndex:
    """Finds names by their whole or their ends in constant time; values are positions in the sequence of names."""

    by_whole: Mapping[str, list[int]]
    by_end: Mapping[str, list[int]]

    @classmethod
    def of(cls, names: Sequence[str]) -> "_NameIndex":
        by_whole, by_end = defaultdict(list), defaultdict(list)
        for index, name in enumerate(names):
            by_whole[name].append(index)
            for end in _ends(name):
                by_end[end].append(index)
        return cls(dict(by_whole), dict(by_end))

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


def _without_extension(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and (dot + extension).lower() in _DROPPED_EXTENSIONS else name


def _by_video(keys: Sequence[str], annotations: Mapping[str, Annotation]) -> tuple[dict[int, Annotation], list[str]]:
    """Return what is said of each video, by its position among the keys, and the listed names that match none."""
    whole, bare = _NameIndex.of(keys), _NameIndex.of([_without_extension(key) for key in keys])
    by_video: dict[int, Annotation] = {}
    missing: list[str] = []
    for name, said in annotations.items():
        found = whole.find(name) or bare.find(_without_extension(name))
        if len(found) > 1:
            several = some_names(repr(keys[index]) for index in found)
            raise LabelError(f"{said.place or 'annotations'}: {name!r} could be {several}; write the whole key")
        if not found:
            missing.append(name)
            continue
        index = found[0]
        by_video[index] = combined(keys[index], by_video[index], said) if index in by_video else said
    return by_video, missing


def _nothing_in_common(keys: Sequence[str], annotations: Mapping[str, Annotation]) -> LabelError:
    name, said = next(iter(annotations.items()))
    there = some_names(map(repr, keys), count=1) or "none"
    return LabelError(
        f"none of the {len(annotations)} listed videos is among the {len(keys)} to be labelled: "
        f"{said.place or 'the listing'} names {name!r}, the videos are {there}; write names as the videos' are"
    )


def combined(video: str, first: Annotation, second: Annotation) -> Annotation:
    """Lay two sayings about one video together; raises LabelError if they contradict each other."""
    places = " and ".join(place for place in (first.place, second.place) if place)
    where = f"{places}: " if places else ""
    if first.label and second.label and first.label != second.label:
        raise LabelError(f"{where}{video!r} has the labels {first.label!r} and {second.label!r}; correct one of them")
    if first.split and second.split and first.split != second.split:
        raise LabelError(f"{where}{video!r} is in the splits {first.split!r} and {second.split!r}; keep one of them")
    return Annotation(_fuller(first.label, second.label), _fuller(first.split, second.split), places)


def _fuller(first: str | None, second: str | None) -> str | None:
    """Return the one that is a name; else '' before None."""
    return first or second or (second if first is None else first)
