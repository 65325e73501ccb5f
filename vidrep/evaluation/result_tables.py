"""Which files an evaluation may write its tables to."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError, OutputError
from .request import EvaluationOptions


def require_result_tables(options: EvaluationOptions, columns: Sequence[str]) -> None:
    """Raise before any work if the tables of mistakes and of predictions cannot be written.

    columns: that both begin with. A table of an earlier evaluation is replaced. Raises ConfigError if both have one
    name, OutputError for a folder, or for a file that is no such table.
    """
    tables = [path for path in (options.errors, options.predictions) if path is not None]
    if len(tables) == 2 and tables[0].resolve() == tables[1].resolve():
        raise ConfigError(f"{tables[0]}: mistakes and predictions are two files; give another name to one of them")
    for path in tables:
        _require_table_path(path, columns)


def _require_table_path(path: Path, columns: Sequence[str]) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a CSV file")
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        if not file.readline().startswith(",".join(columns)):
            raise OutputError(f"{path} exists and is no table of an evaluation; give another name")
