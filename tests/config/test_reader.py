"""Recipes: each changes just what it names, and what it cannot name is refused with the nearest name."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from vidrep.config.old_keys import _RENAMED, new_name
from vidrep.config.reader import from_mapping, load_recipe, parse_change, recipe_names, to_mapping
from vidrep.config.settings import COMPOSITE, FinetuneConfig, OptimizerSettings, PretrainConfig, TrainingSettings
from vidrep.errors import ConfigError


def refusal(config_class: type[Any], tree: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        from_mapping(config_class, tree, where="recipe x")
    message = str(caught.value)
    assert message.startswith("recipe x: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"encodr": {}}, "unknown key 'encodr'; did you mean 'encoder'"),
        ({"encodr": {"size": 3}}, "unknown key 'encodr.size'; did you mean 'encoder'"),
        ({"encoder": {"hiden_size": 3}}, "unknown key 'encoder.hiden_size'; did you mean 'hidden_size'?"),
        ({"training": {"step": 3}}, "unknown key 'training.step'; did you mean 'steps'"),
        ({"training": {"zzz": 3}}, "unknown key 'training.zzz'; known are steps, batch_size, ensemble, gradient_acc"),
        ({"hidden_size": 3}, "unknown key 'hidden_size'; did you mean 'encoder.hidden_size'?"),
        ({"optimizer": {"hidden_size": 3}}, "'optimizer.hidden_size'; did you mean 'encoder.hidden_size'?"),
        ({"zzz": 3}, "unknown key 'zzz'; known are likelihood, transforms, objectives, encoder, cell, decoder"),
        ({"given": ["a"]}, "unknown key 'given'"),
        ({"cell": {"lstm": {"peephole": True}}}, "unknown key cell.lstm.peephole; did you mean 'peepholes'?"),
        ({"cell": {"gru": {"size": 1}}}, "cell.gru has settings, but cell 'gru' is not in use; in use: lstm"),
        ({"cell": 3}, "cell is 3; it takes a section of settings"),
        ({"encoder": {"cell": "lstn"}}, "cell 'lstn' is not registered; did you mean 'lstm'?"),
        ({"objectives": ["futur"]}, "objective 'futur' is not registered; did you mean 'future'?"),
        ({"transforms": ["pcb"]}, "transform 'pcb' is not registered; did you mean 'pca'?"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(tree: dict[str, Any], message: str) -> None:
    assert message in refusal(PretrainConfig, tree)


@pytest.mark.parametrize("key", [*_RENAMED, "optimiser.name", "optimiser.learning_rate", "optimiser.decay"])
def test_a_key_of_an_earlier_version_is_refused_with_its_new_name(key: str) -> None:
    *sections, last = key.split(".")
    tree: dict[str, Any] = {last: 1}
    for section in reversed(sections):
        tree = {section: tree}
    for config_class in (PretrainConfig, FinetuneConfig):
        assert refusal(config_class, tree) == f"recipe x: unknown key {key!r}; it is {new_name(key)} now"


def test_new_names_are_keys_that_there_are() -> None:
    configs: list[Any] = [PretrainConfig(transforms=("pca",), objectives=COMPOSITE), FinetuneConfig()]
    for key in [*_RENAMED, "optimiser.name"]:
        if key == "pretrained":
            continue  # which became an option
        new = new_name(key).split()[0].rstrip(",")
        assert any(has_key(to_mapping(config), new) for config in configs), (key, new)


def has_key(tree: Any, key: str) -> bool:
    for name in key.split("."):
        if name not in tree:
            return False
        tree = tree[name]
    return True


def test_the_settings_of_a_pretrained_run_became_an_option() -> None:
    assert "unknown key 'pretrained.run'; it is the option --from now" in refusal(
        FinetuneConfig, {"pretrained": {"run": "runs/a"}}
    )


@pytest.mark.parametrize("source", ["recipe", "change"])
def test_a_recipe_changes_just_what_it_names(tmp_path: Path, source: str) -> None:
    """A section that names one key leaves the others at the defaults of its kind."""

    def load(config_class: type[Any], key: str, value: Any) -> Any:
        if source == "change":
            return load_recipe(config_class, changes={key: value})
        (tmp_path / "mine.toml").write_text(f"{key} = {value!r}\n".replace("True", "true"), encoding="utf-8")
        return load_recipe(config_class, tmp_path / "mine.toml")

    config = load(FinetuneConfig, "training.seed", 3)
    assert config.training == TrainingSettings(steps=1000, validate_every=50, seed=3)
    assert replace(config, training=FinetuneConfig().training) == FinetuneConfig()
    config = load(FinetuneConfig, "encoder.num_layers", 2)
    assert (config.encoder.num_layers, config.encoder.dropout) == (2, 0.5)
    config = load(PretrainConfig, "optimizer.momentum", 0.5)
    assert config == replace(PretrainConfig(), optimizer=OptimizerSettings(momentum=0.5))
    config = load(PretrainConfig, "objective.future.conditional", True)
    assert config == replace(PretrainConfig(), objective={"future": {"conditional": True}})


def test_changes_apply_on_top_of_a_recipe() -> None:
    recipe = load_recipe(PretrainConfig, "modern-mnist-2layer-conditional")
    config = load_recipe(PretrainConfig, "modern-mnist-2layer-conditional", changes={"training.seed": 3})
    assert config == replace(recipe, training=replace(recipe.training, seed=3))
    assert (config.training.steps, config.objective["future"].conditional) == (20_000, True)


def test_a_change_of_names_leaves_out_the_recipe_s_settings_of_the_others(tmp_path: Path) -> None:
    config = load_recipe(PretrainConfig, "srivastava-patches", changes={"objectives": ["reconstruction"]})
    assert (config.objectives, list(config.objective)) == (("reconstruction",), ["reconstruction"])
    assert config.cell["lstm"].peepholes is True
    recipe = tmp_path / "mine.toml"
    recipe.write_text('transforms = ["pca", "standardize"]\n[transform.pca]\nsize = 3\n', encoding="utf-8")
    kept = load_recipe(PretrainConfig, recipe, changes={"transforms": ["center_clip", "pca"]})
    assert (list(kept.transform), kept.transform["pca"].size) == (["center_clip", "pca"], 3)
    assert load_recipe(PretrainConfig, recipe, changes={"transforms": "auto"}).transform == {}
    unused = {"objectives": ["future"], "objective.reconstruction.weight": 2.0}
    with pytest.raises(ConfigError, match="'reconstruction' is not in use; in use: future"):
        load_recipe(PretrainConfig, "srivastava-patches", changes=unused)


def test_the_keys_that_were_given_are_recorded_even_if_they_name_a_default() -> None:
    config = load_recipe(FinetuneConfig, changes={"encoder.hidden_size": 512, "cell.lstm.peepholes": False})
    assert config.given == {"encoder.hidden_size", "cell.lstm.peepholes"}
    assert config == FinetuneConfig()
    assert "given" not in to_mapping(config)


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
    path.write_text("[encoder]\nhidden_size = 7\n[training]\nsteps = 3\n", encoding="utf-8")
    config = load_recipe(
        PretrainConfig, path, changes={"training.steps": 9, "likelihood": "gaussian", "windows.context": 2}
    )
    assert (config.encoder.hidden_size, config.training.steps) == (7, 9)
    assert (config.likelihood, config.windows.context) == ("gaussian", 2)
    assert config.training.batch_size == PretrainConfig().training.batch_size


def test_changes_are_checked_like_a_recipe(tmp_path: Path) -> None:
    for changes, message in (
        ({"training.step": 3}, "unknown key 'training.step'; did you mean 'steps'"),
        ({"training": 3}, "training is a section, got 3"),
        ({"training.steps.x": 3}, "training.steps is {'x': 3}; it takes a whole number"),
        ({"kind": "finetune"}, "of kind 'finetune', wanted is 'pretrain'"),
    ):
        with pytest.raises(ConfigError, match="the settings: ") as caught:
            load_recipe(PretrainConfig, changes=changes)
        assert message in str(caught.value)
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
    for name, message in (("not.toml", "not TOML"), ("bytes.toml", "not TOML"), ("", "cannot be read")):
        with pytest.raises(ConfigError, match=message) as caught:
            load_recipe(PretrainConfig, tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("training.steps=500", ("training.steps", 500)),
        ("optimizer.learning_rate = 1e-3", ("optimizer.learning_rate", 1e-3)),
        ("classifier.center_groups=true", ("classifier.center_groups", True)),
        ("likelihood=gaussian", ("likelihood", "gaussian")),
        ('likelihood="gaussian"', ("likelihood", "gaussian")),
        ("likelihood=a=b", ("likelihood", "a=b")),
        ("likelihood=", ("likelihood", "")),
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
    changes = {
        "training.steps": 17,
        "optimizer.learning_rate": 0.25,
        "encoder.hidden_size": 3,
        "encoder.dropout": 0.125,
    }
    config = load_recipe(config_class, changes=changes)
    tree = tomllib.loads(tomli_w.dumps(to_mapping(config)))
    assert tree["kind"] == config.kind
    assert tree.keys() == ({"kind"} | {one.name for one in fields(config)}) - {"given"}
    assert from_mapping(config_class, tree, where="x") == config
    assert config != config_class()


def test_of_a_run_s_whole_config_what_differs_from_the_defaults_was_given() -> None:
    config = FinetuneConfig(training=TrainingSettings(steps=7, validate_every=50))
    again = from_mapping(FinetuneConfig, to_mapping(config), where="config.toml")
    assert again == config and again.given == {"training.steps"}
    part = from_mapping(FinetuneConfig, {"training": {"steps": 1000}}, where="recipe")
    assert part.given == {"training.steps"}
