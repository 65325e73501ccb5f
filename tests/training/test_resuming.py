"""A run that goes on has its own settings; more steps stretch its schedule; other data are refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from safetensors.torch import load_file
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import KilledError, assert_same, killed_after, train_toy, tree_of

from vidrep.config.reader import load_recipe, load_run_settings, run_mapping, to_mapping
from vidrep.config.settings import FinetuneConfig, OptimizerSettings, PretrainConfig
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.features.store import Features
from vidrep.training.finetune import finetune
from vidrep.training.history import read_history
from vidrep.training.optimizers import learning_rate
from vidrep.training.pretrain import train
from vidrep.training.resuming import recorded_settings, settings_of


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


@pytest.mark.parametrize("function", [train, finetune])
def test_without_a_config_a_run_goes_on_with_its_own(tmp_path: Path, features: Features, function: Any) -> None:
    config = pretrain_config(steps=6) if function is train else finetune_config(steps=6)
    whole = function(features, tmp_path / "whole", config, device="cpu").folder
    with pytest.raises(KilledError):
        function(features, tmp_path / "run", config, device="cpu", on_progress=killed_after(5))
    function(features, tmp_path / "run", device="cpu", resume=True)
    assert_same(tree_of(tmp_path / "run"), tree_of(whole))
    with pytest.raises(InputError, match="none: no run to resume; leave --resume out to start one"):
        function(features, tmp_path / "none", device="cpu", resume=True)


def test_what_is_auto_is_resolved_to_the_same(tmp_path: Path, features: Features) -> None:
    """The run's config.toml has nothing "auto" left; read again, it leads to the same settings."""
    run = train(features, tmp_path / "run", load_recipe(PretrainConfig, changes={"training.steps": 2}), device="cpu")
    before = (run.folder / "config.toml").read_bytes()
    train(features, run.folder, device="cpu", resume=True)
    assert (run.folder / "config.toml").read_bytes() == before


def test_what_is_given_besides_must_agree(tmp_path: Path, features: Features) -> None:
    run = train(features, tmp_path / "run", pretrain_config(steps=6), device="cpu").folder
    agrees = recorded_settings(PretrainConfig, run, "composite", changes={"encoder.hidden_size": 5})
    assert agrees == recorded_settings(PretrainConfig, run) == settings_of(None, PretrainConfig, run)
    other = recorded_settings(PretrainConfig, run, changes={"encoder.hidden_size": 6})
    with pytest.raises(OutputError, match=r"resumed with encoder.hidden_size 6, the run has 5; leave that out"):
        train(features, run, other, device="cpu", resume=True)
    fewer = recorded_settings(PretrainConfig, run, changes={"training.steps": 5})
    with pytest.raises(OutputError, match=r"resumed with training.steps 5, the run has 6; leave that out"):
        train(features, run, fewer, device="cpu", resume=True)
    message = r"recipe demo-pretrain has training.steps 800, .*run another; leave --recipe out, or add --steps N"
    with pytest.raises(ConfigError, match=message):
        recorded_settings(PretrainConfig, run, "demo-pretrain")


def test_which_keys_were_given_is_recorded(tmp_path: Path) -> None:
    config = load_recipe(FinetuneConfig, changes={"classifier.head": "every_step", "training.seed": 0})
    (tmp_path / "config.toml").write_text(tomli_w.dumps(run_mapping(config)), encoding="utf-8")
    again = load_run_settings(FinetuneConfig, tmp_path / "config.toml", changes={"training.patience": 10})
    assert again == config
    assert set(again.given) == {"classifier.head", "training.seed"}
    assert load_recipe(FinetuneConfig, tmp_path / "config.toml") == config
    assert "given" not in to_mapping(config)


def test_more_steps_of_a_constant_schedule_are_those_of_a_longer_run(tmp_path: Path, features: Features) -> None:
    settings: dict[str, Any] = {"optimizer": OptimizerSettings(lr_schedule="constant", warmup_steps=2), "keep": "last"}
    longer = train(features, tmp_path / "longer", pretrain_config(steps=15, **settings), device="cpu").folder
    run = train(features, tmp_path / "run", pretrain_config(steps=10, **settings), device="cpu").folder
    train(features, run, pretrain_config(steps=15, **settings), device="cpu", resume=True)
    assert_same(load_file(run / "model.safetensors"), load_file(longer / "model.safetensors"))
    assert [(one.steps, one.from_step) for one in read_history(run)] == [(None, None), (15, 10)]
    assert recorded_settings(PretrainConfig, run).training.steps == 15


