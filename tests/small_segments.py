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

FPS = 25.0
SPEEDS = {"left": -0.5, "right": 0.5}


def turning(num_videos: int = 8, *, num_frames: int = 200, seed: int = 0) -> tuple[dict[str, Any], Annotations]:
    """Points that turn left, or right, or stand, 10 to 30 frames each; every video was watched as a whole.

    Return frames, {key: (T, 4)}, and what is true of them.
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
        angle = rng.uniform(0, 2 * np.pi, 2) + np.cumsum(speeds)[:, None]
        videos[key] = np.concatenate([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return videos, Annotations.of(segments, {key: [Span(0, num_frames / FPS)] for key in videos})


def turning_features(folder: Path, splits: Mapping[str, str] | None = None, **how: Any) -> tuple[Features, Annotations]:
    videos, annotations = turning(**how)
    return features_of(folder, videos, splits, fps=FPS), annotations


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
        **{"transforms": ("standardize", "differences"), **(settings or {})},
    )
