"""A study from features to tables: the same draws for all methods, going on, several processes, and what is refused."""

import json
import logging
import multiprocessing
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.reader import load_recipe
from vidrep.config.settings import FinetuneConfig
from vidrep.errors import ConfigError, FeatureFileError, InputError, LabelError, OutputError, Stopped
from vidrep.evaluation.study.study import StudyResult, study
from vidrep.features.annotations import Annotation
from vidrep.features.groups import NO_RULE
from vidrep.features.store import Features, open_features
from vidrep.locking import locking_output
from vidrep.metrics.baselines import fit_baselines
from vidrep.training.finetune import finetune
from vidrep.training.finetuning_data import labeled_videos
from vidrep.training.pretrain import train

SHORT = load_recipe(
    FinetuneConfig, changes={"encoder.hidden_size": 5, "selection.least_steps": 5, "selection.most_steps": 5}
)
SMALL: dict[str, Any] = {"shots": [1, 2], "draws": 2, "device": "cpu", "config": SHORT}
FILES = ("study.json", "table.md", "table.csv", "curves.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of 16 videos, 8 of them of split test, a pretraining on the others, and a study of it."""
    folder = tmp_path_factory.mktemp("study")
    videos = circles(8)
    features = features_of(folder, videos, {key: "test" if int(Path(key).stem) > 3 else "train" for key in videos})
    train(features, folder / "pre", pretrain_config(steps=2), device="cpu")
    small(folder, folder / "study")
    return folder


def small(folder: Path, output: Path, **options: Any) -> StudyResult:
    return study(folder / "features.h5", output, **{"runs": [folder / "pre"], **SMALL, **options})


def cells_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "cells").iterdir())}


def contents(folder: Path) -> Mapping[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES} | cells_in(folder)


def test_every_method_learns_from_each_draw_and_nothing_else_is_left(folder: Path) -> None:
    methods = ("mean-feature", "ordered-bins", "LSTM-from-scratch", "pre")
    expected = {f"{name}-k{k}-draw{draw}-seed0.json" for name in methods for k in (1, 2) for draw in (0, 1)}
    assert set(cells_in(folder / "study")) == expected
    assert sorted(path.name for path in (folder / "study").iterdir()) == sorted(["cells", *FILES])
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_draws_are_recorded_and_hold_no_test_video(folder: Path) -> None:
    content = json.loads((folder / "study" / "study.json").read_text())
    settings = content["settings"]
    assert [(one["k"], one["draw"]) for one in content["draws"]] == [(1, 0), (2, 0), (1, 1), (2, 1)]
    for one in content["draws"]:
        assert len(one["videos"]) == 2 * one["k"]
        assert {name.split("/")[0] for name in one["videos"]} == {"left", "right"}
        assert set(one["videos"]) <= settings["train"].keys()
    assert len(settings["test"]) == 8
    assert not settings["test"].keys() & settings["train"].keys()


def test_a_linear_baseline_is_what_evaluate_measures_a_run_against(folder: Path) -> None:
    """The baselines of a run that learned from the videos of a draw, by another path."""
    features, study_folder = open_features(folder / "features.h5"), folder / "study"
    drawn = json.loads((study_folder / "study.json").read_text())["draws"][3]["videos"]
    labeled = labeled_videos(features, FinetuneConfig(test_fraction=0), group_rule=NO_RULE)
    assert labeled.numbers.classes is not None
    videos = [features.index(key) for key in drawn]
    fitted = fit_baselines(
        features,
        videos,
        classes=labeled.numbers.classes[videos],
        groups=[labeled.annotated.groups[video] for video in videos],
        num_classes=2,
        encoders={},
        device=torch.device("cpu"),
    )
    found = fitted.probabilities(features, labeled.split.test, {}, device=torch.device("cpu"))
    for name in ("mean feature", "ordered bins"):
        cell = study_folder / "cells" / f"{name.replace(' ', '-')}-k2-draw1-seed0.json"
        assert json.loads(cell.read_text()) == found[name].argmax(axis=1).tolist()


