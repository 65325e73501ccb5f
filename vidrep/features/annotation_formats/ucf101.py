"""UCF-101's lists: trainlistNN.txt and testlistNN.txt, with classes numbered in classInd.txt."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import LabelError, nearest_names, some_names
from ...video.named_paths import read_text
from ..annotations import Annotation
from .entries import Annotations, add, lines_of

LIST_NAME = re.compile(r"(train|test)list(\d+)\.txt")


def read_ucf101(folder: Path, names: Sequence[str], number: int) -> tuple[Annotations, str]:
    """Read the two lists with this number; return them and what they are, in words.

    A line is a video, with its class number or without ("Archery/v_Archery_g08_c01.avi 3"). The label is the class of
    that number, or else the video's folder.

    names: of the files in the folder.

    Raises LabelError, naming the line, for a class number and a folder that disagree, an unknown class and a video in
    both lists, or if no list has the number; InputError for a file that is not there or cannot be read.
    """
    lists = _lists(folder, names, number)
    classes = _read_classes(folder / "classInd.txt")
    annotations: Annotations = {}
    for split, list_file in lists.items():
        num_before = len(annotations)
        for place, line in lines_of(list_file, read_text(list_file)):
            name, class_number = _name_and_number(line)
            add(annotations, name, Annotation(_label_of(name, class_number, classes, place), split, place=place))
        if len(annotations) == num_before:
            raise LabelError(f"{str(list_file)!r} names no video: write one video a line")
    return annotations, f"UCF-101's lists {lists['train'].name} and {lists['test'].name}"


def _lists(folder: Path, names: Sequence[str], number: int) -> dict[str, Path]:
    """Return the two lists as {"train": ..., "test": ...}."""
    found = {(match[1], int(match[2])): folder / name for name in names if (match := LIST_NAME.fullmatch(name))}
    numbers = sorted({one for _, one in found})
    if number not in numbers:
        there = some_names(map(str, numbers))
        raise LabelError(f"{str(folder)!r} has no lists with the number {number}: it has {there}")
    return {split: found.get((split, number), folder / f"{split}list{number:02}.txt") for split in ("train", "test")}


def _read_classes(path: Path) -> dict[int, str]:
    classes: dict[int, str] = {}
    for place, line in lines_of(path, read_text(path)):
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
