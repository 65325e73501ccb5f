"""What a check finds, and the CSV file of all videos that it is about."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ...files import write_text


@dataclass(frozen=True, kw_only=True)
class FlaggedVideo:
    """A video that a finding is about; '' for what it does not have.

    other, other_split, other_label: a second video, of which it is a duplicate. detail: what else there is to it.
    """

    video: str
    split: str = ""
    label: str = ""
    group: str = ""
    other: str = ""
    other_split: str = ""
    other_label: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or odd.

    kind: such as "near duplicates across splits". is_problem: whether figures cannot be trusted, or training fails,
    until it is mended; otherwise it is a remark. what: a sentence on what was found. remedy: what to do.
    """

    kind: str
    is_problem: bool
    what: str
    remedy: str
    videos: list[FlaggedVideo] = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-like, each video with what it has."""
        return asdict(self) | {"videos": [{k: v for k, v in asdict(one).items() if v} for one in self.videos]}


_COLUMNS = ["finding", "severity", *(one.name for one in fields(FlaggedVideo))]


def require_findings_path(path: Path) -> None:
    """Raise OutputError, before any work, for a folder, and for a file that is no such table: it is not replaced."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a CSV file")
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.readline().rstrip("\n") != ",".join(_COLUMNS):
                raise OutputError(f"{path} exists and is no table of `vidrep check`; give another name")


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Publish a CSV file with a row for each video of each finding; raises OutputError if it cannot be written."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for finding in findings:
        severity = "problem" if finding.is_problem else "remark"
        table.writerows([finding.kind, severity, *asdict(one).values()] for one in finding.videos)
    write_text(path, text.getvalue())
