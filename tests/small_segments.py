"""Small long videos whose labels change, their annotations, and trainings from them that take a second."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from small_features import features_of, training_settings

from vidrep.config.segmentation import SegmentationConfig, SegmenterSettings, SegmentWindows
from vidrep.config.settings import EncoderSettings, OptimizerSettings
from vidrep.features.store import Features
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.training.segmentation import finetune_segments

FPS = 25.0
FACTOR: Mapping[str, Any] = {"differences": {"factor": 20.0}}  # so that they are as large as what is standardized
SPEEDS = {"left": -0.4, "right": 0.4}


def moving(num_videos: int = 8, *, num_frames: int = 200, seed: int = 0) -> tuple[dict[str, Any], Annotations]:
    """Two values that fall together, or rise, or stand, 10 to 30 frames each; every video was watched as a whole.

    Return frames, {key: (T, 2)}, and what is true of them.
    """
    rng = np.random.default_rng(seed)
    videos: dict[str, NDArray[np.float32]] = {}
    segments: list[Segment] = []
    for number in range(num_videos):
        key, speeds, first = f"v{number}.npy", np.zeros(num_frames), 0
        while first < num_frames:
            last = min(first + int(rng.integers(10, 31)), num_frames)
            label = ("", *SPEEDS)[int(rng.integers(3))]
            if label:
                speeds[first:last] = SPEEDS[label]
                segments.append(Segment(key, first / FPS, last / FPS, label))
            first = last
        videos[key] = (rng.uniform(-5, 5, 2) + np.cumsum(speeds)[:, None]).astype(np.float32)
    return videos, Annotations.of(segments, {key: [Span(0, num_frames / FPS)] for key in videos})


def moving_features(folder: Path, splits: Mapping[str, str] | None = None, **how: Any) -> tuple[Features, Annotations]:
    """Import what `moving` makes; without a split in `splits`, if there are some, a video trains."""
    videos, annotations = moving(**how)
    every = {} if splits is None else dict.fromkeys(videos, "train") | dict(splits)
    return features_of(folder, videos, every, fps=FPS), annotations


def segmentation_config(
    *,
    encoder: EncoderSettings | None = None,
    segmenter: SegmenterSettings | None = None,
    optimizer: OptimizerSettings | None = None,
    windows: SegmentWindows | None = None,
    settings: Mapping[str, Any] | None = None,
    **training: Any,
) -> SegmentationConfig:
    """Windows of 20 frames with margins of 4, and 6 units; settings: other fields."""
    short: dict[str, Any] = {"patience": 0, "keep": "last"}
    return SegmentationConfig(
        encoder=encoder or EncoderSettings(hidden_size=6, bidirectional=True),
        segmenter=segmenter or SegmenterSettings(dropout=0.0),
        optimizer=optimizer or OptimizerSettings(warmup_steps=2),
        windows=windows or SegmentWindows(length=20, margin=4, stride=6),
        training=training_settings(**short | training),
        **{"transforms": ("standardize", "differences"), "transform": FACTOR, **(settings or {})},
    )


def trained_run(folder: Path, *, several_labels: bool = False) -> tuple[Features, Annotations, Path]:
    """Train on three videos of 60 frames, in a second; two more are of split "test"."""
    splits = {"v0.npy": "test", "v1.npy": "test"}
    features, annotations = moving_features(folder, splits, num_videos=5, num_frames=60, seed=1)
    config = segmentation_config(
        segmenter=SegmenterSettings(several_labels=several_labels, dropout=0.0),
        optimizer=OptimizerSettings(learning_rate=0.05, warmup_steps=2),
        steps=30,
        validate_every=30,
        batch_size=0,
    )
    run = finetune_segments(features, folder / "run", annotations, config, device="cpu", threads=1).folder
    return features, annotations, run
