"""Classifiers that center representations by group: fitted, validated, evaluated and chosen with the same means."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.settings import (
    ClassifierSettings,
    EncoderSettings,
    FinetuneConfig,
    FinetuneWindows,
    SelectionSettings,
)
from vidrep.errors import ConfigError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.annotations import Annotation
from vidrep.features.importing import import_features
from vidrep.features.store import Features
from vidrep.inference.predict import predict
from vidrep.metrics.cross_validation import VideoRows, cross_validate_each
from vidrep.metrics.predictor import ClassifierRun
from vidrep.models.classifier import Classifier
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.models.saved import load_model
from vidrep.training.candidates import candidates
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

TEMPERATURE = 0.2
# The split and the groups of the videos of each number, of class left and of class right.
PLACES = [
    ("train", "a", "a"),
    ("train", "a", "a"),
    ("train", "b", "b"),
    ("train", "c", "d"),
    ("validation", "v", "v"),
    ("test", "e", "e"),
    ("test", "f", "g"),
]
CLASSES = ("left", "right")
ALONE = " videos are alone in their group: centered by the mean of the training videos"


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """Videos of 6 frames, two windows of 4 each, with splits and groups."""
    folder = tmp_path_factory.mktemp("features")
    features_of(folder, circles(len(PLACES), num_frames=6))
    annotations = {
        f"{name}/{number:02d}.npy": Annotation(None, split, groups[position])
        for number, (split, *groups) in enumerate(PLACES)
        for position, name in enumerate(CLASSES)
    }
    return import_features(folder / "arrays", folder / "grouped.h5", annotations=annotations).features


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, features: Features) -> Path:
    config = pretrain_config(encoder=EncoderSettings(hidden_size=12))
    return train(features, tmp_path_factory.mktemp("start") / "run", config, device="cpu").folder


def config_of(head: str = "prototypes", **classifier: Any) -> FinetuneConfig:
    chosen: dict[str, Any] = {"transfer": "frozen", "center_groups": True} | classifier
    settings = {"head": {"prototypes": {"temperature": TEMPERATURE}}} if head == "prototypes" else {}
    return finetune_config(
        classifier=ClassifierSettings(head=head, **chosen), encoder=EncoderSettings(), settings=settings
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, features: Features, pretrained: Path) -> Path:
    return finetune(
        features, tmp_path_factory.mktemp("fitted") / "run", config_of(), pretrained=pretrained, device="cpu"
    ).folder


def representations(run: Path, features: Features) -> dict[str, NDArray[np.float64]]:
    """Return the encoder's last output for the two windows of each video, (2, H)."""
    model, _ = load_model(run)
    network = model.network
    assert isinstance(network, Classifier)
    found = {}
    for index, row in enumerate(features.videos):
        frames = torch.from_numpy(np.array(features.rows(index)))
        with torch.no_grad():
            outputs, _ = network.encoder(model.inputs(torch.stack([frames[:4], frames[2:]], dim=1)))
        found[row.path] = outputs[-1].double().numpy()
    return found


