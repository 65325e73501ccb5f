"""The settings that made features, as a feature file records them, and where two of them differ."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import OutputError, shortened

Settings = dict[str, Any]
"""What made the features, JSON-like: equal settings give equal rows for equal sources."""

NOTES = frozenset({"weights_file", "decoder", "decoding_version"})
"""Settings that are notes for the reader: features are the same whatever they are, and no comparison counts them. The
last two are of former vidreps; how it was decoded is recorded of each video now."""


def settings_difference(
    found: Mapping[str, Any], wanted: Mapping[str, Any], *, free: Collection[str] = (), prefix: str = ""
) -> str:
    """Return what first differs between two settings, "size is 32, not 16", or '' if they give the same features.

    free: names of settings that may differ.
    """
    for key in sorted((found.keys() | wanted.keys()) - NOTES - set(free)):
        one, other = (settings.get(key) for settings in (found, wanted))
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if difference := settings_difference(one, other, prefix=f"{prefix}{key}."):
                return difference
        elif one != other:
            return f"{prefix}{key} is {shortened(repr(one))}, not {shortened(repr(other))}"
    return ""


def require_same_settings(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise OutputError with the first difference if two settings would not give the same features."""
    if difference := settings_difference(found, wanted):
        raise OutputError(
            f"{path} was made with other settings: {difference}; use the same settings, another output, or --overwrite"
        )