def test_accuracies_are_those_of_the_cells(folder: Path) -> None:
    result = small(folder, folder / "study")
    true = np.array([0] * 4 + [1] * 4)
    for one in result.entries:
        name = one.method.replace(" ", "-")
        cells = [folder / "study" / "cells" / f"{name}-k{one.shots}-draw{draw}-seed0.json" for draw in (0, 1)]
        right = [np.array(json.loads(cell.read_text())) == true for cell in cells]
        assert one.accuracy == np.mean(right)
    assert (result.num_done, result.num_cells, result.progress) == (16, 16, "")
    table = (folder / "study" / "table.md").read_text()
    assert f"\n{result.verdict}.\n" in table
    assert "| pre | logistic regression on the frozen encoder" in table
    assert "the labeled videos, and 8 training videos without labels |" in table
    assert len((folder / "study" / "table.csv").read_text().splitlines()) == 1 + 8


def test_going_on_makes_what_is_missing_or_damaged_and_ends_in_the_same_bytes(folder: Path) -> None:
    before = contents(folder / "study")
    cells = folder / "study" / "cells"
    (cells / "pre-k1-draw0-seed0.json").unlink()
    (cells / "mean-feature-k1-draw1-seed0.json").write_text("[0, 1")
    (cells / "ordered-bins-k2-draw1-seed0.json").write_text("[7, 7, 7, 7, 7, 7, 7, 7]")
    (cells / ".pre-k1-draw0-seed0.json.123.tmp").write_text("[")
    done: list[tuple[int, int]] = []
    small(folder, folder / "study", on_progress=lambda progress: done.append((progress.done, progress.total)))
    assert contents(folder / "study") == before
    assert done == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.slow
def test_several_processes_make_the_same(folder: Path, tmp_path: Path) -> None:
    small(folder, tmp_path / "study", workers=2)
    assert contents(tmp_path / "study") == contents(folder / "study")
    assert multiprocessing.active_children() == []


def test_a_budget_leaves_a_partial_study_that_goes_on(folder: Path, tmp_path: Path) -> None:
    first = study(folder / "features.h5", tmp_path / "study", runs=[folder / "pre"], budget_minutes=1e-9, **SMALL)
    assert first.progress == "Partial: 0 of 16 cells are finished; the same command goes on"
    assert first.verdict == "No draw is finished for all methods yet"
    assert f"**{first.progress}**" in (tmp_path / "study" / "table.md").read_text()
    for name, content in cells_in(folder / "study").items():
        if "draw0" in name:
            (tmp_path / "study" / "cells").mkdir(exist_ok=True)
            (tmp_path / "study" / "cells" / name).write_bytes(content)
    second = small(folder, tmp_path / "study", budget_minutes=1e-9)
    assert second.progress.startswith("Partial: 8 of 16 cells")
    assert {one.num_draws for one in second.entries} == {1}


def test_a_stop_is_obeyed_and_says_what_is_there(folder: Path, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Stopped, match="Partial: 2 of 16 cells are finished"):
        small(folder, tmp_path / "study", should_stop=lambda: next(asked, True))
    assert not (tmp_path / "study" / "training").exists()


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"draws": 3}, "draws is 2, not 3"),
        ({"shots": [1]}, "k is [1, 2], not [1]"),
        ({"threads": 2}, "threads is 1, not 2"),
        ({"config": None}, "scratch.encoder.hidden_size is 5, not 256"),
        ({"runs": []}, "methods is "),
        (
            {"annotations": {"left/00.npy": Annotation(None, None, "somebody", extends=True)}},
            "not ['left', 'somebody']",
        ),
    ],
)
def test_a_folder_of_other_settings_is_refused_with_the_difference(
    folder: Path, options: dict[str, Any], difference: str
) -> None:
    before = contents(folder / "study")
    with pytest.raises(OutputError, match="is a study of other settings: ") as raised:
        small(folder, folder / "study", **{"by": "videos", **options})
    assert difference in str(raised.value)
    assert contents(folder / "study") == before


def test_a_folder_that_another_process_writes_is_refused(folder: Path) -> None:
    with locking_output(folder / "study"), pytest.raises(OutputError, match="is being written by process"):
        small(folder, folder / "study")


