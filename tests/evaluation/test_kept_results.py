"""Results of parts: made once, of one set of settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from vidrep.errors import InputError, OutputError
from vidrep.evaluation.kept_results import KeptResults


def test_a_part_is_made_once_and_a_killed_one_again(tmp_path: Path) -> None:
    folder, made = tmp_path / "results", list[str]()

    def make(part: Path) -> dict[str, Any]:
        made.append(part.name)
        if len(made) == 2:
            raise KeyboardInterrupt
        return {"accuracy": 0.5, "of": {"a": [1, 2]}}

    with KeptResults.opened(folder, {"seed": 0}) as kept:
        first = kept.result("split1/a", make)
        with pytest.raises(KeyboardInterrupt):
            kept.result("split1/b", make)
    with KeptResults.opened(folder, {"seed": 0}) as kept:
        assert kept.result("split1/a", make) == first == {"accuracy": 0.5, "of": {"a": [1, 2]}}
        assert kept.result("split1/b", make) == first
    assert made == ["a", "b", "b"]
    assert json.loads((folder / "split1" / "b" / "result.json").read_text()) == first


def test_other_settings_are_shown(tmp_path: Path) -> None:
    with KeptResults.opened(tmp_path / "results", {"seed": 0, "training": {"steps": 10}}):
        pass
    with (
        pytest.raises(OutputError, match=r"holds results of other settings: training\.steps is 10, not 20; give the"),
        KeptResults.opened(tmp_path / "results", {"seed": 0, "training": {"steps": 20}}),
    ):
        pass


def test_another_folder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with (
        pytest.raises(OutputError, match=r"holds thesis\.txt and no settings\.json; give a new folder"),
        KeptResults.opened(tmp_path, {}),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_only_one_process_writes(tmp_path: Path) -> None:
    with (
        KeptResults.opened(tmp_path / "results", {}),
        pytest.raises(OutputError, match="is being written by process"),
        KeptResults.opened(tmp_path / "results", {}),
    ):
        pass


@pytest.mark.parametrize("name", ["settings.json", "a/result.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    def read() -> None:
        with KeptResults.opened(tmp_path / "results", {}) as kept:
            kept.result("a", lambda folder: {})

    read()
    (tmp_path / "results" / name).write_text("{")
    with pytest.raises(InputError, match=name):
        read()