def test_more_steps_have_the_longer_schedule_from_the_current_step_on(tmp_path: Path, features: Features) -> None:
    optimizer = OptimizerSettings(warmup_steps=2)
    run = train(features, tmp_path / "run", pretrain_config(steps=10, optimizer=optimizer), device="cpu").folder
    more = pretrain_config(steps=20, optimizer=optimizer)
    with pytest.raises(KilledError):
        train(features, run, more, device="cpu", resume=True, on_progress=killed_after(17))
    train(features, run, device="cpu", resume=True)
    rates = [line["learning_rate"] for line in tree_of(run)["metrics"]]
    at = [(4, 10), (9, 10), (14, 20), (19, 20)]
    assert rates == [learning_rate(step, total, optimizer) for step, total in at]


def test_more_steps_go_on_after_patience_was_over(tmp_path: Path, features: Features) -> None:
    worse = pretrain_config(steps=30, patience=1, optimizer=OptimizerSettings(name="sgd", learning_rate=1e-30))
    outcome = train(features, tmp_path / "run", worse, device="cpu").outcome
    assert (outcome.stopped_early, outcome.steps) == (True, 10)
    more = pretrain_config(steps=40, patience=1, optimizer=worse.optimizer)
    outcome = train(features, tmp_path / "run", more, device="cpu", resume=True).outcome
    assert (outcome.stopped_early, outcome.steps) == (True, 15)


def test_features_that_changed_are_one_clear_line(tmp_path: Path, features: Features) -> None:
    run = train(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    videos = circles()
    videos["left/01.npy"] = np.ones_like(videos["left/01.npy"])
    del videos["left/02.npy"]
    videos["right/new.npy"] = videos["right/00.npy"]
    message = r"run: the videos are not those that the run began with: 1 new, 1 gone, 1 with other features.*; resume"
    with pytest.raises(OutputError, match=message) as caught:
        train(features_of(tmp_path, videos), run, device="cpu", resume=True)
    assert f"--from {run} to start from its weights" in str(caught.value)


def test_a_toy_run_without_history_goes_on(tmp_path: Path) -> None:
    train_toy(tmp_path / "run")
    train_toy(tmp_path / "run", resume=True, steps=12)
    assert tree_of(tmp_path / "run")["step"] == "00000012"


def test_more_steps_of_a_cross_validated_run_are_those_of_what_it_chose(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(6))
    changes = {"encoder.hidden_size": 5, "classifier.head": "every_step", "selection.folds": 2, "transforms": []}
    chooses = load_recipe(FinetuneConfig, changes=changes | {"selection.least_steps": 3, "selection.most_steps": 3})
    run = finetune(features, tmp_path / "run", chooses, device="cpu").folder
    tried = {path.name: path.read_bytes() for path in (run / "selection").iterdir()}
    for _ in range(2):  # asked for once more, they are done
        longer = recorded_settings(FinetuneConfig, run, changes={"training.steps": 7})
        result = finetune(features, run, longer, device="cpu", resume=True)
        assert result.outcome.steps == 7
    assert {path.name: path.read_bytes() for path in (run / "selection").iterdir()} == tried
    assert finetune(features, run, device="cpu", resume=True).outcome.steps == 7
    assert [(one.steps, one.from_step) for one in read_history(run)] == [
        (None, None),
        (7, 3),
        (None, None),
        (None, None),
    ]
    fewer = recorded_settings(FinetuneConfig, run, changes={"training.steps": 2})
    with pytest.raises(OutputError, match=r"selection\.final_steps 2, the run has 7"):
        finetune(features, run, fewer, device="cpu", resume=True)


def test_more_steps_are_not_for_folds_that_were_tested_with_fewer(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(6))
    changes = {"encoder.hidden_size": 5, "test_folds": 2, "selection.folds": 2, "predictor": "linear"}
    changes |= {"selection.least_steps": 2, "selection.most_steps": 2, "classifier.head": "every_step"}
    run = finetune(features, tmp_path / "run", load_recipe(FinetuneConfig, changes=changes), device="cpu").folder
    longer = recorded_settings(FinetuneConfig, run, changes={"training.steps": 7})
    with pytest.raises(ConfigError, match="resumed with 7 steps, but its folds test classifiers of fewer"):
        finetune(features, run, longer, device="cpu", resume=True)
