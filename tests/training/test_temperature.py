"""The temperature that a run keeps is the best one on its validation videos, or on those that its folds left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_features import circles, features_of, finetune_config

from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.store import Features
from vidrep.metrics.predictor import ClassifierRun, Predictor
from vidrep.training.finetune import finetune

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return features_of(tmp_path_factory.mktemp("features"), circles(60))


def log_loss(probabilities: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    return float(-np.log(probabilities[np.arange(len(classes)), classes]).mean())


@pytest.mark.parametrize("ensemble", [1, 2])
def test_without_folds_it_is_the_best_on_the_validation_videos(
    tmp_path: Path, features: Features, ensemble: int
) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(ensemble=ensemble, steps=20), device="cpu").folder
    kept = Predictor.load(run)
    assert kept.kind == "lstm" and kept.temperature != 1.0 and kept.final_temperature == 1.0
    loaded = ClassifierRun.load(run)
    validated = [number for number, line in enumerate(features.paths) if f"{line},validation" in _splits(run)]
    assert len(validated) >= 20
    classes = np.array([loaded.description.classes.index(features.labels[video]) for video in validated])
    plain = ClassifierRun(run, loaded.models, loaded.description, Predictor())
    found = np.stack(list(plain.predict(features, validated, device=CPU).values()))
    losses = {}
    for temperature in np.geomspace(0.5, 8.0, 25):
        powered = found ** (1 / temperature)
        losses[float(temperature)] = log_loss(powered / powered.sum(axis=1, keepdims=True), classes)
    assert kept.temperature == pytest.approx(min(losses, key=lambda one: losses[one]))


def _splits(run: Path) -> set[str]:
    lines = (run / "videos.csv").read_text(encoding="utf-8").splitlines()
    head = lines[0].split(",")
    video, split = head.index("path" if "path" in head else "video"), head.index("split")
    return {f"{cells[video]},{cells[split]}" for cells in (line.split(",") for line in lines[1:])}


def test_few_validation_videos_and_a_linear_part_have_none(tmp_path: Path, features: Features) -> None:
    few = features_of(tmp_path / "few", circles(8))
    run = finetune(few, tmp_path / "run", finetune_config(), device="cpu").folder
    assert Predictor.load(run) == Predictor()
    config = finetune_config(settings={"predictor": "linear"})
    run = finetune(features, tmp_path / "linear", config, device="cpu").folder
    assert (Predictor.load(run).temperature, Predictor.load(run).final_temperature) == (1.0, 1.0)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_evaluate_measures_with_and_without_it_and_draws_both(
    tmp_path: Path, features: Features, temperature: float
) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(), device="cpu").folder
    Predictor(temperature=temperature).save(run)
    result = evaluate(run, features, reliability=tmp_path / "plot.png", device="cpu")
    assert isinstance(result, ClassificationEvaluation)
    found = result.calibration
    assert found.is_fitted == (temperature != 1.0) and found.temperature == temperature
    classes = np.array([result.classes.index(one.true) for one in result.videos])
    after = np.array([[one.probabilities[name] for name in result.classes] for one in result.videos])
    assert found.after.log_loss == pytest.approx(log_loss(after, classes))
    powered = after**temperature  # undoes it
    before = powered / powered.sum(axis=1, keepdims=True)
    assert found.before.log_loss == pytest.approx(log_loss(before, classes))
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width == (888 if found.is_fitted else 472)


def test_a_linear_part_and_an_average_have_a_temperature_as_a_whole() -> None:
    of_lstm, of_linear = np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]])
    expected: dict[Any, NDArray[np.float64]] = {"linear": of_linear, "average": (of_lstm + of_linear) / 2}
    for kind, mean in expected.items():
        found = Predictor(kind, "mean feature", final_temperature=2.0).mixed(of_lstm, of_linear)
        np.testing.assert_allclose(found, np.sqrt(mean) / np.sqrt(mean).sum(), rtol=1e-12)
