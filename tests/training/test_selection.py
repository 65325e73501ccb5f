"""Fine-tuning that chooses by grouped cross-validation: it never ends with what its own folds found worse."""

import json
import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from small_features import Videos, circles, features_of, pretrain_config

from vidrep.config.reader import load_recipe
from vidrep.config.settings import EncoderSettings, FinetuneConfig
from vidrep.errors import InputError, LabelError, Stopped
from vidrep.features.annotations import Annotation
from vidrep.inference.predict import predict
from vidrep.metrics.predictor import Predictor
from vidrep.models.logistic_regression import DEFAULT_COST
from vidrep.models.saved import load_model
from vidrep.training.finetune import FinetuneResult, finetune
from vidrep.training.pretrain import train
from vidrep.training.trials import Trials

QUICK = {
    "encoder.hidden_size": 8,
    "encoder.dropout": 0.0,
    "optimizer.learning_rate": 0.02,
    "training.steps": 40,
    "training.batch_size": 8,
    "selection.folds": 2,
    "test_fraction": 0.0,
}
LINEAR = ["single frame", "mean feature", "ordered bins"]


def tuned(folder: Path, videos: Videos, *, run: str = "run", given: Any = None, **options: Any) -> FinetuneResult:
    config = load_recipe(FinetuneConfig, changes=QUICK | (given or {}))
    return finetune(features_of(folder, videos), folder / run, config, device="cpu", **options)


def shifted(num_per_class: int, *, distance: float = 1.5, num_frames: int = 6, seed: int = 0) -> Videos:
    """Noise whose mean differs between the classes: the order of the frames does not matter."""
    rng = np.random.default_rng(seed)
    return {
        f"{name}/{number:02d}.npy": (rng.normal(size=(num_frames, 4)) + distance * sign).astype(np.float32)
        for name, sign in (("high", 0.5), ("low", -0.5))
        for number in range(num_per_class)
    }