class Expected:
    """What is to come of a run, or of another one with its encoder, computed video by video in float64."""

    def __init__(
        self, run: Path, features: Features, trained: Sequence[str] = (), *, temperature: float = TEMPERATURE
    ) -> None:
        self.rows, self.table = representations(run, features), {row.path: row for row in features.videos}
        self.temperature = temperature
        trained = trained or [key for key, row in self.table.items() if row.split == "train"]
        self.center = np.concatenate([self.rows[key] for key in trained]).mean(axis=0)
        units = {key: _units(one) for key, one in self.centered(trained).items()}
        self.prototypes = np.stack(
            [np.concatenate([units[key] for key in trained if key.startswith(name)]).mean(axis=0) for name in CLASSES]
        )

    def centered(self, keys: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Center some videos that are classified together."""
        found = {}
        for key in keys:
            group = [other for other in keys if self.table[other].group == self.table[key].group]
            mean = np.concatenate([self.rows[one] for one in group]).mean(axis=0) if len(group) > 1 else self.center
            found[key] = self.rows[key] - mean
        return found

    def windows(self, keys: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return the probabilities of the windows of some videos that are classified together."""
        cosines = {key: _units(one) @ _units(self.prototypes).T for key, one in self.centered(keys).items()}
        likelihoods = {key: np.exp(one / self.temperature) for key, one in cosines.items()}
        return {key: one / one.sum(axis=1, keepdims=True) for key, one in likelihoods.items()}


def _units(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    units: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units


def assert_predicts(run: Path, features: Features, expected: Mapping[str, NDArray[np.float64]]) -> None:
    found = {one.key: one.probabilities for one in predict(run, features, device="cpu").videos}
    assert found.keys() == expected.keys()
    for key, of_windows in expected.items():
        np.testing.assert_allclose([found[key][name] for name in CLASSES], of_windows.mean(axis=0), atol=1e-5)


def test_the_head_is_fitted_to_centered_representations(run: Path, features: Features) -> None:
    expected, state = Expected(run, features), load_file(run / "model.safetensors")
    np.testing.assert_allclose(state["network.head.center"], expected.center, atol=1e-6)
    np.testing.assert_allclose(state["network.head.prototypes"], expected.prototypes, atol=1e-5)
    held_out = [row.path for row in features.videos if row.split == "validation"]
    of_truth = [one[:, CLASSES.index(key[: key.index("/")])] for key, one in expected.windows(held_out).items()]
    line = json.loads((run / "metrics.jsonl").read_text())
    assert line["validation"]["loss"] == pytest.approx(-np.log(of_truth).mean(), rel=1e-4)
    assert line["validation"]["window_accuracy"] == (np.array(of_truth) > 0.5).mean()


def test_a_prediction_depends_on_the_other_videos_of_the_group(
    run: Path, features: Features, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    expected = Expected(run, features)
    assert_predicts(run, features, expected.windows([row.path for row in features.videos]))
    assert [one for one in caplog.messages if "centered" in one] == ["4 of 14" + ALONE]
    caplog.clear()
    test = [row.path for row in features.videos if row.split == "test"]
    evaluation = evaluate(run, features, device="cpu")
    assert [one for one in caplog.messages if "centered" in one] == ["2 of 4" + ALONE]
    assert isinstance(evaluation, ClassificationEvaluation) and evaluation.num_videos == 4
    right = [CLASSES[one.mean(axis=0).argmax()] == key[: key.index("/")] for key, one in expected.windows(test).items()]
    assert evaluation.per_video.accuracy == np.mean(right)
    # By --labels, all test videos are one group, of which the probabilities of the windows are others.
    together = {key: Annotation(None, None, "one") for key in test}
    for row in (expected.table[key] for key in test):
        expected.table[row.path] = replace(row, group="one")
    windows = expected.windows(test)
    right = [CLASSES[number] == key[: key.index("/")] for key, one in windows.items() for number in one.argmax(axis=1)]
    caplog.clear()
    evaluation = evaluate(run, features, annotations=together, device="cpu")
    assert isinstance(evaluation, ClassificationEvaluation) and evaluation.per_window.accuracy == np.mean(right)
    assert not [one for one in caplog.messages if "centered" in one]


def test_without_groups_each_video_is_centered_by_the_mean_of_training(
    run: Path, features: Features, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    expected = Expected(run, features)
    keys = [row.path for row in features.videos]
    ungrouped = features_of(tmp_path, circles(len(PLACES), num_frames=6))
    alone = {key: expected.windows([key])[key] for key in keys}
    assert_predicts(run, ungrouped, alone)
    assert [one for one in caplog.messages if "centered" in one] == ["14 of 14" + ALONE]
    model, _ = load_model(run)
    frames = torch.from_numpy(np.array(features.rows(3)))[:4].unsqueeze(1)
    with torch.no_grad():
        np.testing.assert_allclose(model.network(model.inputs(frames))[0], alone[keys[3]][0], atol=1e-5)


@pytest.mark.parametrize(
    ("config", "starts", "message"),
    [
        (config_of("last_step"), True, "but classifier.head is last_step; set it to logistic or prototypes"),
        (config_of("every_step"), True, "but classifier.head is every_step; set it to logistic or prototypes"),
        (replace(config_of("last_step"), selection=SelectionSettings()), True, "but classifier.head is last_step; set"),
        (replace(FinetuneConfig(), classifier=ClassifierSettings(center_groups=True)), False, "; give --from RUN"),
    ],
)
def test_only_what_a_fitted_head_reads_can_be_centered(
    config: FinetuneConfig, starts: bool, message: str, features: Features, pretrained: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        finetune(features, tmp_path / "run", config, pretrained=pretrained if starts else None, device="cpu")
    assert str(caught.value).startswith("classifier.center_groups centers what a head that is fitted reads of a pretr")
    assert str(caught.value).endswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_frozen_candidates_alone_are_tried_and_choose_their_penalty_by_centered_rows(
    run: Path, features: Features, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FinetuneConfig(
        classifier=ClassifierSettings(center_groups=True),
        windows=FinetuneWindows(length=4, stride=2),
        selection=SelectionSettings(folds=2),
        predictor="lstm",
    )
    tried = candidates(config, PretrainedEncoders.load([pretrained]), frame_size=4)
    assert [one.name for one in tried] == ["frozen-logistic", "frozen-prototypes"]
    assert all(one.config.classifier.center_groups and one.config.classifier.transfer == "frozen" for one in tried)
    read: list[VideoRows] = []

    def spy(fit: Any, samples: VideoRows, *others: Any, **limits: Any) -> Any:
        read.append(samples)
        return cross_validate_each(fit, samples, *others, **limits)

    monkeypatch.setattr("vidrep.training.trials.cross_validate_each", spy)
    result = finetune(features, tmp_path / "run", config, pretrained=pretrained, device="cpu")
    used = [row for row in features.videos if row.split in ("train", "validation")]
    of_group = {group: [number for number, row in enumerate(used) if row.group == group] for group in "abvcd"}
    of_encoder = read[:2]  # of the last output and of the mean one
    for samples in of_encoder:
        assert samples.rows.shape == (10, 12) and samples.videos.tolist() == list(range(10))
        for group in "abv":
            np.testing.assert_allclose(samples.rows[of_group[group]].mean(axis=0), 0, atol=1e-6)
        assert all(np.abs(samples.rows[of_group[group]]).max() > 1e-3 for group in "cd")
    assert result.selection is not None and result.selection.num_folds == 2
    assert {one.name for one in result.selection.tried if one.kind == "lstm"} == {
        "frozen-logistic",
        "frozen-prototypes",
    }
    for number in (1, 2):
        fold = json.loads((result.folder / "selection" / f"frozen-prototypes-{number}.json").read_text())
        trained = [row.path for row in used if row.path not in fold["videos"]]
        expected = Expected(run, features, trained, temperature=0.1)
        of_videos = [one.mean(axis=0) for one in expected.windows(fold["videos"]).values()]
        np.testing.assert_allclose(fold["probabilities"], of_videos, atol=1e-5)
    assert ClassifierRun.load(result.folder).description.head["center_groups"] is True
