"""Tables of videos: CSV whose first line names the columns, as spreadsheets and data sets write it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...errors import LabelError
from .columns import Columns, column_name, num_known
from .entries import Annotations, add, place_of

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def table_delimiter(text: str) -> str | None:
    """Return what separates the columns that the first line names; None if it names none that is known."""
    first = next((line for line in text.splitlines() if line.strip(" ;,\t") and not _names_delimiter(line)), "")
    cells = {delimiter: next(csv.reader([first], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    most = max(_DELIMITERS, key=lambda delimiter: num_known(cells[delimiter]))
    return most if num_known(cells[most]) else None


def _names_delimiter(line: str) -> bool:
    """Return whether this is Excel's own first line, "sep=;"."""
    return line.strip().casefold().startswith("sep=") and len(line.strip()) == len("sep=;")


def read_table(path: Path, text: str, delimiter: str) -> tuple[Annotations, str]:
    """Read a table of videos with a label, a split or a group, or several of these; return it and what it is, in words.

    The first line names the columns, in any order; see `columns` for names that count. Splits are train, validation
    and test, also in other forms such as val. An empty cell is no label and no split; an empty group leaves the video's
    group as it is. Spaces around a value are dropped.

    Raises LabelError, naming the line, for missing columns, unknown splits, contradictions and incomplete rows.
    """
    annotations: Annotations = {}
    names: list[str] = []
    keys: list[str] = []
    columns = Columns({}, [])
    for place, values in table_rows(path, text, delimiter):
        if not names:
            columns, names, keys = Columns.of(values, place), values, [column_name(value) for value in values]
            continue
        require_width(names, values, delimiter, place)
        add(annotations, *columns.annotation(dict(zip(keys, values, strict=True)), place))
    return annotations, f"a table separated by {_DELIMITERS[delimiter]}, {description(columns)}"


class Row(NamedTuple):
    """The place of a row of a table, and its cells without spaces around them."""

    place: str
    values: list[str]


def table_rows(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows of a table that are not blank; Excel's own first line, "sep=;", is none.

    Raises LabelError, naming the line, for what is no CSV.
    """
    lines = text.splitlines(keepends=True)
    if lines and _names_delimiter(lines[0]):
        lines[0] = "\n"
    rows = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in rows:
            values = [cell.strip() for cell in cells]
            if any(values):
                yield Row(place_of(path, rows.line_num), values)
    except csv.Error as error:
        raise LabelError(f"{place_of(path, rows.line_num)}: not a CSV ({error}); write one video a line") from error


def require_width(names: list[str], values: list[str], delimiter: str, place: str) -> None:
    """Raise LabelError unless a row has as many values as there are columns."""
    if len(values) != len(names):
        raise LabelError(
            f"{place}: {len(values)} values for {len(names)} columns ({delimiter.join(names)}); quote values "
            f"that hold {_DELIMITERS[delimiter]}"
        )


def description(columns: Columns) -> str:
    """Return which columns count and which do not, in words."""
    used = [column if column == meaning else f"{column} as {meaning}" for meaning, column in columns.used.items()]
    left_out = f" (left out: {', '.join(columns.left_out)})" if columns.left_out else ""
    return f"columns {', '.join(used)}{left_out}"
