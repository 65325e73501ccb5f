"""Results as text: tables, names with values, names in a line, durations and sizes."""

import unicodedata
from collections.abc import Mapping, Sequence

# Control characters, and what Unicode has besides to end a line.
_BREAKING = frozenset({"Cc", "Zl", "Zp"})


def in_a_line(text: object) -> str:
    """Return a text, such as a file's name, with its line feeds and other control characters as in "a\\nb"."""
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in _BREAKING else one for one in str(text)
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, the others to the right."""
    head, rows = [in_a_line(cell) for cell in head], [[in_a_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join(lines)


def fields(values: Mapping[str, object]) -> str:
    """Lay out names and values, one a line."""
    width = max(len(name) for name in values)
    return "\n".join(f"{name.ljust(width)}  {in_a_line(value)}" for name, value in values.items())


def duration(seconds: float) -> str:
    """Return a duration as people read it: "4.2 s", "42 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(num_bytes: int) -> str:
    """Return a number of bytes as people read it: "812 B", "3.4 MB"."""
    from vidrep.files import size_in_words

    return size_in_words(num_bytes)
