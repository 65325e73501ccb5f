"""Which video files a command works on: folders, files, patterns and lists become paths with a key and a label."""

import logging
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import InputError, nearest_names, some_names

_log = logging.getLogger(__name__)

_EXTENSIONS = (
    ".mp4 .m4v .mov .qt .avi .divx .mkv .webm .mpg .mpeg .mpe .m1v .m2v .ts .mts .m2ts .m2t .wmv .asf .flv .f4v "
    ".ogv .ogm .3gp .3g2 .vob .mxf .y4m .rm .rmvb .dv .nut .ivf .h264 .264 .h265 .265 .hevc .mjpeg .mjpg"
)
VIDEO_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""What a file's name must end with, in lower or upper case, to be taken from a folder. Animated pictures (.gif) are
left out. A file named by itself is taken whatever its extension."""

_PATTERN_CHARACTERS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class VideoSource:
    """One video file to work on.

    path: the file, as it is reached from the source that was given.
    key: its name in every file of ours, '/' separated, unique among the videos that were found together.
    label: the name of its parent folder within its source, '' if it has none there.
    """

    path: Path
    key: str
    label: str


def find_videos(
    sources: Sequence[str | Path], *, list_files: Sequence[Path | str] = (), follow_links: bool = False
) -> list[VideoSource]:
    """Find the videos that the sources name, sorted by key.

    A source is one of these:

    - A folder: its files with a known extension (VIDEO_EXTENSIONS), at any depth. Hidden files and folders are left
      out, symbolic links are too unless they lead to a file inside the same folder; how many were, is logged.
    - A file, taken whatever its extension.
    - A pattern, if no such path exists and it has one of `*?[` in it. `*` leaves out hidden names; `**` is any depth
      and passes through no linked folder. Matches count as files given one by one; a matching folder is searched.
    - The text "-": standard input names sources like a list file does, in whatever bytes the names have. A file of that
      name is "./-".

    list_files: texts in UTF-8 with one source a line, relative to the current folder; blank lines are left out. If
        there is a null byte in it, sources end with null bytes instead, as `find -print0` writes them.
    follow_links: take symbolic links in folders to files and folders anywhere. Every folder is searched once, by its
        own path within the source if it lies there.

    Keys and labels: one folder alone gives paths relative to it ("left/a.mp4", label "left"). Beside other sources the
    folder's name goes in front ("clips/left/a.mp4", label "left"). Files give paths relative to the folder that all
    of them have in common, so the key of a file depends on which others are given with it; a single one gives its name.
    The label is '' for videos directly in that folder. Bytes in a name that are not UTF-8 are written '\\xff'.
    The same file reached twice under one key is taken once.

    Raises InputError for a source that does not exist or cannot be read, names no video, or for two files with one key.
    """
    if isinstance(sources, str):
        raise TypeError(f"sources must be a sequence of paths, not one string: [{sources!r}]")
    given: list[_Given] = []
    for source in sources:
        given += _read_standard_input() if isinstance(source, str) and source == "-" else [_Given(os.fspath(source))]
    for list_file in list_files:
        given += _read_list(Path(list_file))
    if not given:
        raise InputError("no source was given: name a folder, a video file, or a pattern such as 'clips/*.mp4'")

    found: list[VideoSource] = []
    files: list[Path] = []
    for one in given:
        kind = _kind(one)
        if kind == "folder":
            found += _videos_of_folder(one, name_in_front=len(given) > 1, follow_links=follow_links)
        elif kind == "file":
            files.append(Path(one.text))
        elif _PATTERN_CHARACTERS.search(one.text) and "\0" not in one.text:
            files += _files_of_pattern(one, follow_links=follow_links)
        else:
            raise _does_not_exist(one)
    return _without_repeats(found + _keyed_files(files))


@dataclass(frozen=True)
class FoundFiles:
    """What `find_files` found: files, sorted; how many there are of each other suffix; how many links are left out."""

    paths: list[Path]
    num_others: Counter[str]
    num_links_left_out: int


def find_files(folder: Path, suffixes: Collection[str], *, follow_links: bool = False) -> FoundFiles:
    """Find a folder's files with these suffixes, in lower or upper case, at any depth, as find_videos does.

    Raises InputError for a folder that cannot be read.
    """
    contents = _search(folder, suffixes=suffixes, follow_links=follow_links)
    return FoundFiles(sorted(contents.videos), contents.num_others, contents.num_links_left_out)


def read_text(path: Path) -> str:
    """Return the text of a file that the user named, without a byte order mark.

    Raises InputError if it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise _does_not_exist(_Given(os.fspath(path)), expected="an existing text file") from error
    except OSError as error:
        raise InputError(f"cannot read {_quoted(path)}: {error.strerror}; give a text file that can be read") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{_quoted(path)} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error


