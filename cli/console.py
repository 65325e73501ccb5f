"""What commands print: results on standard output; progress, warnings and notes on standard error."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from vidrep.training.ranks import is_main_process

if TYPE_CHECKING:
    from pathlib import Path

    from vidrep.features.failures import Failure
    from vidrep.progress import Progress, ProgressListener

# A greater share of a training's time spent waiting for data is worth a hint.
_LARGE_DATA_SHARE = 0.2
# Without a terminal, progress is a line every so many tenths of the work.
_PLAIN_TENTHS = 2
# More failures than this are left to the file that lists them all.
_FAILURES_SHOWN = 10
# The exit code when everything is done but for some videos.
EXIT_SOME_FAILED = 4


def note(text: str) -> None:
    """Print a line on standard error; if nobody reads that any more, this and all that follows goes nowhere.

    The work must not end because who read its progress has gone. Of several processes only one is_main_process.
    """
    if not is_main_process():
        return
    try:
        typer.echo(text, err=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _LogLine(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        note(f"{prefix}{record.getMessage()}")


def show_log(*, quiet: bool = False) -> None:
    """Print what the library logs as lines on standard error; if quiet, warnings alone."""
    log = logging.getLogger("vidrep")
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    if not any(isinstance(handler, _LogLine) for handler in log.handlers):
        log.addHandler(_LogLine())


@contextmanager
def progress_bar(title: str, *, quiet: bool) -> Iterator["ProgressListener"]:
    """Give a listener that draws a bar on a terminal, prints a few lines elsewhere, and nothing if quiet."""
    if quiet or not is_main_process():
        yield lambda progress: None
    elif not sys.stderr.isatty():
        yield _plain_lines(title)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=None, metrics="")

            def listen(progress: "Progress") -> None:
                bar.update(
                    task,
                    completed=progress.done,
                    total=progress.total,
                    metrics=f"{progress.unit}  {_metrics(progress)}",
                )

            yield listen


def _plain_lines(title: str) -> "ProgressListener":
    last_tenth, began = 0, time.monotonic()

    def listen(progress: "Progress") -> None:
        nonlocal last_tenth
        tenth = 10 * progress.done // max(1, progress.total)
        if tenth >= last_tenth + _PLAIN_TENTHS or (progress.done == progress.total and last_tenth < 10):
            last_tenth = tenth
            left = (time.monotonic() - began) * (progress.total - progress.done) / max(1, progress.done)
            line = f"{title}: {progress.done} of {progress.total} {progress.unit}  {_metrics(progress)}".rstrip()
            note(f"{line}  {duration(left)} left")

    return listen


def _metrics(progress: "Progress") -> str:
    return "  ".join(f"{name} {value:,.4g}" for name, value in progress.metrics.items())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join(lines)


def fields(values: Mapping[str, object]) -> str:
    """Lay out names and values, one a line."""
    width = max(len(name) for name in values)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in values.items())


def duration(seconds: float) -> str:
    """Say how long something took: "42 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def waiting(data_share: float) -> str:
    """Say what part of a training's time went by waiting for data: "0.3 % of the time waiting for data"."""
    return f"{100 * data_share:.1f} % of the time waiting for data"


def advise_on_data(data_share: float) -> None:
    """Print what to do, if a training waited for data much of its time."""
    if data_share > _LARGE_DATA_SHARE:
        note(
            "hint: much of the time went by waiting for data; keep the features on a local disk and as much memory "
            "free as they take, and leave a core to reading them (--threads)"
        )


def size(num_bytes: int) -> str:
    """Say how many bytes: "812 B", "3.4 MB"."""
    from vidrep.files import size_in_words

    return size_in_words(num_bytes)


def report_annotations(missing: Sequence[str], unlisted: Sequence[str]) -> None:
    """Say on standard error which videos labels or splits name that are not there, and the other way round."""
    from vidrep.errors import some_names

    for what, names in (("listed but not there", missing), ("not listed", unlisted)):
        if names:
            note(f"warning: {len(names)} videos are {what}: {some_names(names)}")


def report_failures(failures: Sequence["Failure"], path: "Path | None" = None) -> None:
    """Say on standard error which videos failed, and exit with the code for that; return if there are none."""
    if not failures:
        return
    for failure in failures[:_FAILURES_SHOWN]:
        note(f"{failure.status}: {failure.path}: {failure.reason}")
    if len(failures) > _FAILURES_SHOWN:
        note(f"... and {len(failures) - _FAILURES_SHOWN} more")
    num_failed = sum(failure.status == "failed" for failure in failures)
    where = f"; all are listed in {path}" if path else ""
    note(f"{num_failed} videos failed, {len(failures) - num_failed} are partial{where}")
    raise typer.Exit(EXIT_SOME_FAILED)
