"""Reading recipes: TOML files that change some settings of a config and leave the others at their defaults."""

import logging
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ConfigError, nearest_names
from .doors import settings_of_names
from .kinds import CONFIGS, AnyConfig, Config, FromPretrained
from .old_keys import new_name

_log = logging.getLogger(__name__)

# Sections whose keys are registered names.
_DOORS = ("cell", "objective", "transform", "head")
_GIVEN, _STEPS = "given", "training.steps"
_NOT_IN_RECIPES = (_GIVEN,)
# What a run's config.toml holds besides its settings. It is a recipe all the same.
_OF_A_RUN = ("groups", "started_from", "annotations", _GIVEN)
# Keys that no version has, since what they ask for is impossible.
_IMPOSSIBLE = {
    "decoder.bidirectional": "a decoder emits one frame after the other and cannot read later ones; only an encoder is "
    "bidirectional, by encoder.bidirectional"
}
# Which key chooses the names of a section.
_CHOSEN_BY = {"cell": "encoder.cell", "objective": "objectives", "transform": "transforms", "head": "classifier.head"}


def recipe_names(kind: str) -> list[str]:
    """Return the names of the shipped recipes of a kind, "pretrain", "finetune" or "segment"."""
    return sorted(name for name, text in _shipped().items() if tomllib.loads(text)["kind"] == kind)


def _shipped_names(kind: str) -> str:
    return ", ".join(recipe_names(kind)) or "none"


def list_recipes() -> dict[str, dict[str, str]]:
    """Return the shipped recipes of each kind, with a line on each: {"pretrain": {name: line}, ...}."""
    texts = _shipped()  # each begins with a comment that says what it is for
    return {
        kind: {name: texts[name].partition("\n")[0].removeprefix("# ").removesuffix(".") for name in recipe_names(kind)}
        for kind in CONFIGS
        if recipe_names(kind)
    }


def load_recipe(
    config_class: type[Config], recipe: str | Path | None = None, *, changes: Mapping[str, Any] | None = None
) -> Config:
    """Read a recipe, by the name of a shipped one or from a TOML file, and change some of its settings.

    recipe: None takes the defaults. changes: dotted keys with values, such as {"training.steps": 500}; each changes
    just what it names. One that chooses other objectives, transforms, or another cell or head leaves the recipe's
    settings of those that are not in use any more out.

    Raises ConfigError, naming the recipe and the key, for what is unknown, of the wrong type or out of range.
    """
    tree, where = _read_recipe(recipe, config_class.kind) if recipe is not None else ({}, "the settings")
    return _with_changes(config_class, tree, changes or {}, where)


def load_run_settings(
    config_class: type[Config],
    path: Path,
    recipe: str | Path | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
) -> Config:
    """Read the settings of a run from its config.toml, changed by what a recipe names and by changes.

    Which of them were given is what it was when the run began. Raises as `load_recipe` does.
    """
    tree, where = _read_recipe(path, config_class.kind, of_run=True)
    given = tree.pop(_GIVEN, None)
    changes = dict(changes or {})
    asked = dict(_leaves(_read_recipe(recipe, config_class.kind)[0])) if recipe is not None else {}
    if _STEPS in asked and _STEPS not in changes and asked[_STEPS] != dict(_leaves(tree)).get(_STEPS):
        raise ConfigError(
            f"recipe {recipe} has {_STEPS} {asked[_STEPS]}, {path.parent} another; leave --recipe out, or add --steps N"
        )
    config = _with_changes(config_class, tree, asked | changes, where)
    if given is None:
        return config
    return replace(config, given=frozenset(given)) if isinstance(config, FromPretrained) else config


def _with_changes(config_class: type[Config], tree: dict[str, Any], changes: Mapping[str, Any], where: str) -> Config:
    for section, key in _CHOSEN_BY.items():
        if key in changes:
            _keep_settings_of(tree, section, changes[key])
    for key, value in changes.items():
        _put(tree, key.split("."), value)
    return from_mapping(config_class, tree, where=where)


