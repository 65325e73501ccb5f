"""Paths that the user named: as arguments, in lists, on standard input, as patterns; and texts among them."""

import os
import re
import stat
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import InputError, nearest_names
from ..names import composed

_BLOCK_BYTES = 1 << 16
_RAW_VIDEO = b"YUV4MPEG2 "  # the one kind of video that may begin without two null bytes
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # Path drops the second slash; one letter would be a Windows drive
_PATTERN_CHARACTERS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Given:
    """A source as it was given; `place` is where, in front of messages: '' for an argument."""

    text: str
    place: str = ""


def given_paths(sources: Sequence[str | Path], list_files: Sequence[Path | str]) -> list[Given]:
    """Return all sources, those of lists and of standard input among them, each as its name is on disk.

    Raises InputError if there is none, and for lists that cannot be read.
    """
    given: list[Given] = []
    for source in sources:
        given += _read_standard_input() if isinstance(source, str) and source == "-" else [Given(os.fspath(source))]
    for list_file in list_files:
        given += _read_list(Path(list_file))
    if not given:
        raise InputError("no source was given: name a folder, a video file, or a pattern such as 'clips/*.mp4'")
    return [replace(one, text=_as_on_disk(one.text)) for one in given]


def _as_on_disk(text: str) -> str:
    """Return a path with its names as they are on disk, if these differ by Unicode's form or Windows' slashes alone."""
    if "\\" in text and not os.path.lexists(text):
        with_slashes = _as_on_disk(text.replace("\\", "/"))
        return with_slashes if os.path.lexists(with_slashes) else text
    if text.isascii() or os.path.lexists(text):
        return text
    path = Path(text)
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        if not os.path.lexists(found / part):
            same = [name for name in _names_in(found) if composed(name) == composed(part)]
            if len(same) != 1:
                return text
            part = same[0]
        found /= part
    return os.fspath(found)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, which Path would have to be asked for
    except OSError:
        return []


def _read_list(list_file: Path) -> list[Given]:
    given = _sources_named_in(read_text(list_file), quoted(list_file))
    if not given:
        raise InputError(f"the list {quoted(list_file)} is empty: write one path a line into it")
    return given


def _read_standard_input() -> list[Given]:
    content = sys.stdin.buffer.read(_BLOCK_BYTES) if sys.stdin else b""
    if _is_binary(content):
        raise InputError(
            "standard input holds binary data, such as a video itself; '-' reads a list of paths: write the video to a "
            "file first, then name that file"
        )
    content += sys.stdin.buffer.read() if content else b""
    given = _sources_named_in(content.decode("utf-8", "surrogateescape").removeprefix("\ufeff"), "standard input")
    if not given:
        raise InputError("standard input ('-') is empty: write one path a line to it; a file of that name is './-'")
    return given


def _sources_named_in(text: str, where: str) -> list[Given]:
    separator, unit = ("\0", "path") if "\0" in text else ("\n", "line")
    lines = enumerate(text.split(separator), start=1)
    ending = "\r" if unit == "line" else ""
    return [Given(line.removesuffix(ending), f"{where}, {unit} {number}: ") for number, line in lines if line.strip()]


def kind_of(given: Given) -> Literal["folder", "file", "pattern"]:
    """Return what a source is; a pattern is what does not exist and has a pattern's characters.

    Raises InputError for everything else, naming what is there instead.
    """
    if not given.text:
        raise InputError("one of the sources is an empty text: name a folder, a video file or a pattern")
    try:
        mode = Path(given.text).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a null character
        if _PATTERN_CHARACTERS.search(given.text) and "\0" not in given.text and not _URL.match(given.text):
            return "pattern"
        raise _does_not_exist(given) from error
    except OSError as error:
        message = f"{given.place}cannot read {quoted(given.text)}: {error.strerror}"
        raise InputError(f"{message}; check its name and permissions, or name other sources") from error
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    raise InputError(f"{given.place}{quoted(given.text)} is neither a file nor a folder: name one of these")


def matches_of(pattern: str) -> list[Path]:
    """Return the paths that match a pattern, sorted: hidden ones only where the pattern names them so."""
    parts = Path(pattern).parts
    num_plain = next(index for index, part in enumerate(parts) if _PATTERN_CHARACTERS.search(part))
    base = Path(_as_on_disk(os.fspath(Path(*parts[:num_plain]))))
    # pathlib refuses 'a**', and what a final '**' means depends on Python's version: here, all below, as for a folder.
    rest = [part if part == "**" else re.sub(r"\*+", "*", part) for part in parts[num_plain:]]
    while rest and rest[-1] == "**":
        rest.pop()
    if not rest:
        return [base]
    forms = {"/".join(rest)} | {unicodedata.normalize(form, "/".join(rest)) for form in ("NFC", "NFD")}
    matches = sorted({match for form in forms for match in base.glob(form)})
    if any(part.startswith(".") for part in rest):
        return matches
    return [path for path in matches if not any(part.startswith(".") for part in path.relative_to(base).parts)]


def read_text(path: Path) -> str:
    """Return the text of a file that the user named, without a byte order mark.

    Raises InputError if it cannot be read or is neither UTF-8 nor, with a byte order mark, UTF-16.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _does_not_exist(Given(os.fspath(path)), expected="an existing text file") from error
    except OSError as error:
        raise InputError(f"cannot read {quoted(path)}: {error.strerror}; give a text file that can be read") from error
    if content.startswith(_UTF_16_MARKS):
        encoding = "utf-16"
    elif _is_binary(content):
        raise InputError(f"{quoted(path)} holds binary data, no text: save it as UTF-8 text (a spreadsheet as CSV)")
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{quoted(path)} is not UTF-8 text (byte {error.start}): save it as UTF-8, in Excel as 'CSV UTF-8'"
        ) from error


def _is_binary(content: bytes) -> bool:
    """Return whether this begins as no text and no list does; a list may separate paths by single null bytes."""
    return b"\0\0" in content[:_BLOCK_BYTES] or content.startswith(_RAW_VIDEO)


def _does_not_exist(given: Given, *, expected: str = "a folder, a video file or a pattern") -> InputError:
    path = Path(given.text)
    if _URL.match(given.text):
        return InputError(
            f"{given.place}{quoted(given.text)} is a URL, and vidrep reads files alone: download it first, then "
            "name the file"
        )
    if path.is_symlink():
        return InputError(f"{given.place}{quoted(path)} is a symbolic link to nothing: name {expected}")
    hint = _hint_from_siblings(path)
    return InputError(f"{given.place}{quoted(path)} does not exist: {hint or f'name {expected}'}")


def _hint_from_siblings(path: Path) -> str:
    """Offer names like the first part of `path` that does not exist."""
    try:
        while not path.parent.is_dir():
            path = path.parent
        if path.exists():  # a file where a folder was named
            return ""
        siblings = sorted(sibling.name for sibling in path.parent.iterdir())
    except OSError:
        return ""
    return nearest_names(path.name, siblings)


def quoted(path: str | Path) -> str:
    """Return a path for a message; a name may hold line ends, or bytes that cannot be printed."""
    return repr(os.fspath(path))
