"""Plug-ins: modules that register cells, objectives, heads, transforms and extractors when they are imported.

An installed package names its module in the entry-point group `vidrep.plugins`; a user names any other by `--plugin`.
Processes that this one starts load the same.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb

from .errors import ConfigError, VidrepError

GROUP = "vidrep.plugins"

_loaded: list[str] = []
_installed_are_loaded = False


def load_plugins(modules: Sequence[str]) -> None:
    """Import modules by name, or by the path of a .py file.

    Raises ConfigError if a module is not found, if a file has the name of another module, or if a module raises
    something, with the file and line.
    """
    for module in modules:
        if module not in _loaded:
            with _naming_its_errors(module):
                _import(module)
            _loaded.append(module)


def loaded_plugins() -> tuple[str, ...]:
    """Return what `load_plugins` was given so far, for a process that is to load the same."""
    return tuple(_loaded)


def load_installed_plugins() -> None:
    """Import what installed packages name in the entry-point group; once, later calls cost nothing."""
    global _installed_are_loaded
    if not _installed_are_loaded:
        _installed_are_loaded = True  # a plug-in that asks for names while it is imported must not come back here
        for entry_point in entry_points(group=GROUP):
            with _naming_its_errors(entry_point.value):
                entry_point.load()


@contextmanager
def _naming_its_errors(plugin: str) -> Iterator[None]:
    """Say where a plug-in fails, for its author: the line that raised, or that is no Python."""
    try:
        yield
    except VidrepError:
        raise
    except Exception as error:
        where = extract_tb(error.__traceback__)[-1]
        place = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (where.filename, where.lineno)
        raise ConfigError(
            f"plug-in {plugin!r}: {type(error).__name__} in {place[0]}, line {place[1]} ({error}); mend it, or leave "
            "the plug-in out"
        ) from error


def _import(module: str) -> None:
    if module.endswith(".py"):
        _import_file(Path(module).absolute())
        return
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(
            f"plug-in {module!r}: no such module; give a module on PYTHONPATH or the path of a .py file"
        ) from error


def _import_file(path: Path) -> None:
    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"plug-in {path}: no such file; give a module on PYTHONPATH or the path of a .py file")
    _require_free_name(path)
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(path.stem, None)  # as an import does: what is half there must not be found
        raise


def _require_free_name(path: Path) -> None:
    """Refuse a file whose module would take the place of another one, as json.py would."""
    try:
        other = find_spec(path.stem)
    except (ImportError, ValueError):  # a name with a dot; a module without a spec, such as __main__
        other = None
    # A folder on the path, which has no origin, is no module of that name.
    if other is not None and other.origin is not None and Path(other.origin).resolve() != path.resolve():
        raise ConfigError(f"plug-in {path}: there is another module {path.stem!r}; give the file another name")
