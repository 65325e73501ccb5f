"""BORIS' tabular export of events: a row for each START, STOP and POINT."""

from collections.abc import Iterator
from typing import Any

from ...errors import LabelError
from ..frame_clock import FrameClock
from ..segment import Annotations, Segment
from ..times import seconds_of, thousandths
from .boris_media import CODING_DURATIONS, MEDIA_DURATION, MEDIA_NAMES, OBSERVATION, SOURCE, TOTAL_LENGTH, Observation
from .boris_tables import (
    BEHAVIOR,
    GROUP,
    KIND,
    SUBJECT,
    Rows,
    add_event,
    by_observation,
    columns_left_out,
    event_columns,
    header_within,
    observation_columns,
    rows_by_column,
    watch,
    written,
)
from .source import Collector, Contents, Format, Source, left_out

_TIME = "time"
_NEEDED = ((_TIME,), (SUBJECT,), (BEHAVIOR,), KIND)
_USED = (
    *(OBSERVATION, SOURCE, MEDIA_DURATION, *MEDIA_NAMES, *CODING_DURATIONS, TOTAL_LENGTH),
    *(SUBJECT, BEHAVIOR, GROUP, *KIND, _TIME, "fps"),
)
_COLUMNS = (
    *("Observation id", "Observation date", "Description", "Observation duration", "Observation type", "Source"),
    *("Time offset (s)", "Media duration (s)", "FPS", GROUP, "Subject", "Behavior", "Behavioral category"),
    *("Behavior type", "Time", "Media file name", "Image index", "Image file path", "Comment"),
)
_IN_ORDER = ("STOP", "POINT", "START")


def _read(source: Source) -> Contents:
    rows, names = rows_by_column(source, _NEEDED)
    found = Collector()
    for of_one in by_observation(rows).values():
        observation = Observation.of(of_one)
        times = _add_events(found, observation, of_one)
        watch(found, observation, of_one[0][0], times)
    return Contents(annotations=found.annotations(), note=left_out(columns_left_out(rows, names, _USED)))


def _add_events(found: Collector, observation: Observation, rows: Rows) -> list[float]:
    """Add the events of one observation, each START with its STOP; return their times."""
    started: dict[tuple[str, ...], tuple[str, float]] = {}
    times = []
    for place, row in rows:
        kind = next(row[name] for name in KIND if name in row).upper()
        time = seconds_of(row[_TIME], _TIME, place)
        times.append(time)
        key = (row[SUBJECT], row[BEHAVIOR], *(row[name] for name in row if name.startswith("modifier")))
        if kind == "POINT":
            add_event(found, observation, place, row, time, time)
        elif kind == "START" and key in started:
            raise LabelError(
                f"{place}: {row[BEHAVIOR]!r} starts again before it stopped; it started in {started[key][0]}"
            )
        elif kind == "START":
            started[key] = place, time
        elif kind == "STOP" and key in started:
            add_event(found, observation, *_with(started.pop(key), row), time)
        elif kind == "STOP":
            raise LabelError(f"{place}: {row[BEHAVIOR]!r} stops and did not start; correct the observation in BORIS")
        else:
            raise LabelError(f"{place}: unknown kind of event {kind!r}; known are START, STOP and POINT")
    for (_, behavior, *_), (place, _) in started.items():
        raise LabelError(f"{place}: {behavior!r} starts and does not stop; correct the observation in BORIS")
    return times


def _with(start: tuple[str, float], row: dict[str, str]) -> tuple[str, dict[str, str], float]:
    place, seconds = start
    return place, row, seconds


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    return written(_COLUMNS, annotations, _events(annotations))


def _events(annotations: Annotations) -> Iterator[dict[str, Any]]:
    for video, segments in annotations.by_video.items():
        _require_pairs(segments)
        columns = observation_columns(annotations, video)
        columns["Observation duration"] = columns["Coding duration"]
        times = [(one.start, "POINT" if one.is_point else "START", one) for one in segments]
        times += [(one.end, "STOP", one) for one in segments if not one.is_point]
        for time, kind, one in sorted(times, key=lambda event: (event[0], _IN_ORDER.index(event[1]), event[2])):
            yield columns | event_columns(one) | {"Behavior type": kind, "Time": thousandths(time)}


def _require_pairs(segments: tuple[Segment, ...]) -> None:
    """Raise LabelError if one label of one subject is there twice at a time: no STOP could be given to its START."""
    last: dict[tuple[str, str], Segment] = {}
    for one in segments:
        if one.is_point:
            continue
        before = last.get((one.subject, one.label))
        if before is not None and one.start < before.end:
            raise LabelError(
                f"{one.place or one.video}: {one.label!r} begins before that in {before.place or 'a row above'} ends; "
                "BORIS' tabular events have each once at a time: write --format boris-aggregated"
            )
        last[one.subject, one.label] = one


BORIS_TABULAR = Format(
    name="boris",
    title="BORIS, tabular events",
    ending=".tsv",
    matches=lambda source: header_within(source, _NEEDED),
    read=_read,
    write=_write,
)
