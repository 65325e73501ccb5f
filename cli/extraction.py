"""What all `vidrep extract` commands share: their options, the run, and what it prints."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import note, show_log, show_summary
from .help import output_option, speed_option
from .layout import duration, in_a_line, size
from .options import CommonOptions, GroupedAnnotationOptions, Overwrite, SamplingOptions, SourceOptions, Threads
from .problems import report_failures
from .progress import progress_bar
from .stopping import stopping_on_signals

if TYPE_CHECKING:
    from vidrep.extraction.estimate import Estimate
    from vidrep.extraction.extract import ExtractSummary
    from vidrep.extraction.extractors.extractor import Extractor
    from vidrep.extraction.placement import Changes
    from vidrep.video.sources import VideoSource


@dataclass(frozen=True, kw_only=True)
class ExtractionOptions:
    """Where an extraction writes, and how it shares its work."""

    output: Annotated[
        Path,
        output_option(
            "--output",
            "-o",
            metavar="FILE|FOLDER",
            help="A feature file (.h5), or a folder that keeps the parts.",
            show_default=False,
        ),
    ]
    overwrite: Overwrite = False
    prune: Annotated[bool, output_option("--prune", help="Drop videos that are not among VIDEOS any more.")] = False
    dry_run: Annotated[
        bool, output_option("--dry-run", help="Print how many frames, how much time and disk it takes, and stop.")
    ] = False
    workers: Annotated[
        int | None,
        speed_option("--workers", min=0, help="Decoding processes; default: one a core. 0: decode in this one."),
    ] = None
    timeout: Annotated[
        float | None,
        speed_option(
            "--timeout",
            min=1,
            metavar="SECONDS",
            help="Give up a video whose decoder shows no progress for so long; default: 120.",
        ),
    ] = None
    threads: Threads = None


def run_extraction(
    build: Callable[[], "Extractor"],
    source: SourceOptions,
    sampling: SamplingOptions,
    annotations: GroupedAnnotationOptions,
    work: ExtractionOptions,
    common: CommonOptions,
) -> None:
    """Extract, or estimate what that takes, and print the summary.

    build: makes the extractor, once the output is known to be free.
    """
    show_log(quiet=common.quiet)
    if work.dry_run:
        _print_estimate(build, source, sampling, work)
        return
    from vidrep.errors import some_names

    summary = _extract(build, source, sampling, annotations, work, quiet=common.quiet)
    if copies := summary.changes.copies:
        names = some_names(f"{copy} (of {first})" for copy, first in copies.items())
        note(f"warning: {len(copies)} files are copies, and count once: {names}")
    below = "\n".join(filter(None, (_changes_text(summary.changes), _rates_text(summary))))
    show_summary(_summary_text(summary, work.output), below=below, quiet=common.quiet)
    report_failures(summary.failures, summary.failures_file)


def _extract(
    build: Callable[[], "Extractor"],
    source: SourceOptions,
    sampling: SamplingOptions,
    annotations: GroupedAnnotationOptions,
    work: ExtractionOptions,
    *,
    quiet: int,
) -> "ExtractSummary":
    kept, sources, listed = sampling.build(), source.find(), annotations.read()

    from vidrep.extraction.extract import extract

    with stopping_on_signals() as should_stop, progress_bar("extract", quiet=quiet) as on_progress:
        return extract(
            sources,
            work.output,
            build,
            sampling=kept,
            video_stream=source.video_stream,
            annotations=listed,
            group_pattern=annotations.group,
            overwrite=work.overwrite,
            prune=work.prune,
            workers=work.workers,
            threads=work.threads,
            **({} if work.timeout is None else {"timeout": work.timeout}),
            should_stop=should_stop,
            on_progress=on_progress,
        )


def _print_estimate(
    build: Callable[[], "Extractor"], source: SourceOptions, sampling: SamplingOptions, work: ExtractionOptions
) -> None:
    from vidrep.extraction.estimate import estimate

    sources = source.find()
    expected = estimate(
        sources,
        work.output,
        build(),
        sampling=sampling.build(),
        video_stream=source.video_stream,
        overwrite=work.overwrite,
        workers=work.workers,
        threads=work.threads,
    )
    typer.echo(_estimate_text(expected, sources, work.output))


def _estimate_text(expected: "Estimate", sources: Sequence["VideoSource"], output: Path) -> str:
    classes = {source.label for source in sources} - {""}
    done = f"{expected.num_done} of them done already, " if expected.num_done else ""
    tried = f"; {expected.num_unreadable} of the {expected.num_tried} tried cannot be read"
    unreadable = tried if expected.num_unreadable else ""
    finished, needed, free = map(size, (expected.output_bytes, expected.needed_bytes, expected.free_bytes))
    short = ": too little" if expected.needed_bytes > expected.free_bytes else ""
    return (
        f"{expected.num_videos} videos, {done}{len(classes)} class folders -> {in_a_line(output)}{unreadable}\n"
        f"about {expected.num_frames:,} frames to do, {duration(expected.seconds)} on this machine\n"
        f"disk: {finished} in the end; while it is made, it needs {needed}, and {free} are free{short}"
    )


def _changes_text(changes: "Changes") -> str:
    """Describe in a line what is not as it was, '' if all videos are new."""
    kinds = {
        "added": changes.added,
        "moved": changes.moved,
        "relabeled": changes.relabeled,
        "replaced": changes.replaced,
        "back": changes.back,
        "missing": changes.missing,
    }
    counts = [f"{len(keys)} {name}" for name, keys in kinds.items() if keys]
    is_first = not changes.num_unchanged and len(counts) == bool(changes.added)
    return "" if is_first else ", ".join([*counts, f"{changes.num_unchanged} unchanged"])


def _summary_text(summary: "ExtractSummary", output: Path) -> str:
    """Describe what an extraction did; output: as it was given."""
    removed = f", {summary.num_removed} removed" if summary.num_removed else ""
    text = (
        f"{in_a_line(output)}: {summary.num_videos} videos, {summary.num_frames} frames; {summary.num_new} new{removed}"
    )
    if not summary.num_new_frames:
        return text
    rate = summary.num_new_frames / max(summary.seconds, 1e-9)
    return f"{text}, {summary.num_new_frames} frames in {duration(summary.seconds)} ({rate:,.0f} frames/s)"


def _rates_text(summary: "ExtractSummary") -> str:
    """Describe what limited the speed, '' if nothing was measured."""
    rates = {name: value for name, value in asdict(summary.rates).items() if value is not None}
    if not rates:
        return ""
    stages = ", ".join(f"{name} {value:,.0f}" for name, value in rates.items())
    return f"frames/s of each stage on its own: {stages}; {summary.rates.limiting} is the slowest"
