"""What the two exports of BORIS share: their rows by column, and how observations are read and written."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import LabelError
from ...features.annotation_formats.columns import column_name
from ..segment import Annotations, Segment, watched_until
from ..times import thousandths
from .boris_media import OBSERVATION, Observation, given
from .source import Collector, Source, require_times

BEHAVIOR, SUBJECT, GROUP = "behavior", "subject", "group"
KIND = ("behavior_type", "status")
NO_SUBJECT = "No focal subject"
Rows = list[tuple[str, dict[str, str]]]
# Below the header of BORIS 7, whose first lines describe the observation.
_MOST_LINES_ABOVE = 200


def has_columns(names: Sequence[str], needed: Sequence[Sequence[str]]) -> bool:
    """Return whether the first line of a table has one of each of the needed columns."""
    known = {column_name(name) for name in names}
    return all(not known.isdisjoint(alternatives) for alternatives in needed)


def rows_by_column(source: Source, needed: Sequence[Sequence[str]]) -> tuple[Rows, list[str]]:
    """Return the rows, (place, values by column), of all tables in an export, and the names of their columns.

    Lines above a table's header describe its observation: "Observation id" and a name.
    """
    rows: Rows = []
    every: dict[str, str] = {}
    header: list[str] = []
    above: dict[str, str] = {}
    for place, values in source.rows():
        if has_columns(values, needed):
            header = [column_name(value) for value in values]
            every |= dict(zip(header, values, strict=True))
        elif header and len(values) != len(header):
            raise LabelError(f"{place}: {len(values)} values for {len(header)} columns; export the file again")
        elif header:
            rows.append((place, above | dict(zip(header, values, strict=True))))
        elif len(values) > 1:
            above[column_name(values[0])] = values[1]
    return rows, [name for name in every.values() if name]


def header_within(source: Source, needed: Sequence[Sequence[str]]) -> bool:
    """Return whether one of the first lines has the columns of an export."""
    lines = source.first_lines[:_MOST_LINES_ABOVE]
    return any(has_columns(next(csv.reader([line], delimiter=mark), []), needed) for line in lines for mark in "\t,;")


def by_observation(rows: Rows) -> Mapping[str, Rows]:
    """Return the rows of each observation."""
    found: dict[str, Rows] = {}
    for place, row in rows:
        found.setdefault(given(row, OBSERVATION), []).append((place, row))
    return found


def add_event(
    found: Collector, observation: Observation, place: str, row: Mapping[str, str], start: float, end: float
) -> None:
    """Add an event of an observation to what was collected, in each media file that it lies in."""
    require_times(place, start, end)
    subject = "" if row[SUBJECT] == NO_SUBJECT else row[SUBJECT]
    for video, first, stop in observation.pieces(start, end):
        found.segment(place, video, first, stop, row[BEHAVIOR], subject=subject, group=row.get(GROUP, ""))


def watch(found: Collector, observation: Observation, place: str, times: Sequence[float]) -> None:
    """Add what was watched of an observation whose events are at these times."""
    if times and (span := observation.watched(min(times), max(times))):
        for video, start, end in observation.pieces(*span):
            found.watch(place, video, start, end)


def columns_left_out(rows: Rows, names: Sequence[str], used: Sequence[str]) -> list[str]:
    """Return the columns that are not used and have values, as they are written."""
    return [
        name for name in names if column_name(name) not in used and any(row.get(column_name(name)) for _, row in rows)
    ]


def observation_columns(annotations: Annotations, video: str) -> dict[str, Any]:
    """Return what BORIS writes of an observation: that of one video, which is the observation's name as well."""
    segments = annotations.by_video[video]
    spans = annotations.watched[video]
    end = watched_until(spans)
    coded = end
    if end is None and segments and len(spans) == 1:
        first, last = min(one.start for one in segments), max(one.end for one in segments)
        coded = last - first if spans[0] == (first, last) else None
    return {
        "Observation id": video,
        "Observation type": "Media file",
        "Source": f"player #1:{video}",
        "Time offset (s)": "0.0",
        "Media duration (s)": "NA" if end is None else thousandths(end),
        "Coding duration": "NA" if coded is None else thousandths(coded),
        "Media file name": video,
    }


def event_columns(one: Segment) -> dict[str, Any]:
    """Return what BORIS writes of an event."""
    return {
        "Subject": one.subject or NO_SUBJECT,
        "Behavior": one.label,
        "Behavioral category": "Not defined",
        GROUP: one.group,
    }


def written(columns: Sequence[str], annotations: Annotations, rows: Iterator[Mapping[str, Any]]) -> str:
    """Return a table of BORIS, separated by tabs; the group is one of its independent variables, if there is any."""
    has_groups = any(one.group for one in annotations.segments)
    names = [name for name in columns if has_groups or name != GROUP]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
