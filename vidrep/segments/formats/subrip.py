"""SubRip (.srt): numbered cues, whose texts are labels; tags of their style and positions are left out."""

import re

from ...features.annotation_formats.entries import place_of
from ..frame_clock import FrameClock
from ..segment import Annotations
from .cues import begins_with_cue, cues_of, times_of
from .source import Collector, Contents, Format, Source

_STYLE = re.compile(r"</?(?:[biu]|font)(?:\s[^>]*)?>|\{\\[^}]*\}", re.IGNORECASE)


def _read(source: Source) -> Contents:
    found = Collector()
    found.video(place_of(source.path, 1), source.video)
    for place, start, end, text in cues_of(source):
        found.segment(place, source.video, start, end, _STYLE.sub("", text))
    return Contents(annotations=found.annotations())


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    numbered = enumerate(annotations.segments, start=1)
    return "\n".join(f"{number}\n{times_of(one, mark=',')}\n{one.label}\n" for number, one in numbered)


SUBRIP = Format(
    name="srt",
    title="SubRip subtitles",
    ending=".srt",
    one_video=True,
    matches=lambda source: begins_with_cue(source) or source.is_blank(".srt"),
    read=_read,
    write=_write,
)
