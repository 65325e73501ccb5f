"""Lines on standard error: notes, warnings and what the library logs. Results go to standard output by `typer.echo`.

A character that the encoding of standard output lacks is printed as "\\u65e5", as Python does on standard error. Where
the encoding is ASCII, `typer.echo` prints UTF-8.
"""

import io
import json
import logging
import os
import sys

import typer

from vidrep.errors import LONGEST_MESSAGE, shortened
from vidrep.training.ranks import is_main_process

from .layout import in_a_line


def replace_what_cannot_be_encoded() -> None:
    """Let no name end a command after all its work, whatever the encoding of standard output is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def as_json(content: object) -> str:
    """Return JSON to be printed: with its characters as they are if standard output has them, else with escapes."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, indent=2)
    return text


def note(text: str) -> None:
    """Print a text as one line on standard error, shortened like an error; of several processes, the main one alone
    prints.

    Where standard error cannot be written any more, because its reader has ended or its disk is full, this line and all
    later ones are dropped: the work goes on.
    """
    if not is_main_process():
        return
    try:
        typer.echo(shortened(in_a_line(text), LONGEST_MESSAGE), err=True)
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
