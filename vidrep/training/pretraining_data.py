"""What a pretraining learns from: windows of features, or Moving MNIST that is generated as it goes.

Shapes: T time, B batch, D values of a frame.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..config import PretrainConfig
from ..errors import ConfigError, InputError
from ..features.annotations import Annotation, annotate
from ..features.store import Features
from ..models.output_projection import Values
from ..models.scaling import FrameScaler
from ..sequences.batches import Batches, ConsecutiveBatches, GeneratedBatches, ShuffledBatches
from ..sequences.resident import windows_on
from ..sequences.samplers import ConsecutiveSampler, InfiniteSampler
from ..sequences.split import VideoSplit, split_videos
from ..sequences.windows import Windows, WindowSet, batches_of, sliding_windows
from ..synthetic.mnist import load_digits
from ..synthetic.moving_mnist import MovingMnist, MovingMnistConfig
from ..synthetic.rendering import GeneratedWindows
from .collectives import SINGLE_PROCESS, Ranks
from .preparation import (
    DEFAULT_BATCH_SIZE,
    choose_batch_size,
    choose_values,
    fit_scaler,
    fit_scaler_to_frames,
    require_sound,
    require_windows,
    subsample,
)
from .run import RunVideos

# Generated sequences that are looked at to choose the weights, and that the mean frame is taken from.
_NUM_LOOKED_AT, _NUM_MEASURED = 1024, 2048
_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class PretrainData:
    """Everything that a pretraining takes from its data.

    batches: what to learn from, `batch_size` windows a step. validation: what chooses the weights. scaler: fitted on
    the training part. frame_shape, dtype, settings: of stored frames, and how they were made. videos: for videos.csv.
    """

    batches: Batches
    batch_size: int
    validation: WindowSet
    scaler: FrameScaler
    frame_shape: tuple[int, ...]
    dtype: str
    settings: dict[str, Any]
    videos: RunVideos


def data_of_features(
    features: Features,
    config: PretrainConfig,
    *,
    annotations: Mapping[str, Annotation] | None,
    device: torch.device,
    ranks: Ranks = SINGLE_PROCESS,
) -> PretrainData:
    """Divide the videos of features into parts and cut them into windows; raises as `pretrain`.

    ranks: of a step's batch only this rank's part is read.
    """
    videos = annotate(features, annotations)
    parts = split_videos(
        [row.path for row in features.videos],
        ["" for _ in features.videos],  # which videos are held out must not depend on labels
        [split or "train" for split in videos.splits] if any(videos.splits) else videos.splits,
        groups=videos.groups,
        validation_fraction=config.training.validation_fraction,
        test_fraction=0.0,
        seed=config.training.seed,
    )
    if not parts.validation:
        raise InputError(
            f"{features.path}: there is only one video to train on, and one more is needed to choose the weights by; "
            "use more videos"
        )
    windows, validation = (
        sliding_windows(
            features,
            part,
            length=config.windows.length,
            stride=config.windows.stride,
            to_the_end=not config.windows.stateful,
        )
        for part in (parts.train, parts.validation)
    )
    for part, name in ((windows, "training"), (validation, "validation")):
        require_windows(part, name=name, advice="lower windows.seen or windows.predicted, or use more videos")
    batch_size = choose_batch_size(len(windows), config.training.batch_size)
    values = choose_values(features, config.values)
    require_sound(features, parts.train + parts.validation)
    return PretrainData(
        batches=_batches_of_features(windows, batch_size, config, device, ranks.shard(batch_size)),
        batch_size=batch_size,
        validation=subsample(validation),
        scaler=fit_scaler(features, parts.train, values),
        frame_shape=features.frame_shape,
        dtype=features.dtype,
        settings=features.settings,
        videos=RunVideos(features.videos, videos.labels, parts),
    )


def _batches_of_features(
    windows: Windows, batch_size: int, config: PretrainConfig, device: torch.device, part: slice
) -> Batches:
    rows, seed = windows_on(windows, device), config.training.seed
    if config.windows.stateful:
        return ConsecutiveBatches(rows, ConsecutiveSampler(windows.videos, batch_size, seed), device, part)
    return ShuffledBatches(rows, InfiniteSampler(len(windows), batch_size, seed), part)


def data_of_mnist(
    mnist: Path | None, config: PretrainConfig, *, device: torch.device, ranks: Ranks = SINGLE_PROCESS
) -> PretrainData:
    """Generate Moving MNIST from the training digits, some of which are held out to choose the weights by.

    mnist: a folder with the files of MNIST; None lets torchvision fetch them. ranks: of a step's batch only this rank's
    part is rendered.
    Raises InputError if the digits cannot be had, ConfigError for settings that cannot be.
    """
    if config.windows.stateful:
        raise ConfigError("windows.stateful is for videos; generated sequences have one window each, set it to false")
    kind = MovingMnistConfig(num_frames=config.windows.length, **asdict(config.moving_mnist))
    digits, seed = load_digits(mnist, "train"), config.training.seed
    num_held_out = min(max(1, round(config.training.validation_fraction * len(digits))), len(digits) - 1)
    shuffled = digits[np.random.default_rng(seed).permutation(len(digits))]
    held_out, learnt_from = MovingMnist(shuffled[:num_held_out], kind), MovingMnist(shuffled[num_held_out:], kind)
    values: Values = "real" if config.values == "real" else "probability"
    measured = GeneratedWindows(learnt_from, _NUM_MEASURED, seed)
    batch_size = config.training.batch_size or DEFAULT_BATCH_SIZE
    return PretrainData(
        batches=GeneratedBatches(learnt_from, batch_size, seed, device, ranks.shard(batch_size)),
        batch_size=batch_size,
        validation=GeneratedWindows(held_out, _NUM_LOOKED_AT, seed),
        scaler=fit_scaler_to_frames(
            (np.concatenate(measured.gather(chosen)) for chosen in batches_of(measured, _BLOCK)),
            kind.canvas**2,
            values,
        ),
        frame_shape=(kind.canvas, kind.canvas),
        dtype="uint8",
        settings={
            "kind": "moving-mnist",
            "digits": "train",
            "digits_sha256": hashlib.sha256(digits.tobytes()).hexdigest(),
            **asdict(kind),
            "seed": seed,
        },
        videos=RunVideos((), (), VideoSplit(train=[], validation=[], test=[])),
    )
