"""history.jsonl: what a run records of its starts."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_features import circles, features_of, pretrain_config

from vidrep import __version__
from vidrep.errors import InputError
from vidrep.features.checksum import content_digest
from vidrep.training.history import Origin, append_start, new_start, read_history
from vidrep.training.pretrain import train


def test_each_start_of_a_run_is_a_line(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    origin = Origin(command="vidrep train features.h5 -o run", options={"labels": "labels.csv"})
    run = train(features, tmp_path / "run", pretrain_config(seed=5), device="cpu", origin=origin).folder
    train(features, run, pretrain_config(seed=5), device="cpu", resume=True)
    first, second = read_history(run)
    assert (first.command, first.options, first.vidrep) == (origin.command, origin.options, __version__)
    assert (first.features, first.content) == (
        str(features.path),
        content_digest(row.checksum for row in features.videos),
    )
    assert first.changes["training.seed"] == 5
    assert "training.member" not in first.changes
    assert (second.command, second.changes, second.content) == ("", {}, first.content)
    assert first.date <= second.date


def test_a_history_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    start = new_start(Origin(), features="", content="", changes={})
    append_start(tmp_path, start)
    append_start(tmp_path, replace(start, steps=20, from_step=10))
    assert [one.steps for one in read_history(tmp_path)] == [None, 20]
    (tmp_path / "history.jsonl").write_text("odd\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"history.jsonl: cannot be read \(.*\); remove it"):
        read_history(tmp_path)
