"""ELAN's documents (.eaf): annotations on tiers, in thousandths of a second.

An annotation's value is the label, or, where it has none, the name of its tier; the tier's participant is the subject.
What is annotated on the tier "watched" is the time in which every occurrence of the labels is marked. Annotations that
refer to others, or whose times are not aligned, are left out. Nothing is read but the file itself: entities of a
document type, which ELAN does not write, are refused.

Read here rather than by pympi-ling, whose errors have no lines and which takes documents of any type.
"""

import heapq
import mimetypes
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote, unquote
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ...errors import LabelError
from ...features.annotation_formats.entries import place_of
from ..frame_clock import FrameClock
from ..segment import Annotations, Segment
from .source import Collector, Contents, Format, Source

WATCHED = "watched"
"""The tier whose annotations are watched time."""

_ROOT = "ANNOTATION_DOCUMENT"
_SHORTEST_MS = 1  # ELAN has no annotations without a duration
_DEEPEST = 32


@dataclass
class _Aligned:
    """An annotation with times: the ids of its time slots, its tier and what it says."""

    place: str
    slots: tuple[str, str]
    tier: str
    participant: str
    value: str = ""


@dataclass
class _Document:
    """What the parser finds in a document."""

    source: Source
    media: list[Mapping[str, str]] = field(default_factory=list)
    slots: dict[str, float | None] = field(default_factory=dict)
    aligned: list[_Aligned] = field(default_factory=list)
    num_referring: int = 0

    def __post_init__(self) -> None:
        self._open: list[str] = []
        self._tier: Mapping[str, str] = {}
        self._current: _Aligned | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    @property
    def place(self) -> str:
        return place_of(self.source.path, self._parser.CurrentLineNumber)

    def parse(self) -> "_Document":
        """Parse the document; LabelError if it is no XML, or none of ELAN's."""
        try:
            self._parser.Parse(self.source.text, True)
        except expat.ExpatError as error:
            raise LabelError(
                f"{self.place}: no XML ({expat.ErrorString(error.code)}); save it in ELAN again"
            ) from error
        return self

    def _refuse_doctype(self, *_: object) -> None:
        raise LabelError(f"{self.place}: the document has a DOCTYPE, which ELAN does not write; remove it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != _ROOT:
            raise LabelError(f"{self.place}: {name!r} is no document of ELAN, which begins with {_ROOT}")
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise LabelError(f"{self.place}: nested too deep for a document of ELAN")
        try:
            self._take(name, attributes)
        except (KeyError, ValueError) as error:
            raise LabelError(f"{self.place}: {name} has no {error}; save it in ELAN again") from error

    def _take(self, name: str, attributes: dict[str, str]) -> None:
        if name == "HEADER" and attributes.get("TIME_UNITS", "milliseconds") != "milliseconds":
            raise LabelError(f"{self.place}: times in {attributes['TIME_UNITS']!r}; ELAN has milliseconds")
        if name == "MEDIA_DESCRIPTOR":
            self.media.append(attributes)
        elif name == "TIME_SLOT":
            time = attributes.get("TIME_VALUE")
            self.slots[attributes["TIME_SLOT_ID"]] = None if time is None else int(time)
        elif name == "TIER":
            self._tier = attributes
        elif name == "ALIGNABLE_ANNOTATION":
            slots = attributes["TIME_SLOT_REF1"], attributes["TIME_SLOT_REF2"]
            self._current = _Aligned(self.place, slots, self._tier["TIER_ID"], self._tier.get("PARTICIPANT", ""))
            self.aligned.append(self._current)
        elif name == "REF_ANNOTATION":
            self.num_referring += 1
            self._current = None

    def _end(self, name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if self._current is not None and self._open[-1] == "ANNOTATION_VALUE":
            self._current.value += text


def _read(source: Source) -> Contents:
    document = _Document(source).parse()
    video, origin_ms = _video(document)
    found = Collector()
    found.video(place_of(source.path, 1), video)
    num_unaligned = 0
    for one in document.aligned:
        missing = [slot for slot in one.slots if slot not in document.slots]
        if missing:
            raise LabelError(f"{one.place}: no time slot {missing[0]!r}; save it in ELAN again")
        start, end = (document.slots[slot] for slot in one.slots)
        if start is None or end is None:
            num_unaligned += 1
        elif one.tier == WATCHED:
            found.watch(one.place, video, (start + origin_ms) / 1000, (end + origin_ms) / 1000)
        else:
            label = one.value.strip() or one.tier
            times = (start + origin_ms) / 1000, (end + origin_ms) / 1000
            found.segment(one.place, video, *times, label, subject=one.participant)
    lost = {"that refer to others": document.num_referring, "without times": num_unaligned}
    note = ", ".join(f"{count} annotations {which}" for which, count in lost.items() if count)
    return Contents(annotations=found.annotations(), note=f" (left out: {note})" if note else "")


def _video(document: _Document) -> tuple[str, int]:
    """Return the name of the first video of a document, and which of its milliseconds is ELAN's 0."""
    of_videos = [one for one in document.media if one.get("MIME_TYPE", "").startswith("video/")]
    first = next(iter(of_videos or document.media), {})
    url = first.get("MEDIA_URL") or first.get("RELATIVE_MEDIA_URL") or ""
    origin = first.get("TIME_ORIGIN", "0")
    if not origin.lstrip("-").isdecimal():
        raise LabelError(f"{str(document.source.path)!r}: TIME_ORIGIN {origin!r} is no number of milliseconds")
    return path_of(url) or document.source.video, int(origin)


def path_of(url: str) -> str:
    """Return the path in a "file:" URL or a relative one: "C:/clips/a.mp4" of "file:///C:/clips/a.mp4"."""
    path = unquote(re.sub(r"^file:(//)?", "", url)).removeprefix("./")
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    (video,) = annotations.videos
    tiers = list(_tiers(annotations.by_video[video]))
    spans = [Segment(video, *span, WATCHED) for span in annotations.watched[video]]
    slots: list[int] = []
    blocks: list[str] = []
    for name, subject, segments in [*tiers, *([(WATCHED, "", spans)] if spans else [])]:
        participant = f" PARTICIPANT={quoteattr(subject)}" if subject else ""
        blocks.append(f'    <TIER LINGUISTIC_TYPE_REF="default-lt"{participant} TIER_ID={quoteattr(name)}>')
        for one in segments:
            slots += _milliseconds(one)
            blocks.append(_annotation(len(slots) // 2, "" if name == WATCHED else one.label))
        blocks.append("    </TIER>")
    return "\n".join([*_head(video), *_time_order(slots), *blocks, *_TAIL]) + "\n"


def _tiers(segments: Sequence[Segment]) -> Iterator[tuple[str, str, list[Segment]]]:
    """Yield tiers, (name, participant, segments): one for each label of a subject, more where it overlaps itself."""
    tiers: dict[str, list[Segment]] = {}
    free: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)  # heaps: when each tier is free, its name
    for one in segments:
        start, end = _milliseconds(one)
        those = free[one.label, one.subject]
        if those and those[0][0] <= start:
            _, name = heapq.heappop(those)
        else:
            name = _new_name(one, len(those) + 1, tiers)
            tiers[name] = []
        heapq.heappush(those, (end, name))
        tiers[name].append(one)
    for name, on_tier in tiers.items():
        yield name, on_tier[0].subject, on_tier


def _new_name(one: Segment, number: int, taken: Collection[str]) -> str:
    base = f"{one.label} ({one.subject})" if one.subject else one.label
    name = base if number == 1 else f"{base} {number}"
    while name in taken or name == WATCHED:
        number += 1
        name = f"{base} {number}"
    return name


def _milliseconds(one: Segment) -> tuple[int, int]:
    start = round(one.start * 1000)
    return start, max(round(one.end * 1000), start + _SHORTEST_MS)


def _head(video: str) -> list[str]:
    url = quote(video.replace("\\", "/"))
    kind = mimetypes.guess_type(PurePosixPath(video).name)[0] or "video/*"
    relative = "" if url.startswith("/") else f" RELATIVE_MEDIA_URL={quoteattr('./' + url)}"
    return [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<{_ROOT} AUTHOR="" DATE="1970-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">',
        '    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">',
        f"        <MEDIA_DESCRIPTOR MEDIA_URL={quoteattr(url)} MIME_TYPE={quoteattr(kind)}{relative}/>",
        "    </HEADER>",
    ]


def _time_order(slots: Sequence[int]) -> Iterator[str]:
    """Yield the lines of the time slots, in the order of time, numbered as the annotations name them."""
    yield "    <TIME_ORDER>"
    for time, number in sorted((time, number) for number, time in enumerate(slots, start=1)):
        yield f'        <TIME_SLOT TIME_SLOT_ID="ts{number}" TIME_VALUE="{time}"/>'
    yield "    </TIME_ORDER>"


def _annotation(number: int, value: str) -> str:
    slots = f'TIME_SLOT_REF1="ts{2 * number - 1}" TIME_SLOT_REF2="ts{2 * number}"'
    return (
        f'        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" {slots}>'
        f"<ANNOTATION_VALUE>{escape(value)}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


_TAIL = [
    '    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>',
    f"</{_ROOT}>",
]

ELAN = Format(
    name="elan",
    title="ELAN's document",
    ending=".eaf",
    one_video=True,
    matches=lambda source: f"<{_ROOT}" in source.text[: 1 << 16] or source.text.lstrip().startswith("<?xml"),
    read=_read,
    write=_write,
)
