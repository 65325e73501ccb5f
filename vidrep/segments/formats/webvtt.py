"""WebVTT (.vtt): cues, whose texts are labels and whose voices, `<v Anna>`, are subjects.

Other tags, styles, notes, regions and positions are left out.
"""

import html
import re

from ...features.annotation_formats.entries import place_of
from ..frame_clock import FrameClock
from ..segment import Annotations, Segment
from .cues import cues_of, times_of
from .source import Collector, Contents, Format, Source

_HEADER = re.compile(r"WEBVTT(\s|$)")
_OTHER_BLOCKS = ("WEBVTT", "NOTE", "STYLE", "REGION")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_TAG = re.compile(r"<[^>]*>")


def _read(source: Source) -> Contents:
    found = Collector()
    found.video(place_of(source.path, 1), source.video)
    for place, start, end, text in cues_of(source, other_blocks=_OTHER_BLOCKS):
        before, *voices = _VOICE.split(text)
        spoken = [("", before)] if _plain(before) or not voices else []
        spoken += list(zip(voices[::2], voices[1::2], strict=True))
        for subject, words in spoken:
            found.segment(place, source.video, start, end, _plain(words), subject=html.unescape(subject))
    return Contents(annotations=found.annotations())


def _plain(text: str) -> str:
    return html.unescape(_TAG.sub("", text)).strip()


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    return "WEBVTT\n" + "".join(_cue(one) for one in annotations.segments)


def _cue(one: Segment) -> str:
    voice = f"<v {_escaped(one.subject)}>" if one.subject else ""
    return f"\n{times_of(one, mark='.')}\n{voice}{_escaped(one.label)}\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


WEBVTT = Format(
    name="vtt",
    title="WebVTT subtitles",
    ending=".vtt",
    one_video=True,
    matches=lambda source: bool(source.first_lines) and bool(_HEADER.match(source.first_lines[0])),
    read=_read,
    write=_write,
)
