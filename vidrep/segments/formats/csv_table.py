"""Our own table: video,start,end,label and, if there are any, subject, group and split.

A row without a label is time that was watched: whatever of the labels happens in it has a row of its own. A row without
a label and without times names a video of which nothing is annotated.
"""

import csv
import io
from collections.abc import Mapping

from ...features.annotation_formats.columns import ENDS, LABEL_COLUMNS, STARTS, VIDEO_COLUMNS, Columns, column_name
from ...features.annotation_formats.entries import checked_split
from ...features.annotation_formats.tables import require_width
from ..frame_clock import FrameClock
from ..segment import Annotations
from ..times import decimal, seconds_of
from .source import Collector, Contents, Format, Source, left_out

_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "video": VIDEO_COLUMNS,
    "start": tuple(sorted(STARTS)),
    "end": tuple(sorted(ENDS)),
    "label": (*LABEL_COLUMNS, "behavior", "behaviour", "event"),
    "subject": ("subject", "individual", "animal"),
    "group": ("group", "person", "participant", "recording"),
    "split": ("split", "subset"),
}
_NEEDED = ("video", "start", "end", "label")


def _matches(source: Source) -> bool:
    names = {column_name(name) for name in source.head}
    return all(not names.isdisjoint(_MEANINGS[meaning]) for meaning in _NEEDED)


def _read(source: Source) -> Contents:
    rows = source.rows()
    head = next(rows)
    columns = Columns.recognized(head.values, _MEANINGS, head.place)
    keys = [column_name(name) for name in head.values]
    found = Collector()
    for place, values in rows:
        require_width(head.values, values, source.delimiter, place)
        by_column = dict(zip(keys, values, strict=True))
        _add(found, place, {meaning: by_column[column] for meaning, column in columns.used.items()})
    return Contents(annotations=found.annotations(), note=left_out(list(columns.left_out)))


def _add(found: Collector, place: str, row: Mapping[str, str]) -> None:
    video = row["video"]
    found.split(place, video, checked_split(row.get("split", ""), place))
    if not any(row[name] for name in ("start", "end", "label")):
        return
    start, end = (seconds_of(row[name], name, place) for name in ("start", "end"))
    if row["label"]:
        subject, group = row.get("subject", ""), row.get("group", "")
        found.segment(place, video, start, end, row["label"], subject=subject, group=group)
    else:
        found.watch(place, video, start, end)


def _write(annotations: Annotations, clock: FrameClock | None, *, delimiter: str) -> str:
    optional = [name for name in ("subject", "group") if any(getattr(one, name) for one in annotations.segments)]
    names = [*_NEEDED, *optional, *(["split"] if annotations.splits else [])]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    for video, segments in annotations.by_video.items():
        of_video = {"video": video, "split": annotations.splits.get(video, "")}
        spans = annotations.watched[video]
        for span in spans:
            writer.writerow(of_video | {"start": decimal(span.start), "end": decimal(span.end)})
        for one in segments:
            times = {"start": decimal(one.start), "end": decimal(one.end)}
            writer.writerow(of_video | times | {"label": one.label, "subject": one.subject, "group": one.group})
        if not spans and not segments:
            writer.writerow(of_video)
    return text.getvalue()


CSV = Format(
    name="csv",
    title="a table of video, start, end and label",
    ending=".csv",
    matches=_matches,
    read=_read,
    write=lambda annotations, clock: _write(annotations, clock, delimiter=","),
)
TSV = Format(
    name="tsv",
    title=CSV.title,
    ending=".tsv",
    matches=_matches,
    read=_read,
    write=lambda annotations, clock: _write(annotations, clock, delimiter="\t"),
)
