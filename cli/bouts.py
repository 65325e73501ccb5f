"""`vidrep predict` on long videos: bouts, as text and in files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from . import console
from .help import input_option, output_option, sampling_option
from .layout import in_a_line, table

if TYPE_CHECKING:
    from vidrep.inference.predict_bouts import BoutPredictions, BoutRules, VideoBouts
    from vidrep.segments.segment import Span


@dataclass(frozen=True, kw_only=True)
class BoutOptions:
    """What is wanted of long videos, and by which rules bouts are found."""

    timeline: Annotated[
        bool,
        output_option(
            "--timeline", help="Of a classifier of whole clips too, say what happens when, by windows that slide."
        ),
    ] = False
    output: Annotated[
        Path | None,
        output_option(
            "--output",
            "-o",
            metavar="PATH",
            help="Write bouts: a CSV with confidences, or another format of annotations, by its ending or --format.",
        ),
    ] = None
    format: Annotated[
        str, output_option("--format", help="A format of `vidrep annotations`, such as boris or elan.")
    ] = ""
    annotation_rate: Annotated[
        float | None,
        output_option("--annotation-rate", metavar="X", help="Frames a second of --format deepethogram or simba."),
    ] = None
    summary: Annotated[
        Path | None,
        output_option(
            "--summary", metavar="FILE", help="A CSV of each label: bouts, durations, latency, share of the time."
        ),
    ] = None
    bins: Annotated[
        float | None, output_option("--bins", metavar="SECONDS", help="With --summary: in bins of so many seconds.")
    ] = None
    frames: Annotated[
        Path | None,
        output_option(
            "--frames",
            metavar="PATH",
            help="The probabilities of every frame: NAME.h5, or a folder or file of .npy or .csv.",
        ),
    ] = None
    frames_format: Annotated[
        str | None, output_option("--frames-format", help="h5, npy or csv; default: by the ending of --frames.")
    ] = None
    keep: Annotated[
        Path | None,
        output_option("--features", metavar="FILE", help="Keep the features that are computed on the way, an .h5."),
    ] = None
    top_k: Annotated[
        int | None,
        output_option(
            "--top-k", min=1, help="Of long videos, the most certain bouts of each label; else the likeliest labels."
        ),
    ] = None
    overwrite: Annotated[bool, output_option("--overwrite", help="Replace what is there.")] = False
    start: Annotated[
        float | None, sampling_option("--start", metavar="SECONDS", help="Of long videos, leave out what is before.")
    ] = None
    end: Annotated[
        float | None,
        sampling_option("--end", metavar="SECONDS", help="Of long videos, leave out what is from here on."),
    ] = None
    smoothing: Annotated[
        float | None,
        input_option("--smoothing", metavar="SECONDS", help="Average probabilities over it; default: the run's rule."),
    ] = None
    threshold: Annotated[
        float | None,
        input_option("--threshold", metavar="P", help="A bout's label is so likely somewhere; default: the run's."),
    ] = None
    min_duration: Annotated[
        float | None, input_option("--min-duration", metavar="SECONDS", help="Drop shorter bouts; default: the run's.")
    ] = None
    fill_gaps: Annotated[
        float | None, input_option("--fill-gaps", metavar="SECONDS", help="Close shorter gaps; default: the run's.")
    ] = None
    unsure: Annotated[
        float | None,
        input_option("--unsure", metavar="P", help="Say so where no label is so likely; default: the run's, 0.5."),
    ] = None

    def rules(self) -> "BoutRules":
        """Return the changes to a run's rules; raises ConfigError for what cannot be."""
        from vidrep.inference.predict_bouts import BoutRules

        return BoutRules(
            smoothing=self.smoothing,
            threshold=self.threshold,
            minimum_duration=self.min_duration,
            largest_gap=self.fill_gaps,
            unsure=self.unsure,
            top_k=self.top_k,
        )

    def require_usable(self) -> None:
        """Raise before any work: ConfigError for what does not go together, OutputError for files that exist."""
        from vidrep.errors import ConfigError, OutputError
        from vidrep.segments.known_formats import format_for, format_named

        if self.bins is not None and self.summary is None:
            raise ConfigError("--bins divides --summary FILE into bins of time; give both")
        for name, value, what in (("--format", self.format, "-o"), ("--frames-format", self.frames_format, "--frames")):
            if value and (self.output if what == "-o" else self.frames) is None:
                raise ConfigError(f"{name} {value} is of a file that {what} FILE names; give both")
        if self.output is not None:
            chosen = format_named(self.format) if self.format else format_for(self.output)
            if chosen.counts_frames and self.annotation_rate is None:
                raise ConfigError(f"{chosen.title}: give --annotation-rate X, frames a second")
        for path in (self.output, self.summary):
            if path is not None and path.is_file() and not self.overwrite:
                raise OutputError(f"{path} exists; give a new name or --overwrite")

    def require_none(self) -> None:
        """Raise ConfigError if there are options of long videos where whole clips are classified."""
        from vidrep.errors import ConfigError

        of_long_videos = {
            "--output": self.output,
            "--format": self.format or None,
            "--annotation-rate": self.annotation_rate,
            "--summary": self.summary,
            "--bins": self.bins,
            "--frames": self.frames,
            "--frames-format": self.frames_format,
            "--features": self.keep,
            "--start": self.start,
            "--end": self.end,
            "--smoothing": self.smoothing,
            "--threshold": self.threshold,
            "--min-duration": self.min_duration,
            "--fill-gaps": self.fill_gaps,
            "--unsure": self.unsure,
        }
        if given := [name for name, value in of_long_videos.items() if value is not None]:
            raise ConfigError(
                f"{', '.join(given)}: for what happens when in long videos, and this run classifies whole clips; add "
                "--timeline, or take a run of finetune --annotations"
            )


