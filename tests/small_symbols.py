"""Small videos with a series that repeats, and a run that predicts its letters."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vidrep
from vidrep.config.reader import load_recipe
from vidrep.config.settings import PretrainConfig
from vidrep.features.store import Features
from vidrep.symbolic.codebook import SymbolSettings

ON_CPU: dict[str, Any] = {"device": "cpu", "threads": 1}


def sawtooth(period: int, num_frames: int = 60) -> NDArray[np.float32]:
    """Frames of two values, the first of which rises from 0 to 1 in a period and falls back; the second stays 0."""
    steps = np.arange(num_frames) + period // 2
    return np.stack([steps % period / (period - 1), np.zeros(num_frames)], axis=1).astype(np.float32)


VIDEOS = {f"p{period}/{number}.npy": sawtooth(period)[number:] for period in (5, 7) for number in range(4)}
ODD = {"odd/one.npy": sawtooth(5, 1), "odd/still.npy": np.zeros((6, 2), dtype=np.float32)}


def small_config(recipe: str = "symbols", *, steps: int = 60) -> PretrainConfig:
    """A recipe with few steps of few units."""
    small = {"training.batch_size": 8, "training.validate_every": 20, "encoder.hidden_size": 12}
    return load_recipe(PretrainConfig, recipe, changes=small | {"training.steps": steps})


def train_symbols(features: Features, folder: Path, *, series: str = "column:0", steps: int = 60) -> Path:
    """Write the folders symbols and run; return the second."""
    vidrep.symbols(features, folder / "symbols", SymbolSettings(series=series, alpha=0.4))
    return vidrep.train(folder / "symbols/symbols.h5", folder / "run", small_config(steps=steps), **ON_CPU).folder


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
