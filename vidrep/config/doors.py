"""Settings of what is registered by name, filled in and checked by the class that has the name."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..errors import ConfigError, nearest_names, some_names
from ..registry import CELLS, HEADS, OBJECTIVES, TRANSFORMS, Registry
from .checks import Settings, checked, field_types

_REGISTRIES: dict[str, Registry] = {
    "cell": CELLS,
    "head": HEADS,
    "objective": OBJECTIVES,
    "transform": TRANSFORMS,
}


def settings_of_names(section: str, names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete settings of each name of a section: {name: its class' `Settings`}.

    section: "cell", "objective", "transform" or "head". given: settings by name, complete ones or {key: value}.

    Raises ConfigError for a name that is not registered or stands twice, and for settings that do not belong to one of
    the names.
    """
    if len(set(names)) < len(names):
        raise ConfigError(f"{section} {some_names(names)}: a name stands there twice; give each once")
    classes = {name: _REGISTRIES[section][name] for name in names}
    for name in given:
        if name not in classes:
            raise ConfigError(
                f"{section}.{name} has settings, but {section} {name!r} is not in use; in use: "
                f"{some_names(names) or 'none'}"
            )
    return {
        name: make_settings(entry.Settings, given.get(name, {}), f"{section}.{name}") for name, entry in classes.items()
    }


def make_settings(kind: type[Any], given: Any, prefix: str) -> Any:
    """Return an instance of a settings class, made of {key: value}; an instance is returned as it is.

    Raises ConfigError, naming `prefix` and the key, for an unknown key and for a value that the key does not take.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(f"{prefix} is {given!r}; it takes a section of settings")
    known = [one.name for one in fields(kind)]
    for key in given:
        if key not in known:
            hint = nearest_names(key, known) or (f"known are {', '.join(known)}" if known else "it has no settings")
            raise ConfigError(f"unknown key {prefix}.{key}; {hint}")
    values = dict(given)
    if not issubclass(kind, Settings):  # a plug-in's own dataclass
        types = field_types(kind)
        values = {key: checked(value, types[key], f"{prefix}.{key}") for key, value in values.items()}
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{prefix}.{error}") from error
