"""Lines on standard error: notes, warnings and what the library logs. Results go to standard output by `typer.echo`."""

import logging
import os
import sys

import typer

from vidrep.training.ranks import is_main_process


def note(text: str) -> None:
    """Print a line on standard error; of several processes, the main one alone prints.

    Where standard error cannot be written any more, because its reader has ended or its disk is full, this line and all
    later ones are dropped: the work goes on.
    """
    if not is_main_process():
        return
    try:
        typer.echo(text, err=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _LogLine(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        note(f"{prefix}{record.getMessage()}")


def show_summary(line: str, *, above: str = "", below: str = "", quiet: int) -> None:
    """Print what a command did, a line with details above and below it; quiet: 1 the line alone, 2 nothing."""
    if quiet < 2:
        typer.echo("\n".join(filter(None, [line] if quiet else [above, line, below])))


def show_log(*, quiet: int = 0) -> None:
    """Print what the library logs as lines on standard error; if quiet, warnings alone."""
    log = logging.getLogger("vidrep")
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    if not any(isinstance(handler, _LogLine) for handler in log.handlers):
        log.addHandler(_LogLine())
