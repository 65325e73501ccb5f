"""What all formats share: the file that is read, the collector of what it says, and a format's description."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from ...errors import LabelError
from ...features.annotation_formats.tables import Row, table_rows
from ...names import composed
from ..frame_clock import FrameClock
from ..segment import Annotations, Segment, Span

# Line ends and tabs would end a value in some formats; a blank is as good in a name.
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_DELIMITERS = ("\t", ";", ",")
_FIRST_CHARACTERS = 1 << 17  # the longest cell that the csv module takes


@dataclass(frozen=True)
class Source:
    """A file that is to be read.

    clock: turns frame numbers into seconds, if there is one.
    """

    path: Path
    text: str
    clock: FrameClock | None = None

    @property
    def video(self) -> str:
        """The name of the video where the file does not have it: the file's own, without its suffix."""
        return self.path.stem

    @cached_property
    def first_lines(self) -> list[str]:
        """The first lines that are not blank, without Excel's "sep=;"."""
        lines = self.text[:_FIRST_CHARACTERS].splitlines()
        return [line for line in lines if line.strip(" ;,\t") and not re.fullmatch(r"sep=.", line.strip())]

    def is_blank(self, suffix: str) -> bool:
        """Return whether this is an empty file with this suffix: of formats without a head, one without a segment."""
        return not self.first_lines and self.path.suffix.casefold() == suffix

    @cached_property
    def delimiter(self) -> str:
        """What separates the columns of a table: what divides its first line into most."""
        first = self.first_lines[0] if self.first_lines else ""
        return max(_DELIMITERS, key=first.count)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of a table that are not blank; LabelError if it is none."""
        return table_rows(self.path, self.text, self.delimiter)

    @cached_property
    def first_rows(self) -> list[list[str]]:
        """The cells of the first two rows of a table, or of those that are well formed."""
        found: list[list[str]] = []
        with suppress(LabelError):  # whoever reads the table raises it
            found.extend(row.values for row in islice(self.rows(), 2))
        return found

    @property
    def head(self) -> list[str]:
        """The cells of the first row, [] if there is none."""
        return self.first_rows[0] if self.first_rows else []


class Collector:
    """Collects what a file says, and checks it row by row."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._watched: dict[str, list[Span]] = defaultdict(list)
        self._splits: dict[str, str] = {}
        self._labels: list[str] = []

    def segment(
        self, place: str, video: str, start: float, end: float, label: str, *, subject: str = "", group: str = ""
    ) -> None:
        """Add a segment; LabelError if it has no label, no video or no times that can be."""
        require_times(place, start, end)
        name = cleaned(label, "label", place)
        if not name:
            raise LabelError(f"{place}: no label; write one, or remove the row")
        names = self.video(place, video), cleaned(subject, "subject", place), cleaned(group, "group", place)
        self._segments.append(Segment(names[0], start, end, name, names[1], names[2], place=place))

    def watch(self, place: str, video: str, start: float, end: float) -> None:
        """Add a span in which everything is annotated."""
        require_times(place, start, end)
        self._watched[self.video(place, video)].append(Span(start, end))

    def video(self, place: str, name: str) -> str:
        """Name a video, perhaps one without segments; return its name as it is kept."""
        video = cleaned(name, "video", place)
        if not video:
            raise LabelError(f"{place}: no video is named; write its name or its path")
        self._watched.setdefault(video, [])
        return video

    def split(self, place: str, video: str, split: str) -> None:
        """Add a video's split, "" for none; LabelError if it has another one."""
        name = self.video(place, video)
        if split and (other := self._splits.setdefault(name, split)) != split:
            raise LabelError(f"{place}: {name!r} is in the splits {other!r} and {split!r}; keep one of them")

    def label(self, place: str, name: str) -> None:
        """Name a label, perhaps one that never occurs."""
        self._labels.append(cleaned(name, "label", place))

    def annotations(self) -> Annotations:
        """Return what was collected."""
        return Annotations.of(self._segments, self._watched, self._splits, self._labels)


def require_times(place: str, start: float, end: float) -> None:
    """Raise LabelError for times before the video, and for an end before the start."""
    if start < 0:
        raise LabelError(f"{place}: starts at {start:g} s, before the video; write times from its beginning on")
    if end < start:
        raise LabelError(f"{place}: ends at {end:g} s, before it starts at {start:g} s; swap or correct them")


def cleaned(name: str, what: str, place: str) -> str:
    """Return a name in NFC, in one line; LabelError if it holds characters that no format can."""
    name = composed(_BREAKS.sub(" ", name).strip())
    if not name.isprintable():
        for character in name:
            if unicodedata.category(character) in ("Cc", "Cs"):
                raise LabelError(f"{place}: the {what} {name!r} holds the control character {character!r}; remove it")
    return name


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a file says, and a word on what of it is left out, '' if nothing is."""

    annotations: Annotations
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of annotations with time.

    name: for `--format`. title: in words. ending: of the names of files that are written.
    one_video: whether a file is of one video. counts_frames: whether it numbers frames, and has no seconds.
    matches: whether a file is of this format, by its content. read: raises LabelError for what does not fit.
    write: the text of a file; raises LabelError for what cannot be written at all.
    """

    name: str
    title: str
    ending: str
    one_video: bool = False
    counts_frames: bool = False
    matches: Callable[[Source], bool]
    read: Callable[[Source], Contents]
    write: Callable[[Annotations, FrameClock | None], str]


def left_out(names: list[str]) -> str:
    """Return a note on columns that are left out."""
    return f" (left out: {', '.join(names)})" if names else ""
