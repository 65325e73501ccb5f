"""Results of the parts of a long work, kept one by one, so that the work goes on where it was stopped."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..errors import InputError, OutputError
from ..features.settings import settings_difference
from ..files import make_folder, write_text
from ..locking import locking_output

SETTINGS_NAME = "settings.json"
_RESULT_NAME = "result.json"


@dataclass(frozen=True)
class KeptResults:
    """A folder with settings.json, and a folder for each part, in which result.json appears once it is finished."""

    folder: Path

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, settings: Mapping[str, Any]) -> Iterator[Self]:
        """Be the only process that writes a folder, which is new or holds results of these JSON-like settings.

        Raises OutputError, with the first difference, if the folder holds results of other settings, or something else,
        or if another process writes it.
        """
        with locking_output(folder):
            make_folder(folder)
            path = folder / SETTINGS_NAME
            if path.is_file():
                if difference := settings_difference(_read(path), json.loads(json.dumps(settings))):
                    raise OutputError(
                        f"{folder} holds results of other settings: {difference}; give the same ones, or a new folder"
                    )
            elif others := sorted(file.name for file in folder.iterdir() if not file.name.startswith(".")):
                raise OutputError(f"{folder} holds {others[0]} and no {SETTINGS_NAME}; give a new folder")
            else:
                write_text(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
            yield cls(folder)

    def part(self, name: str) -> Path:
        """Return the folder of a part."""
        return self.folder / name

    def result(self, name: str, compute: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the JSON-like result of a part: the one that is kept, or what `compute` makes in the part's folder.

        Raises InputError if the kept one cannot be read.
        """
        path = self.part(name) / _RESULT_NAME
        if not path.is_file():
            make_folder(path.parent)
            write_text(path, json.dumps(compute(path.parent), indent=2, ensure_ascii=False) + "\n")
        return _read(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, and what it holds is made again") from error
    return content
