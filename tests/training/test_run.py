"""The run folder: new, or a run's; never somebody else's."""

import csv
import json
from pathlib import Path

import pytest
import torch
from small_features import circles, features_of, pretrain_config

from vidrep.config import PretrainConfig, load_recipe
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.features.store import Features
from vidrep.sequences.partition import Partition
from vidrep.training.run import RunFolder, RunVideos, read_content_used

CPU = torch.device("cpu")


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(2))


@pytest.fixture
def videos(features: Features) -> RunVideos:
    return RunVideos(
        features.videos, [row.label for row in features.videos], Partition(train=[0, 2], validation=[3], test=[1])
    )


def prepare(path: Path, videos: RunVideos, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    run = RunFolder(path)
    run.prepare(pretrain_config(), videos, resume=resume, overwrite=overwrite, device=CPU)
    return run


def test_a_new_run_has_its_settings_videos_and_environment(
    tmp_path: Path, features: Features, videos: RunVideos
) -> None:
    path = tmp_path / "runs" / "new"
    prepare(path, videos)
    assert load_recipe(PretrainConfig, path / "config.toml") == pretrain_config()
    rows = list(csv.DictReader((path / "videos.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["video"], row["label"], row["part"]) for row in rows] == [
        ("left/00.npy", "left", "train"),
        ("left/01.npy", "left", "test"),
        ("right/00.npy", "right", "train"),
        ("right/01.npy", "right", "validation"),
    ]
    assert [row["checksum"] for row in rows] == [row.checksum for row in features.videos]
    assert [row["source_sha256"] for row in rows] == [row.source_sha256 for row in features.videos]
    environment = json.loads((path / "environment.json").read_text(encoding="utf-8"))
    assert (environment["torch"], environment["device"]) == (torch.__version__, "cpu")


def test_what_was_used_is_known_by_content_and_the_test_part_is_not_among_it(
    tmp_path: Path, features: Features, videos: RunVideos
) -> None:
    prepare(tmp_path / "run", videos)
    used = read_content_used(tmp_path / "run")
    for index, row in enumerate(features.videos):
        assert (row.checksum in used, row.source_sha256 in used) == (index != 1, index != 1)
    (tmp_path / "run" / "videos.csv").write_text("video\nx\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(InputError, match=r"videos.csv cannot be read"):
            read_content_used(tmp_path / "run")
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
    with pytest.raises(OutputError, match=r"not overwritten: it holds notes.txt, which is no part of a run"):
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
    run.append_metrics({"step": 1})
    run.save_checkpoint({})
    (path / ".model.safetensors.4711.tmp").write_bytes(b"half")
    prepare(path, videos, overwrite=True)
    assert sorted(one.name for one in path.iterdir()) == ["config.toml", "environment.json", "videos.csv"]


def test_to_go_on_and_to_start_anew_are_two_things(tmp_path: Path, videos: RunVideos) -> None:
    prepare(tmp_path / "run", videos)
    with pytest.raises(ConfigError, match="resume and overwrite: give one of the two"):
        prepare(tmp_path / "run", videos, resume=True, overwrite=True)


def test_metrics_after_a_step_and_half_lines_are_cut(tmp_path: Path, videos: RunVideos) -> None:
    run = prepare(tmp_path / "run", videos)
    run.cut_metrics(0)
    for step in (5, 10, 15):
        run.append_metrics({"step": step})
    path = tmp_path / "run" / "metrics.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 7')
    run.cut_metrics(10)
    assert path.read_text(encoding="utf-8") == '{"step": 5}\n{"step": 10}\n'
