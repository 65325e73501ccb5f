"""CSV files of bouts, of their summaries, and of bins; and bouts as annotations, for the formats of other tools."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..files import write_text
from ..metrics.segmentation.bouts import Bouts
from ..segments.segment import Annotations, Segment, Span
from ..segments.times import decimal
from .summary import BinSummary, LabelSummary

_DECIMALS = 6  # of seconds: as exact as videos' clocks
Row = tuple[str, ...]


def write_bouts(path: Path, videos: Mapping[str, Bouts], labels: Sequence[str]) -> None:
    """Publish the bouts of each video as video,start,end,label,confidence, which `read_segments` reads.

    labels: K names. confidence: a bout's score.
    """
    rows = (
        (video, _seconds(start), _seconds(end), labels[label], _share(score))
        for video, bouts in videos.items()
        for start, end, label, score in _rows_of(bouts)
    )
    _write(path, ("video", "start", "end", "label", "confidence"), rows)


def write_summary(path: Path, summaries: Iterable[LabelSummary]) -> None:
    """Publish a row a video and label; what is None is ''."""
    rows = (
        (one.video, one.label, str(one.count), *map(_seconds, (one.total, one.mean, one.latency)), _share(one.share))
        for one in summaries
    )
    _write(path, ("video", "label", "count", "total_seconds", "mean_seconds", "latency_seconds", "share"), rows)


def write_bins(path: Path, bins: Iterable[BinSummary]) -> None:
    """Publish a row a video, label and bin; what is None is ''."""
    rows = (
        (
            *(one.video, one.label, _seconds(one.start), _seconds(one.end)),
            *(str(one.count), _seconds(one.total), _share(one.share)),
        )
        for one in bins
    )
    _write(path, ("video", "label", "bin_start", "bin_end", "count", "total_seconds", "share"), rows)


def annotations_of(
    videos: Mapping[str, Bouts], watched: Mapping[str, Sequence[Span]], labels: Sequence[str]
) -> Annotations:
    """Return the bouts of videos as annotations, which `write_segments` writes; scores are left out.

    watched: of each video, the spans in which all that happens is among the bouts. The other way goes
    `Bouts.of_segments`.
    """
    segments = [
        Segment(video, start, end, labels[label])
        for video, bouts in videos.items()
        for start, end, label, _ in _rows_of(bouts)
    ]
    return Annotations.of(segments, {video: watched[video] for video in videos}, labels=labels)


def _rows_of(bouts: Bouts) -> Iterable[tuple[float, float, int, float]]:
    columns = bouts.starts.tolist(), bouts.ends.tolist(), bouts.labels.tolist(), bouts.scores.tolist()
    return zip(*columns, strict=True)


def _seconds(value: float | None) -> str:
    return "" if value is None else decimal(round(value, _DECIMALS))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _write(path: Path, columns: Row, rows: Iterable[Row]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    write_text(path, text.getvalue())