def results_of(run: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((run / "selection" / "results.json").read_text(encoding="utf-8"))
    return results


def require_no_linear_baseline_is_better(run: Path) -> dict[str, Any]:
    """Read what was tried; return the predictor."""
    results = results_of(run)
    (chosen,) = [one for one in results["tried"] if one["better"] is None]
    linear = [one for one in results["tried"] if one["kind"] == "linear"]
    assert sorted(one["name"] for one in linear) == sorted(LINEAR)
    assert all(one["accuracy"] <= chosen["accuracy"] for one in linear)
    for one in results["tried"]:
        if one is not chosen:
            assert one["better"]["difference"] == pytest.approx(chosen["accuracy"] - one["accuracy"], abs=1e-12)
    assert chosen["kind"] == results["predictor"]["kind"] == Predictor.load(run).kind
    assert results["verdict"].startswith(chosen["name"])
    return dict(chosen)


def test_where_order_matters_the_lstm_predicts(tmp_path: Path) -> None:
    result = tuned(tmp_path, circles(8))
    chosen = require_no_linear_baseline_is_better(result.folder)
    assert chosen["kind"] == "lstm" and chosen["accuracy"] == 1.0
    assert max(one["accuracy"] for one in results_of(result.folder)["tried"] if one["kind"] == "linear") < 0.9
    assert result.selection is not None
    assert "better than the best linear baseline" in result.selection.verdict
    assert (result.num_train_videos, result.num_validation_videos) == (16, 0)


def test_where_order_does_not_matter_the_lstm_does_not_predict_alone(tmp_path: Path) -> None:
    """With hardly any steps an LSTM cannot win."""
    result = tuned(tmp_path, shifted(8), given={"training.steps": 1, "optimizer.learning_rate": 1e-6})
    chosen = require_no_linear_baseline_is_better(result.folder)
    assert chosen["kind"] == "linear" and chosen["accuracy"] >= 0.9
    assert result.selection is not None and "The linear baseline wins: " in result.selection.verdict
    assert Predictor.load(result.folder).reads == chosen["name"]
    new = features_of(tmp_path / "new", shifted(10, distance=3.0, seed=1))
    right = [video.label == video.key.split("/")[0] for video in predict(result.folder, new, device="cpu").videos]
    assert np.mean(right) >= 0.9


def test_of_a_few_videos_too(tmp_path: Path) -> None:
    result = tuned(tmp_path, circles(2, classes=("a", "b", "c")), given={"training.steps": 5})
    require_no_linear_baseline_is_better(result.folder)
    assert result.selection is not None and result.selection.num_videos <= 6


def test_the_figures_are_those_of_the_folds(tmp_path: Path) -> None:
    """Recomputed from the files of the folds, and for a linear baseline with scikit-learn alone."""
    videos = shifted(6, distance=0.8)
    run = tuned(tmp_path, videos, given={"training.steps": 3}).folder
    tried = {one["name"]: one for one in results_of(run)["tried"]}
    plan = json.loads((run / "selection" / "plan.json").read_text(encoding="utf-8"))["candidates"]
    assert list(plan) == ["scratch-last-step", "scratch-every-step", "scratch-windows"]
    folds: list[list[str]] = []
    for name in plan:
        of_truth, folds = [], []
        for number in (1, 2):
            content = json.loads((run / "selection" / f"{name}-{number}.json").read_text(encoding="utf-8"))
            folds.append(content["videos"])
            truth = [0 if key.startswith("high") else 1 for key in content["videos"]]
            of_truth += [row[which] for row, which in zip(content["probabilities"], truth, strict=True)]
        assert sorted(key for some in folds for key in some) == sorted(videos)
        assert tried[name]["accuracy"] == np.mean([one > 0.5 for one in of_truth])
        # A temperature may be chosen for an LSTM, among them 1.
        assert tried[name]["log_loss"] <= -np.log(of_truth).mean() + 1e-9
    C = float(tried["mean feature"]["setting"].removeprefix("C "))  # noqa: N806
    losses = []
    for validated in folds:
        fitted_on = sorted(set(videos) - set(validated))
        rows, others = (np.stack([videos[key].mean(axis=0) for key in some]) for some in (fitted_on, validated))
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        model = LogisticRegression(C=C, max_iter=1000).fit((rows - mean) / deviation, [key[0] for key in fitted_on])
        found = model.predict_log_proba((others - mean) / deviation)
        losses += [-row[list(model.classes_).index(key[0])] for key, row in zip(validated, found, strict=True)]
    assert tried["mean feature"]["log_loss"] == pytest.approx(np.mean(losses), rel=1e-3)


def test_groups_stay_together(tmp_path: Path) -> None:
    videos = {f"{key[:-6]}{number % 4}-{key[-6:]}": one for number, (key, one) in enumerate(shifted(8).items())}
    result = tuned(tmp_path, videos, given={"training.steps": 1}, group_pattern=r"/(\d)-")
    files = sorted((result.folder / "selection").glob("scratch-windows-*.json"))
    groups = [{key.split("/")[1][0] for key in json.loads(file.read_text())["videos"]} for file in files]
    assert len(groups) == 2 and not groups[0] & groups[1] and groups[0] | groups[1] == set("0123")
    assert result.selection is not None and result.selection.num_groups == 4


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    config = pretrain_config(encoder=EncoderSettings(hidden_size=8), steps=2, validate_every=2)
    return train(features_of(folder, circles(6)), folder / "run", config, device="cpu").folder


def test_from_a_run_the_penalty_is_chosen_too(tmp_path: Path, pretrained: Path) -> None:
    result = tuned(tmp_path, circles(5), given={"training.steps": 2}, pretrained=pretrained)
    require_no_linear_baseline_is_better(result.folder)
    tried = {one["name"]: one for one in results_of(result.folder)["tried"]}
    assert {"frozen-logistic", "frozen-prototypes", "fine-tuned", "scratch-windows"} < tried.keys()
    assert tried["frozen-logistic"]["setting"].split(", ")[1] in ("last", "mean")
    assert result.selection is not None
    assert result.from_scratch is not result.selection.from_run
    state = load_model(result.folder / "members" / "1")[0].state_dict()
    there = load_file(pretrained / "model.safetensors")
    same = [torch.equal(state[name], there[name]) for name in there if name.startswith("network.encoder.")]
    frozen = result.selection.candidate.startswith("frozen")
    assert frozen is (len(same) > 0 and result.selection.from_run and all(same))


def test_the_predictor_that_was_asked_for_predicts(tmp_path: Path) -> None:
    for kind in ("lstm", "linear", "average"):
        run = tuned(tmp_path, circles(4), run=kind, given={"training.steps": 1, "predictor": kind}).folder
        results = results_of(run)
        assert results["predictor"]["kind"] == kind == Predictor.load(run).kind
        (chosen,) = [one for one in results["tried"] if one["better"] is None]
        assert chosen["kind"] == kind
        assert " predicts, as was asked for: " in results["verdict"]
        assert ("better than the best LSTM" in results["verdict"]) is (kind == "linear")


def test_a_budget_cuts_the_list_and_a_resume_keeps_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Trials, "_seconds", lambda trials, one: 60.0)
    given = {"training.steps": 2}
    asked = count()
    # Two folds and the training on all videos: 3 min for one candidate, 5 min for two, 7 min for three.
    with caplog.at_level(logging.INFO, logger="vidrep"), pytest.raises(Stopped):
        tuned(tmp_path, circles(4), given=given, budget_minutes=5.5, should_stop=lambda: next(asked) >= 3)
    assert "scratch-windows is not tried: with it, all would take longer than 5.5 min" in caplog.messages
    assert "2 candidates on 2 folds, then 1 training on all videos: about 5.0 min" in caplog.messages
    before = (tmp_path / "run" / "selection" / "plan.json").read_bytes()
    monkeypatch.setattr(Trials, "_seconds", lambda trials, one: 1e9)
    run = tuned(tmp_path, circles(4), given=given, resume=True).folder
    assert (run / "selection" / "plan.json").read_bytes() == before
    tried = [one["name"] for one in results_of(run)["tried"] if one["kind"] == "lstm"]
    assert sorted(tried) == ["scratch-every-step", "scratch-last-step"]
    one_left = tuned(tmp_path, circles(4), run="least", given=given, budget_minutes=0.001).selection
    assert one_left is not None and one_left.candidate == "scratch-last-step"


