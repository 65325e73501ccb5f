"""ActivityNet's and THUMOS' JSON: a database with the subset, the duration and the annotations of each video.

{"database": {NAME: {"subset": "training", "duration": 82.7, "annotations": [{"segment": [1.5, 9], "label": "Jump"}]}}}

All of a video whose duration is there was watched: its annotators marked every occurrence of the labels.
"""

import json
from collections import Counter
from typing import Any

from ...errors import LabelError
from ...features.annotation_formats.entries import checked_split
from ..frame_clock import FrameClock
from ..segment import Annotations, watched_until
from .source import Collector, Contents, Format, Source

_SUBSETS = {"train": "training", "validation": "validation", "test": "testing"}
_KNOWN = frozenset({"subset", "duration", "annotations"})


def _matches(source: Source) -> bool:
    return bool(source.first_lines) and source.first_lines[0].lstrip().startswith("{")


def _read(source: Source) -> Contents:
    content = _parsed(source)
    database = content["database"] if isinstance(content.get("database"), dict) else content
    found = Collector()
    others: set[str] = set()
    for video, entry in database.items():
        place = f"{str(source.path)!r}, {video!r}"
        if not isinstance(entry, dict) or not isinstance(entry.get("annotations"), list):
            raise LabelError(f'{place}: no annotations; each video needs "annotations": [{{"segment", "label"}}, ...]')
        others |= entry.keys() - _KNOWN
        found.split(place, video, checked_split(str(entry.get("subset") or ""), place))
        if (duration := entry.get("duration")) is not None:
            found.watch(place, video, 0.0, _seconds(duration, place))
        for number, one in enumerate(entry["annotations"], start=1):
            _add(found, f"{place}, annotation {number}", video, one)
    note = f" (left out: {', '.join(sorted(others))})" if others else ""
    return Contents(annotations=found.annotations(), note=note)


def _add(found: Collector, place: str, video: str, one: Any) -> None:
    times = one.get("segment") if isinstance(one, dict) else None
    if not isinstance(times, list) or len(times) != 2 or not isinstance(one.get("label"), str):
        raise LabelError(f'{place}: needed are "segment": [start, end] in seconds, and "label"')
    start, end = (_seconds(time, place) for time in times)
    found.segment(place, video, start, end, one["label"])


def _seconds(value: Any, place: str) -> float:
    try:
        seconds = float("nan" if isinstance(value, bool) else value)  # THUMOS' have numbers as text here and there
    except (TypeError, ValueError, OverflowError):
        seconds = float("nan")
    if not abs(seconds) < float("inf"):
        raise LabelError(f"{place}: {str(value)[:40]!r} is no time; write seconds")
    return seconds


def _parsed(source: Source) -> dict[str, Any]:
    try:
        content = json.loads(source.text, object_pairs_hook=lambda pairs: _object(pairs, source))
    except json.JSONDecodeError as error:
        raise LabelError(f"{str(source.path)!r}, line {error.lineno}: not JSON ({error.msg}); correct it") from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise LabelError(f"{str(source.path)!r}: no list of videos ({error}); write ActivityNet's JSON") from error
    assert isinstance(content, dict)  # the text starts with a brace
    return content


def _object(pairs: list[tuple[str, Any]], source: Source) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise LabelError(f"{str(source.path)!r}: {twice!r} is there twice in one object; keep one of them")
    return members


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    database = {}
    for video, segments in annotations.by_video.items():
        entry: dict[str, Any] = {}
        if video in annotations.splits:
            entry["subset"] = _SUBSETS[annotations.splits[video]]
        if (end := watched_until(annotations.watched[video])) is not None:
            entry["duration"] = end
        entry["annotations"] = [{"segment": [one.start, one.end], "label": one.label} for one in segments]
        database[video] = entry
    return json.dumps({"database": database}, indent=1, ensure_ascii=False) + "\n"


ACTIVITYNET = Format(
    name="activitynet",
    title="ActivityNet's JSON",
    ending=".json",
    matches=_matches,
    read=_read,
    write=_write,
)
