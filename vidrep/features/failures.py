"""failures.csv: the videos that are missing from a feature file, in whole or in part, and why."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import remove, write_text
from .store import SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A video that a feature file lacks, wholly or in part.

    status: "failed"; "partial" if a part is there; "conflict" if its files contradict each other, and it is not used.
    """

    path: str
    status: str
    reason: str
    source: str


def failures_path(output: Path) -> Path:
    """Return the path of the list: features.failures.csv beside features.h5, failures.csv in a folder of parts."""
    return output.with_suffix(".failures.csv") if output.suffix in SUFFIXES else output / "failures.csv"


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Publish the list of failures; without any, remove the list of an earlier call."""
    if not failures:
        remove(path)
        return
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["video", "status", "reason", "source"])
    table.writerows([failure.path, failure.status, failure.reason, failure.source] for failure in failures)
    write_text(path, text.getvalue())