def parse_change(text: str) -> tuple[str, Any]:
    """Turn "training.steps=500" into ("training.steps", 500): the value is TOML, or else a plain string.

    Raises ConfigError without a "=".
    """
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise ConfigError(f"--set {text!r}: write key=value, such as training.steps=500")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def to_mapping(config: AnyConfig) -> dict[str, Any]:
    """Turn a config into the tree that a recipe holds, with every setting."""
    tree = {"kind": config.kind, **asdict(config)}
    return {name: _with_lists(value) for name, value in tree.items() if name not in _NOT_IN_RECIPES}


def run_mapping(config: AnyConfig) -> dict[str, Any]:
    """Turn a config into what a run's config.toml holds of it: every setting, and which keys were given."""
    given = {_GIVEN: sorted(config.given)} if isinstance(config, FromPretrained) else {}
    return to_mapping(config) | given


def changed_settings(config: AnyConfig) -> dict[str, Any]:
    """Return the settings that differ from the defaults: dotted keys with values."""
    usual, found = (dict(_leaves(to_mapping(one))) for one in (type(config)(), config))
    return {
        key: value
        for key, value in found.items()
        if not isinstance(value, Mapping) and value != usual.get(key, _default_of_name(key))
    }


def _default_of_name(key: str) -> Any:
    """Return the default of a setting of what has a name, such as "transform.pca.size"; None for another key."""
    section, _, rest = key.partition(".")
    name, _, own = rest.partition(".")
    if section not in _DOORS or not own:
        return None
    return dict(_leaves(asdict(settings_of_names(section, [name], {})[name]))).get(own)


