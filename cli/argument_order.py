"""Arguments in another order than a command takes them: a run where features are wanted, or the other way round."""

from pathlib import Path

# As in vidrep.inference.run_info and vidrep.features.store, which import numpy.
_RUN_FILES = ("config.toml", "model.json")
_FEATURE_SUFFIXES = (".h5", ".hdf5")


def require_order(command: str, **arguments: Path | str | None) -> None:
    """Raise ConfigError if an argument called RUN is a feature file, or one called FEATURES or VIDEOS a run.

    arguments: by the names that the command's help has, in the order in which it takes them.
    """
    from vidrep.errors import ConfigError

    for name, value in arguments.items():
        if value is None:
            continue
        path = Path(value)
        if name == "RUN" and path.suffix in _FEATURE_SUFFIXES and path.is_file():
            found = "a feature file"
        elif name != "RUN" and any((path / file).is_file() for file in _RUN_FILES):
            found = "a run"
        else:
            continue
        raise ConfigError(f"{value} is {found}; {command} takes {' '.join(arguments)}")
