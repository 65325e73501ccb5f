"""The table of videos goes to columns and back."""

from dataclasses import replace

import numpy as np
import pytest

from vidrep.features.table import COLUMNS, VideoRow, columns_of, rows_of

ROWS = [
    VideoRow("a/é.mp4", label="a", group="é", fps=29.97, num_frames_from_header=-1, source_size=2**40, root="/r"),
    VideoRow("b.mp4", status="partial", message="bad", missing=True, start=7, length=3, checksum="00ff"),
]


def test_rows_survive_the_columns() -> None:
    columns = columns_of(ROWS)
    assert list(columns) == list(COLUMNS)
    assert {column.shape for column in columns.values()} == {(2,)}
    assert columns["path"].dtype == "S8"
    assert [columns[name].dtype.name for name in ("start", "fps", "missing")] == ["int64", "float64", "int64"]
    assert columns["missing"].tolist() == [0, 1]
    assert rows_of(columns) == ROWS
    assert rows_of(columns_of([])) == []


def test_text_that_is_not_utf8() -> None:
    columns = columns_of([replace(ROWS[0], message="name \udcff")])
    assert rows_of(columns)[0].message == "name \\udcff"
    columns["path"] = np.array([b"\xff"])
    with pytest.raises(UnicodeDecodeError):
        rows_of(columns)
