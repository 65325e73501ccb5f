"""The clips, and what an undisturbed extraction of them gives."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from disturbed_extraction import Extraction, Undisturbed, sha256

from vidrep.video.writing import write_h264


@pytest.fixture(scope="session")
def clips_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve clips of 4 to 8 frames in two class folders, and the first six of them; not to be changed."""
    folder = tmp_path_factory.mktemp("crash")
    for number in range(12):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (4 + number % 5, 4, 4, 3), dtype=np.uint8)
        clip = folder / "clips" / "ab"[number % 2] / f"{number:02}.mp4"
        write_h264(clip, coarse.repeat(4, axis=1).repeat(4, axis=2), frames_per_second=5)
        if number < 6:
            half = folder / "first" / clip.relative_to(folder / "clips")
            half.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, half)
    return folder / "clips", folder / "first"


@pytest.fixture
def extraction(clips_folders: tuple[Path, Path], tmp_path: Path) -> Extraction:
    """The extraction into a new folder."""
    made = Extraction(*clips_folders, tmp_path / "out" / "f.h5")
    made.clear()
    return made


@pytest.fixture(scope="session")
def undisturbed(clips_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """What comes out if nothing happens, at once or in two steps."""
    extraction = Extraction(*clips_folders, tmp_path_factory.mktemp("undisturbed") / "f.h5")
    earlier = extraction.make_earlier()
    assert extraction.run().code == 0
    in_two_steps = sha256(extraction.output)
    extraction.clear()
    process, began = extraction.start(), time.monotonic()
    _, errors = process.communicate()
    seconds = time.monotonic() - began
    assert (process.returncode, errors, extraction.names()) == (0, "", ["f.h5"])
    assert sha256(extraction.output) == in_two_steps != earlier
    return Undisturbed(earlier, in_two_steps, seconds)
