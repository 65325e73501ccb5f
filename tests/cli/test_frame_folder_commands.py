"""Folders of frames on the command line: what is said of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from running import one_line, vidrep

from vidrep.features.store import open_features
from vidrep.video.writing import write_h264


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """The folders of frames run/a and jump/b, with flow beside the first."""
    names = ("run/a/img_1", "run/a/img_2", "run/a/img_4", "run/a/flow_x_1", "jump/b/img_1", "jump/b/img_2")
    for number, name in enumerate(names):
        path = tmp_path / "clips" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((8, 8, 3), 20 * number, np.uint8))
    return tmp_path / "clips"


def extract(*arguments: object) -> tuple[str, list[str]]:
    code, stdout, stderr = vidrep("extract", "patches", *arguments, "--size", 8, "--workers", 0)
    assert code == 0, stderr
    return stdout, stderr.splitlines()


def test_what_an_extraction_says(frames: Path, tmp_path: Path) -> None:
    stdout, lines = extract(frames, "-o", tmp_path / "f.h5")
    assert f"{tmp_path / 'f.h5'}: 2 videos, 5 frames; 2 new" in stdout
    assert lines[:2] == [
        "2 folders of numbered images are one video each, at 25 frames a second, by default (--frame-rate); --images "
        "makes each image a video",
        "warning: other images in folders of frames are left out: 1 'flow_x_...'",
    ]
    note = "run/a: 1 of the numbers 1 to 4 are missing, and their time stays empty"
    assert lines[-1] == f"warning: 1 videos are whole, but note: {note}"


def test_rate_and_images(frames: Path, tmp_path: Path) -> None:
    _, lines = extract(frames / "run" / "a", "-o", tmp_path / "a.h5", "--frame-rate", 2)
    assert lines[0].startswith("1 folders of numbered images are one video each, at 2 frames a second (--frame-rate)")
    features = open_features(tmp_path / "a.h5")
    assert [row.path for row in features.videos] == ["a"]
    assert features.timestamps(0).tolist() == [0, 0.5, 1.5]
    stdout, lines = extract(frames, "-o", tmp_path / "i.h5", "--images")
    assert "6 videos, 6 frames" in stdout
    assert not any("numbered" in line for line in lines)
    stdout, _ = extract(frames, "-o", tmp_path / "f.h5", "--dry-run")
    assert stdout.startswith("2 videos, 2 class folders ->")
    assert "about 5 frames to do" in stdout


def test_refusals(frames: Path, tmp_path: Path) -> None:
    command = ["extract", "patches", "-o", tmp_path / "f.h5"]
    one_line([*command, frames, "--frame-rate", 0], 2, "frame rate 0.0: give the images a second")
    one_line([*command, frames / "run/a/img_1.jpg"], 3, "1 still images are given", "--images")


def test_frames_beside_their_video_are_named(frames: Path, tmp_path: Path) -> None:
    other = tmp_path / "clips" / "videos" / "run" / "a.mp4"
    other.parent.mkdir(parents=True)
    write_h264(other, np.zeros((2, 8, 8, 3), np.uint8), frames_per_second=5)
    write_h264(other.with_name("c.mp4"), np.zeros((2, 8, 8, 3), np.uint8), frames_per_second=5)
    _, lines = extract(frames, "-o", tmp_path / "f.h5")
    assert (
        "warning: folders of frames have names of videos; name one of both if they are the same: "
        f"{str(frames / 'run' / 'a')!r}"
    ) in lines
