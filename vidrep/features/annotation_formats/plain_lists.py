"""Lists without names of columns: paths, "path label" a line, mmaction2's lists of videos and of folders of frames."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import LabelError
from ...video.folder_search import VIDEO_EXTENSIONS
from ..annotations import Annotation
from .class_names import name_classes
from .entries import Annotations, add, lines_of

_EXTENSION = "|".join(re.escape(extension) for extension in sorted(VIDEO_EXTENSIONS, key=len, reverse=True))
_VIDEO_AND_REST = re.compile(rf"(.*?(?:{_EXTENSION}))\s+(.+)", re.IGNORECASE)
_NUMBERS = re.compile(r"(?<=\S)(?:\s+\d+)+$")
_DELIMITERS = (";", "\t", ",")
# By how many numbers follow a folder's name in every line.
_FOLDER_LISTS = {
    2: "a list of folders of frames, with their numbers of frames and labels",
    3: "a list of folders of frames, with first frames, numbers of frames and labels",
}


def read_list(path: Path, text: str) -> tuple[Annotations, str]:
    """Read a list, one video a line: its path and its label; return it and what it is, in words.

    Semicolons, tabs or commas separate them if every line has one; else spaces do, and a path with a video's extension
    may have spaces in it. If two numbers follow each path, or three, the last is the label of a folder of frames.
    Labels that are numbers get the names that `class_names` finds. If no line has a label, the list names videos alone.

    Raises LabelError, naming the line, for a line without a label among others with one, or with two.
    """
    lines = list(lines_of(path, text))
    delimiter = next((one for one in _DELIMITERS if all(one in line for _, line in lines)), None)
    if delimiter is not None:
        split = [(place, _cells(line, delimiter, place)) for place, line in lines]
    else:
        has_numbers = all(_NUMBERS.search(line) for _, line in lines)
        split = [(place, _words(line, has_numbers=has_numbers)) for place, line in lines]
    if all(len(values) == 1 for _, values in split):
        return {values[0]: Annotation(None, None, place=place) for place, values in split}, "a list of videos"
    num_numbers = min((_num_numbers(values) for _, values in split), default=0)
    is_of_folders = num_numbers in _FOLDER_LISTS and not any(_is_video(values[0]) for _, values in split)
    num_values = num_numbers + 1 if is_of_folders else 2
    annotations: Annotations = {}
    for place, values in split:
        if len(values) < num_values or not values[-1]:
            raise LabelError(f"{place}: {values[0]!r} has no label; write a path and a label in each line")
        if len(values) > num_values:
            raise LabelError(
                f"{place}: {values[0]!r} has {len(values) - num_values + 1} labels, {values[-2]!r} and {values[-1]!r} "
                "among them; write one a video (or name the columns in the first line)"
            )
        add(annotations, values[0], Annotation(values[-1], None, place=place))
    what = _FOLDER_LISTS[num_numbers] if is_of_folders else "a list of videos with their labels"
    annotations, named_by = name_classes(path.parent, annotations)
    return annotations, what + named_by


def _cells(line: str, delimiter: str, place: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise LabelError(f"{place}: not a CSV ({error}); write one video a line") from error
    return [cell.strip() for cell in cells]


def _words(line: str, *, has_numbers: bool) -> list[str]:
    """Return the path, numbers between, and the label; has_numbers: whether every line ends with one."""
    if match := _VIDEO_AND_REST.fullmatch(line):
        rest = match[2].split()
        return [match[1], *rest] if all(word.isdecimal() for word in rest) else [match[1], match[2]]
    if _is_video(line):
        return [line]
    if has_numbers and (match := _NUMBERS.search(line)):
        return [line[: match.start()], *match[0].split()]
    return line.split(maxsplit=1)


def _num_numbers(values: Sequence[str]) -> int:
    return len(values) - 1 if all(value.isdecimal() for value in values[1:]) else 0


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_EXTENSIONS
