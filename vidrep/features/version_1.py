"""Files of format version 1, in the words of the current version: old names of columns, settings and their values."""

from collections.abc import Mapping
from typing import Any

OLD_COLUMNS = {"num_frames_from_header": "frames_promised"}
"""What version 1 calls a column, by its current name."""

_SETTINGS = {"colour": "color", "speed": "displacement"}
_VALUES = {("region", "centre"): "center"}


def current_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a version 1 file with the keys and values that the current version writes."""
    renamed = {_SETTINGS.get(key, key): value for key, value in settings.items()}
    return {
        key: _VALUES.get((key, value), value) if isinstance(value, str) else value for key, value in renamed.items()
    }
