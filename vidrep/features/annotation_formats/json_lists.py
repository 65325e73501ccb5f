"""JSON lists: Something-Something's and Diving48's lists of objects, Kinetics' and ActivityNet's objects by video."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import LabelError
from ..annotations import Annotation
from .class_names import name_classes
from .columns import TIMES, Columns, column_name, segment_name
from .entries import Annotations, add, checked_split


def read_json(path: Path, text: str) -> tuple[Annotations, str]:
    """Read a JSON file of videos; return it and what it is, in words.

    Either a list of objects, one a video, whose members are named as the columns of a table are; or an object with a
    member a video: its label, or an object with its annotations (label, segment in seconds) and subset.

    Raises LabelError for what is no such JSON, two labels for one video and unknown splits.
    """
    try:
        content = json.loads(text, object_pairs_hook=_Members)
    except json.JSONDecodeError as error:
        raise LabelError(f"{str(path)!r}, line {error.lineno}: not JSON ({error.msg}); correct it") from error
    except RecursionError as error:
        raise LabelError(f"{str(path)!r}: JSON nested too deep for a list of videos") from error
    if isinstance(content, _Members):
        entries, what = _by_video(path, content), "JSON with a member a video, as Kinetics has it"
    else:
        entries, what = _objects(path, content), "JSON with a list of videos, as Something-Something has it"
    annotations: Annotations = {}
    for name, given in entries:
        add(annotations, name, given)
    annotations, named_by = name_classes(path.parent, annotations)
    return annotations, what + named_by


class _Members(list[tuple[str, Any]]):
    """An object's members, (name, value), of which a name may come twice."""


def _objects(path: Path, content: list[Any]) -> Iterator[tuple[str, Annotation]]:
    for number, entry in enumerate(content, start=1):
        place = f"{str(path)!r}, entry {number}"
        if not isinstance(entry, _Members):
            raise LabelError(f"{place}: {_shown(entry)} is no object; each must have members such as id and label")
        names = [name for name, _ in entry]
        columns = _columns(names, place)
        values = {column_name(name): value for name, value in entry}
        read = {column: _text(values[column], place) for column in (*columns.used.values(), *TIMES) if column in values}
        yield columns.annotation(read, place)


def _columns(names: list[str], place: str) -> Columns:
    """Recognize an object's members; a list for testing may name videos alone."""
    known = {column_name(name) for name in names}
    return Columns({"video": "id"}, []) if known == {"id"} else Columns.of(names, place)


def _by_video(path: Path, members: _Members) -> Iterator[tuple[str, Annotation]]:
    content = dict(members)
    if isinstance(content.get("database"), _Members):
        members = content["database"]
    for name, entry in members:
        place = f"{str(path)!r}, {name!r}"
        if not isinstance(entry, _Members):
            yield name, Annotation(_text(entry, place), None, place=place)
            continue
        of_video = dict(entry)
        split = of_video.get("subset", of_video.get("split"))
        checked = None if split is None else checked_split(_text(split, place), place)
        annotated = of_video.get("annotations", of_video.get("label", entry))
        yield _with_segment(name, annotated, checked, place)


def _with_segment(name: str, annotated: Any, split: str | None, place: str) -> tuple[str, Annotation]:
    """Return a video's annotation; one with several segments has the label that all of them have."""
    segments = annotated if isinstance(annotated, list) and not isinstance(annotated, _Members) else [annotated]
    labels = list(dict.fromkeys(_label(segment, place) for segment in segments))
    if len(labels) > 1:
        raise LabelError(f"{place}: has the labels {labels[0]!r} and {labels[1]!r}; vidrep takes one label a video")
    label = labels[0] if labels else None
    times = dict(segments[0]).get("segment") if len(segments) == 1 and isinstance(segments[0], _Members) else None
    if not isinstance(times, list) or len(times) != 2:
        return name, Annotation(label, split, place=place)
    whole = segment_name(name, str(times[0]), str(times[1]))
    return whole, Annotation(label, split, place=place, other_names=() if whole == name else (name,))


def _label(segment: Any, place: str) -> str | None:
    if not isinstance(segment, _Members):
        return _text(segment, place)
    label = dict(segment).get("label")
    return None if label is None else _text(label, place)


def _text(value: Any, place: str) -> str:
    if isinstance(value, list):
        raise LabelError(f"{place}: {_shown(value)} where one name is wanted; vidrep takes one label a video")
    return "" if value is None else str(value).strip()


def _shown(value: Any) -> str:
    return repr(dict(value) if isinstance(value, _Members) else value)[:40]
