"""What a fine-tuning tries: what was given stays, and what cannot be together with it is not tried."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_features import circles, features_of, pretrain_config

from vidrep.config.reader import load_recipe
from vidrep.config.settings import ClassifierSettings, EncoderSettings, FinetuneConfig, OptimizerSettings
from vidrep.errors import ConfigError
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.training.candidates import Candidate, candidates
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

SCRATCH = ["scratch-last-step", "scratch-every-step", "scratch-windows"]
STARTED = ["frozen-logistic", "frozen-prototypes", "scratch-last-step", "fine-tuned", *SCRATCH[1:]]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> PretrainedEncoders:
    folder = tmp_path_factory.mktemp("start")
    config = pretrain_config(encoder=EncoderSettings(hidden_size=5), steps=1, validate_every=1)
    return PretrainedEncoders.load([train(features_of(folder, circles()), folder / "run", config, device="cpu").folder])


def tried(start: PretrainedEncoders | None = None, *, frame_size: int = 4, **changes: Any) -> list[Candidate]:
    config = load_recipe(FinetuneConfig, changes={key.replace("__", "."): value for key, value in changes.items()})
    return candidates(config, start, frame_size=frame_size)


def names(some: list[Candidate]) -> list[str]:
    return [one.name for one in some]


def test_from_scratch_there_are_three() -> None:
    last, every, windows = some = tried()
    assert names(some) == SCRATCH
    assert [one.config.classifier.head for one in some] == ["last_step", "every_step", "every_step"]
    assert [one.config.windows.resample for one in some] == [True, True, False]
    assert last.config.transforms == ("standardize", "center_clip") and every.config.transforms == ("standardize",)
    assert {one.config.encoder.hidden_size for one in some} == {256}
    assert last.config.classifier == ClassifierSettings(head="last_step", dropout=0.0, label_smoothing=0.1)
    assert windows.config.classifier == ClassifierSettings()
    assert not any(one.from_run or one.chooses_penalty for one in some)
    assert tried(frame_size=257)[0].config.transforms == ("standardize", "center_clip", "pca")


def test_from_a_run_the_frozen_encoder_comes_first(start: PretrainedEncoders) -> None:
    some = tried(start)
    assert names(some) == STARTED
    assert [one.name for one in some if one.from_run] == ["frozen-logistic", "frozen-prototypes", "fine-tuned"]
    assert [one.name for one in some if one.chooses_penalty] == ["frozen-logistic"]
    assert [one.name for one in some if one.config.classifier.transfer == "frozen"] == STARTED[:2]
    assert some[3].config.optimizer.encoder_rate_factor == 0.1
    assert names(tried(start, classifier__transfer="frozen")) == STARTED[:2]
    (collocated,) = tried(start, classifier__transfer="collocation")
    assert (collocated.name, collocated.from_run) == ("collocated", True)
    assert (collocated.config.classifier.transfer, collocated.config.classifier.head) == ("collocation", "last_step")
    assert collocated.config.optimizer.encoder_rate_factor == 1  # nothing of it but its source has learned before


def test_what_was_given_stays_even_if_it_is_the_default(start: PretrainedEncoders) -> None:
    given: dict[str, Any] = {
        "classifier__dropout": 0.5,
        "encoder__dropout": 0.5,
        "optimizer__learning_rate": 1e-3,
        "optimizer__weight_decay": 0.25,
        "windows__length": 7,
    }
    for one in tried(start, **given):
        config = one.config
        assert (config.classifier.dropout, config.encoder.dropout, config.windows.length) == (0.5, 0.5, 7), one.name
        assert (config.optimizer.learning_rate, config.optimizer.weight_decay) == (1e-3, 0.25), one.name
    hidden = tried(encoder__hidden_size=512)
    assert [one.config.encoder.hidden_size for one in hidden] == [512] * 3


def test_in_python_what_differs_from_its_default_was_given() -> None:
    config = FinetuneConfig(optimizer=OptimizerSettings(learning_rate=0.25, lr_schedule="cosine"))
    some = candidates(config, None, frame_size=4)
    assert [one.config.optimizer.learning_rate for one in some] == [0.25] * 3
    assert [one.config.optimizer.lr_schedule for one in some] == ["one_cycle", "one_cycle", "cosine"]


def test_those_that_come_to_be_the_same_are_tried_once(start: PretrainedEncoders) -> None:
    some = tried(classifier__head="mean", transforms="auto")
    assert names(some) == ["scratch-last-step", "scratch-windows"]
    assert {one.config.classifier.head for one in some} == {"mean"}
    some = tried(start, classifier__head="attention", classifier__transfer="frozen")
    assert names(some) == ["frozen-logistic"] and some[0].config.classifier.head == "attention"
    assert not some[0].chooses_penalty


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"windows__resample": False}, STARTED),
        ({"windows__least_share": 0.8}, [name for name in STARTED if name != "scratch-windows"]),
        ({"classifier__label_smoothing": 0.2}, STARTED[2:]),
        ({"classifier__class_weights": "balanced"}, STARTED[2:]),
        ({"classifier__transfer": "init"}, STARTED[2:]),
        ({"objectives": ["reconstruction"]}, STARTED[2:]),
    ],
)
def test_what_cannot_be_together_with_it_is_not_tried(
    start: PretrainedEncoders, given: dict[str, Any], left: list[str]
) -> None:
    assert names(tried(start, **given)) == left


def test_if_nothing_can_be_tried_the_reason_is_raised(start: PretrainedEncoders) -> None:
    with pytest.raises(ConfigError, match=r"which classifier\.input_noise 0\.5 does not change; leave it out"):
        tried(start, classifier__transfer="frozen", classifier__input_noise=0.5)
    with pytest.raises(ConfigError, match="the head logistic is fitted to the outputs of a frozen encoder"):
        tried(classifier__head="logistic")


def test_a_penalty_that_was_given_is_not_chosen(start: PretrainedEncoders) -> None:
    given: dict[str, Any] = {"classifier__head": "logistic", "head__logistic__C": 0.01}
    (one,) = tried(start, classifier__transfer="frozen", **given)
    assert (one.chooses_penalty, one.config.head["logistic"].C) == (False, 0.01)
    config = replace(FinetuneConfig(), classifier=ClassifierSettings(head="logistic", transfer="frozen"), head={})
    assert [one.chooses_penalty for one in candidates(config, start, frame_size=4)] == [True]


def test_settings_that_contradict_the_run_are_refused_before_anything_is_made(
    start: PretrainedEncoders, tmp_path: Path
) -> None:
    config = load_recipe(FinetuneConfig, changes={"encoder.hidden_size": 7})
    with pytest.raises(ConfigError, match=r"encoder\.hidden_size is 7, but .* has 5; leave encoder\.hidden_size out"):
        finetune(features_of(tmp_path, circles()), tmp_path / "run", config, pretrained=start.parts[0].folder)
    assert not (tmp_path / "run").exists()
