"""What went wrong without ending a command: videos that failed, and the exit codes for that and for what is found."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .console import note

if TYPE_CHECKING:
    from vidrep.features.failures import Failure

EXIT_SOME_FAILED = 4
"""The exit code of a command that did everything but for some videos."""

EXIT_PROBLEMS = 9
"""The exit code of a check that found a problem, such as a leak."""

# More failures than this are left to the file that lists them all.
_FAILURES_SHOWN = 10


def report_failures(failures: Sequence["Failure"], path: Path | None = None) -> None:
    """Print which videos failed, and exit with the code for that; return if there are none."""
    if not failures:
        return
    for failure in failures[:_FAILURES_SHOWN]:
        note(f"{failure.status}: {failure.path}: {failure.reason}")
    if len(failures) > _FAILURES_SHOWN:
        note(f"... and {len(failures) - _FAILURES_SHOWN} more")
    counts = Counter(failure.status for failure in failures)
    where = f"; all are listed in {path}" if path else ""
    conflicts = f", {counts['conflict']} contradict each other" if counts["conflict"] else ""
    note(f"{counts['failed']} videos failed, {counts['partial']} are partial{conflicts}{where}")
    raise typer.Exit(EXIT_SOME_FAILED)
