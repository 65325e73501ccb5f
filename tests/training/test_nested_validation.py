"""Folds test every labeled video once, by a classifier that learned, and was chosen, without its group."""

import csv
import json
import logging
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_features import Videos, circles, features_of

from vidrep.config.reader import load_recipe
from vidrep.config.settings import FinetuneConfig
from vidrep.errors import ConfigError, InputError, LabelError, OutputError, Stopped
from vidrep.evaluation.evaluate import evaluate
from vidrep.inference.predict import predict
from vidrep.metrics.classification import Accuracy
from vidrep.metrics.intervals import LEAST_GROUPS, bootstrap_interval
from vidrep.metrics.paired import PairedDifference
from vidrep.training.finetune import FinetuneResult, finetune
from vidrep.training.nested_validation import FoldsResult
from vidrep.training.trials import write_json

QUICK = {
    "encoder.hidden_size": 6,
    "training.steps": 2,
    "training.batch_size": 4,
    "training.validate_every": 1,
    "selection.enabled": False,
    "selection.folds": 2,
    "test_folds": 3,
}
BLOCKS = 2  # circles(6) has the numbers 0 to 5, so 3 blocks a class


def tuned(folder: Path, videos: Videos, *, given: Any = None, splits: Any = None, **options: Any) -> FinetuneResult:
    config = load_recipe(FinetuneConfig, changes=QUICK | (given or {}))
    how: dict[str, Any] = {"group_blocks": BLOCKS, "device": "cpu"} | options
    return finetune(features_of(folder, videos, splits), folder / "run", config, **how)


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "videos.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> FinetuneResult:
    return tuned(tmp_path_factory.mktemp("measured"), circles(6))


def test_each_video_is_tested_once_by_a_run_of_other_groups(measured: FinetuneResult) -> None:
    tested: list[str] = []
    for number in (1, 2, 3):
        rows = rows_of(measured.folder / "folds" / str(number))
        by_split = {split: [row for row in rows if row["split"] == split] for split in ("train", "validation", "test")}
        assert {split: Counter(row["label"] for row in some) for split, some in by_split.items()} == {
            "train": {"left": 2, "right": 2},
            "validation": {"left": 2, "right": 2},
            "test": {"left": 2, "right": 2},
        }
        groups = [{row["group"] for row in some} for some in by_split.values()]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 6
        tested += [row["video"] for row in by_split["test"]]
    assert sorted(tested) == sorted(circles(6))
    assert {row["group"] for row in rows_of(measured.folder)} == {
        f"{name} {numbers}" for name in ("left", "right") for numbers in ("0-1", "2-3", "4-5")
    }
    assert measured.num_test_videos == 0
    assert measured.num_train_videos + measured.num_validation_videos == 12


def test_the_figures_are_those_of_the_runs_of_the_folds(measured: FinetuneResult) -> None:
    """Recomputed from each run's own predictions of all videos, of which those of its fold count."""
    features = measured.folder.parent / "features.h5"
    right: dict[str, bool] = {}
    group_of = {row["video"]: row["group"] for row in rows_of(measured.folder)}
    for number in (1, 2, 3):
        run = measured.folder / "folds" / str(number)
        content = read(run.with_suffix(".json"))
        tested = {row["video"]: row["label"] for row in rows_of(run) if row["split"] == "test"}
        found = {one.key: one for one in predict(run, features, device="cpu").videos}
        right |= {key: found[key].label == label for key, label in tested.items()}
        assert content["videos"] == sorted(tested)
        expected = [[found[key].probabilities[name] for name in ("left", "right")] for key in content["videos"]]
        np.testing.assert_allclose(content["predicted"], expected, atol=1e-6)
    folds = measured.folds
    assert folds is not None and (folds.num_videos, folds.num_groups) == (12, 6)
    assert folds.predicted.accuracy == np.mean(list(right.values()))
    assert np.mean(folds.by_fold) == pytest.approx(folds.predicted.accuracy)
    assert np.trace(folds.confusion) == sum(right.values())
    interval = bootstrap_interval(list(right.values()), [group_of[key] for key in right])
    assert (folds.predicted.low, folds.predicted.high) == interval
    assert folds.predictors == ["LSTM"] * 3
    assert list(folds.baselines) == ["majority class", "single frame", "mean feature", "ordered bins"]
    assert folds.baselines["majority class"].accuracy == 0.5  # all classes are equally frequent in all folds
    with pytest.raises(InputError, match=r"give features of others, or read .*results\.json: what its folds tested$"):
        evaluate(measured.folder, features, device="cpu")
    results = read(measured.folder / "folds" / "results.json")
    assert (results["num_folds"], results["verdict"]) == (3, folds.verdict)
    assert results["predicted"]["accuracy"] == folds.predicted.accuracy


