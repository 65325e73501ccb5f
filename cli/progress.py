"""Progress on standard error: a bar on a terminal, a few lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidrep.training.ranks import is_main_process

from .console import note
from .layout import duration

if TYPE_CHECKING:
    from vidrep.progress import Progress, ProgressListener

# Without a terminal, progress is a line every so many tenths of the work.
_PLAIN_TENTHS = 2


@contextmanager
def progress_bar(title: str, *, quiet: int) -> Iterator["ProgressListener"]:
    """Give a listener that draws a bar on a terminal, prints a few lines elsewhere, and nothing if quiet."""
    if quiet or not is_main_process():
        yield lambda progress: None
    elif not sys.stderr.isatty():
        yield _plain_lines(title)
    else:
        with _bar(title) as listen:
            yield listen


@contextmanager
def _bar(title: str) -> Iterator["ProgressListener"]:
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
            metrics = f"{progress.unit}  {_metrics(progress)}"
            bar.update(task, completed=progress.done, total=progress.total, metrics=metrics)

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
