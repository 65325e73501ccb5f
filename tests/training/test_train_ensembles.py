"""Ensembles of encoders: `train --ensemble`, each model with weights and order of its own, stopped and resumed."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import assert_same, tree_of

from vidrep.config.settings import ClassifierSettings, EncoderSettings, FinetuneWindows, PretrainConfig, PretrainWindows
from vidrep.errors import InputError, Stopped
from vidrep.features.store import Features
from vidrep.inference.info import info
from vidrep.models.description import read_description
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train


def config_of(*, ensemble: int = 2, **training: Any) -> PretrainConfig:
    return pretrain_config(
        encoder=EncoderSettings(hidden_size=5, dropout=0.3),
        windows=PretrainWindows(),
        settings={"objectives": ("contrast",)},
        ensemble=ensemble,
        **training,
    )


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(7))


def test_splits_are_equal_and_the_first_is_the_model_of_one_training(tmp_path: Path, features: Features) -> None:
    alone = train(features, tmp_path / "alone", config_of(ensemble=1), device="cpu").folder
    run = train(features, tmp_path / "run", config_of(), device="cpu").folder
    members = [run / "members" / number for number in "12"]
    assert len({(folder / "videos.csv").read_bytes() for folder in (alone, run, *members)}) == 1
    assert_same(tree_of(members[0]), tree_of(alone))
    one, two = (load_file(folder / "model.safetensors") for folder in members)
    assert any(not torch.equal(one[name], two[name]) for name in one if name.startswith("network.encoder."))
    assert str(info(run)["models"]).startswith("2")


@pytest.mark.parametrize("step", [4, 10, 14, 19])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(tmp_path: Path, features: Features, step: int) -> None:
    whole = train(features, tmp_path / "whole", config_of(), device="cpu").folder
    asked = count(1)
    with pytest.raises(Stopped):
        train(features, tmp_path / "run", config_of(), device="cpu", should_stop=lambda: next(asked) >= step)
    with pytest.raises(InputError, match="its training is not finished; the same command with --resume goes on"):
        PretrainedEncoders.load([tmp_path / "run"])
    run = train(features, tmp_path / "run", config_of(), device="cpu", resume=True).folder
    for number in "12":
        assert_same(tree_of(run / "members" / number), tree_of(whole / "members" / number))
    for name in ("ensemble.json", "config.toml", "videos.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in whole.iterdir())


def test_a_classifier_starts_from_all_of_them(tmp_path: Path, features: Features) -> None:
    run = train(features, tmp_path / "run", config_of(ensemble=3, steps=2, validate_every=2), device="cpu").folder
    config = finetune_config(
        encoder=EncoderSettings(dropout=0.5),
        classifier=ClassifierSettings(head="logistic", transfer="frozen"),
        settings={"windows": FinetuneWindows()},
    )
    tuned = finetune(features, tmp_path / "tuned", config, pretrained=run, device="cpu").folder
    description = read_description(tuned)
    assert len(description.joined) == 2
    assert description.clips.items() <= read_description(run / "members" / "1").clips.items()
    state = load_file(tuned / "model.safetensors")
    assert state["network.head.weight"].shape == (2, 15)
    for number in range(3):
        there = load_file(run / "members" / str(number + 1) / "model.safetensors")
        for name in (one for one in there if one.startswith("network.encoder.")):
            assert torch.equal(state[name.replace("encoder.", f"encoder.parts.{number}.", 1)], there[name]), name
