"""The probe of a pretraining: fitted to the training labels, measured on the test videos, one line where it cannot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.errors import ConfigError, LabelError
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.evaluation.probe import ProbeResult
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.metrics.cosine import fit_class_means
from vidrep.metrics.representations import FrozenEncoder, represent
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train


@pytest.fixture
def features(tmp_path: Path) -> Features:
    videos = circles(12, num_frames=9)
    return features_of(tmp_path, videos, {key: "test" if key[-6:-4] >= "08" else "train" for key in videos})


@pytest.fixture
def run(tmp_path: Path, features: Features) -> Path:
    return train(features, tmp_path / "run", pretrain_config(), device="cpu").folder


def probe(run: Path, features: Features, **options: object) -> ProbeResult:
    result = evaluate(run, features, probe=True, device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(result, PredictionEvaluation) and result.probe is not None
    return result.probe


def test_every_classifier_is_on_every_representation(run: Path, features: Features) -> None:
    result = probe(run, features)
    assert (result.num_train_videos, result.num_videos, result.classes) == (16, 8, ["left", "right"])
    names = [(one.encoder, one.reads, one.kind) for one in result.rows]
    representations = ("last h", "mean h", "last c")
    assert names == [
        (encoder, reads, kind)
        for encoder, every in (
            ("", ("mean feature", "ordered bins")),
            ("frozen encoder", representations),
            ("random encoder", representations),
        )
        for reads in every
        for kind in ("linear", "kNN", "prototypes")
    ]
    train_videos, test = (
        [index for index, row in enumerate(features.videos) if row.split == split] for split in ("train", "test")
    )
    frozen = FrozenEncoder.pretrained(PretrainedEncoders.load([run]))
    rows, others = (represent(frozen, features, some, device=torch.device("cpu")) for some in (train_videos, test))
    classes = np.array([int(features.videos[index].label == "right") for index in train_videos])
    true = np.array([int(features.videos[index].label == "right") for index in test])
    for one in result.rows:
        if (one.encoder, one.kind) == ("frozen encoder", "prototypes"):
            (expected,) = fit_class_means(rows[one.reads].rows, classes, 2, (0.0,))
            predicted = expected.probabilities(others[one.reads].rows).argmax(axis=1)
            assert one.accuracy.accuracy == (predicted == true).mean()


def test_what_cannot_be_probed_is_one_line(tmp_path: Path, run: Path, features: Features) -> None:
    keys = {split: [row.path for row in features.videos if row.split == split] for split in ("train", "test")}
    with pytest.raises(LabelError, match=r"two or more labels of split 'train' .* which are none; give --labels"):
        probe(run, features, annotations=dict.fromkeys([*keys["train"], *keys["test"]], Annotation("", None)))
    with pytest.raises(LabelError, match=r"which are left; give --labels"):
        probe(run, features, annotations=dict.fromkeys(keys["train"], Annotation("left", None)))
    with pytest.raises(LabelError, match=r"videos of split 'test' have no label that a probe is fitted to, .* right"):
        probe(run, features, annotations=dict.fromkeys(keys["test"], Annotation("jump", None, extends=True)))
    classifier = finetune(features, tmp_path / "classifier", finetune_config(steps=1), device="cpu").folder
    with pytest.raises(ConfigError, match="a classifier; a probe: for a pretraining"):
        evaluate(classifier, features, probe=True, device="cpu")
    with pytest.raises(ConfigError, match="those are for features"):
        evaluate(run, mnist=tmp_path, probe=True, device="cpu")


def test_labels_that_training_lacks_are_left_out(
    run: Path, features: Features, caplog: pytest.LogCaptureFixture
) -> None:
    new = next(row.path for row in features.videos if row.split == "test")
    assert probe(run, features, annotations={new: Annotation("jump", None, extends=True)}).num_videos == 7
    assert "a probe leaves out videos with labels that it is not fitted to: jump" in caplog.text
