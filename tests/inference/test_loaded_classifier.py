"""A classifier in Python is the one of the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config

import vidrep
from vidrep.config.settings import ClassifierSettings
from vidrep.errors import FeatureFileError, InputError
from vidrep.features.store import Features
from vidrep.inference.predict import predict
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


@pytest.mark.parametrize("predictor", ["lstm", "linear", "average"])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_of_whole_videos_it_says_what_predict_says(
    tmp_path: Path, features: Features, predictor: Any, ensemble: int
) -> None:
    config = finetune_config(length=8, ensemble=ensemble, settings={"predictor": predictor})
    run = finetune(features, tmp_path / "run", config, device="cpu").folder
    classifier = vidrep.load_classifier(run, device="cpu")
    stored = np.stack(list(features), axis=1)
    assert stored.shape == (8, 10, 4)
    found = classifier(torch.from_numpy(stored))
    np.testing.assert_array_equal(found, classifier(stored))
    expected = [[one.probabilities[name] for name in classifier.classes] for one in predict(run, features).videos]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert repr(classifier).startswith(f"LoadedClassifier({str(run)!r}, 2 classes, predictor ")
    assert "windows of 8 frames of 4 float32" in repr(classifier)


def test_frames_have_probabilities_whose_mean_is_the_windows(tmp_path: Path, features: Features) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(length=8), device="cpu").folder
    classifier, stored = vidrep.load_classifier(run, device="cpu"), np.stack(list(features), axis=1)
    of_frames = classifier.frame_probabilities(stored)
    assert of_frames.shape == (8, 10, 2)
    np.testing.assert_allclose(of_frames.mean(axis=0), classifier(stored), rtol=0, atol=1e-6)
    np.testing.assert_allclose(classifier.frame_probabilities(stored[:3]), of_frames[:3], rtol=0, atol=1e-6)
    config = finetune_config(classifier=ClassifierSettings(head="mean"))
    other = finetune(features, tmp_path / "mean", config, device="cpu").folder
    with pytest.raises(InputError, match="its head, mean, has no probabilities of frames; every_step has them"):
        vidrep.load_classifier(other).frame_probabilities(stored)


def test_an_embedding_is_the_encoders_last_output(tmp_path: Path, features: Features) -> None:
    config = finetune_config(length=8, ensemble=2)
    run = finetune(features, tmp_path / "run", config, device="cpu").folder
    found = vidrep.load_classifier(run, device="cpu").embed(features.path)
    assert found.shape == (10, 2 * 5)
    for number in range(2):
        model: Any = vidrep.load_model(run / "members" / str(number + 1))[0]
        with torch.inference_mode():
            outputs = model.network.encoder(model.inputs(torch.from_numpy(np.stack(list(features), axis=1))))[0]
        np.testing.assert_allclose(found[:, 5 * number : 5 * number + 5], outputs[-1].numpy(), rtol=0, atol=1e-6)
    with pytest.raises(FeatureFileError):
        vidrep.load_classifier(run).embed(features_of(tmp_path / "wide", circles(size=6)))


def test_what_cannot_be_classified_is_one_line(tmp_path: Path, features: Features) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(), device="cpu").folder
    for shape in ((8, 10, 5), (8, 4), (0, 3, 4)):
        with pytest.raises(InputError, match=r"run: frames of shape \(.*\); it takes \(time, windows, 4\)"):
            vidrep.load_classifier(run)(np.zeros(shape, dtype=np.float32))
    pretrained = train(features, tmp_path / "pretrained", pretrain_config(), device="cpu").folder
    with pytest.raises(InputError, match="pretrained: a pretraining, which has no classes; `vidrep finetune` makes"):
        vidrep.load_classifier(pretrained)


def test_results_fit_on_a_screen(tmp_path: Path, features: Features) -> None:
    result = train(features, tmp_path / "run", pretrain_config(), device="cpu")
    run = finetune(features, tmp_path / "actions", finetune_config(), device="cpu").folder
    predictions = predict(run, features)
    assert max(len(repr(one)) for one in (features, result, predictions)) < 1000
    assert repr(predictions).startswith("Predictions(10 videos: ")