def test_what_is_chosen_is_chosen_without_the_videos_of_the_fold(tmp_path: Path) -> None:
    given = {"selection.enabled": True, "test_folds": 2}
    result = tuned(tmp_path, circles(6), given=given, group_blocks=None, budget_minutes=1e-6)  # for one candidate
    assert result.selection is not None and result.folds is not None
    for number in (1, 2):
        run = result.folder / "folds" / str(number)
        splits = {row["video"]: row["split"] for row in rows_of(run)}
        assert set(splits.values()) == {"train", "test"}
        tried = sorted((run / "selection").glob("scratch-*.json"))
        validated = {video for file in tried for video in read(file)["videos"]}
        assert len(tried) == 2 and validated == {video for video, split in splits.items() if split == "train"}
    assert {row["split"] for row in rows_of(result.folder)} == {"train"}
    assert len(predict(result.folder, tmp_path / "features.h5", device="cpu").videos) == 12


def content_of(run: Path) -> dict[str, bytes]:
    """Return all files that must be the same bytes, without times."""
    names = ("*.json", "*.safetensors", "*.toml", "*.csv")
    files = [file for name in names for file in run.rglob(name) if file.name not in ("plan.json", "environment.json")]
    assert not list(run.rglob(".*"))
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(tmp_path: Path, measured: FinetuneResult, share: float) -> None:
    """In the first fold, a later one, and the training on all videos: each has 2 steps."""
    asked = count(1)
    with pytest.raises(Stopped):
        tuned(tmp_path, circles(6), should_stop=lambda: next(asked) >= round(share * 4 * 2))
    again = tuned(tmp_path, circles(6), resume=True)
    assert content_of(again.folder) == content_of(measured.folder)
    assert again.folds == measured.folds