def test_another_folder_is_not_written_into(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds something, but no study\.json"):
        small(folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def relabeled(folder: Path, **changes: Annotation) -> Mapping[str, Annotation]:
    """Annotate every video of the features; changes: {first letters of its key: annotation}."""
    splits = {row.path: row for row in open_features(folder / "features.h5").videos}
    return {
        key: next((one for start, one in changes.items() if key.startswith(start)), Annotation(row.label, row.split))
        for key, row in splits.items()
    }


def test_labels_that_make_no_study_are_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    def refused(match: str, **options: Any) -> None:
        with pytest.raises(LabelError, match=match):
            small(folder, tmp_path / "study", **options)
        assert not (tmp_path / "study").exists()

    train_only = {key: Annotation(one.label, "train") for key, one in relabeled(folder).items()}
    refused("no labeled video has the split 'test'", annotations=train_only)
    refused("one label only, 'left'", annotations=relabeled(folder, right=Annotation("left", "train")))
    refused("no k of 5 is possible: class 'left' has 4 videos to be labeled", shots=[5])
    refused("none of the 1 annotated videos is among the 16", annotations={"other.npy": Annotation("left", "train")})


def test_options_that_are_not_allowed_are_refused(folder: Path, tmp_path: Path) -> None:
    for options, match in (
        ({"draws": 0}, "0 draws: give 1 or more"),
        ({"workers": 0}, "0 workers"),
        ({"budget_minutes": 0}, "a budget of 0 minutes"),
        ({"by": "persons"}, "labels are drawn by 'persons'"),
        ({"shots": [0]}, "0 labels a class"),
        ({"runs": [folder / "pre", folder / "pre"]}, "one is given twice"),
    ):
        with pytest.raises(ConfigError, match=match):
            small(folder, tmp_path / "study", **options)


def test_runs_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    videos = circles(8, size=6)
    other = features_of(tmp_path, videos, dict.fromkeys(videos, "train"))
    train(other, tmp_path / "other", pretrain_config(steps=2), device="cpu")
    with pytest.raises(FeatureFileError, match=r"other cannot be studied on .*frames of \(4,\) float32"):
        small(folder, tmp_path / "study", runs=[tmp_path / "other"])
    same = open_features(folder / "features.h5")
    every = {row.path: Annotation(row.label, "train") for row in same.videos}
    train(same, tmp_path / "leaking", pretrain_config(steps=2), annotations=every, device="cpu")
    with pytest.raises(InputError, match="leaking: 8 of the 8 test videos trained it, if without labels"):
        small(folder, tmp_path / "study", runs=[tmp_path / "leaking"])
    finetune(same, tmp_path / "actions", finetune_config(steps=2), device="cpu")
    with pytest.raises(ConfigError, match="actions: a classifier, which learned the labels of 8 videos"):
        small(folder, tmp_path / "study", runs=[tmp_path / "actions"])


def test_a_run_that_is_called_like_a_method_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "pre", tmp_path / "Mean-feature")
    with pytest.raises(ConfigError, match=r"too much alike: .*, Mean-feature; rename a run's folder"):
        small(folder, tmp_path / "study", runs=[tmp_path / "Mean-feature"])


def grouped(features: Features) -> Mapping[str, Annotation]:
    """Two videos a group, across classes."""
    return {row.path: Annotation(row.label, row.split, f"g{int(Path(row.path).stem) // 2}") for row in features.videos}


def test_groups_are_labeled_whole_where_there_are_some(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = open_features(folder / "features.h5")
    options: dict[str, Any] = {"annotations": grouped(features), "shots": [1, 2, "all"], "budget_minutes": 1e-9}
    with caplog.at_level(logging.INFO, logger="vidrep"):
        result = small(folder, tmp_path / "study", **options)
    assert result.by == "groups"
    assert "k = 2 is left out: class 'left' has 2 groups" not in caplog.text
    assert "k = 2 is left out: it labels everything, as all does" in caplog.text
    assert "k counts labeled groups of each class; 4 methods on 2 draws: 12 cells" in caplog.text
    assert "no intervals: the test videos are in 2 groups, and fewer than 5 show too little" in caplog.text
    draws = json.loads((tmp_path / "study" / "study.json").read_text())["draws"]
    assert all(len(one["videos"]) == 4 for one in draws)
