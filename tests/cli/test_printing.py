"""Results as text."""

import pytest

from vidrep_cli import training
from vidrep_cli.layout import duration, fields, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.24, "4.2 s"), (41.7, "42 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_tables_and_fields() -> None:
    assert table(["", "accuracy"], [["LSTM", "0.5"], ["mean feature", "1"]]) == (
        "              accuracy\nLSTM               0.5\nmean feature         1"
    )
    assert fields({"a": 1, "long": "b"}) == "a     1\nlong  b"


@pytest.mark.parametrize(
    ("share", "phrase", "advised"), [(0.0031, "0.3 %", False), (0.2, "20.0 %", False), (0.214, "21.4 %", True)]
)
def test_waiting_for_data_is_printed_and_advised_on(
    share: float, phrase: str, advised: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert training.waiting_text(share) == f"{phrase} of the time waiting for data"
    training.advise_on_data(share)
    hint = capsys.readouterr().err
    assert hint.startswith("hint: ") if advised else not hint
    assert hint.count("\n") == advised
