"""ELAN's tab-delimited text: a row for each annotation, or one for each time with a column for each tier.

Times count in seconds, in hours:minutes:seconds or in milliseconds, whichever columns are there. Without a line of
names, columns are in ELAN's own order: tier, participant, begin, end, perhaps duration, value.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence

from ...errors import LabelError
from ...features.annotation_formats.entries import place_of
from ..frame_clock import FrameClock
from ..segment import Annotations, Segment
from ..times import is_time, seconds_of, thousandths
from .elan import WATCHED, path_of
from .source import Collector, Contents, Format, Source

# Of the forms that a time may have, the first that is there counts; numbers of frames of PAL and NTSC do not.
_FORMS: Mapping[str, float] = {"ss.msec": 1.0, "hh:mm:ss.ms": 1.0, "msec": 0.001}
_TIME = re.compile(r"(begin|end) time(?: - (.*))?")
_NOT_LABELS = re.compile(r"(begin time|end time|duration)( - .*)?|tier|participant|file|file path")
_MEDIA = re.compile(r'"?#(.*?) -- offset: (-?\d+)"?')
_TIER, _PARTICIPANT = 0, 1
_TOLERANCE = 0.002  # seconds, between an end and a start with its duration


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _content(source: Source) -> tuple[str, str]:
    """Return a text without its lines of media, and the video that the first of them names."""
    lines = source.text.splitlines(keepends=True)
    media = [match for line in lines if (match := _MEDIA.fullmatch(line.strip()))]
    # Lines stay, empty, so that rows keep their numbers.
    kept = "".join("\n" if line.lstrip('"').startswith("#") else line for line in lines)
    return kept, path_of(media[0][1]) if media else source.video


def _matches(source: Source) -> bool:
    lines = [line for line in source.first_lines if not line.lstrip('"').startswith("#")]
    cells = next(csv.reader(lines[:1], delimiter=_delimiter(lines)), [])
    return _has_names(cells) or _is_row(cells)


def _delimiter(lines: Sequence[str]) -> str:
    return "\t" if lines and "\t" in lines[0] else ","


def _has_names(cells: Sequence[str]) -> bool:
    return {match[1] for cell in cells if (match := _TIME.fullmatch(_plain(cell)))} == {"begin", "end"}


def _is_row(cells: Sequence[str]) -> bool:
    times = cells[_PARTICIPANT + 1 : -1]
    return (
        len(times) > 1
        and not is_time(cells[_TIER])
        and all(is_time(cell) for cell in times)
        and _times(times) is not None
    )


def _times(cells: Sequence[str]) -> tuple[float, float] | None:
    """Return begin and end of the times in a row without names: each in as many forms, a duration perhaps behind."""
    seconds = [float(cell) / 1000 if cell.isdecimal() else seconds_of(cell, "", "") for cell in cells]
    for num_kinds in (3, 2):
        num_forms, rest = divmod(len(seconds), num_kinds)
        if num_forms and not rest:
            start, end, *durations = seconds[::num_forms]
            if not durations or abs(end - start - durations[0]) < _TOLERANCE:
                return start, end
    return None


def _read(source: Source) -> Contents:
    text, video = _content(source)
    without_media = Source(source.path, text)
    rows = iter(without_media.rows())
    first = next(rows, None)
    found = Collector()
    found.video(place_of(source.path, 1), video)
    if first is not None and _has_names(first.values):
        add = _by_names(found, video, *first)
    else:
        add = _by_order(found, video)
        if first is not None:
            add(*first)
    for place, values in rows:
        add(place, values)
    return Contents(annotations=found.annotations())


def _by_names(found: Collector, video: str, head: str, names: Sequence[str]) -> Callable[[str, list[str]], None]:
    """Return what adds a row of a table with these names of columns, whose place is `head`."""
    plain = [_plain(name) for name in names]
    columns = {kind: _column_of(kind, plain, head) for kind in ("begin", "end")}
    labels = [index for index, name in enumerate(plain) if name and not _NOT_LABELS.fullmatch(name)]
    known = {name: index for index, name in enumerate(plain)}

    def add(place: str, values: list[str]) -> None:
        if len(values) != len(names):
            raise LabelError(f"{place}: {len(values)} values for {len(names)} columns; export the file again")
        start, end = (seconds_of(values[index], kind, place) * unit for kind, (index, unit) in columns.items())
        participant = values[known["participant"]] if "participant" in known else ""
        for index in labels:
            tier = values[known["tier"]] if "tier" in known else names[index]
            if values[index] or "tier" in known:
                _add(found, place, video, start, end, tier, participant, values[index])

    return add


def _column_of(kind: str, names: Sequence[str], place: str) -> tuple[int, float]:
    """Return which column has a time, and how many seconds its unit is."""
    for form, unit in _FORMS.items():
        if (name := f"{kind} time - {form}") in names:
            return names.index(name), unit
    if (name := f"{kind} time") in names:
        return names.index(name), 1.0
    raise LabelError(f"{place}: no column '{kind} time' in seconds, hours:minutes:seconds or milliseconds; export one")


def _by_order(found: Collector, video: str) -> Callable[[str, list[str]], None]:
    """Return what adds a row of a table without names of columns."""

    def add(place: str, values: list[str]) -> None:
        if not _is_row(values):
            raise LabelError(f"{place}: not tier, participant, begin, end and value; export with names of columns")
        times = _times(values[_PARTICIPANT + 1 : -1])
        assert times is not None  # by _is_row
        _add(found, place, video, *times, values[_TIER], values[_PARTICIPANT], values[-1])

    return add


def _add(
    found: Collector, place: str, video: str, start: float, end: float, tier: str, participant: str, value: str
) -> None:
    start, end = round(start, 6), round(end, 6)
    if tier == WATCHED:
        found.watch(place, video, start, end)
    else:
        found.segment(place, video, start, end, value or tier, subject=participant)


_NAMES = ("Tier", "Participant", "Begin Time - ss.msec", "End Time - ss.msec", "Duration - ss.msec", "Annotation")


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    (video,) = annotations.videos
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    text.write(f'"#{video} -- offset: 0"\n')
    writer.writerow(_NAMES)
    spans = [Segment(video, *span, "") for span in annotations.watched[video]]
    for tier, segments in ((WATCHED, spans), ("", annotations.by_video[video])):
        for one in segments:
            times = one.start, one.end, one.end - one.start
            name = f"{one.label} (label)" if one.label == WATCHED else one.label
            writer.writerow([tier or name, one.subject, *map(thousandths, times), one.label])
    return text.getvalue()


ELAN_TEXT = Format(
    name="elan-text",
    title="ELAN's tab-delimited text",
    ending=".txt",
    one_video=True,
    matches=_matches,
    read=_read,
    write=_write,
)
