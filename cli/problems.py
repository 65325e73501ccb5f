"""What went wrong without ending a command: videos that failed, and labels of videos that are not there."""

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

# More failures than this are left to the file that lists them all.
_FAILURES_SHOWN = 10


def report_annotations(missing: Sequence[str], unlisted: Sequence[str]) -> None:
    """Print which videos labels or splits name that are not there, and which videos they do not name."""
    from vidrep.errors import some_names

    for what, names in (("listed but not among the videos", missing), ("not listed", unlisted)):
        if names:
            note(f"warning: {len(names)} videos are {what}: {some_names(names)}")


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