def test_interrupted_while_results_are_written_it_goes_on_to_the_same_bits(
    tmp_path: Path, measured: FinetuneResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a kill after the second fold's training: what it found is not written."""
    written = count(1)

    def killed(path: Path, content: Any) -> None:
        if next(written) == 2:
            raise KeyboardInterrupt
        write_json(path, content)

    monkeypatch.setattr("vidrep.training.nested_validation.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path, circles(6))
    assert not (tmp_path / "run" / "folds" / "2.json").exists()
    monkeypatch.undo()
    assert content_of(tuned(tmp_path, circles(6), resume=True).folder) == content_of(measured.folder)


def test_a_fold_of_other_videos_is_refused(tmp_path: Path) -> None:
    videos, how = circles(6), {"group_blocks": 1}
    run = tuned(tmp_path, videos, given={"test_folds": 2}, **how).folder
    path = run / "folds" / "1.json"
    path.write_text(json.dumps(read(path) | {"videos": ["left/00.npy"]}), encoding="utf-8")
    with pytest.raises(InputError, match=r"1\.json: of other videos than those of its fold; remove it, and --resume"):
        tuned(tmp_path, videos, given={"test_folds": 2}, resume=True, **how)
    with pytest.raises(OutputError, match="resumed with test_folds 4, the run has 2"):
        tuned(tmp_path, videos, given={"test_folds": 4}, resume=True, **how)


def test_a_class_with_fewer_groups_than_folds_is_one_clear_line(tmp_path: Path) -> None:
    videos = circles(6) | {f"up/0{number}.npy": circles(1)["left/00.npy"] + number for number in range(4)}
    with pytest.raises(LabelError) as caught:
        tuned(tmp_path, videos)
    assert str(caught.value) == (
        "3 folds, but labels are in fewer groups than that: up in 2; give 2 folds at most, or more groups of these "
        "labels"
    )
    with pytest.raises(LabelError, match=r"left in 1, right in 1; give more groups of these labels$"):
        tuned(tmp_path, circles(6), overwrite=True, group_blocks=6)
    with pytest.raises(ConfigError, match="test_folds 1: what a fold tests learns from the others; give 2 or more"):
        FinetuneConfig(test_folds=1)


def test_given_splits_are_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    videos = circles(4)
    splits = {key: "test" if key.endswith("3.npy") else "train" for key in videos}
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = tuned(tmp_path, videos, given={"test_folds": 2}, splits=splits)
    assert "the splits of 8 videos are not used: folds test every labeled video once" in caplog.messages
    assert result.folds is not None and result.folds.num_videos == 8
    assert (result.folds.num_groups, result.folds.predicted.low) == (4, None) and LEAST_GROUPS > 4
    assert "(no interval, fewer than 5 groups)" in result.folds.verdict


def folds_result(low: float, high: float) -> FoldsResult:
    accuracy = Accuracy(accuracy=0.8, low=0.7, high=0.9, balanced_accuracy=0.75, num_groups=9)
    weaker = Accuracy(accuracy=0.7, low=0.6, high=0.8, balanced_accuracy=0.7, num_groups=9)
    return FoldsResult(
        classes=["a", "b"],
        num_videos=30,
        num_groups=9,
        predicted=accuracy,
        predictors=["ordered bins"],
        by_fold=[0.8],
        baselines={"LSTM": accuracy, "majority class": weaker, "mean feature": weaker},
        differences={
            name: PairedDifference(difference=0.1, low=low, high=high)
            for name in ("LSTM", "majority class", "mean feature")
        },
        confusion=[[1, 0], [0, 1]],
    )


@pytest.mark.parametrize(
    ("ends", "words"),
    [((0.05, 0.15), "better than"), ((-0.2, -0.01), "worse than"), ((-0.1, 0.3), "not shown to differ from")],
)
def test_the_verdict_is_one_sentence(ends: tuple[float, float], words: str) -> None:
    assert folds_result(*ends).verdict == (
        "0.800 (0.700 to 0.900) of 30 videos in 9 groups are right, each tested once, by a classifier that learned "
        f"from other groups; +0.100 ({ends[0]:+.3f} to {ends[1]:+.3f}), {words} the best baseline, majority class"
    )


def test_held_out_videos_are_named_and_balanced_over_classes(tmp_path: Path) -> None:
    videos = circles(10, classes=("a", "b", "c"))
    given = {"test_folds": 0, "test_fraction": 0.2, "training.validation_fraction": 0.2}
    run = tuned(tmp_path, videos, given=given, group_blocks=1).folder
    counts = Counter((row["split"], row["label"]) for row in rows_of(run))
    assert counts == {
        (split, name): number
        for split, number in (("train", 6), ("validation", 2), ("test", 2))
        for name in ("a", "b", "c")
    }


def test_too_few_test_videos_are_counted(tmp_path: Path) -> None:
    result = tuned(tmp_path, circles(6), given={"test_folds": 0})
    assert (result.rarely_tested, result.most_folds, result.folds) == ({"left": 2, "right": 2}, 3, None)
    without = tuned(tmp_path, circles(6), given={"test_folds": 0, "test_fraction": 0.0}, overwrite=True)
    assert (without.rarely_tested, without.num_test_videos) == ({}, 0)