def content_of(run: Path) -> dict[str, bytes]:
    """Return all files that must be the same bytes, without times."""
    names = ("*.json", "*.safetensors", "*.toml", "*.csv")
    files = [file for name in names for file in run.rglob(name) if file.name not in ("plan.json", "environment.json")]
    assert not list(run.rglob(".*"))
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Return a run that nothing disturbed, an ensemble of two, and how often it asked whether to stop."""
    folder, asked = tmp_path_factory.mktemp("whole"), [0]

    def ask() -> bool:
        asked[0] += 1
        return False

    return tuned(folder, circles(4), given=ENSEMBLE, should_stop=ask).folder, asked


ENSEMBLE = {"training.steps": 4, "training.ensemble": 2, "encoder.dropout": 0.3, "selection.epochs": 1}


@pytest.mark.parametrize("share", [0.05, 0.45, 0.75, 0.95])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(
    tmp_path: Path, whole: tuple[Path, list[int]], share: float
) -> None:
    """While the time is estimated, on a fold, and in either model of the ensemble."""
    expected, (num_asked,) = whole
    asked = count(1)
    with pytest.raises(Stopped):
        tuned(tmp_path, circles(4), given=ENSEMBLE, should_stop=lambda: next(asked) >= round(share * num_asked))
    again = tuned(tmp_path, circles(4), given=ENSEMBLE, resume=True)
    assert content_of(again.folder) == content_of(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays", "features.h5", "run"]


def test_a_finished_run_that_is_resumed_stays_as_it_is(tmp_path: Path) -> None:
    run = tuned(tmp_path, circles(4), given=ENSEMBLE).folder
    before = content_of(run)
    tuned(tmp_path, circles(4), given=ENSEMBLE, resume=True)
    assert content_of(run) == before


def grouped(videos: Videos, group_of: Callable[[str], str]) -> dict[str, Annotation]:
    return {key: Annotation(None, None, group_of(key)) for key in videos}


def test_a_single_group_cannot_be_cross_validated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    videos = circles(4)
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = tuned(tmp_path, videos, given={"training.steps": 1}, annotations=grouped(videos, lambda key: "one"))
    (warning,) = [text for text in caplog.messages if text.startswith("nothing can be cross-validated: ")]
    assert "8 videos with 2 labels in 1 groups" in warning and "\n" not in warning
    assert result.selection is not None and result.selection.tried == ()
    assert result.selection.verdict.endswith("the LSTM (scratch-last-step) predicts, untested")
    assert Predictor.load(result.folder) == Predictor("lstm")
    assert len(predict(result.folder, tmp_path / "features.h5", device="cpu").videos) == 8


def test_without_a_choice_the_predictor_that_was_asked_for_predicts(tmp_path: Path) -> None:
    videos, given = circles(4), {"training.steps": 1, "predictor": "linear"}
    result = tuned(tmp_path, videos, given=given, annotations=grouped(videos, lambda key: "one"))
    assert Predictor.load(result.folder) == Predictor("linear", "ordered bins", DEFAULT_COST)
    assert result.selection is not None
    assert result.selection.verdict.endswith("the ordered bins (scratch-last-step) predicts, untested")


def test_one_video_a_class_cannot_be_cross_validated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = tuned(tmp_path, circles(1, classes=("a", "b", "c")), given={"training.steps": 1})
    assert any(text.startswith("nothing can be cross-validated: 3 videos with 3 labels") for text in caplog.messages)
    assert "classes with one training video only: a, b, c" in caplog.messages
    assert len(predict(result.folder, tmp_path / "features.h5", device="cpu").videos) == 3


def test_a_group_that_holds_a_whole_class_trains_but_is_not_validated(
    tmp_path: Path, pretrained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Folds then lack a class, which every head and every baseline must bear."""
    videos = circles(4, classes=("a", "b", "c"))
    annotations = grouped(videos, lambda key: "c" if key.startswith("c") else key)
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        given = {"training.steps": 2}
        result = tuned(tmp_path, videos, given=given, annotations=annotations, pretrained=pretrained)
    assert "labels that cross-validation cannot validate, being in one group each: c" in caplog.messages
    assert result.selection is not None and (result.selection.num_videos, result.selection.num_groups) == (8, 8)
    require_no_linear_baseline_is_better(result.folder)
    assert result.classes == ["a", "b", "c"]