@dataclass(frozen=True)
class _Given:
    """A source as it was given; `place` is where, in front of messages: '' for an argument."""

    text: str
    place: str = ""


def _read_list(list_file: Path) -> list[_Given]:
    given = _sources_named_in(read_text(list_file), _quoted(list_file))
    if not given:
        raise InputError(f"the list {_quoted(list_file)} is empty: write one path a line into it")
    return given


def _read_standard_input() -> list[_Given]:
    content = sys.stdin.buffer.read() if sys.stdin else b""
    given = _sources_named_in(content.decode("utf-8", "surrogateescape").removeprefix("\ufeff"), "standard input")
    if not given:
        raise InputError("standard input ('-') is empty: write one path a line to it; a file of that name is './-'")
    return given


def _sources_named_in(text: str, where: str) -> list[_Given]:
    separator, unit = ("\0", "path") if "\0" in text else ("\n", "line")
    lines = enumerate(text.split(separator), start=1)
    ending = "\r" if unit == "line" else ""
    return [_Given(line.removesuffix(ending), f"{where}, {unit} {number}: ") for number, line in lines if line.strip()]


def _kind(given: _Given) -> Literal["folder", "file", "missing"]:
    if not given.text:
        raise InputError("one of the sources is an empty text: name a folder, a video file or a pattern")
    try:
        mode = Path(given.text).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character
        return "missing"
    except OSError as error:
        message = f"{given.place}cannot read {_quoted(given.text)}: {error.strerror}"
        raise InputError(f"{message}; check its name and permissions, or name other sources") from error
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    raise InputError(f"{given.place}{_quoted(given.text)} is neither a file nor a folder: name one of these")


@dataclass
class _Contents:
    """What is in a folder, at any depth; the counts are for the message when there is no video."""

    videos: list[Path] = field(default_factory=list)
    num_others: Counter[str] = field(default_factory=Counter)
    num_links_left_out: int = 0


def _search(root: Path, *, suffixes: Collection[str] = VIDEO_EXTENSIONS, follow_links: bool) -> _Contents:
    contents = _Contents()
    real_root = os.path.realpath(root)
    folders, links, searched = [root], list[Path](), set[str]()
    while folders or links:
        # Links come last, so that a folder in the source has its own path although a link leads to it, too.
        folder = folders.pop() if folders else links.pop()
        real_folder = os.path.realpath(folder)
        if real_folder in searched:
            continue
        searched.add(real_folder)
        for entry in _entries(folder):
            path = Path(entry.path)
            target = path if entry.is_symlink() else entry  # a path takes a link to itself for nothing
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and not (follow_links or _leads_to_file_inside(path, real_root)):
                contents.num_links_left_out += 1
            elif target.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif target.is_file():
                if path.suffix.lower() in suffixes:
                    contents.videos.append(path)
                else:
                    contents.num_others[path.suffix.lower() or "no extension"] += 1
            elif entry.is_symlink():
                contents.num_links_left_out += 1
        links.sort(reverse=True)
    if contents.videos and contents.num_links_left_out:
        why = "they lead to nothing" if follow_links else "they lead to folders, or out of it"
        _log.warning("%s: %d symbolic links are left out: %s", _quoted(root), contents.num_links_left_out, why)
    return contents


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        message = f"cannot read the folder {_quoted(folder)}: {error.strerror}"
        raise InputError(f"{message}; change its permissions or name other sources") from error


def _leads_to_file_inside(link: Path, real_root: str) -> bool:
    target = Path(os.path.realpath(link))
    return target.is_relative_to(real_root) and target.is_file()


