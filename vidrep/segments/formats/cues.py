"""Cues, of which SubRip and WebVTT consist: times and a text, between blank lines.

Read here rather than by webvtt-py, which drops cues that it cannot parse without a word, and gives no lines.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import LabelError
from ...features.annotation_formats.entries import place_of
from ..segment import Segment
from ..times import clock, seconds_of
from .source import Source

_ARROW = "-->"
_TIMES = re.compile(r"\s*[\d:]+[.,]\d+\s*-->")
# What has no duration is shown for a thousandth of a second: cues last.
_SHORTEST = 0.001


class Cue(NamedTuple):
    """A cue: its place, its seconds and its lines of text."""

    place: str
    start: float
    end: float
    text: str


def begins_with_cue(source: Source) -> bool:
    """Return whether the first or the second line has the times of a cue."""
    return any(_TIMES.match(line) for line in source.first_lines[:2])


def cues_of(source: Source, *, other_blocks: tuple[str, ...] = ()) -> Iterator[Cue]:
    """Yield the cues of a file; LabelError for a block of lines that is none.

    other_blocks: how blocks begin that are no cues and are left out.
    """
    block: list[tuple[int, str]] = []
    for number, line in [*enumerate(source.text.splitlines(), start=1), (0, "")]:
        if line.strip():
            block.append((number, line.strip()))
        elif block:
            if _ARROW in block[0][1] or not block[0][1].startswith(other_blocks or "\0"):
                yield _cue(source, block)
            block = []


def _cue(source: Source, block: list[tuple[int, str]]) -> Cue:
    with_times = next((index for index, (_, line) in enumerate(block[:2]) if _ARROW in line), None)
    if with_times is None:
        raise LabelError(
            f"{place_of(source.path, block[0][0])}: {block[0][1]!r} is no cue; write its times, start {_ARROW} end, "
            "above its text, and no blank line in it"
        )
    number, line = block[with_times]
    place = place_of(source.path, number)
    start, _, rest = line.partition(_ARROW)
    end = (rest.split() or [""])[0]  # positions may follow
    text = "\n".join(line for _, line in block[with_times + 1 :])
    return Cue(place, seconds_of(start.strip(), "start", place), seconds_of(end, "end", place), text)


def times_of(one: Segment, *, mark: str) -> str:
    """Return the line of a cue's times, with a decimal mark."""
    return f"{clock(one.start, mark=mark)} {_ARROW} {clock(max(one.end, one.start + _SHORTEST), mark=mark)}"
