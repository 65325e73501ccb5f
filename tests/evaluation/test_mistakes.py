"""Which videos a classifier gets wrong: in the result, as CSV files, and in the words of a verdict."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.errors import ConfigError, OutputError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.evaluation.video_results import VideoResult, source_path, worst_first
from vidrep.features.store import Features
from vidrep.features.table import VideoRow
from vidrep.metrics.paired import PairedDifference
from vidrep.metrics.predictor import ClassifierRun
from vidrep.models.classifier import Classifier
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

CLASSES = ("left", "right", "still")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    videos = circles(8, classes=CLASSES)
    splits = {key: "test" if int(Path(key).stem) > 3 else "train" for key in videos}
    return features_of(tmp_path_factory.mktemp("features"), videos, splits)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, features: Features) -> Path:
    return finetune(features, tmp_path_factory.mktemp("runs") / "run", finetune_config(steps=2), device="cpu").folder


def measured(run: Path, features: Features, **options: object) -> ClassificationEvaluation:
    result = evaluate(run, features, device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(result, ClassificationEvaluation)
    return result


def test_every_video_has_what_predict_says_of_it(run: Path, features: Features) -> None:
    result = measured(run, features)
    classifier = ClassifierRun.load(run)
    test = [index for index, row in enumerate(features.videos) if row.split == "test"]
    network = classifier.models[0].network
    assert isinstance(network, Classifier)
    found = classifier.predict(features, test, device=next(network.parameters()).device)
    assert [one.video for one in result.videos] == [features.videos[index].path for index in test]
    for one, probabilities in zip(result.videos, found.values(), strict=True):
        assert one.true == one.video.split("/")[0] and one.path == ""
        assert one.predicted == CLASSES[int(probabilities.argmax())]
        np.testing.assert_allclose(list(one.probabilities.values()), probabilities)
    counts = [[sum((v.true, v.predicted) == (t, p) for v in result.videos) for p in CLASSES] for t in CLASSES]
    assert result.confusion.counts == counts
    assert [one.support for one in result.by_class] == [4, 4, 4]
    assert sum(not one.is_right for one in result.videos) == len(result.mistakes) > 0


def test_tables_have_all_videos_or_the_mistakes_worst_first(run: Path, features: Features, tmp_path: Path) -> None:
    errors, predictions = tmp_path / "errors.csv", tmp_path / "all.csv"
    for _ in range(2):  # a table of an earlier evaluation is replaced
        result = measured(run, features, errors=errors, predictions=predictions)
    with predictions.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video"] for row in rows] == [one.video for one in result.videos]
    assert list(rows[0]) == [
        *("video", "path", "group", "true", "predicted", "probability"),
        *(f"probability of {name}" for name in CLASSES),
    ]
    for row, one in zip(rows, result.videos, strict=True):
        assert (row["true"], row["predicted"], row["group"]) == (one.true, one.predicted, one.group)
        assert float(row["probability"]) == pytest.approx(max(one.probabilities.values()), abs=1e-6)
    with errors.open(encoding="utf-8", newline="") as file:
        wrong = list(csv.DictReader(file))
    assert sorted(row["video"] for row in wrong) == sorted(r["video"] for r in rows if r["true"] != r["predicted"])
    of_true = [float(row[f"probability of {row['true']}"]) for row in wrong]
    assert of_true == sorted(of_true)


def test_json_names_what_rows_and_columns_are(run: Path, features: Features) -> None:
    result = measured(run, features)
    content = json.loads(json.dumps(result.to_json()))
    assert content["confusion"] == {
        "classes": list(CLASSES), "counts": result.confusion.counts, "rows": "true", "columns": "predicted",
    }  # fmt: skip
    assert content["verdict"] == result.verdict and "videos" not in content
    assert [one["name"] for one in content["by_class"]] == list(CLASSES)


def test_a_verdict_names_mean_feature_single_frame_and_the_best_baseline(run: Path, features: Features) -> None:
    result = measured(run, features)
    yes, no = (PairedDifference(difference=d, low=d - 0.05, high=d + 0.05) for d in (0.3, -0.3))
    best = replace(result.baselines["ordered bins"], accuracy=1.5)
    differences = {"mean feature": yes, "single frame": yes, "ordered bins": no, "majority class": yes}
    changed = replace(result, baselines=result.baselines | {"ordered bins": best}, differences=differences)
    interval = "95 % interval"
    assert changed.verdict == (
        f"The LSTM is better than mean feature (+0.300, {interval} +0.250 to +0.350) and single frame (+0.300, "
        f"{interval} +0.250 to +0.350); worse than ordered bins (-0.300, {interval} -0.350 to -0.250)"
    )
    both = replace(changed, predictor="average of LSTM and ordered bins").verdict
    assert both.startswith("The average of LSTM and ordered bins is better")
    linear = replace(changed, predictor="ordered bins").verdict
    assert linear.startswith("The linear baseline ordered bins, which predicts, is better than mean feature")
    assert "ordered bins (" not in linear
    assert replace(changed, shuffled=True).verdict == ""


def test_mistakes_are_ordered_by_the_probability_of_the_label() -> None:
    def video(key: str, a: float, predicted: str) -> VideoResult:
        probabilities = {"a": a, "b": 1 - a}
        return VideoResult(video=key, path="", group="", true="a", predicted=predicted, probabilities=probabilities)

    videos = [video("z", 0.2, "b"), video("y", 0.9, "a"), video("x", 0.4, "b"), video("w", 0.2, "b")]
    assert [one.video for one in worst_first(videos)] == ["w", "z", "x"]
    assert (videos[0].probability, videos[0].probability_of_true) == (0.8, 0.2)


def test_the_file_of_a_video_is_named_where_its_folder_is_recorded() -> None:
    assert source_path(VideoRow("run/a.mp4#crop-1", root="clips")) == "clips/run/a.mp4"
    assert source_path(VideoRow("run/a.mp4")) == ""


def test_files_that_are_no_tables_are_not_overwritten(run: Path, features: Features, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label\n")
    with pytest.raises(OutputError, match=r"labels.csv exists and is no table of an evaluation; give another name"):
        evaluate(run, features, errors=labels, device="cpu")
    assert labels.read_text() == "video,label\n"
    with pytest.raises(OutputError, match="is a folder; give the name of a CSV file"):
        evaluate(run, features, predictions=tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="mistakes and predictions are two files"):
        evaluate(run, features, errors=tmp_path / "a.csv", predictions=tmp_path / "a.csv", device="cpu")


def test_a_pretraining_has_a_verdict_and_no_mistakes(features: Features, tmp_path: Path) -> None:
    run = train(features, tmp_path / "run", pretrain_config(steps=2), device="cpu").folder
    result = evaluate(run, features, device="cpu")
    assert isinstance(result, PredictionEvaluation)
    assert "repeating the last frame (squared error" in result.verdict and "the mean frame" in result.verdict
    curves = result.metrics.by_objective["future"]["squared_error_standardized"]
    for name, paired in result.metrics.saved_errors["future"].items():
        assert paired.difference == pytest.approx(1 - curves["model"].mean / curves[name].mean)
    assert json.loads(json.dumps(result.to_json()))["verdict"] == result.verdict
    with pytest.raises(ConfigError, match="files of mistakes, predictions and reliability are for classifiers"):
        evaluate(run, features, errors=tmp_path / "a.csv", device="cpu")
