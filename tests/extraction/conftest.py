"""Small videos for the tests of extraction."""

from pathlib import Path

import numpy as np
import pytest
from fixture_types import MakeClip

from vidrep.video.writing import write_h264


def write_clip(path: Path, *, seed: int = 0, num_frames: int = 5, side: int = 16, frames_per_second: int = 5) -> Path:
    """Write a small clip of soft noise that `seed` determines."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (num_frames, side // 4, side // 4, 3), dtype=np.uint8)
    write_h264(path, coarse.repeat(4, axis=1).repeat(4, axis=2), frames_per_second=frames_per_second)
    return path


@pytest.fixture
def clip() -> MakeClip:
    return write_clip


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips in two class folders and one beside them; not to be changed."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(["left/a", "left/b", "left/c", "right/a", "right/b", "d"]):
        write_clip(folder / f"{name}.mp4", seed=number, num_frames=3 + number)
    return folder