def write_files(predictions: "BoutPredictions", options: BoutOptions) -> None:
    """Write the files that are asked for."""
    from vidrep.segments.frame_clock import ConstantRate
    from vidrep.segments.known_formats import format_for
    from vidrep.segments.writing import write_segments
    from vidrep.timelines.summary import summarize, summarize_bins
    from vidrep.timelines.tables import annotations_of, write_bins, write_bouts, write_summary

    videos, labels = predictions.videos, predictions.labels
    bouts = {one.key: one.bouts for one in videos}
    watched: Mapping[str, Sequence[Span]] = {one.key: [one.watched] for one in videos}
    if options.output is not None:
        if (options.format or format_for(options.output).name) == "csv":
            write_bouts(options.output, bouts, labels)
        else:
            write_segments(
                annotations_of(bouts, watched, labels),
                options.output,
                format=options.format,
                frame_clock=None if options.annotation_rate is None else ConstantRate(options.annotation_rate),
                overwrite=options.overwrite,
            )
    if options.summary is not None and options.bins is None:
        write_summary(
            options.summary, [row for one in videos for row in summarize(one.key, one.bouts, labels, [one.watched])]
        )
    elif options.summary is not None and options.bins is not None:
        seconds = options.bins
        binned = [summarize_bins(one.key, one.bouts, labels, [one.watched], seconds=seconds) for one in videos]
        write_bins(options.summary, [row for rows in binned for row in rows])


def as_json(predictions: "BoutPredictions") -> str:
    """Return all bouts, and where no label is sure, as JSON."""
    content = [
        {
            "path": one.path,
            "key": one.key,
            "start": one.watched.start,
            "end": one.watched.end,
            "bouts": [dict(zip(_COLUMNS, row, strict=True)) for row in _rows(one, predictions.labels)],
            "unsure": [list(pair) for pair in zip(one.unsure.starts.tolist(), one.unsure.ends.tolist(), strict=True)],
        }
        for one in predictions.videos
    ]
    return console.as_json(content) + "\n"


_COLUMNS = ("start", "end", "label", "confidence")


def as_csv(predictions: "BoutPredictions") -> str:
    """Return a row a bout."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "key", *_COLUMNS])
    for one in predictions.videos:
        for start, end, label, confidence in _rows(one, predictions.labels):
            writer.writerow([one.path, one.key, f"{start:.3f}", f"{end:.3f}", label, f"{confidence:.6f}"])
    return text.getvalue()


def as_lines(predictions: "BoutPredictions") -> str:
    """Return for each video a line with how much it shows, and a table of its bouts."""
    parts = []
    for one in predictions.videos:
        rows = [
            [label, f"{start:.2f}", f"{end:.2f}", f"{end - start:.2f}", f"{confidence:.3f}"]
            for start, end, label, confidence in _rows(one, predictions.labels)
        ]
        unsure = float((one.unsure.ends - one.unsure.starts).sum())
        not_sure = f", {unsure:.1f} s unsure" if unsure else ""
        seconds = one.watched.end - one.watched.start
        parts.append(in_a_line(f"{one.path}: {len(rows)} bouts in {seconds:.1f} s{not_sure}"))
        if rows:
            parts.append(table(["label", "start s", "end s", "duration s", "confidence"], rows))
    return "\n".join(parts) + "\n" if parts else ""


def _rows(one: "VideoBouts", labels: Sequence[str]) -> list[tuple[float, float, str, float]]:
    bouts: Any = one.bouts
    columns = bouts.starts.tolist(), bouts.ends.tolist(), bouts.labels.tolist(), bouts.scores.tolist()
    return [(start, end, labels[label], score) for start, end, label, score in zip(*columns, strict=True)]
