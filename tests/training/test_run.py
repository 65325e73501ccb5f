"""The run folder: a new one, or a run's; a folder with anything else in it is refused."""

import csv
import errno
import json
import os
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from small_features import circles, features_of, pretrain_config

from vidrep import files
from vidrep.config.reader import load_recipe, to_mapping
from vidrep.config.settings import PretrainConfig
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.features.groups import GroupRule
from vidrep.features.store import Features
from vidrep.sequences.split import VideoSplit
from vidrep.training.run import RunFolder
from vidrep.training.run_metrics import Metrics
from vidrep.training.run_videos import RunVideos, read_used_videos

CPU = torch.device("cpu")


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(2))


@pytest.fixture
def videos(features: Features) -> RunVideos:
    return RunVideos(
        features.videos,
        [row.label for row in features.videos],
        VideoSplit(train=[0, 2], validation=[3], test=[1]),
        groups=["anna", "ben", "anna", "cleo"],
        group_rule=GroupRule("anna|ben|cleo"),
    )


def prepare(path: Path, videos: RunVideos, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    run = RunFolder(path)
    with run.prepared(to_mapping(pretrain_config()), videos, resume=resume, overwrite=overwrite, device=CPU):
        return run


def test_a_new_run_has_its_settings_videos_and_environment(
    tmp_path: Path, features: Features, videos: RunVideos
) -> None:
    path = tmp_path / "runs" / "new"
    prepare(path, videos)
    assert load_recipe(PretrainConfig, path / "config.toml") == pretrain_config()
    rows = list(csv.DictReader((path / "videos.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["video"], row["label"], row["split"]) for row in rows] == [
        ("left/00.npy", "left", "train"),
        ("left/01.npy", "left", "test"),
        ("right/00.npy", "right", "train"),
        ("right/01.npy", "right", "validation"),
    ]
    assert [row["checksum"] for row in rows] == [row.checksum for row in features.videos]
    assert [row["source_sha256"] for row in rows] == [row.source_sha256 for row in features.videos]
    environment = json.loads((path / "environment.json").read_text(encoding="utf-8"))
    assert (environment["torch"], environment["device"]) == (torch.__version__, "cpu")


def test_a_run_is_a_recipe_without_its_groups_and_says_so(
    tmp_path: Path, videos: RunVideos, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder(tmp_path / "run")
    settings = {**to_mapping(pretrain_config()), **videos.recorded()}
    with run.prepared(settings, videos, resume=False, overwrite=False, device=CPU):
        pass
    assert read_used_videos(run.path).group_rule == GroupRule("anna|ben|cleo")
    assert load_recipe(PretrainConfig, run.path / "config.toml") == pretrain_config()
    assert "its groups are not a setting and are left out; give --group to have them again" in caplog.text


@pytest.mark.parametrize("text", ["[groups]\npattern = 3\n", "groups = 3\n", "[groups", None])
def test_a_damaged_config_is_named(tmp_path: Path, videos: RunVideos, text: str | None) -> None:
    run = prepare(tmp_path / "run", videos)
    path = run.path / "config.toml"
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"config.toml cannot be read \(.+\); is it a run folder"):
        read_used_videos(run.path)


def test_what_was_used_is_identified_by_content_and_the_test_split_is_not_among_it(
    tmp_path: Path, features: Features, videos: RunVideos
) -> None:
    prepare(tmp_path / "run", videos)
    used = read_used_videos(tmp_path / "run")
    for index, row in enumerate(features.videos):
        assert (row.checksum in used.content, row.source_sha256 in used.content) == (index != 1, index != 1)
    assert used.groups == {"anna", "cleo"}
    table = tmp_path / "run" / "videos.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("anna", "zoe\u0301"), encoding="utf-8")
    assert read_used_videos(tmp_path / "run").groups == {"zo\u00e9", "cleo"}
    (tmp_path / "run" / "videos.csv").write_text("video\nx\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(InputError, match=r"videos.csv cannot be read"):
            read_used_videos(tmp_path / "run")
        (tmp_path / "run" / "videos.csv").unlink(missing_ok=True)


def test_an_empty_folder_will_do(tmp_path: Path, videos: RunVideos) -> None:
    (tmp_path / "run").mkdir()
    prepare(tmp_path / "run", videos)
    assert (tmp_path / "run" / "config.toml").is_file()


def test_a_folder_with_anything_in_it_is_refused_as_it_is(tmp_path: Path, videos: RunVideos) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "notes.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(OutputError, match="exists; give a new folder, --resume to go on or --overwrite"):
        prepare(path, videos)
    with pytest.raises(OutputError, match=r"not overwritten: it holds notes.txt, which no run holds"):
        prepare(path, videos, overwrite=True)
    assert [one.name for one in path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["samples", "checkpoints"])
def test_a_folder_is_no_run_because_of_what_a_run_might_hold(tmp_path: Path, videos: RunVideos, name: str) -> None:
    precious = tmp_path / "data" / name / "precious"
    precious.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"not overwritten: it holds no config.toml"):
        prepare(tmp_path / "data", videos, overwrite=True)
    assert precious.is_dir()


def test_a_file_is_refused(tmp_path: Path, videos: RunVideos) -> None:
    path = tmp_path / "run"
    path.write_text("dear", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="run is a file; give a new folder"):
            prepare(path, videos, overwrite=overwrite)
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(path / "below", videos)
    assert path.read_text(encoding="utf-8") == "dear"


def test_a_run_is_overwritten_whole_even_one_that_was_killed(tmp_path: Path, videos: RunVideos) -> None:
    path = tmp_path / "run"
    run = prepare(path, videos)
    Metrics(path, step=0).append({"step": 1})
    run.checkpoints.save({}, step=1, keep=1)
    (path / ".model.safetensors.4711.tmp").write_bytes(b"half")
    prepare(path, videos, overwrite=True)
    assert sorted(one.name for one in path.iterdir()) == [
        "config.toml",
        "environment.json",
        "history.jsonl",
        "videos.csv",
    ]


def test_to_go_on_and_to_start_anew_are_two_things(tmp_path: Path, videos: RunVideos) -> None:
    prepare(tmp_path / "run", videos)
    with pytest.raises(ConfigError, match="resume and overwrite: give one of the two"):
        prepare(tmp_path / "run", videos, resume=True, overwrite=True)


def test_what_was_changed_is_shown_up_to_three(tmp_path: Path, videos: RunVideos) -> None:
    prepare(tmp_path / "run", videos)
    changes: dict[str, Any] = {"seed": 3, "steps": 11, "patience": 5, "validate_every": 4, "batch_size": 7}
    run = RunFolder(tmp_path / "run")
    changed = run.prepared(to_mapping(pretrain_config(**changes)), videos, resume=True, overwrite=False, device=CPU)
    with pytest.raises(OutputError) as caught, changed:
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'run'}: resumed with training.batch_size 7, the run has 4; training.patience 5, the run has "
        "10; training.seed 3, the run has 0; and 1 more; leave that out, or give a new folder"
    )


def test_what_a_killed_process_was_about_to_publish_is_removed(tmp_path: Path, videos: RunVideos) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / ".config.toml.4711.tmp").write_bytes(b"half")
    run = prepare(path, videos)
    assert sorted(one.name for one in path.iterdir()) == [
        "config.toml",
        "environment.json",
        "history.jsonl",
        "videos.csv",
    ]
    run.checkpoints.save({}, step=1, keep=1)
    (path / "checkpoints" / ".00000002.pt.4711.tmp").write_bytes(b"half")
    prepare(path, videos, resume=True)
    assert [one.name for one in (path / "checkpoints").iterdir()] == ["00000001.pt"]


def test_the_space_that_a_checkpoint_needs_is_named_if_the_disk_is_full(
    tmp_path: Path, videos: RunVideos, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare(tmp_path / "run", videos)
    large = torch.ones(1_000_000)
    run.checkpoints.save({"weights": large}, step=1, keep=1)
    calls = count(1)

    def fill(descriptor: int, content: bytes, offset: int) -> None:
        if next(calls) >= 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(descriptor, content, offset)

    monkeypatch.setattr(files, "write_at", fill)
    message = r"00000002.pt: cannot be written \(No space left on device; needs 8.0 MB and the disk has .* left\); free"
    with pytest.raises(OutputError, match=message) as caught:
        run.checkpoints.save({"weights": large, "more": [{"of": 2 * large}]}, step=2, keep=1)
    assert "\n" not in str(caught.value)
    assert [one.name for one in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000001.pt"]
    assert torch.equal(run.checkpoints.load()["weights"], large)
