"""Labels and splits laid over a set of videos: read from a CSV or from UCF-101's lists, matched to keys by name."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidrep.errors import InputError, LabelError, nearest_names, some_names
from vidrep.video.sources import VIDEO_EXTENSIONS, read_text

SPLITS = ("train", "validation", "test")
"""The names a split can have; '' is none."""

_COLUMNS = ("video", "label", "split")
_DROPPED_EXTENSIONS = VIDEO_EXTENSIONS | {".npy", ".npz"}  # not any: "subject.01" is not "subject.02"
_LIST_NAME = re.compile(r"(train|test)list(\d+)\.txt")


@dataclass(frozen=True)
class Labelling:
    """What a listing says about one video: None where it does not say, '' where it says that there is none.

    place: the file and line that say so, for messages.
    """

    label: str | None
    split: str | None
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class OverlayResult:
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


def read_label_csv(path: Path) -> dict[str, Labelling]:
    """Read a CSV that names videos and their label, split or both.

    The first line names the columns, in any order: video, and label or split or both. Splits are train, validation
    (or val), test. An empty cell says that the video has none. Spaces around a value are dropped.

    Raises LabelError, naming the line, for unknown columns or splits, a video named twice and incomplete rows, and
    InputError for a file that cannot be read.
    """
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    listed: dict[str, Labelling] = {}
    columns: list[str] = []
    try:
        for cells in rows:
            place = _place(path, rows.line_num)
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if columns:
                _add(listed, *_labelling_of_row(values, columns, place))
            else:
                columns = _checked_columns(values, place)
    except csv.Error as error:
        raise LabelError(f"{_place(path, rows.line_num)}: not a CSV ({error}); write one video a line") from error
    if not listed:
        raise LabelError(f"{str(path)!r} names no video: write a line 'video,label' and one line a video under it")
    return listed


def read_splits(path: Path, *, number: int = 1) -> dict[str, Labelling]:
    """Read UCF-101's lists: trainlistNN.txt and testlistNN.txt, with the classes numbered in classInd.txt beside them.

    path: the folder that holds them, of which the lists with `number` are read, or one of the two lists.

    A line is a video, with its class number or without ("Archery/v_Archery_g08_c01.avi 3"). The label is the class of
    that number, or else the video's folder.

    Raises LabelError, naming the line, for a class number and a folder that disagree, an unknown class and a video
    named twice or in both lists, and InputError for a file that is not there or cannot be read.
    """
    lists = _split_lists(path, number)
    classes = _read_classes(lists["train"].parent / "classInd.txt")
    listed: dict[str, Labelling] = {}
    for split, list_file in lists.items():
        num_before = len(listed)
        for place, line in _lines(list_file):
            name, class_number = _name_and_number(line)
            _add(listed, name, Labelling(_label_of(name, class_number, classes, place), split, place))
        if len(listed) == num_before:
            raise LabelError(f"{str(list_file)!r} names no video: write one video a line")
    return listed


def read_labelling(*, labels: Path | None = None, splits: Path | None = None, number: int = 1) -> dict[str, Labelling]:
    """Read a CSV of labels, UCF-101's lists, or both, one laid over the other.

    With both, every split comes from the lists (a split column of the CSV is not looked at), and labels from either.

    Raises what read_label_csv and read_splits raise, and LabelError where both name a video's label and disagree.
    """
    listed = read_label_csv(labels) if labels is not None else {}
    if splits is None:
        return listed
    listed = {name: Labelling(one.label, None, one.place) for name, one in listed.items()}
    for name, from_lists in read_splits(splits, number=number).items():
        listed[name] = _combined(name, listed[name], from_lists) if name in listed else from_lists
    return listed


def overlay(
    keys: Sequence[str], labels: Sequence[str], splits: Sequence[str], listed: Mapping[str, Labelling]
) -> OverlayResult:
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
    by_video, missing = _by_video(keys, listed)
    if listed and not by_video:
        raise _nothing_in_common(keys, listed)
    for index, said in by_video.items():
        new_labels[index] = new_labels[index] if said.label is None else said.label
        new_splits[index] = new_splits[index] if said.split is None else said.split
    unlisted = [key for index, key in enumerate(keys) if index not in by_video] if listed else []
    return OverlayResult(new_labels, new_splits, missing, unlisted)


# ---- CSV


def _checked_columns(names: list[str], place: str) -> list[str]:
    columns = [name.lower() for name in names]
    for column in columns:
        if column not in _COLUMNS:
            hint = nearest_names(column, _COLUMNS) or "separate columns by commas"
            raise LabelError(f"{place}: unknown column {column!r}; allowed are video, label and split; {hint}")
    if len(set(columns)) < len(columns):
        raise LabelError(f"{place}: a column is named twice in {','.join(columns)}; name each once")
    if "video" not in columns or len(columns) < 2:
        raise LabelError(f"{place}: columns are {','.join(columns)}; needed are video, and label or split or both")
    return columns


def _labelling_of_row(values: list[str], columns: list[str], place: str) -> tuple[str, Labelling]:
    if len(values) != len(columns):
        raise LabelError(
            f"{place}: {len(values)} values for {len(columns)} columns ({','.join(columns)}); quote commas"
        )
    row = dict(zip(columns, values, strict=True))
    if not row["video"]:
        raise LabelError(f"{place}: no video is named; write its key in the column 'video'")
    split = row.get("split")
    return row["video"], Labelling(row.get("label"), None if split is None else _checked_split(split, place), place)


def _checked_split(split: str, place: str) -> str:
    lower = split.lower()
    if lower == "val":
        return "validation"
    if lower and lower not in SPLITS:
        hint = nearest_names(lower, SPLITS)
        raise LabelError(
            f"{place}: unknown split {split!r}; allowed are {', '.join(SPLITS)} or nothing; {hint}".rstrip("; ")
        )
    return lower


# ---- UCF-101's lists


def _split_lists(path: Path, number: int) -> dict[str, Path]:
    """Return the two lists as {"train": ..., "test": ...}."""
    if path.is_dir():
        return _split_lists_in(path, number)
    read_text(path)  # refuses a path that cannot be read before its partner is missed
    match = _LIST_NAME.fullmatch(path.name)
    if not match:
        expected = "trainlistNN.txt or testlistNN.txt"
        raise LabelError(f"{str(path)!r} is not called {expected}: give such a list, or the folder that holds it")
    return {split: path.with_name(f"{split}list{match[2]}.txt") for split in ("train", "test")}


def _split_lists_in(folder: Path, number: int) -> dict[str, Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot read the folder {str(folder)!r}: {error.strerror}; change its permissions") from error
    found = {(match[1], int(match[2])): file for file in files if (match := _LIST_NAME.fullmatch(file.name))}
    numbers = sorted({one for _, one in found})
    if number not in numbers:
        there = f"it has {some_names(map(str, numbers))}" if numbers else "there is no trainlistNN.txt in it"
        raise LabelError(f"{str(folder)!r} has no lists with the number {number}: {there}")
    return {split: found.get((split, number), folder / f"{split}list{number:02}.txt") for split in ("train", "test")}


def _read_classes(path: Path) -> dict[int, str]:
    classes: dict[int, str] = {}
    for place, line in _lines(path):
        number, *names = line.split(maxsplit=1)
        if not (number.isdecimal() and names):
            raise LabelError(f"{place}: {line!r} is not a class; write its number and name, such as '1 Archery'")
        if int(number) in classes or names[0] in classes.values():
            raise LabelError(f"{place}: {line!r} repeats a number or a name; each must be there once")
        classes[int(number)] = names[0]
    return classes


def _name_and_number(line: str) -> tuple[str, int | None]:
    name, *last = line.rsplit(maxsplit=1)
    return (name, int(last[0])) if last and last[0].isdecimal() else (line, None)


def _label_of(name: str, number: int | None, classes: Mapping[int, str], place: str) -> str:
    folder = name.split("/")[-2] if "/" in name else ""
    known = folder in classes.values()
    if number is None:
        if not known:
            hint = nearest_names(folder, classes.values()) or "add a class number to the line"
            raise LabelError(f"{place}: the folder {folder!r} of {name!r} is no class of classInd.txt; {hint}")
        return folder
    if number not in classes:
        raise LabelError(f"{place}: class number {number} is not in classInd.txt, which has {_range(classes)}")
    if known and folder != classes[number]:
        raise LabelError(
            f"{place}: class {number} is {classes[number]!r}, but {name!r} is in {folder!r}; correct one of them"
        )
    return classes[number]


def _range(classes: Mapping[int, str]) -> str:
    return f"{min(classes)} to {max(classes)}" if classes else "none"


# ---- matching


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


def _by_video(keys: Sequence[str], listed: Mapping[str, Labelling]) -> tuple[dict[int, Labelling], list[str]]:
    """Return what is said of each video, by its position among the keys, and the listed names that match none."""
    whole, bare = _NameIndex.of(keys), _NameIndex.of([_without_extension(key) for key in keys])
    by_video: dict[int, Labelling] = {}
    missing: list[str] = []
    for name, said in listed.items():
        found = whole.find(name) or bare.find(_without_extension(name))
        if len(found) > 1:
            several = some_names(repr(keys[index]) for index in found)
            raise LabelError(f"{said.place or 'listed'}: {name!r} could be {several}; write the whole key")
        if not found:
            missing.append(name)
            continue
        index = found[0]
        by_video[index] = _combined(keys[index], by_video[index], said) if index in by_video else said
    return by_video, missing


def _nothing_in_common(keys: Sequence[str], listed: Mapping[str, Labelling]) -> LabelError:
    name, said = next(iter(listed.items()))
    there = some_names(map(repr, keys), count=1) or "none"
    return LabelError(
        f"none of the {len(listed)} listed videos is among the {len(keys)} to be labelled: "
        f"{said.place or 'the listing'} names {name!r}, the videos are {there}; write names as the videos' are"
    )


# ---- shared


def _combined(video: str, first: Labelling, second: Labelling) -> Labelling:
    """Lay two sayings about one video together."""
    places = " and ".join(place for place in (first.place, second.place) if place)
    where = f"{places}: " if places else ""
    if first.label and second.label and first.label != second.label:
        raise LabelError(f"{where}{video!r} has the labels {first.label!r} and {second.label!r}; correct one of them")
    if first.split and second.split and first.split != second.split:
        raise LabelError(f"{where}{video!r} is in the splits {first.split!r} and {second.split!r}; keep one of them")
    return Labelling(_fuller(first.label, second.label), _fuller(first.split, second.split), places)


def _fuller(first: str | None, second: str | None) -> str | None:
    """Return the one that is a name; else '' before None."""
    return first or second or (second if first is None else first)


def _add(listed: dict[str, Labelling], name: str, said: Labelling) -> None:
    if name in listed:
        raise LabelError(
            f"{said.place}: video {name!r} was named before, in {listed[name].place}; keep one of the lines"
        )
    listed[name] = said


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each line that is not blank."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield _place(path, number), line.strip()


def _place(path: Path, line: int) -> str:
    return f"{str(path)!r}, line {line}"
