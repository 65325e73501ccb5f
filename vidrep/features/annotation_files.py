"""Annotation files: labels, splits and groups from lists of many formats, which are recognized by their content."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, LabelError
from ..names import composed
from ..video.named_paths import quoted, read_text
from .annotation_formats import hmdb51, ucf101
from .annotation_formats.entries import NAMES_OF_SPLITS, Annotations, add
from .annotation_formats.json_lists import read_json
from .annotation_formats.plain_lists import read_list
from .annotation_formats.tables import read_table, table_delimiter
from .annotations import SPLITS, Annotation
from .groups import recording_of

_log = logging.getLogger(__name__)

# Data sets whose lists are recognized by their names: in these, the second group is the official split's number.
_BY_NAME = {ucf101.LIST_NAME: ucf101.read_ucf101, hmdb51.LIST_NAME: hmdb51.read_hmdb51}
_LIST_SUFFIXES = frozenset({".csv", ".json", ".tsv", ".txt"})
_SPLIT_NUMBER = re.compile(r"split_?(\d+)", re.IGNORECASE)


def read_annotations(
    *,
    labels: Path | str | Sequence[Path | str] | None = None,
    splits: Path | str | None = None,
    number: int = 1,
    extend: bool = False,
) -> dict[str, Annotation]:
    """Read lists of videos with their labels, splits and groups, and merge them; a line in the log describes each.

    labels: lists, or folders of lists. By its content, a list is one of these:

    - a table (CSV) whose first line names its columns: our own, those of spreadsheets, Kinetics';
    - JSON: Something-Something's, Diving48's, Kinetics';
    - a text with a path and a label a line, or mmaction2's list of videos or of folders of frames; or paths alone, if
      its name has a split in it and counts;
    - UCF-101's and HMDB-51's lists, by the names of their files: all that have the same number.

    A folder holds UCF-101's or HMDB-51's lists, or lists whose names have a split in them ("train.json"), which their
    videos get unless the list names splits itself; so do several lists in `labels`.
    splits: a list or folder of these, from which every split comes; those in `labels` are ignored then.
    number: which of several official splits a folder's lists are read of.
    extend: videos that the lists do not name keep the labels, splits and groups that they have; without it they have
        none of what the lists name, see `vidrep.features.annotations.merge`.

    Names, labels and groups are in NFC. A group that no list names is the recording that a name of UCF-101 has in it.

    Raises LabelError, naming the line, for what does not fit the format, and for a video with two labels, splits or
    groups; InputError for a file that cannot be read.
    """
    given = [] if labels is None else [labels] if isinstance(labels, Path | str) else list(labels)
    annotations: Annotations = {}
    for path in map(Path, given):
        for name, one in _read(path, number, split_of_name=len(given) > 1).items():
            add(annotations, name, replace(one, split=None) if splits is not None else one)
    if splits is not None:
        for name, one in _read(Path(splits), number).items():
            add(annotations, name, one)
    return {name: replace(one, extends=extend) for name, one in annotations.items()}


def _read(path: Path, number: int, *, split_of_name: bool = False) -> Annotations:
    """Read a list or a folder of lists, and log what it is."""
    annotations, what = _recognized(path, number)
    if not annotations:
        raise LabelError(f"{quoted(path)} names no video: write a line 'video,label' and one line a video under it")
    if split_of_name and (split := _split_in(path.stem)):
        annotations = _with_split(annotations, split)
    for name, one in annotations.items():
        if (one.label, one.split, one.group) == (None, None, None):
            raise LabelError(f"{one.place}: {name!r} has no label; write a path and a label in each line")
    annotations = {name: _finished(name, one) for name, one in annotations.items()}
    _log.info("%s: %s: %s", quoted(path), what, _counts(annotations))
    return annotations


def _recognized(path: Path, number: int) -> tuple[Annotations, str]:
    """Return the annotations of a list or a folder of lists, and what it is, in words."""
    if path.is_dir():
        return _recognized_folder(path, number)
    for pattern, read in _BY_NAME.items():
        if path.is_file() and (match := pattern.fullmatch(path.name)):
            return read(path.parent, _names_in(path.parent), int(match[2]))
    text = read_text(path)
    if text.lstrip().startswith(("{", "[")):
        return read_json(path, text)
    if (delimiter := table_delimiter(text)) is not None:
        return read_table(path, text, delimiter)
    return read_list(path, text)


def _recognized_folder(folder: Path, number: int) -> tuple[Annotations, str]:
    names = _names_in(folder)
    for pattern, read in _BY_NAME.items():
        if any(pattern.fullmatch(name) for name in names):
            return read(folder, names, number)
    return _lists_of_splits(folder, names, number)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(
            f"cannot read the folder {quoted(folder)}: {error.strerror}; change its permissions"
        ) from error


def _lists_of_splits(folder: Path, names: Sequence[str], number: int) -> tuple[Annotations, str]:
    """Read the lists in a folder whose names have a split in them, and this number if they have any."""
    splits = {
        name: split
        for name in names
        if Path(name).suffix.lower() in _LIST_SUFFIXES and (split := _split_in(Path(name).stem))
    }
    chosen = {name: split for name, split in splits.items() if _number_in(name) in (None, number)}
    if not chosen:
        numbers = sorted({_number_in(name) for name in splits} - {None})  # type: ignore[type-var]
        if numbers:
            there = ", ".join(map(str, numbers))
            raise LabelError(f"{quoted(folder)} has no lists with the number {number}: it has {there}")
        known = "UCF-101's, HMDB-51's, or lists with a split in their names, such as train.csv and test.csv"
        raise LabelError(f"{quoted(folder)} holds no lists that are recognized: {known}; name one list itself")
    annotations: Annotations = {}
    for name, split in chosen.items():
        for video, one in _with_split(_recognized(folder / name, number)[0], split).items():
            add(annotations, video, one)
    return annotations, f"lists {', '.join(chosen)}"


def _split_in(stem: str) -> str | None:
    """Return the split in the name of a list, None if there is none or several are."""
    words = re.findall("[a-z]+", stem.casefold())
    found = {NAMES_OF_SPLITS[word] for word in words if word in NAMES_OF_SPLITS}
    return found.pop() if len(found) == 1 else None


def _number_in(name: str) -> int | None:
    match = _SPLIT_NUMBER.search(name)
    return int(match[1]) if match else None


def _with_split(annotations: Annotations, split: str) -> Annotations:
    return {name: replace(one, split=split) if one.split is None else one for name, one in annotations.items()}


def _finished(name: str, given: Annotation) -> Annotation:
    """Return an annotation with its label and group in NFC; a group that is not named is UCF-101's recording."""
    label = None if given.label is None else composed(given.label)
    group = recording_of(name) if given.group is None else composed(given.group)
    return replace(given, label=label, group=group)


def _counts(annotations: Mapping[str, Annotation]) -> str:
    labels = {one.label for one in annotations.values()} - {None, ""}
    groups = {one.group for one in annotations.values()} - {None, ""}
    splits = Counter(one.split for one in annotations.values())
    counts = [f"{len(annotations)} videos", f"{len(labels)} labels"]
    counts += [f"{splits[split]} {split}" for split in SPLITS if splits[split]]
    counts += [f"{len(groups)} groups"] if groups else []
    return ", ".join(counts)