def _videos_of_folder(given: _Given, *, name_in_front: bool, follow_links: bool) -> list[VideoSource]:
    root = Path(given.text)
    contents = _search(root, follow_links=follow_links)
    if not contents.videos:
        raise InputError(f"{given.place}{_why_no_video(root, contents)}")
    # '.' and '..' have no name of their own.
    name = root.name if root.name not in ("", "..") else Path(os.path.realpath(root)).name
    prefix = f"{_as_utf8(name)}/" if name_in_front and name else ""
    return [_video(path, path.relative_to(root).parts, prefix=prefix) for path in contents.videos]


def _why_no_video(root: Path, contents: _Contents) -> str:
    links = f" ({contents.num_links_left_out} symbolic links left out)" if contents.num_links_left_out else ""
    num_files = contents.num_others.total()
    if not num_files:
        return f"the folder {_quoted(root)} holds no files{links}: name a folder with videos"
    others = some_names(f"{count} {_printable(extension)}" for extension, count in contents.num_others.most_common())
    known = "known are .mp4, .avi, .mkv and the like, anything else is to be named file by file"
    return f"none of the {num_files} files in the folder {_quoted(root)} is a video: {others}{links}; {known}"


def _files_of_pattern(given: _Given, *, follow_links: bool) -> list[Path]:
    matches = [path for path in _matches(given.text) if path.is_dir() or path.is_file()]
    if not matches:
        raise InputError(f"{given.place}the pattern {_quoted(given.text)} matches nothing: check it, or name a folder")
    files = [path for path in matches if path.is_file()]
    for folder in matches:
        if folder.is_dir():
            files += _search(folder, follow_links=follow_links).videos
    if not files:
        raise InputError(f"{given.place}the pattern {_quoted(given.text)} matches only folders without a video")
    return files


def _matches(pattern: str) -> list[Path]:
    parts = Path(pattern).parts
    num_plain = next(index for index, part in enumerate(parts) if _PATTERN_CHARACTERS.search(part))
    base = Path(*parts[:num_plain])
    # pathlib refuses 'a**', and what a final '**' means depends on Python's version: here, all below, as for a folder.
    rest = [part if part == "**" else re.sub(r"\*+", "*", part) for part in parts[num_plain:]]
    while rest and rest[-1] == "**":
        rest.pop()
    if not rest:
        return [base]
    matches = sorted(base.glob("/".join(rest)))
    if any(part.startswith(".") for part in rest):
        return matches
    return [path for path in matches if not any(part.startswith(".") for part in path.relative_to(base).parts)]


def _keyed_files(files: list[Path]) -> list[VideoSource]:
    if not files:
        return []
    absolute = [Path(os.path.normpath(file.absolute())) for file in files]
    common = os.path.commonpath([file.parent for file in absolute])
    return [_video(file, whole.relative_to(common).parts) for file, whole in zip(files, absolute, strict=True)]


def _video(path: Path, parts: Sequence[str], *, prefix: str = "") -> VideoSource:
    names = [_as_utf8(part) for part in parts]
    return VideoSource(path, prefix + "/".join(names), names[-2] if len(names) > 1 else "")


def _as_utf8(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _without_repeats(found: list[VideoSource]) -> list[VideoSource]:
    by_key: dict[str, VideoSource] = {}
    for video in found:
        first = by_key.setdefault(video.key, video)
        if first is not video and os.path.realpath(first.path) != os.path.realpath(video.path):
            both = f"{_quoted(first.path)} and {_quoted(video.path)}"
            raise InputError(
                f"two files have the key {video.key!r}: {both}; rename one, or give one folder that holds both"
            )
    return sorted(by_key.values(), key=lambda video: video.key)


def _does_not_exist(given: _Given, *, expected: str = "a folder, a video file or a pattern") -> InputError:
    path = Path(given.text)
    if path.is_symlink():
        return InputError(f"{given.place}{_quoted(path)} is a symbolic link to nothing: name {expected}")
    hint = _hint_from_siblings(path)
    return InputError(f"{given.place}{_quoted(path)} does not exist: {hint or f'name {expected}'}")


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


def _quoted(path: str | Path) -> str:
    return repr(os.fspath(path))  # repr: a name may hold line ends, or bytes that cannot be printed


def _printable(text: str) -> str:
    return repr(text)[1:-1]
