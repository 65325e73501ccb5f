"""What a classifier run predicts with, against a computation by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import circles, features_of, finetune_config

from vidrep.errors import InputError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.store import Features
from vidrep.inference.predict import predict
from vidrep.metrics.predictor import ClassifierRun, Predictor
from vidrep.metrics.predictor_file import PredictorKind
from vidrep.models.logistic_regression import DEFAULT_COST, LinearClassifier, fit_linear
from vidrep.training.finetune import finetune

CPU = torch.device("cpu")
Doubles = NDArray[np.float64]
KINDS: tuple[PredictorKind, ...] = ("lstm", "linear", "average")


def linear_of(size: int, num_classes: int = 3) -> LinearClassifier:
    rng = np.random.default_rng(size)
    weight, bias = rng.normal(size=(num_classes, size)), rng.normal(size=num_classes)
    return LinearClassifier(weight.astype(np.float32), bias.astype(np.float32))


def softmax(logits: Doubles) -> Doubles:
    likelihoods: Doubles = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(likelihoods / likelihoods.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_as_it_was_written(tmp_path: Path, kind: PredictorKind) -> None:
    linear = None if kind == "lstm" else linear_of(4)
    predictor = Predictor(kind, "" if kind == "lstm" else "mean feature", 0.5, linear=linear)
    predictor.save(tmp_path)
    read = Predictor.load(tmp_path)
    assert read == predictor
    if linear is None:
        assert read.linear is None
    else:
        assert read.linear is not None
        assert np.array_equal(read.linear.weight, linear.weight) and np.array_equal(read.linear.bias, linear.bias)
    names = {"lstm": "LSTM", "linear": "mean feature", "average": "average of LSTM and mean feature"}
    assert str(read) == names[kind]


def test_a_run_without_one_predicts_with_its_lstm(tmp_path: Path) -> None:
    assert Predictor.load(tmp_path) == Predictor("lstm")


GOOD = {"format": "vidrep-predictor", "version": 1, "kind": "linear", "reads": "mean feature", "C": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        GOOD | {"format": "vidrep-run"},
        GOOD | {"version": 2},
        GOOD | {"kind": "forest"},
        GOOD | {"reads": "tea leaves"},
        GOOD | {"hidden": 3},
        GOOD | {"temperature": 0.0},
        {name: value for name, value in GOOD.items() if name != "version"},
    ],
    ids=str,
)
def test_a_damaged_one_is_named_in_one_line(tmp_path: Path, content: Any) -> None:
    Predictor("linear", "mean feature", 1.0, linear=linear_of(4)).save(tmp_path)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "predictor.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"predictor\.json: names no predictor") as caught:
        Predictor.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    Predictor("average", "mean feature", 1.0, linear=linear_of(4)).save(tmp_path)
    weights = tmp_path / "predictor.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"predictor\.json: names no predictor"):
        Predictor.load(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match=r"predictor\.json: names no predictor"):
        Predictor.load(tmp_path)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    videos = circles(4, classes=("a", "b", "c"))
    videos["b/01.npy"] = videos["b/01.npy"][:3]
    return features_of(tmp_path_factory.mktemp("features"), videos)


@pytest.mark.parametrize("reads", ["mean feature", "single frame"])
def test_what_logistic_regression_makes_of_a_video_is_averaged_over_its_rows(features: Features, reads: str) -> None:
    videos, linear = [7, 2, 5], linear_of(4)
    expected = []
    for video in sorted(videos):  # sources are in their order
        frames = np.asarray(features.rows(video), dtype=np.float64)
        rows = frames.mean(axis=0, keepdims=True) if reads == "mean feature" else frames
        expected.append(softmax(rows @ linear.weight.T.astype(np.float64) + linear.bias).mean(axis=0))
    of_lstm = softmax(np.random.default_rng(0).normal(size=(3, 3)))
    found = {kind: Predictor(kind, reads, 1.0, linear=linear).combined(of_lstm, features, videos) for kind in KINDS}
    assert np.array_equal(found["lstm"], of_lstm)
    softer = Predictor("average", reads, 1.0, 2.0, linear).combined(of_lstm, features, videos)
    np.testing.assert_allclose(softer, (softmax(np.log(of_lstm) / 2) + np.stack(expected)) / 2, rtol=1e-5)
    np.testing.assert_allclose(found["linear"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["average"], (of_lstm + np.stack(expected)) / 2, rtol=1e-5)


def probabilities_of(run: Path, features: Features) -> Doubles:
    found = ClassifierRun.load(run).predict(features, range(len(features)), device=CPU)
    assert list(found) == list(range(len(features)))
    return np.stack(list(found.values()))


def test_an_ensemble_s_probabilities_are_the_mean(tmp_path: Path, features: Features) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(ensemble=3, steps=4), device="cpu").folder
    alone = [probabilities_of(run / "members" / str(number), features) for number in (1, 2, 3)]
    assert not np.allclose(alone[0], alone[1]) and not np.allclose(alone[1], alone[2])
    together = probabilities_of(run, features)
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-12)
    for video, row in zip(predict(run, features, device="cpu").videos, together, strict=True):
        assert video.probabilities == pytest.approx(dict(zip("abc", row, strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_predicts_with_the_kind_that_was_asked_for(
    tmp_path: Path, features: Features, kind: PredictorKind
) -> None:
    """Without a selection, logistic regression reads ordered bins of all used videos, with a default C."""
    config = finetune_config(steps=4, settings={"predictor": kind})
    run = finetune(features, tmp_path / "run", config, device="cpu").folder
    lines = [line.split(",") for line in (run / "videos.csv").read_text(encoding="utf-8").splitlines()]
    used = {line[0] for line in lines if {"train", "validation"} & set(line)}
    assert 6 < len(used) < 12
    rows, classes = [], []
    for index, video in enumerate(features.videos):
        frames = np.asarray(features.rows(index), dtype=np.float64)
        at = np.linspace(0, len(frames) - 1, 8)
        bins = [np.interp(at, np.arange(len(frames)), column) for column in frames.T]
        rows.append(np.stack(bins, axis=1).ravel().astype(np.float32))
        classes.append("abc".index(video.label))
    fitted_on = [index for index, video in enumerate(features.videos) if video.path in used]
    linear = fit_linear(np.stack(rows)[fitted_on], np.array(classes)[fitted_on], 3, DEFAULT_COST)
    of_linear = linear.probabilities(np.stack(rows))
    predictor = ClassifierRun.load(run)
    windows = predictor.windows(features, range(len(features)))
    by_window = predictor.classify(windows, device=CPU)
    of_lstm = np.stack([by_window[windows.videos == video].mean(axis=0) for video in range(len(features))])
    expected = {"lstm": of_lstm, "linear": of_linear, "average": (of_lstm + of_linear) / 2}[kind]
    np.testing.assert_allclose(probabilities_of(run, features), expected, rtol=1e-4, atol=1e-6)
    measured = evaluate(run, features, device="cpu")
    assert isinstance(measured, ClassificationEvaluation)
    left = [index for index in range(12) if index not in fitted_on]
    right = expected[left].argmax(axis=1) == np.array(classes)[left]
    assert measured.predicted.accuracy == pytest.approx(right.mean())
    assert measured.predictor == str(Predictor.load(run))
