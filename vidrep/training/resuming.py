"""What a run that goes on takes from its own folder: its settings, and how it began."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.kinds import Config
from ..config.reader import load_run_settings
from ..errors import InputError
from .history import Start, read_history
from .ranks import joined_ranks
from .run_videos import CONFIG_NAME


def recorded_settings(
    config_class: type[Config],
    folder: Path,
    recipe: str | Path | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
) -> Config:
    """Read the settings of a run, and what a recipe and changes ask for besides, which must agree with them.

    Whether they agree is checked when the run goes on, see `RunFolder.prepared`.
    Raises InputError if no run is there, ConfigError for what cannot be.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise InputError(f"{folder}: no run to resume; leave --resume out to start one")
    return load_run_settings(config_class, folder / CONFIG_NAME, recipe, changes=changes)


def settings_of(config: Config | None, config_class: type[Config], recorded_in: Path | None) -> Config:
    """Return the given config, or without one that of the run in a folder, which rank 0 reads; else the defaults."""
    if config is not None:
        return config
    if recorded_in is None:
        return config_class()
    with joined_ranks() as ranks:
        return ranks.call_on_rank_zero(lambda: recorded_settings(config_class, recorded_in))


def first_start(folder: Path) -> Start | None:
    """Return how a run began, None for a run of an earlier vidrep; raises InputError if that cannot be read."""
    history = read_history(folder)
    return history[0] if history else None
