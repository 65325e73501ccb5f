"""Which models a folder holds."""

import json
from pathlib import Path
from typing import Any

import pytest

from vidrep.errors import InputError
from vidrep.models.members import member_folder, member_folders, write_members


def test_a_run_of_one_model_is_that_model(tmp_path: Path) -> None:
    assert member_folders(tmp_path) == [tmp_path]


def test_the_members_of_an_ensemble_in_their_order(tmp_path: Path) -> None:
    write_members(tmp_path, 11)
    assert member_folders(tmp_path) == [tmp_path / "members" / str(number) for number in range(1, 12)]
    assert member_folder(tmp_path, 3) == tmp_path / "members" / "3"


def test_one_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    member_folder(tmp_path, 1).mkdir(parents=True)
    with pytest.raises(InputError, match="its training is not finished; the same command with --resume goes on"):
        member_folders(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        {"format": "vidrep-ensemble", "version": 2, "members": 3},
        {"format": "vidrep-run", "version": 1, "members": 3},
        {"format": "vidrep-ensemble", "version": 1, "members": 0},
        {"format": "vidrep-ensemble", "version": 1, "members": "3"},
        {"format": "vidrep-ensemble", "version": 1, "members": 2.5},
    ],
    ids=str,
)
def test_a_damaged_list_is_named_in_one_line(tmp_path: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "ensemble.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"ensemble\.json: does not list the members of an ensemble \(") as caught:
        member_folders(tmp_path)
    assert "\n" not in str(caught.value)
