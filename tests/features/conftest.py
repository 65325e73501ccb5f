"""Small videos and feature files for the tests of features."""

from pathlib import Path

import numpy as np
import pytest

from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.video.writing import write_h264

SETTINGS = {"kind": "test", "size": 2}


def write_clip(path, *, seed=0, num_frames=5, side=16, frames_per_second=5):
    """Write a small clip of soft noise that `seed` determines."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (num_frames, side // 4, side // 4, 3), dtype=np.uint8)
    write_h264(path, coarse.repeat(4, axis=1).repeat(4, axis=2), frames_per_second=frames_per_second)
    return path


def write_feature_file(path, videos, *, settings=None, dtype="float16", frame_shape=(3,)):
    """Write {key: (label, split, number of frames)}; values are drawn from a seed made of the key. Return the rows."""
    rows = {}
    for key, (_, _, length) in videos.items():
        rng = np.random.default_rng(list(key.encode()))
        rows[key] = (rng.random((length, *frame_shape)) * 100).astype(dtype)
    with writing_features(
        path,
        settings=SETTINGS if settings is None else settings,
        versions={"vidrep": "0"},
        num_rows=sum(map(len, rows.values())),
        frame_shape=frame_shape,
        dtype=dtype,
    ) as writer:
        for key, (label, split, length) in videos.items():
            writer.append(rows[key], np.arange(length) / 10)
            writer.end_video(VideoRow.new(key, label=label, split=split, fps=10.0))
    return rows


@pytest.fixture
def clip():
    return write_clip


@pytest.fixture
def feature_file():
    return write_feature_file


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips in two class folders and one beside them; not to be changed."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(["left/a", "left/b", "left/c", "right/a", "right/b", "d"]):
        write_clip(folder / f"{name}.mp4", seed=number, num_frames=3 + number)
    return folder
