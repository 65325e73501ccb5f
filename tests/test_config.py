"""Settings: what a recipe may say, and what is said of one that says anything else."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from vidrep.config import (
    FinetuneConfig,
    PretrainConfig,
    from_mapping,
    load_recipe,
    parse_change,
    recipe_names,
    to_mapping,
)
from vidrep.errors import ConfigError


def refusal(config_class: type[Any], tree: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        from_mapping(config_class, tree, where="recipe x")
    message = str(caught.value)
    assert message.startswith("recipe x: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"modle": {}}, "unknown key 'modle'; did you mean 'model'"),
        ({"model": {"hiden_size": 3}}, "unknown key 'model.hiden_size'; did you mean 'hidden_size'?"),
        ({"training": {"step": 3}}, "unknown key 'training.step'; did you mean 'steps'"),
        ({"hidden_size": 3}, "unknown key 'hidden_size'; did you mean 'model.hidden_size'?"),
        ({"optimizer": {"hidden_size": 3}}, "unknown key 'optimizer.hidden_size'"),
        ({"zzz": 3}, "unknown key 'zzz'; known are values, model, windows, optimizer, training"),
    ],
)
def test_unknown_keys_name_the_nearest(tree: dict[str, Any], said: str) -> None:
    assert said in refusal(PretrainConfig, tree)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("model", "hidden_size", "512", "'512'; it takes a whole number"),
        ("model", "hidden_size", 5.0, "5.0; it takes a whole number"),
        ("model", "hidden_size", True, "True; it takes a whole number"),
        ("model", "reconstruct", 1, "1; it takes true or false"),
        ("optimizer", "learning_rate", "fast", "'fast'; it takes a number"),
        ("optimizer", "learning_rate", True, "True; it takes a number"),
        ("optimizer", "learning_rate", float("nan"), "it takes a finite number"),
        ("optimizer", "clip_norm", float("inf"), "it takes a finite number"),
        ("optimizer", "learning_rate", 10**400, "it takes a finite number"),
        ("optimizer", "name", "adm", "'adm'; allowed are 'sgd', 'adam', 'adamw'"),
        ("optimizer", "lr_schedule", ["none"], "allowed are 'constant', 'cosine'"),
    ],
)
def test_wrong_types_say_what_is_allowed(section: str, key: str, value: object, said: str) -> None:
    message = refusal(PretrainConfig, {section: {key: value}})
    assert f"{section}.{key} is " in message
    assert said in message


@pytest.mark.parametrize(
    ("config_class", "tree", "key"),
    [
        (PretrainConfig, {"model": {"hidden_size": 0}}, "model.hidden_size 0"),
        (PretrainConfig, {"model": {"num_layers": 0}}, "model.num_layers 0"),
        (PretrainConfig, {"model": {"dropout": 1}}, "model.dropout 1.0"),
        (PretrainConfig, {"model": {"reconstruct": False, "future": False}}, "both false"),
        (PretrainConfig, {"windows": {"seen": 0}}, "windows.seen 0"),
        (PretrainConfig, {"windows": {"predicted": -1}}, "windows.predicted -1"),
        (PretrainConfig, {"windows": {"stride": 0}}, "windows.stride 0"),
        (PretrainConfig, {"optimizer": {"learning_rate": 0}}, "optimizer.learning_rate 0.0"),
        (PretrainConfig, {"optimizer": {"weight_decay": -1}}, "optimizer.weight_decay -1.0"),
        (PretrainConfig, {"optimizer": {"clip_norm": -1}}, "optimizer.clip_norm -1.0"),
        (PretrainConfig, {"optimizer": {"warmup_steps": -1}}, "optimizer.warmup_steps -1"),
        (PretrainConfig, {"training": {"steps": 0}}, "training.steps 0"),
        (PretrainConfig, {"training": {"batch_size": -1}}, "training.batch_size -1"),
        (PretrainConfig, {"training": {"validate_every": 0}}, "training.validate_every 0"),
        (PretrainConfig, {"training": {"seed": -1}}, "training.seed -1"),
        (PretrainConfig, {"training": {"seed": 2**63}}, "training.seed 9223372036854775808"),
        (PretrainConfig, {"training": {"patience": -1}}, "training.patience -1"),
        (PretrainConfig, {"training": {"validation_fraction": 0}}, "training.validation_fraction 0.0"),
        (PretrainConfig, {"training": {"validation_fraction": 1}}, "training.validation_fraction 1.0"),
        (FinetuneConfig, {"test_fraction": 1}, "test_fraction 1.0"),
        (FinetuneConfig, {"test_fraction": -0.1}, "test_fraction -0.1"),
        (FinetuneConfig, {"model": {"hidden_size": 0}}, "model.hidden_size 0"),
        (FinetuneConfig, {"model": {"num_layers": 0}}, "model.num_layers 0"),
        (FinetuneConfig, {"model": {"dropout": -0.1}}, "model.dropout -0.1"),
        (FinetuneConfig, {"windows": {"length": 0}}, "windows.length 0"),
        (FinetuneConfig, {"windows": {"stride": 0}}, "windows.stride 0"),
    ],
)
def test_ranges_say_what_to_give(config_class: type[Any], tree: dict[str, Any], key: str) -> None:
    message = refusal(config_class, tree)
    assert key in message
    assert "give " in message or "keep at least one" in message


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"windows": {"predicted": 0}}, "windows.predicted is 0 and model.future true"),
        ({"windows": {"seen": 4, "reconstructed": 5}}, "windows.reconstructed 5: give up to windows.seen, 4"),
        (
            {"windows": {"reconstructed": 4}, "model": {"reconstruct": False}},
            "windows.reconstructed is 4 and model.reconstruct false",
        ),
        (
            {"model": {"future": False, "conditional_future": True}},
            "model.conditional_future is true and model.future false",
        ),
        ({"windows": {"stateful": True}}, "windows.stride is 8 and windows.seen 16: set both to the same"),
        ({"optimizer": {"clip_value": 1.0}}, "optimizer.clip_norm 1.0 and optimizer.clip_value 1.0: set one"),
        (
            {"training": {"batch_size": 2, "gradient_accumulation": 3}},
            "a batch has only 2 windows",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tree: dict[str, Any], said: str) -> None:
    message = refusal(PretrainConfig, tree)
    assert said in message
    assert "\n" not in message


def test_a_whole_number_will_do_for_a_number() -> None:
    config = from_mapping(PretrainConfig, {"optimizer": {"clip_norm": 5}}, where="x")
    assert config.optimizer.clip_norm == 5.0
    assert type(config.optimizer.clip_norm) is float


def test_a_section_must_be_a_section() -> None:
    assert "training is a section, got 5" in refusal(PretrainConfig, {"training": 5})


def test_every_shipped_recipe_loads_and_none_is_of_no_kind() -> None:
    import vidrep.recipes

    files = {path.stem for folder in vidrep.recipes.__path__ for path in Path(folder).glob("*.toml")}
    by_kind = {PretrainConfig: recipe_names("pretrain"), FinetuneConfig: recipe_names("finetune")}
    assert files
    assert files == {name for names in by_kind.values() for name in names}
    for config_class, names in by_kind.items():
        for name in names:
            assert isinstance(load_recipe(config_class, name), config_class)


def test_a_recipe_is_read_by_name_and_from_a_file_and_its_settings_are_changed(tmp_path: Path) -> None:
    assert load_recipe(PretrainConfig) == PretrainConfig()
    assert load_recipe(PretrainConfig, "demo-pretrain") != PretrainConfig()
    path = tmp_path / "mine.toml"
    path.write_text("[model]\nhidden_size = 7\n[training]\nsteps = 3\n", encoding="utf-8")
    config = load_recipe(PretrainConfig, path, changes={"training.steps": 9, "values": "real", "windows.seen": 2})
    assert (config.model.hidden_size, config.training.steps, config.values, config.windows.seen) == (7, 9, "real", 2)
    assert config.training.batch_size == PretrainConfig().training.batch_size


def test_changes_are_checked_like_a_recipe(tmp_path: Path) -> None:
    for changes, said in (
        ({"training.step": 3}, "unknown key 'training.step'; did you mean 'steps'"),
        ({"training": 3}, "training is a section, got 3"),
        ({"training.steps.x": 3}, "training.steps is {'x': 3}; it takes a whole number"),
        ({"kind": "finetune"}, "of kind 'finetune', wanted is 'pretrain'"),
    ):
        with pytest.raises(ConfigError, match="the settings: ") as caught:
            load_recipe(PretrainConfig, changes=changes)
        assert said in str(caught.value)
    with pytest.raises(ConfigError, match=r"training\.steps\.x: steps is no section"):
        path = tmp_path / "mine.toml"
        path.write_text("training.steps = 4\n", encoding="utf-8")
        load_recipe(PretrainConfig, path, changes={"training.steps.x": 3})


def test_an_unknown_recipe_offers_names() -> None:
    with pytest.raises(ConfigError, match=r"recipe demo-pretrian: neither .* did you mean 'demo-pretrain'\?"):
        load_recipe(PretrainConfig, "demo-pretrian")
    with pytest.raises(ConfigError, match=r"recipe zzz: neither .* shipped are .*demo-finetune"):
        load_recipe(FinetuneConfig, "zzz")


def test_a_recipe_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recipe demo-finetune: of kind 'finetune', wanted is 'pretrain'"):
        load_recipe(PretrainConfig, "demo-finetune")


def test_a_recipe_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "not.toml").write_text("steps: 3\n", encoding="utf-8")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for name, said in (("not.toml", "not TOML"), ("bytes.toml", "not TOML"), ("", "cannot be read")):
        with pytest.raises(ConfigError, match=said) as caught:
            load_recipe(PretrainConfig, tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("training.steps=500", ("training.steps", 500)),
        ("optimizer.learning_rate = 1e-3", ("optimizer.learning_rate", 1e-3)),
        ("model.freeze=true", ("model.freeze", True)),
        ("values=real", ("values", "real")),
        ('values="real"', ("values", "real")),
        ("values=a=b", ("values", "a=b")),
        ("values=", ("values", "")),
    ],
)
def test_changes_are_parsed_as_toml_or_else_as_text(text: str, parsed: tuple[str, object]) -> None:
    key, value = parse_change(text)
    assert (key, value) == parsed
    assert type(value) is type(parsed[1])


@pytest.mark.parametrize("text", ["training.steps", "=5", " =5", ""])
def test_a_change_without_key_or_equals_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write key=value"):
        parse_change(text)


@pytest.mark.parametrize("config_class", [PretrainConfig, FinetuneConfig])
def test_a_config_comes_back_from_toml(config_class: type[Any]) -> None:
    changes = {"training.steps": 17, "optimizer.learning_rate": 0.25, "model.hidden_size": 3, "model.dropout": 0.125}
    config = load_recipe(config_class, changes=changes)
    tree = tomllib.loads(tomli_w.dumps(to_mapping(config)))
    assert tree["kind"] == config.kind
    assert tree.keys() == {"kind"} | {one.name for one in fields(config)}
    assert from_mapping(config_class, tree, where="x") == config
    assert config != config_class()
