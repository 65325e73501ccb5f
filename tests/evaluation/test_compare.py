"""Runs compared on the same videos: exact differences, the settings that differ, and what cannot be compared."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.settings import EncoderSettings, OptimizerSettings, PretrainWindows
from vidrep.errors import ConfigError, FeatureFileError, InputError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.compare import ComparedRun, Comparison, compare
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.metrics.paired import PairedDifference, paired_difference
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

CLASSES = ("left", "right", "still")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two classifiers, two pretrainings, and the features of 24 videos, 12 of them of split test."""
    folder = tmp_path_factory.mktemp("runs")
    features = split_features(folder)
    for name, steps in (("a", 2), ("b", 60)):
        encoder = EncoderSettings(hidden_size=5 if name == "a" else 7)
        finetune(
            features,
            folder / name,
            finetune_config(steps=steps, encoder=encoder, optimizer=OptimizerSettings(learning_rate=0.02)),
            device="cpu",
        )
        train(features, folder / f"pre-{name}", pretrain_config(steps=steps), device="cpu")
    return folder


def split_features(folder: Path) -> Features:
    videos = circles(8, classes=CLASSES)
    splits = {key: "test" if int(Path(key).stem) > 3 else "train" for key in videos}
    return features_of(folder, videos, splits)


def features_in(folder: Path) -> Path:
    return folder / "features.h5"


def test_classifiers_are_compared_by_what_evaluate_finds(folder: Path) -> None:
    runs = [folder / "a", folder / "b"]
    result = compare(runs, features_in(folder), device="cpu")
    assert (result.which, result.num_videos, result.num_left_out) == ("videos of split 'test'", 12, 0)
    right, groups = [], []
    for run, one in zip(runs, result.runs, strict=True):
        evaluated = evaluate(run, features_in(folder), device="cpu")
        assert isinstance(evaluated, ClassificationEvaluation)
        assert (one.run, one.predictor) == (str(run), "LSTM")
        assert one.score == pytest.approx(evaluated.predicted.accuracy)
        right.append([video.is_right for video in evaluated.videos])
        groups = [video.group for video in evaluated.videos]
    assert result.runs[0].better is None
    assert result.runs[1].better == paired_difference(right[1], right[0], groups)
    assert np.mean(right[1]) != np.mean(right[0])
    assert result.settings == {"encoder.hidden_size": ["5", "7"], "training.steps": ["2", "60"]}
    content = json.loads(json.dumps(result.to_json()))
    assert content["verdict"] == result.verdict and content["runs"][1]["score"] == result.runs[1].score


def test_pretrainings_are_compared_by_the_error_that_they_save(folder: Path) -> None:
    runs = [folder / "pre-a", folder / "pre-b"]
    result = compare(runs, features_in(folder), device="cpu")
    assert result.measure == "squared error saved against persistence"
    for run, one in zip(runs, result.runs, strict=True):
        evaluated = evaluate(run, features_in(folder), device="cpu")
        assert isinstance(evaluated, PredictionEvaluation)
        assert one.score == pytest.approx(evaluated.metrics.saved_errors["future"]["persistence"].difference)
    better = result.runs[1].better
    assert better is not None
    assert better.difference == pytest.approx(result.runs[1].score - result.runs[0].score)


def test_the_verdict_claims_what_the_interval_shows() -> None:
    def run(name: str, difference: float | None) -> ComparedRun:
        better = None
        if difference is not None:
            better = PairedDifference(difference=difference, low=difference - 0.1, high=difference + 0.1)
        return ComparedRun(run=name, predictor="LSTM", score=0.5, better=better)

    comparison = Comparison(
        which="videos",
        num_videos=20,
        num_left_out=0,
        measure="accuracy per video",
        runs=[run("a", None), run("b", 0.25), run("c", -0.25), run("d", 0.05)],
        settings={},
    )
    assert comparison.verdict == (
        "By accuracy per video, on 20 videos, b is better than a (+0.250, 95 % interval +0.150 to +0.350); c is worse "
        "than a (-0.250, 95 % interval -0.350 to -0.150); d is not shown to be better or worse than a (+0.050, 95 % "
        "interval -0.050 to +0.150)"
    )


def test_only_videos_that_no_run_was_trained_on_are_compared(folder: Path, tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(8, classes=CLASSES))
    runs = []
    for number, held_out in enumerate((range(3), range(2, 5))):
        annotations = {
            row.path: Annotation(None, "test" if int(Path(row.path).stem) in held_out else "train")
            for row in features.videos
        }
        config = finetune_config(steps=2)
        runs.append(finetune(features, tmp_path / f"{number}", config, annotations=annotations, device="cpu").folder)
    result = compare(runs, features, device="cpu")
    # Video 2 of each class is the one that neither run was trained on.
    assert (result.num_videos, result.num_left_out) == (3, 21)
    assert result.which == "videos that no run was trained on"
    everything = {row.path: Annotation(None, "train") for row in features.videos}
    config = finetune_config(steps=2)
    runs[0] = finetune(features, tmp_path / "all", config, annotations=everything, device="cpu").folder
    other = {row.path: Annotation(None, "test") for row in features.videos}
    with pytest.raises(InputError, match="was trained on"):
        compare(runs, features, device="cpu")
    assert compare(runs, features, annotations=other, split="test", device="cpu").num_videos == 24


def test_what_cannot_be_compared_is_one_line(folder: Path, tmp_path: Path) -> None:
    a, features = folder / "a", features_in(folder)

    def refused(error: type[Exception], message: str, *runs: Path, on: Path | Features = features) -> None:
        with pytest.raises(error, match=message) as caught:
            compare(runs, on, device="cpu")
        assert "\n" not in str(caught.value)

    refused(ConfigError, "1 run to compare: give two or more, and last the features", a)
    refused(ConfigError, "a is a classifier and .*pre-a a pretraining; compare runs of one kind", a, folder / "pre-a")
    jumps = {f"still/{n:02d}.npy": Annotation("jump", None, extends=True) for n in range(8)}
    other = finetune(features, tmp_path / "jump", finetune_config(steps=2), annotations=jumps, device="cpu").folder
    refused(ConfigError, "differ in their classes: .*a alone has still, .*jump alone has jump; compare", a, other)
    wide = features_of(tmp_path, circles(size=6, classes=CLASSES))
    wider = finetune(wide, tmp_path / "wide", finetune_config(steps=2), device="cpu").folder
    refused(
        FeatureFileError, r"wide cannot be compared on .*features.h5: frames of \(4,\) float32; .* \(6,\)", a, wider
    )
    refused(FeatureFileError, r"a cannot be compared on .*features.h5: frames of \(6,\) float32", a, wider, on=wide)
    longer = pretrain_config(steps=2, windows=PretrainWindows(context=3, num_future=3, stride=2))
    later = train(features, tmp_path / "later", longer, device="cpu").folder
    refused(ConfigError, r"windows.num_future is 2 in .*pre-a and 3 in .*later; compare", folder / "pre-a", later)
    past = pretrain_config(
        steps=2,
        windows=PretrainWindows(context=3, num_future=0, stride=2),
        settings={"objectives": ("reconstruction",)},
    )
    back = train(features, tmp_path / "back", past, device="cpu").folder
    refused(ConfigError, "pre-a is measured by its objective future, .*back by reconstruction", folder / "pre-a", back)
    refused(InputError, "no such run folder", a, tmp_path / "nowhere")
