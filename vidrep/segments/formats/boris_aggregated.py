"""BORIS' export of aggregated events: a row for each event, with its start and stop."""

from collections.abc import Iterator
from typing import Any

from ..frame_clock import FrameClock
from ..segment import Annotations
from ..times import seconds_of, thousandths
from .boris_media import CODING_DURATIONS, MEDIA_DURATION, MEDIA_NAMES, OBSERVATION, SOURCE, TOTAL_LENGTH, Observation
from .boris_tables import (
    BEHAVIOR,
    GROUP,
    KIND,
    SUBJECT,
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

_START, _STOP = ("start_(s)", "start_(seconds)"), ("stop_(s)", "stop_(seconds)")
_NEEDED = ((SUBJECT,), (BEHAVIOR,), KIND, _START, _STOP)
_USED = (
    *(OBSERVATION, SOURCE, MEDIA_DURATION, *MEDIA_NAMES, *CODING_DURATIONS, TOTAL_LENGTH),
    *(SUBJECT, BEHAVIOR, GROUP, *KIND, *_START, *_STOP, "duration_(s)", "fps", "fps_(frame/s)"),
)
_COLUMNS = (
    *("Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)"),
    *("Coding duration", "Media duration (s)", "FPS (frame/s)", GROUP, "Subject"),
    *("Observation duration by subject by observation", "Behavior", "Behavioral category", "Behavior type"),
    *("Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start", "Image index stop"),
    *("Image file path start", "Image file path stop", "Comment start", "Comment stop"),
)


def _read(source: Source) -> Contents:
    rows, names = rows_by_column(source, _NEEDED)
    found = Collector()
    for of_one in by_observation(rows).values():
        observation = Observation.of(of_one)
        times = []
        for place, row in of_one:
            start, stop = (
                seconds_of(next(row[name] for name in columns if name in row), what, place)
                for columns, what in ((_START, "start"), (_STOP, "stop"))
            )
            add_event(found, observation, place, row, start, stop)
            times += [start, stop]
        watch(found, observation, of_one[0][0], times)
    return Contents(annotations=found.annotations(), note=left_out(columns_left_out(rows, names, _USED)))


def _write(annotations: Annotations, clock: FrameClock | None) -> str:
    return written(_COLUMNS, annotations, _events(annotations))


def _events(annotations: Annotations) -> Iterator[dict[str, Any]]:
    for video, segments in annotations.by_video.items():
        columns = observation_columns(annotations, video)
        for one in segments:
            yield (
                columns
                | event_columns(one)
                | {
                    "Behavior type": "POINT" if one.is_point else "STATE",
                    "Start (s)": thousandths(one.start),
                    "Stop (s)": thousandths(one.end),
                    "Duration (s)": "NA" if one.is_point else thousandths(one.end - one.start),
                }
            )


BORIS_AGGREGATED = Format(
    name="boris-aggregated",
    title="BORIS, aggregated events",
    ending=".tsv",
    matches=lambda source: header_within(source, _NEEDED),
    read=_read,
    write=_write,
)
