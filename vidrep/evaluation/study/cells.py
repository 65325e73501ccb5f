"""The cells of a study: one method that learned from one draw with one seed, each a small file.

Shapes: S source videos of split "test".
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, InputError, OutputError
from ...features.settings import settings_difference
from ...files import write_text
from .draws import Shots
from .methods import Method

SETTINGS_NAME, CELLS_FOLDER, TRAINING_FOLDER = "study.json", "cells", "training"
_FORMAT, _VERSION = "vidrep-study", 1
_COMPARED = "settings"


@dataclass(frozen=True)
class Cell:
    """What one method makes of the test videos after learning from draw number `draw` of k = `shots`."""

    method: str
    shots: Shots
    draw: int
    seed: int

    @property
    def file_name(self) -> str:
        """Readable, and one for each planned cell: `planned_cells` refuses methods whose names differ too little."""
        method = re.sub(r"[^\w.-]+", "-", self.method)
        return f"{method}-k{self.shots}-draw{self.draw}-seed{self.seed}.json"


def planned_cells(methods: Sequence[Method], every_shots: Sequence[Shots], *, draws: int, seeds: int) -> list[Cell]:
    """Return all cells, draw by draw, so that a study that is cut short has whole draws.

    A method without random numbers has seed 0 alone, and all labels have draw 0 alone.

    Raises ConfigError for methods whose cells would have the same files.
    """
    cells = [
        Cell(method.name, shots, draw, seed)
        for draw in range(draws)
        for shots in every_shots
        if shots != "all" or draw == 0
        for method in methods
        for seed in range(seeds if method.is_random else 1)
    ]
    # Some disks do not distinguish small letters from capital ones.
    if len({cell.file_name.casefold() for cell in cells}) < len(cells):
        raise ConfigError(
            f"the names of the methods are too much alike: {', '.join(one.name for one in methods)}; rename a run's "
            "folder"
        )
    return cells


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study: its settings, and the cells that are finished. One process at a time begins or reports."""

    path: Path

    def begin(self, settings: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        """Keep the settings of a new study, or require those of the one that is there; notes may differ.

        Raises OutputError, with the first difference, for other settings, and for a folder that holds something else.
        """
        path = self.path / SETTINGS_NAME
        if not path.is_file():
            if self.path.is_dir() and any(not one.name.startswith(".") for one in self.path.iterdir()):
                raise OutputError(f"{self.path}: holds something, but no {SETTINGS_NAME} of a study; give a new folder")
            content = {"format": _FORMAT, "version": _VERSION, _COMPARED: settings, **notes}
            write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
            return
        if difference := settings_difference(_settings_in(path), json.loads(json.dumps(settings))):
            raise OutputError(f"{self.path} is a study of other settings: {difference}; give those, or another folder")

    @property
    def training(self) -> Path:
        """Where trainings write what is removed once a cell is finished."""
        return self.path / TRAINING_FOLDER

    def write(self, cell: Cell, predicted: NDArray[np.int64]) -> None:
        """Publish a cell: the predicted class of each test source, (S,)."""
        write_text(self._file(cell), json.dumps(predicted.tolist(), separators=(",", ":")) + "\n")

    def read(self, cells: Sequence[Cell], *, num_sources: int, num_classes: int) -> dict[Cell, NDArray[np.int64]]:
        """Read the cells that are finished; a file that holds nothing usable counts as none, and is made again."""
        found = ((cell, self._predicted(cell, num_sources, num_classes)) for cell in cells)
        return {cell: predicted for cell, predicted in found if predicted is not None}

    def _predicted(self, cell: Cell, num_sources: int, num_classes: int) -> NDArray[np.int64] | None:
        try:
            predicted = np.array(json.loads(self._file(cell).read_text(encoding="utf-8")), dtype=np.int64)
        except (OSError, ValueError, TypeError, OverflowError):
            return None
        is_usable = predicted.shape == (num_sources,) and bool(((predicted >= 0) & (predicted < num_classes)).all())
        return predicted if is_usable else None

    def _file(self, cell: Cell) -> Path:
        return self.path / CELLS_FOLDER / cell.file_name

    def leftovers(self) -> Iterator[Path]:
        """Yield the temporary files that killed processes left; only for who alone writes here."""
        for folder in (self.path, self.path / CELLS_FOLDER):
            yield from folder.glob(".*.tmp")


def _settings_in(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            raise ValueError(f"{content['format']} version {content['version']}")
        settings: Mapping[str, Any] = content[_COMPARED]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give another folder, or remove this one") from error
    return settings
