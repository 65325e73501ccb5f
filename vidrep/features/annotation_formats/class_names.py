"""Names of classes that a list calls by numbers."""

import json
import re
from dataclasses import replace
from pathlib import Path

from ...errors import InputError, LabelError, some_names
from ...names import composed
from ...video.named_paths import read_text
from .entries import Annotations

_CLASS_NAMES = re.compile(r"(.*_)?(label_map.*\.txt|vocab\.json)", re.IGNORECASE)


def name_classes(folder: Path, annotations: Annotations) -> tuple[Annotations, str]:
    """Return annotations with names in place of numbers, if all labels are numbers and they have names; and whence.

    Names are those in `label_map.txt` in the folder, one a line, or in `vocab.json`, a list, counted from 0; else those
    of the videos' folders, if each number has one folder and each folder one number. Else numbers stay.

    Raises LabelError for a number without a name in such a file, or for several such files.
    """
    numbers = {given.label for given in annotations.values() if given.label}
    if not numbers or not all(number.isdecimal() for number in numbers):
        return annotations, ""
    names, named_by = _names_beside(folder, numbers)
    if not names:
        names, named_by = _names_of_folders(annotations), ", numbers named by the videos' folders"
    if not names:
        return annotations, ", labels are numbers"
    named = {
        video: replace(given, label=names[given.label]) if given.label else given
        for video, given in annotations.items()
    }
    return named, named_by


def _names_beside(folder: Path, numbers: set[str]) -> tuple[dict[str, str], str]:
    try:
        files = sorted(path for path in folder.iterdir() if _CLASS_NAMES.fullmatch(path.name))
    except OSError as error:
        raise InputError(f"cannot read the folder {str(folder)!r}: {error.strerror}; change its permissions") from error
    if len(files) > 1:
        found = some_names(file.name for file in files)
        raise LabelError(f"{str(folder)!r} holds several files with names of classes: {found}; keep one of them there")
    if not files:
        return {}, ""
    names = {str(number): composed(name) for number, name in enumerate(_names_in(files[0]))}
    if nameless := sorted(numbers - names.keys(), key=int):
        there = f"which has 0 to {len(names) - 1}" if names else "which names none"
        raise LabelError(f"class number {nameless[0]} is not in {str(files[0])!r}, {there}; add its name")
    return names, f", numbers named by {files[0].name}"


def _names_in(path: Path) -> list[str]:
    text = read_text(path)
    if path.suffix.casefold() != ".json":
        return [line.strip() for line in text.strip().splitlines()]
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabelError(f"{str(path)!r}, line {error.lineno}: not JSON ({error.msg}); correct it") from error
    if not isinstance(content, list):
        raise LabelError(f"{str(path)!r} is no JSON list of names; write one name for each class")
    return ["_".join(map(str, name)) if isinstance(name, list) else str(name) for name in content]


def _names_of_folders(annotations: Annotations) -> dict[str, str]:
    pairs = {
        (given.label, video.replace("\\", "/").split("/")[-2])
        for video, given in annotations.items()
        if given.label and re.search(r"[/\\]", video)
    }
    names = {number: folder for number, folder in pairs if number}
    videos_without_folder = any(given.label and not re.search(r"[/\\]", name) for name, given in annotations.items())
    one_to_one = len(names) == len(pairs) == len(set(names.values()))
    return names if one_to_one and not videos_without_folder else {}
