"""Small features for tests, and runs that take a fraction of a second."""

import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidrep.config.settings import (
    COMPOSITE,
    ClassifierSettings,
    EncoderSettings,
    FinetuneConfig,
    FinetuneWindows,
    OptimizerSettings,
    PretrainConfig,
    PretrainWindows,
    SelectionSettings,
    TrainingSettings,
)
from vidrep.features.annotations import Annotation
from vidrep.features.importing import import_features
from vidrep.features.store import Features, open_features

Videos = dict[str, NDArray[np.float32]]


def circles(
    num_per_class: int = 5,
    *,
    num_frames: int = 8,
    size: int = 4,
    classes: tuple[str, ...] = ("left", "right"),
    seed: int = 0,
) -> Videos:
    """Points that go round circles: classes differ in the displacement per frame, not in single frames."""
    rng = np.random.default_rng(seed)
    videos: Videos = {}
    for number, name in enumerate(classes):
        speed = number - (len(classes) - 1) / 2
        for index in range(num_per_class):
            angle = rng.uniform(0, 2 * np.pi, size // 2) + speed * np.arange(num_frames)[:, None]
            frames = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
            videos[f"{name}/{index:02d}.npy"] = frames.astype(np.float32)
    return videos


def features_of(
    folder: Path,
    videos: Mapping[str, NDArray[np.generic]],
    splits: Mapping[str, str] | None = None,
    *,
    fps: float = 0.0,
) -> Features:
    """Import videos, {key: (T, ...)}; their labels are their folders. fps: 0 for one frame a second, as if unknown."""
    source = folder / "arrays"
    shutil.rmtree(source, ignore_errors=True)
    for key, frames in videos.items():
        (source / key).parent.mkdir(parents=True, exist_ok=True)
        np.save(source / key, frames)
    annotations = {key: Annotation(None, split) for key, split in (splits or {}).items()}
    return import_features(source, folder / "features.h5", annotations=annotations, fps=fps, overwrite=True).features


def with_value(features: Features, key: str, frame: int, value: float) -> Features:
    """Put a value into one frame of a video, and leave its checksum as it was."""
    with h5py.File(features.path, "r+") as file:
        file["features"][features.videos[features.index(key)].start + frame] = value
    return open_features(features.path)


def pretrain_config(
    *,
    encoder: EncoderSettings | None = None,
    optimizer: OptimizerSettings | None = None,
    windows: PretrainWindows | None = None,
    settings: Mapping[str, Any] | None = None,
    **training: Any,
) -> PretrainConfig:
    """A composite of windows of 3 + 2 frames, 5 units and 2 layers; settings: other fields of PretrainConfig."""
    return PretrainConfig(
        encoder=encoder or EncoderSettings(hidden_size=5, num_layers=2, dropout=0.3),
        windows=windows or PretrainWindows(context=3, num_future=2, stride=2),
        optimizer=optimizer or OptimizerSettings(warmup_steps=2),
        training=training_settings(**training),
        **{"objectives": COMPOSITE, **(settings or {})},
    )


def finetune_config(
    *,
    encoder: EncoderSettings | None = None,
    classifier: ClassifierSettings | None = None,
    optimizer: OptimizerSettings | None = None,
    length: int = 4,
    test_fraction: float = 0.2,
    settings: Mapping[str, Any] | None = None,
    **training: Any,
) -> FinetuneConfig:
    """A config of windows of 4 frames and 5 units, which nothing else is tried beside; settings: other fields."""
    return FinetuneConfig(
        test_fraction=test_fraction,
        encoder=encoder or EncoderSettings(hidden_size=5, dropout=0.3),
        classifier=classifier or ClassifierSettings(dropout=0.3),
        optimizer=optimizer or OptimizerSettings(warmup_steps=2),
        training=training_settings(**training),
        **{
            "windows": FinetuneWindows(length=length, stride=2),
            "selection": SelectionSettings(enabled=False),
            **(settings or {}),
        },
    )


def training_settings(**settings: Any) -> TrainingSettings:
    short: dict[str, Any] = {"steps": 10, "batch_size": 4, "validate_every": 5, "validation_fraction": 0.2}
    return TrainingSettings(**short | settings)


def write_mnist(folder: Path, *, num_digits: int = 20, splits: Sequence[str] = ("train", "t10k")) -> Path:
    """Write MNIST files of made-up digits, other ones for each split; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(splits):
        digits = np.random.default_rng(number).integers(0, 256, (num_digits, 28, 28), dtype=np.uint8)
        header = struct.pack(">4sIII", bytes([0, 0, 8, 3]), *digits.shape)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(header + digits.tobytes())
    return folder
