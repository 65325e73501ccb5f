"""What all formats of annotation files share: places for messages, splits, and names that come twice."""

from collections.abc import Iterator
from pathlib import Path

from ...errors import LabelError, nearest_names
from ...names import composed
from ...video.split_folders import SPLIT_NAMES
from ..annotations import SPLITS, Annotation, combined

Annotations = dict[str, Annotation]
"""The annotation of each video, by its name."""

NAMES_OF_SPLITS = {**SPLIT_NAMES, "validate": "validation"}
"""The split that a word in an annotation file stands for, in small letters; "validate" is Kinetics'."""


def add(annotations: Annotations, name: str, given: Annotation) -> None:
    """Add a video's annotation, in NFC; one that stands there twice must not contradict itself, else LabelError."""
    name = composed(name)
    known = annotations.get(name)
    if known is None:
        annotations[name] = given
    elif known != given:
        annotations[name] = combined(name, known, given)


def checked_split(split: str, place: str) -> str:
    """Return the split that a word stands for, '' for ''; LabelError for another word."""
    known = NAMES_OF_SPLITS.get(split.casefold())
    if known is not None or not split:
        return known or ""
    hint = nearest_names(split.casefold(), SPLITS)
    message = f"{place}: unknown split {split!r}; allowed are {', '.join(SPLITS)} or nothing; {hint}"
    raise LabelError(message.rstrip("; "))


def place_of(path: Path, line: int) -> str:
    """Return a line's place, in front of messages."""
    return f"{str(path)!r}, line {line}"


def lines_of(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text, in NFC, of each line that is not blank."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield place_of(path, number), composed(line.strip())
