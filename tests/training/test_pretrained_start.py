"""A fine-tuning from a pretrained run: what contradicts that run, and that it is needed at the start alone."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from small_features import circles, features_of, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

from vidrep.config.reader import load_recipe, to_mapping
from vidrep.config.settings import ClassifierSettings, EncoderSettings, FinetuneConfig
from vidrep.errors import ConfigError, OutputError
from vidrep.features.store import Features
from vidrep.models.description import read_description
from vidrep.models.saved import load_model
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

SMALL = {
    "encoder.dropout": 0.3,
    "windows.length": 4,
    "windows.stride": 2,
    "training.steps": 10,
    "training.batch_size": 4,
    "training.validate_every": 5,
    "training.validation_fraction": 0.2,
    "selection.enabled": False,
}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


@pytest.fixture
def pretrained(tmp_path: Path, features: Features) -> Path:
    config = pretrain_config(
        encoder=EncoderSettings(hidden_size=6, num_layers=2),
        settings={"cell": {"lstm": {"peepholes": True}}, "transforms": ("center_clip", "standardize")},
    )
    return train(features, tmp_path / "pretrained", config, device="cpu").folder


def config_of(**changes: Any) -> FinetuneConfig:
    """Return small settings with changes, whose keys have "__" for ".", as a recipe or --set gives them."""
    return load_recipe(
        FinetuneConfig, changes=SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder__hidden_size": 7}, r"encoder.hidden_size is 7, but .*pretrained has 6; leave enc"),
        ({"encoder__hidden_size": 512}, r"encoder.hidden_size is 512, but .*pretrained has 6"),
        ({"encoder__num_layers": 1}, r"encoder.num_layers is 1, but .*pretrained has 2"),
        ({"cell__lstm__peepholes": False}, r"cell.lstm.peepholes is False, but .*pretrained has True"),
        ({"cell__lstm__activation": "relu"}, r"cell.lstm.activation is 'relu', but .*pretrained has 'tanh'"),
        ({"transforms": []}, r"transforms are none, but .*pretrained was trained with center_clip, standardize; leave"),
        ({"transforms": ["standardize"]}, r"transforms are standardize, but .*pretrained was trained with center_clip"),
        (
            {"transforms": ["standardize", "center_clip"]},
            r"transforms are standardize, center_clip, but .* was trained with center_clip, standardize",
        ),
    ],
    ids=str,
)
def test_settings_that_contradict_the_pretrained_run_are_refused(
    tmp_path: Path, features: Features, pretrained: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        finetune(features, tmp_path / "run", config_of(**changes), pretrained=pretrained, device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_same_is_refused_of_a_config_made_in_python(tmp_path: Path, features: Features, pretrained: Path) -> None:
    for config, key in (
        (FinetuneConfig(encoder=EncoderSettings(hidden_size=7)), "encoder.hidden_size is 7"),
        (FinetuneConfig(cell={"lstm": {"activation": "relu"}}), "cell.lstm.activation is 'relu'"),
        (FinetuneConfig(transforms=()), "transforms are none"),
    ):
        with pytest.raises(ConfigError, match=key):
            finetune(features, tmp_path / "run", config, pretrained=pretrained, device="cpu")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder__hidden_size": 6, "encoder__num_layers": 2, "encoder__cell": "lstm"},
        {"cell__lstm__peepholes": True, "cell__lstm__activation": "tanh"},
        {"transforms": ["center_clip", "standardize"]},
        {"encoder__initialization": "xavier"},
    ],
    ids=str,
)
def test_settings_that_agree_with_the_pretrained_run_pass(
    tmp_path: Path, features: Features, pretrained: Path, changes: dict[str, Any]
) -> None:
    run = finetune(features, tmp_path / "run", config_of(**changes), pretrained=pretrained, device="cpu").folder
    description, before = read_description(run), read_description(pretrained)
    for name in ("cell", "hidden_size", "num_layers"):
        assert description.encoder[name] == before.encoder[name]
    assert (description.cell, description.transforms) == (before.cell, before.transforms)
    assert description.encoder["dropout"] == 0.3


def everything_in(run: Path) -> dict[str, bytes]:
    """Return all files of a run but its speeds."""
    files = [path for path in run.rglob("*") if path.is_file()]
    kept = [path for path in files if path.name != "metrics.jsonl" and "tensorboard" not in path.parts]
    return {str(path.relative_to(run)): path.read_bytes() for path in kept}


def test_a_run_is_the_same_bytes_wherever_the_pretrained_run_lies(
    tmp_path: Path, features: Features, pretrained: Path
) -> None:
    one = finetune(features, tmp_path / "one", config_of(), pretrained=pretrained, device="cpu").folder
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    pretrained.rename(moved)
    other = finetune(features, tmp_path / "other", config_of(), pretrained=moved, device="cpu").folder
    first, second = everything_in(one), everything_in(other)
    checkpoints = {name for name in first if name.startswith("checkpoints/")}
    assert first.keys() == second.keys() >= {"pretrained/model.safetensors", "pretrained/model.json"}
    for name in first.keys() - checkpoints - {"history.jsonl"}:  # which has dates and command lines
        assert first[name] == second[name], name
    assert_same(tree_of(one), tree_of(other))
    config = tomllib.loads((one / "config.toml").read_text(encoding="utf-8"))
    assert len(config["started_from"]["encoder_sha256"]) == 64
    assert config["started_from"].keys() == {"encoder_sha256"}
    assert to_mapping(load_recipe(FinetuneConfig, one / "config.toml")).items() <= config.items()
    assert str(tmp_path) not in (one / "config.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("fate", ["deleted", "moved", "moved and named"])
def test_it_goes_on_without_the_pretrained_run(tmp_path: Path, features: Features, pretrained: Path, fate: str) -> None:
    whole = finetune(features, tmp_path / "whole", config_of(), pretrained=pretrained, device="cpu").folder
    with pytest.raises(KilledError):
        finetune(
            features,
            tmp_path / "run",
            config_of(),
            pretrained=pretrained,
            device="cpu",
            on_progress=killed_after(7),
        )
    named = None
    if fate == "deleted":
        shutil.rmtree(pretrained)
    else:
        named = pretrained.rename(tmp_path / "moved") if fate == "moved and named" else None
    resumed = finetune(features, tmp_path / "run", config_of(), pretrained=named, device="cpu", resume=True).folder
    assert_same(tree_of(resumed), tree_of(whole))


def test_settings_of_transforms_must_agree_too(tmp_path: Path, features: Features) -> None:
    settings = {"transforms": ("pca",), "transform": {"pca": {"size": 3}}}
    source = train(features, tmp_path / "source", pretrain_config(settings=settings), device="cpu").folder
    named = config_of(transforms=["pca"])
    run = finetune(features, tmp_path / "named", named, pretrained=source, device="cpu").folder
    assert read_description(run).transforms == read_description(source).transforms
    agreed = config_of(transforms=["pca"], transform__pca__size=3)
    finetune(features, tmp_path / "agreed", agreed, pretrained=source, device="cpu")
    with pytest.raises(ConfigError, match=r"transform\.pca\.size is 2, but .*source has 3; leave transform\.pca\.size"):
        config = config_of(transforms=["pca"], transform__pca__size=2)
        finetune(features, tmp_path / "run", config, pretrained=source, device="cpu")


def test_a_run_that_starts_from_its_own_stored_encoder_keeps_it(
    tmp_path: Path, features: Features, pretrained: Path
) -> None:
    run = finetune(features, tmp_path / "run", config_of(), pretrained=pretrained, device="cpu").folder
    before = everything_in(run)
    finetune(features, run, config_of(), pretrained=run / "pretrained", device="cpu", overwrite=True)
    after = everything_in(run)
    assert after.keys() == before.keys()
    assert after["pretrained/model.safetensors"] == before["pretrained/model.safetensors"]


def test_it_goes_on_from_no_other_encoder(tmp_path: Path, features: Features, pretrained: Path) -> None:
    finetune(features, tmp_path / "run", config_of(), pretrained=pretrained, device="cpu")
    finetune(features, tmp_path / "scratch", config_of(encoder__hidden_size=6), device="cpu")
    for run, start in (("run", tmp_path / "scratch"), ("scratch", pretrained)):
        config = config_of() if run == "run" else config_of(encoder__hidden_size=6)
        with pytest.raises(OutputError, match=r"resumed with .*started_from\.encoder_sha256 '\w+', the run has"):
            finetune(features, tmp_path / run, config, pretrained=start, device="cpu", resume=True)


def test_the_stored_encoder_is_a_start_of_its_own(tmp_path: Path, features: Features, pretrained: Path) -> None:
    first = finetune(features, tmp_path / "first", config_of(), pretrained=pretrained, device="cpu").folder
    frozen = config_of(classifier__transfer="frozen")
    assert frozen.classifier == ClassifierSettings(transfer="frozen")
    second = finetune(features, tmp_path / "second", frozen, pretrained=first / "pretrained", device="cpu").folder
    before, after = (load_model(run)[0].network.encoder.state_dict() for run in (pretrained, second))
    assert_same(dict(before), dict(after))
