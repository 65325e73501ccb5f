"""Audacity's label tracks: start TAB end TAB label a line, in seconds.

A line that starts with a backslash is the range of frequencies of the label above it; it is left out.
"""

from ...errors import LabelError
from ...features.annotation_formats.entries import lines_of, place_of
from ..frame_clock import FrameClock
from ..segment import Annotations
from ..times import decimal, is_time, seconds_of
from .source import Collector, Contents, Format, Source

_FREQUENCIES = "\\"


def _matches(source: Source) -> bool:
    if source.is_blank(".txt"):
        return True
    cells = source.first_lines[0].split("\t") if source.first_lines else []
    return 2 <= len(cells) <= 3 and all(is_time(cell.strip()) for cell in cells[:2])


def _read(source: Source) -> Contents:
    found = Collector()
    place = place_of(source.path, 1)
    num_ranges = 0
    for place, line in lines_of(source.path, source.text):
        if line.startswith(_FREQUENCIES):
            num_ranges += 1
            continue
        cells = line.split("\t", 2)
        if len(cells) < 3:
            raise LabelError(f"{place}: {line!r} has no label; write start, end and label with tabs between them")
        start, end = (
            seconds_of(cell.strip(), name, place) for cell, name in zip(cells, ("start", "end"), strict=False)
        )
        found.segment(place, source.video, start, end, cells[2])
    found.video(place, source.video)
    return Contents(
        annotations=found.annotations(), note=f" (left out: {num_ranges} frequencies)" if num_ranges else ""
    )


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    return "".join(f"{_six(one.start)}\t{_six(one.end)}\t{one.label}\n" for one in annotations.segments)


def _six(seconds: float) -> str:
    """Return seconds with six decimals, as Audacity writes them, or with more where they have more."""
    text = f"{seconds:.6f}"
    return text if float(text) == seconds else decimal(seconds)


AUDACITY = Format(
    name="audacity",
    title="Audacity's labels",
    ending=".txt",
    one_video=True,
    matches=_matches,
    read=_read,
    write=_write,
)
