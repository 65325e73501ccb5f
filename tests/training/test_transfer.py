"""Ways to transfer, and attention of decoders, from training to prediction; what cannot be transferred."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

import vidrep
from vidrep.config.reader import from_mapping
from vidrep.config.settings import ClassifierSettings, EncoderSettings, FinetuneConfig, Transfer
from vidrep.errors import ConfigError
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.features.store import Features
from vidrep.models.collocated import CollocatedEncoder
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.models.saved import load_model

NEW = EncoderSettings(dropout=0.3)  # whose cell, width and depth come from a pretrained run


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """Videos of 8 frames, and some of 3, whose windows are padded."""
    videos = circles()
    for key in ("left/00.npy", "right/01.npy"):
        videos[key] = videos[key][:3]
    return features_of(tmp_path_factory.mktemp("features"), videos)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, features: Features) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    return vidrep.train(features, folder / "run", pretrain_config(steps=2, validate_every=2), device="cpu").folder


def config_of(transfer: Transfer = "collocation", **settings: Any) -> FinetuneConfig:
    return finetune_config(encoder=NEW, classifier=ClassifierSettings(transfer=transfer), **settings)


def test_a_collocated_encoder_keeps_its_source_and_learns_beside_it(
    tmp_path: Path, features: Features, pretrained: Path
) -> None:
    run = vidrep.finetune(features, tmp_path / "run", config_of(), pretrained=pretrained, device="cpu").folder
    encoder = load_model(run)[0].network.encoder
    assert isinstance(encoder, CollocatedEncoder) and encoder.hidden_size == 5
    for name, value in load_model(pretrained)[0].network.encoder.state_dict().items():
        assert torch.equal(encoder.source.state_dict()[name], value)
        assert not torch.equal(encoder.state_dict()[name], value)


def test_several_encoders_collocate_each_with_its_own_source(
    tmp_path: Path, features: Features, pretrained: Path
) -> None:
    other = vidrep.train(features, tmp_path / "other", pretrain_config(steps=1, seed=1), device="cpu").folder
    config = config_of(steps=1)
    run = vidrep.finetune(features, tmp_path / "run", config, pretrained=[pretrained, other], device="cpu").folder
    state = load_model(run)[0].state_dict()
    for number, start in enumerate((pretrained, other)):
        for name, value in PretrainedEncoders.load([start]).parts[0].weights.items():
            if name.startswith("network.encoder."):
                there = name.replace("network.encoder.", f"network.encoder.parts.{number}.source.")
                assert torch.equal(state[there], value), name


def refusal(tmp_path: Path, features: Features, config: FinetuneConfig, start: Path | None) -> str:
    with pytest.raises(ConfigError) as caught:
        vidrep.finetune(features, tmp_path / "refused", config, pretrained=start, device="cpu")
    assert not (tmp_path / "refused").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_transferred_is_one_line(tmp_path: Path, features: Features, pretrained: Path) -> None:
    wide = replace(config_of(), encoder=EncoderSettings(hidden_size=7))
    assert refusal(tmp_path, features, wide, pretrained) == (
        f"encoder.hidden_size is 7, but {pretrained} has 5; leave encoder.hidden_size out"
    )
    assert refusal(tmp_path, features, config_of(), None) == (
        "classifier.transfer is 'collocation', but there is no pretrained run to transfer from; give --from RUN"
    )
    fitted = replace(config_of(), classifier=ClassifierSettings(head="logistic", transfer="collocation"), head={})
    assert "the head logistic is fitted to the outputs of a frozen encoder" in refusal(
        tmp_path, features, fitted, pretrained
    )
    collocated = vidrep.finetune(
        features, tmp_path / "run", config_of(steps=1), pretrained=pretrained, device="cpu"
    ).folder
    assert refusal(tmp_path, features, config_of("init"), collocated) == (
        f"{collocated}: its encoder learned by collocation and reads another one, so that no run starts from it; give "
        "the run that it started from"
    )


@pytest.mark.parametrize(("frozen", "transfer"), [(False, "init"), (True, "frozen")])
def test_a_run_of_an_earlier_version_says_what_it_froze_and_its_key_has_a_new_name(
    tmp_path: Path, features: Features, pretrained: Path, frozen: bool, transfer: Transfer
) -> None:
    config = config_of(transfer, steps=1)
    run = vidrep.finetune(features, tmp_path / "run", config, pretrained=pretrained, device="cpu").folder
    model, description = load_model(run)
    content = json.loads((run / "model.json").read_text(encoding="utf-8"))
    del content["head"]["transfer"]
    content["head"]["freeze_encoder"] = frozen
    (run / "model.json").write_text(json.dumps(content), encoding="utf-8")
    again, read = load_model(run)
    assert asdict(read) == asdict(description)
    assert [one.requires_grad for one in again.parameters()] == [one.requires_grad for one in model.parameters()]
    with pytest.raises(ConfigError, match=r'freeze_encoder.; it is classifier\.transfer \("frozen" in place of true'):
        from_mapping(FinetuneConfig, {"classifier": {"freeze_encoder": frozen}}, where="recipe")


def test_decoders_with_attention_train_are_killed_resume_evaluate_and_are_a_start(
    tmp_path: Path, features: Features
) -> None:
    objective = {"reconstruction": {"attention": True}, "future": {"attention": True, "conditional": True}}
    config = pretrain_config(settings={"objective": objective})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    vidrep.train(features, whole, config, device="cpu")
    with pytest.raises(KilledError):
        vidrep.train(features, killed, config, device="cpu", on_progress=killed_after(7))
    vidrep.train(features, killed, resume=True, device="cpu")
    assert_same(tree_of(killed), tree_of(whole))
    assert any("attention" in name for name in load_model(whole)[0].state_dict())
    measured = vidrep.evaluate(whole, features_of(tmp_path, circles(2, seed=5)), device="cpu")
    assert isinstance(measured, PredictionEvaluation)
    for by_predictor in measured.metrics.by_objective["future"].values():
        assert np.isfinite(by_predictor["model, teacher-forced"].mean)
    beside = finetune_config(
        encoder=NEW,
        length=3,
        steps=2,
        settings={"objectives": ("reconstruction",), "objective": {"reconstruction": {"attention": True}}},
    )
    vidrep.finetune(features, tmp_path / "run", beside, pretrained=whole, device="cpu")
