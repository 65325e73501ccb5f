"""Runs of earlier versions are refused in one line that gives the version and what to do, or go on."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

from vidrep.config.reader import load_recipe
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.store import Features
from vidrep.inference.info import info
from vidrep.inference.predict import predict
from vidrep.models.saved import load_model
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

OLD_DESCRIPTION = {
    "format": "vidrep-model",
    "version": 1,
    "kind": "composite",
    "arguments": {"frame_size": 4, "hidden_size": 5, "num_layers": 2},
    "frame_shape": [4],
    "dtype": "float32",
    "values": "real",
    "extractor": {"kind": "import"},
    "windows": {"seen": 3, "reconstructed": 0, "predicted": 2, "stride": 2},
}
OLD_CONFIG = {
    "kind": "pretrain",
    "values": "auto",
    "model": {"hidden_size": 5, "num_layers": 2, "dropout": 0.3, "initialisation": "orthogonal"},
    "windows": {"seen": 3, "predicted": 2, "stride": 2},
    "optimiser": {"name": "adamw", "decay": "cosine"},
    "training": {"steps": 10, "evaluate_every": 5, "accumulate": 1},
}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


@pytest.fixture
def run(tmp_path: Path, features: Features) -> Path:
    """A run folder as version 1 left it: model.json, config.toml and a checkpoint of version 2."""
    folder = train(features, tmp_path / "run", pretrain_config(steps=2, validate_every=2), device="cpu").folder
    (folder / "model.json").write_text(json.dumps(OLD_DESCRIPTION), encoding="utf-8")
    (folder / "config.toml").write_text(tomli_w.dumps(OLD_CONFIG), encoding="utf-8")
    path = folder / "checkpoints" / "00000002.pt"
    torch.save(torch.load(path, weights_only=True) | {"version": 2}, path)
    return folder


def used_by(name: str, run: Path, features: Features) -> None:
    uses: dict[str, Callable[[], Any]] = {
        "load_model": lambda: load_model(run),
        "info": lambda: info(run),
        "evaluate": lambda: evaluate(run, features, device="cpu"),
        "predict": lambda: predict(run, [features.path], device="cpu"),
        "finetune": lambda: finetune(features, run.parent / "new", finetune_config(), pretrained=run, device="cpu"),
    }
    uses[name]()


@pytest.mark.parametrize("name", ["load_model", "info", "evaluate", "predict", "finetune"])
def test_its_model_is_refused_with_what_to_do(run: Path, features: Features, name: str) -> None:
    message = (
        f"{run / 'model.json'}: vidrep-model version 1; this vidrep reads vidrep-model version 2; train the run again, "
        "or use the vidrep that trained it"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        used_by(name, run, features)
    assert not (run.parent / "new").exists()


@pytest.mark.parametrize("kind", ["train", "finetune"])
def test_it_is_not_resumed(run: Path, features: Features, kind: str) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    message = "config.toml: a run of an earlier version of vidrep, which this one cannot go on with; --overwrite starts"
    with pytest.raises(InputError, match=message) as caught:
        if kind == "train":
            train(features, run, pretrain_config(), device="cpu", resume=True)
        else:
            finetune(features, run, finetune_config(), device="cpu", resume=True)
    assert "\n" not in str(caught.value)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_its_checkpoint_is_not_gone_on_from(tmp_path: Path, features: Features) -> None:
    config = pretrain_config(steps=2, validate_every=2)
    run = train(features, tmp_path / "run", config, device="cpu").folder
    path = run / "checkpoints" / "00000002.pt"
    torch.save(torch.load(path, weights_only=True) | {"version": 2}, path)
    message = f"{path}: a checkpoint of version 2; this vidrep reads version 3; --overwrite starts anew"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        train(features, run, config, device="cpu", resume=True)


def test_it_is_overwritten(run: Path, features: Features) -> None:
    train(features, run, pretrain_config(steps=2, validate_every=2), device="cpu", overwrite=True)
    assert info(run)["encoder.hidden_size"] == 5


def test_its_settings_are_refused_as_a_recipe_with_their_new_names(run: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'values'; it is likelihood") as caught:
        load_recipe(PretrainConfig, run / "config.toml")
    assert "\n" not in str(caught.value)
    tree = {"model": {"hidden_size": 6, "freeze": True}}
    (run / "tuned.toml").write_text(tomli_w.dumps(tree), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"unknown key 'model\.hidden_size'; it is encoder\.hidden_size now"):
        load_recipe(FinetuneConfig, run / "tuned.toml")


def test_settings_that_came_after_a_run_began_have_their_defaults(tmp_path: Path, features: Features) -> None:
    config = pretrain_config(steps=4, validate_every=2)
    whole = train(features, tmp_path / "whole", config, device="cpu").folder
    killed = tmp_path / "killed"
    with pytest.raises(KilledError):
        train(features, killed, config, device="cpu", on_progress=killed_after(3))
    settings = tomllib.loads((killed / "config.toml").read_text(encoding="utf-8"))
    del settings["cell"]["lstm"]["coupled"], settings["encoder"]["bidirectional"]
    (killed / "config.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
    for path in (killed / "checkpoints").glob("*.pt"):
        checkpoint = torch.load(path, weights_only=True)
        del checkpoint["description"]["cell"]["coupled"], checkpoint["description"]["encoder"]["bidirectional"]
        torch.save(checkpoint, path)
    train(features, killed, device="cpu", resume=True)
    assert_same(tree_of(killed), tree_of(whole))
    settings["encoder"]["hidden_size"] = 7
    (killed / "config.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
    with pytest.raises(OutputError, match=r"resumed with encoder.hidden_size 5, the run has 7; leave that out"):
        train(features, killed, config, device="cpu", resume=True)