@pytest.mark.parametrize("are_equal", [False, True], ids=["in a video", "in all videos"])
def test_where_all_frames_are_equal_it_ends_well(tmp_path: Path, pretrained: Path, are_equal: bool) -> None:
    """Equal videos are one group, so that nothing can be cross-validated; else the values tell nothing of the class."""
    values = np.resize(np.random.default_rng(0).normal(size=1 if are_equal else 8), 8)
    every = zip(circles(4).items(), values, strict=True)
    videos = {key: np.full_like(frames, value) for (key, frames), value in every}
    result = tuned(tmp_path, videos, given={"training.steps": 2}, pretrained=pretrained)
    assert result.selection is not None and (result.selection.tried == ()) is are_equal
    if not are_equal:
        require_no_linear_baseline_is_better(result.folder)
    assert all(np.isfinite([one.accuracy, one.log_loss]).all() for one in result.selection.tried)
    found = predict(result.folder, tmp_path / "features.h5", device="cpu").videos
    assert len(found) == 8 and all(sum(video.probabilities.values()) == pytest.approx(1) for video in found)


def test_a_damaged_result_of_a_fold_is_named(tmp_path: Path) -> None:
    run = tuned(tmp_path, circles(4), given={"training.steps": 1}).folder
    (run / "selection" / "scratch-windows-2.json").write_text("{", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"windows-2\.json: cannot be read .*; remove it, and --resume tries"
    ) as caught:
        tuned(tmp_path, circles(4), given={"training.steps": 1}, resume=True)
    assert "\n" not in str(caught.value)


def test_one_class_is_refused_before_anything_is_tried(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="a classifier needs two or more"):
        tuned(tmp_path, circles(4, classes=("a",)))
    assert not (tmp_path / "run").exists()
