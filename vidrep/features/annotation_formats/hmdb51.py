"""HMDB-51's lists: CLASS_test_splitN.txt, one a class and split."""

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import LabelError, some_names
from ...video.named_paths import read_text
from ..annotations import Annotation
from .entries import Annotations, add, lines_of

LIST_NAME = re.compile(r"(.+)_test_split(\d+)\.txt")
_SPLITS = {"0": "", "1": "train", "2": "test"}


def read_hmdb51(folder: Path, names: Sequence[str], number: int) -> tuple[Annotations, str]:
    """Read the lists with this number of all classes; return them and what they are, in words.

    A line is a video and 1 for training, 2 for testing, or 0: the video has its label, and no split. A video's group is
    its source, the film whose name its own begins with, and its class; the official splits do not divide it.

    names: of the files in the folder.

    Raises LabelError, naming the line, for other lines, and if no list has the number.
    """
    lists = {match[1]: folder / name for name in names if (match := LIST_NAME.fullmatch(name)) and _is(match, number)}
    if not lists:
        numbers = sorted({int(match[2]) for name in names if (match := LIST_NAME.fullmatch(name))})
        there = some_names(map(str, numbers))
        raise LabelError(f"{str(folder)!r} has no lists with the number {number}: it has {there}")
    annotations: Annotations = {}
    for label, path in sorted(lists.items()):
        for place, line in lines_of(path, read_text(path)):
            name, *last = line.rsplit(maxsplit=1)
            if len(last) != 1 or last[0] not in _SPLITS:
                raise LabelError(f"{place}: {line!r} is not a video and 0, 1 or 2; write 1 for training, 2 for testing")
            source = re.match(rf"(.+?)_{re.escape(label)}_", name)
            group = f"{source[1]}_{label}" if source else None
            add(annotations, f"{label}/{name}", Annotation(label, _SPLITS[last[0]], group, place=place))
    return annotations, f"HMDB-51's lists with the number {number}"


def _is(match: re.Match[str], number: int) -> bool:
    return int(match[2]) == number
