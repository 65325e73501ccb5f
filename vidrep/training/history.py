"""history.jsonl of a run: one line each time that it was started or went on, with what it was made of.

Nothing of it changes what is learned, and nothing but this file and environment.json differs between equal runs.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text
from ..version import __version__

HISTORY_NAME = "history.jsonl"
_COMMIT_LETTERS = 12


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a caller says about where a training comes from; all of it is for the record.

    command: the command line, "" for a call in Python. options: of the command line, what names the data besides the
    features, such as {"labels": "labels.csv"}: a run that goes on takes them again.
    """

    command: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a run, or one time that it went on.

    date: local time with its offset from UTC. vidrep, commit: the version, and the commit if it runs from a checkout.
    features, content: the feature file's path as it was given, and its hash, see `content_digest`; "" without features.
    changes: the settings that differ from the defaults. steps, from_step: where more steps were asked for, how many in
    all, and after which step.
    """

    date: str
    command: str
    vidrep: str
    commit: str
    features: str
    content: str
    options: Mapping[str, Any]
    changes: Mapping[str, Any]
    steps: int | None = None
    from_step: int | None = None


def new_start(origin: Origin, *, features: str, content: str, changes: Mapping[str, Any]) -> Start:
    """Return what is to be recorded of a start that happens now."""
    return Start(
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        command=origin.command,
        vidrep=__version__,
        commit=_commit(),
        features=features,
        content=content,
        options=origin.options,
        changes=changes,
    )


def append_start(folder: Path, start: Start) -> None:
    """Add a line to a run's history.jsonl; raises OutputError if that is impossible."""
    path = folder / HISTORY_NAME
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, before + json.dumps(asdict(start), ensure_ascii=False) + "\n")


def read_history(folder: Path) -> list[Start]:
    """Return the starts of a run, the first one first; none for a run of an earlier vidrep.

    Raises InputError if the file cannot be read.
    """
    path = folder / HISTORY_NAME
    if not path.is_file():
        return []
    names = {one.name for one in fields(Start)}
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Start(**{name: value for name, value in line.items() if name in names}) for line in lines]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, nothing else needs it") from error


def _commit() -> str:
    """Return the commit of the checkout that vidrep runs from, "" if it is installed in another way."""
    folder = Path(__file__).parent
    if not _git(folder, "ls-files", "__init__.py"):  # another project's checkout may be around it
        return ""
    return _git(folder, "describe", "--always", "--dirty", f"--abbrev={_COMMIT_LETTERS}", "--exclude=*")


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
