"""Losses of the first 20 steps of some recipes, made small; run by itself it prints them as JSON.

Two commits are compared with it (benchmarks/compare_commits.py), and a commit with the losses that are written down
(tests/training/test_golden.py). Everything that it reads is made from fixed seeds, nothing of it by vidrep.
"""

import gzip
import json
import struct
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

import vidrep

DIGITS = {"moving_mnist.canvas": 32, "windows.context": 4, "windows.num_future": 4}
FEATURES = {"windows.context": 4, "windows.num_future": 3, "windows.stride": 2}
# Of the recipes of the paper and its code: a layer of 16 units in place of 2048 has initial weights and steps that are
# ten times as large (about the root of 2048 / 16), or nothing would reach its losses but the output biases.
NARROW = {"encoder.uniform_scale": 0.1, "optimizer.clip_velocity": 1e-3}
# The recipes, and what makes each of them small enough for a second.
RECIPES: dict[str, dict[str, Any]] = {
    "srivastava-mnist-1layer": DIGITS | NARROW,
    "released-mnist-1layer": DIGITS | NARROW,
    "srivastava-mnist-2layer": DIGITS | NARROW,
    "released-mnist-2layer": DIGITS | NARROW,
    "modern-mnist-2layer-conditional": DIGITS,
    "srivastava-patches": FEATURES | NARROW,
    "released-patches": FEATURES | NARROW,
    "modern-percepts": FEATURES,
}
SMALL: dict[str, Any] = {
    "encoder.hidden_size": 16,
    "training.steps": 20,
    "training.batch_size": 4,
    "training.validate_every": 20,
    "training.patience": 0,
}
# Names of commits before the doors were opened, which are compared with too.
OLD_KEYS = {
    "encoder.hidden_size": "model.hidden_size",
    "encoder.uniform_scale": "model.uniform_scale",
    "optimizer.clip_velocity": "optimiser.clip_velocity",
    "windows.context": "windows.seen",
    "windows.num_future": "windows.predicted",
    "training.validate_every": "training.evaluate_every",
}


def write_digits(folder: Path) -> None:
    """Write MNIST files of 20 made-up digits."""
    digits = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    content = struct.pack(">4sIII", bytes([0, 0, 8, 3]), *digits.shape) + digits.tobytes()
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(content)


def write_features(folder: Path, *, frame_size: int) -> Path:
    """Write features of six videos, 12 frames each, in which everything turns round slowly."""
    rng = np.random.default_rng(1)
    source = folder / f"arrays{frame_size}"
    source.mkdir()
    for number in range(6):
        angle = rng.uniform(0, 2 * np.pi, frame_size) + rng.uniform(0.1, 0.5) * np.arange(12)[:, None]
        np.save(source / f"{number}.npy", np.sin(angle).astype(np.float32))
    output = folder / f"features{frame_size}.h5"
    vidrep.import_features(source, output)
    return output


def golden_losses(folder: Path) -> dict[str, list[float]]:
    """Train each recipe that there is for 20 steps: {recipe: the training loss of every step}."""
    write_digits(folder)
    features = vidrep.open_features(write_features(folder, frame_size=24))
    is_old = not hasattr(vidrep, "train")
    train: Any = vidrep.pretrain if is_old else vidrep.train
    losses = {}
    for recipe, changes in RECIPES.items():
        if not (resources.files("vidrep.recipes") / f"{recipe}.toml").is_file():
            continue  # of a commit before it
        keys = OLD_KEYS if is_old else {}
        settings = {keys.get(key, key): value for key, value in (SMALL | changes).items()}
        generated, of_steps = "mnist" in recipe, list[float]()
        train(
            None if generated else features,
            folder / recipe,
            vidrep.load_recipe(vidrep.PretrainConfig, recipe, changes=settings),
            mnist=folder if generated else None,
            device="cpu",
            precision="fp32",
            threads=1,
            on_progress=lambda progress, losses=of_steps: losses.append(
                (progress.figures if is_old else progress.metrics)["loss"]
            ),
        )
        losses[recipe] = of_steps
    return losses


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="vidrep-golden-") as name:
        json.dump(golden_losses(Path(name)), sys.stdout, indent=1)