def _with_lists(value: Any) -> Any:
    """Return a tree with lists in place of tuples, as TOML reads them."""
    if isinstance(value, Mapping):
        return {name: _with_lists(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def from_mapping(config_class: type[Config], tree: Mapping[str, Any], *, where: str) -> Config:
    """Build a config from a recipe's tree, which changes the defaults.

    Raises ConfigError, naming `where` and the key, for what is unknown, of the wrong type or out of range.
    """
    kind = config_class.kind
    if tree.get("kind", kind) != kind:
        raise ConfigError(
            f"{where}: of kind {tree['kind']!r}, wanted is {kind!r}; shipped ones are {_shipped_names(kind)}"
        )
    changes = {key: value for key, value in tree.items() if key != "kind"}
    base = config_class()
    try:
        _require_known(base, changes)
        # Settings of names belong to the names that the recipe chooses, not to those of the defaults.
        doors = {name: changes.get(name, {}) for name in _DOORS if hasattr(base, name)}
        config: Config = _changed(base, changes | doors)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return replace(config, given=_given(config_class, changes)) if isinstance(config, FromPretrained) else config


def _given(config_class: type[Config], changes: Mapping[str, Any]) -> frozenset[str]:
    """Return the dotted keys that were given; of a whole config, as a run has, those that differ from the defaults."""
    given, usual = dict(_leaves(changes)), dict(_leaves(to_mapping(config_class())))
    always = {key for key in usual if key != "kind" and key.partition(".")[0] not in _DOORS}
    if always <= given.keys():
        return frozenset(key for key in always if given[key] != usual[key])
    return frozenset(given)


def _shipped() -> dict[str, str]:
    folder = resources.files("vidrep.recipes")
    return {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _read_recipe(recipe: str | Path, kind: str, *, of_run: bool = False) -> tuple[dict[str, Any], str]:
    """Read a recipe's tree, and what messages call it; of_run: of the run that goes on, which keeps its groups."""
    where = f"recipe {recipe}"
    try:
        text = _shipped().get(str(recipe)) or Path(recipe).read_text(encoding="utf-8")
        tree = tomllib.loads(text)
        if of_run:
            return {key: value for key, value in tree.items() if key == _GIVEN or key not in _OF_A_RUN}, where
        if "groups" in tree:
            _log.warning("%s: its groups are not a setting and are left out; give --group to have them again", where)
        return {key: value for key, value in tree.items() if key not in _OF_A_RUN}, where
    except FileNotFoundError as error:
        hint = nearest_names(str(recipe), recipe_names(kind)) or f"shipped are {_shipped_names(kind)}"
        raise ConfigError(f"{where}: neither a shipped recipe nor a file; {hint}") from error
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror}); give a TOML file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{where}: not TOML ({error})") from error


def _keep_settings_of(tree: dict[str, Any], section: str, names: str | Sequence[str]) -> None:
    """Drop a recipe's settings of other names than these, which a change chooses in place of the recipe's."""
    there, chosen = tree.get(section), [names] if isinstance(names, str) else names
    if isinstance(there, Mapping) and isinstance(chosen, list | tuple):
        tree[section] = {name: value for name, value in there.items() if name in chosen}


def _put(tree: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    *sections, last = keys
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{'.'.join(keys)}: {section} is no section")
    tree[last] = value


def _changed(settings: Any, changes: Mapping[str, Any], prefix: str = "") -> Any:
    """Return settings with some fields changed; a section changes only the keys that it names."""
    values: dict[str, Any] = {}
    for key, value in changes.items():
        current = getattr(settings, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{key} is a section, got {value!r}; set a key in it")
            value = _changed(current, value, f"{prefix}{key}.")
        values[key] = value
    try:
        return replace(settings, **values)
    except ConfigError as error:
        message = str(error)
        raise ConfigError(message if message.startswith(prefix) else prefix + message) from error


def _require_known(settings: Any, changes: Mapping[str, Any]) -> None:
    """Raise ConfigError for a key that the config does not have; a section of names is checked by its class."""
    every_key, sections = list(_dotted_keys(settings)), _sections(settings)
    for key, _ in _leaves(changes):
        section = key.partition(".")[0]
        if section in _DOORS and hasattr(settings, section):
            continue
        # A value where a section is wanted, or the other way round, is refused with its own message.
        if key in sections or any(f"{key}.".startswith(f"{one}.") for one in every_key):
            continue
        if key in _IMPOSSIBLE:
            raise ConfigError(f"{key}: {_IMPOSSIBLE[key]}")
        if replacement := new_name(key):
            raise ConfigError(f"unknown key {key!r}; it is {replacement} now")
        raise ConfigError(f"unknown key {key!r}; {_hint(settings, key, every_key)}")


def _hint(settings: Any, key: str, every_key: Sequence[str]) -> str:
    """Return what an unknown key may have meant: the same name in another section, or one like it in its own."""
    section, _, name = key.rpartition(".")
    if elsewhere := [one for one in every_key if one.rpartition(".")[2] == name]:
        return f"did you mean {' or '.join(map(repr, elsewhere))}?"
    if section in _sections(settings):
        allowed = [one.removeprefix(f"{section}.") for one in every_key if one.startswith(f"{section}.")]
    else:
        name, allowed = key.partition(".")[0], [one.name for one in fields(settings) if one.name not in _NOT_IN_RECIPES]
    return nearest_names(name, allowed) or f"known are {', '.join(allowed)}"


def _dotted_keys(settings: Any, prefix: str = "") -> Iterator[str]:
    for one in fields(settings):
        value = getattr(settings, one.name)
        if one.name in _NOT_IN_RECIPES:
            continue
        if is_dataclass(value):
            yield from _dotted_keys(value, f"{prefix}{one.name}.")
        elif not isinstance(value, Mapping):
            yield prefix + one.name


def _sections(settings: Any) -> list[str]:
    return [one.name for one in fields(settings) if is_dataclass(getattr(settings, one.name))]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of a tree, with their values."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
