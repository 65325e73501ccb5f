"""Annotation files: a CSV of labels, splits and groups, and UCF-101's lists."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import InputError, LabelError, nearest_names, some_names
from ..video.sources import read_text
from .annotations import SPLITS, Annotation, combined

_COLUMNS = ("video", "label", "split", "group")
_LIST_NAME = re.compile(r"(train|test)list(\d+)\.txt")


def read_label_csv(path: Path) -> dict[str, Annotation]:
    """Read a CSV of videos with a label, a split or a group, or several of these.

    The first line names the columns, in any order: video, and at least one of label, split and group. Splits are train,
    validation (or val), test. An empty cell is no label and no split; an empty group leaves the video's group as it is.
    Spaces around a value are dropped.

    Raises LabelError, naming the line, for unknown columns or splits, a video named twice and incomplete rows, and
    InputError for a file that cannot be read.
    """
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    annotations: dict[str, Annotation] = {}
    columns: list[str] = []
    try:
        for cells in rows:
            place = _place(path, rows.line_num)
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if columns:
                _add(annotations, *_annotation_of_row(values, columns, place))
            else:
                columns = _checked_columns(values, place)
    except csv.Error as error:
        raise LabelError(f"{_place(path, rows.line_num)}: not a CSV ({error}); write one video a line") from error
    if not annotations:
        raise LabelError(f"{str(path)!r} names no video: write a line 'video,label' and one line a video under it")
    return annotations


def read_splits(path: Path, *, number: int = 1) -> dict[str, Annotation]:
    """Read UCF-101's lists: trainlistNN.txt and testlistNN.txt, with the classes numbered in classInd.txt beside them.

    path: the folder that holds them, of which the lists with `number` are read, or one of the two lists.

    A line is a video, with its class number or without ("Archery/v_Archery_g08_c01.avi 3"). The label is the class of
    that number, or else the video's folder.

    Raises LabelError, naming the line, for a class number and a folder that disagree, an unknown class and a video
    named twice or in both lists, and InputError for a file that is not there or cannot be read.
    """
    lists = _split_lists(path, number)
    classes = _read_classes(lists["train"].parent / "classInd.txt")
    annotations: dict[str, Annotation] = {}
    for split, list_file in lists.items():
        num_before = len(annotations)
        for place, line in _lines(list_file):
            name, class_number = _name_and_number(line)
            _add(annotations, name, Annotation(_label_of(name, class_number, classes, place), split, place=place))
        if len(annotations) == num_before:
            raise LabelError(f"{str(list_file)!r} names no video: write one video a line")
    return annotations


def read_annotations(
    *, labels: Path | str | None = None, splits: Path | str | None = None, number: int = 1
) -> dict[str, Annotation]:
    """Read a CSV of labels, UCF-101's lists, or both, and merge them.

    With both, every split comes from the lists (the CSV's splits are ignored), and labels come from either.

    Raises what read_label_csv and read_splits raise, and LabelError where both name a video's label and disagree.
    """
    annotations = read_label_csv(Path(labels)) if labels is not None else {}
    if splits is None:
        return annotations
    annotations = {name: Annotation(one.label, None, one.group, place=one.place) for name, one in annotations.items()}
    for name, from_lists in read_splits(Path(splits), number=number).items():
        annotations[name] = combined(name, annotations[name], from_lists) if name in annotations else from_lists
    return annotations


def _checked_columns(names: list[str], place: str) -> list[str]:
    columns = [name.lower() for name in names]
    for column in columns:
        if column not in _COLUMNS:
            hint = nearest_names(column, _COLUMNS) or "separate columns by commas"
            raise LabelError(f"{place}: unknown column {column!r}; allowed are {', '.join(_COLUMNS)}; {hint}")
    if len(set(columns)) < len(columns):
        raise LabelError(f"{place}: a column is named twice in {','.join(columns)}; name each once")
    if "video" not in columns or len(columns) < 2:
        raise LabelError(f"{place}: columns are {','.join(columns)}; needed are video and label, split or group")
    return columns


def _annotation_of_row(values: list[str], columns: list[str], place: str) -> tuple[str, Annotation]:
    if len(values) != len(columns):
        raise LabelError(
            f"{place}: {len(values)} values for {len(columns)} columns ({','.join(columns)}); quote commas"
        )
    row = dict(zip(columns, values, strict=True))
    if not row["video"]:
        raise LabelError(f"{place}: no video is named; write its key in the column 'video'")
    split = None if row.get("split") is None else _checked_split(row["split"], place)
    return row["video"], Annotation(row.get("label"), split, row.get("group"), place=place)


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


def _split_lists(path: Path, number: int) -> dict[str, Path]:
    """Return the two lists as {"train": ..., "test": ...}."""
    if path.is_dir():
        return _split_lists_in(path, number)
    read_text(path)  # raises for an unreadable path before its partner is missed
    match = _LIST_NAME.fullmatch(path.name)
    if not match:
        expected = "trainlistNN.txt or testlistNN.txt"
        raise LabelError(f"{str(path)!r} is not named {expected}: give such a list, or the folder that holds it")
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


def _add(annotations: dict[str, Annotation], name: str, given: Annotation) -> None:
    if name in annotations:
        raise LabelError(
            f"{given.place}: video {name!r} was named before, in {annotations[name].place}; keep one of the lines"
        )
    annotations[name] = given


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each line that is not blank."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield _place(path, number), line.strip()


def _place(path: Path, line: int) -> str:
    return f"{str(path)!r}, line {line}"
