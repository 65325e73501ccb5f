"""Moving MNIST sequences as a feature file, each one a video."""

from pathlib import Path
from typing import get_args

import numpy as np

from ..errors import ConfigError
from ..features.store import Features, open_features
from ..features.table import VideoRow
from ..features.versions import library_versions
from ..features.writer import require_new_file, writing_features
from ..progress import Progress, ProgressListener, ignore_progress
from .mnist import MnistSplit, load_digits
from .moving_mnist import MovingMnist, MovingMnistConfig, stream_rng

# Sequences made at once: few enough for the processor's cache.
_BLOCK = 100


def generate_moving_mnist(
    output: Path | str,
    *,
    num_videos: int,
    mnist: Path | str | None = None,
    split: MnistSplit = "train",
    config: MovingMnistConfig | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
) -> Features:
    """Write `num_videos` Moving MNIST sequences as uint8 frames; their split is that of the digits, "train" or "test".

    mnist: a folder with the IDX files of MNIST, .gz or not; None lets torchvision download them. seed: with equal
    seeds, sequences of train and of test digits still differ in how they move.

    Raises OutputError if the output exists, InputError if the digits cannot be had, ConfigError for settings that
    cannot be.
    """
    output, config = Path(output), config or MovingMnistConfig()
    if split not in get_args(MnistSplit):
        raise ConfigError(f"digits {split!r}: allowed are {', '.join(get_args(MnistSplit))}")
    if num_videos < 1:
        raise ConfigError(f"videos {num_videos}: give at least 1")
    require_new_file(output, overwrite=overwrite)
    digits = load_digits(None if mnist is None else Path(mnist), split)
    generator, rng = MovingMnist(digits, config), stream_rng(split, seed)
    settings = {
        "kind": "moving-mnist",
        "digits": split,
        "num_digits": config.num_digits,
        "canvas": config.canvas,
        "num_frames": config.num_frames,
        "displacement": config.displacement,
        "seed": seed,
    }
    with writing_features(
        output,
        settings=settings,
        versions=library_versions("numpy"),
        num_rows=num_videos * config.num_frames,
        frame_shape=(config.canvas, config.canvas),
        dtype="uint8",
    ) as writer:
        # The paper's sequences have no clock: a frame counts as a second.
        timestamps = np.arange(config.num_frames, dtype=np.float64)
        for start in range(0, num_videos, _BLOCK):
            stop = min(start + _BLOCK, num_videos)
            sequences = generator.generate(stop - start, rng)
            for number, frames in enumerate(sequences.swapaxes(0, 1), start=start):
                writer.append(np.ascontiguousarray(frames), timestamps)
                writer.end_video(VideoRow(f"{number:08d}", split=split, fps=1.0))
            on_progress(Progress(done=stop, total=num_videos, unit="sequences"))
    return open_features(output)
