"""What the golden files hold: golden_v1.h5 and golden_v2.h5, one for each version of the format.

A golden file is never made again, since every later version must read it. This made golden_v2.h5, and with an earlier
commit golden_v1.h5:

python tests/features/golden.py tests/features/golden_v2.h5
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features

SETTINGS_1 = {
    "kind": "patches",
    "size": 2,
    "region": "frame",
    "colour": False,
    "sampling": {"fps": 2.5, "every": 1, "max_frames": None},
    "decoder": "pyav",
}
SETTINGS_2 = {
    "kind": "patches",
    "size": 2,
    "region": "center",
    "color": False,
    "sampling": {"fps": 2.5, "every": 1, "max_frames": None},
    "decoder": "pyav",
    "decoding_version": 1,
}
VERSIONS = {"vidrep": "0.1.0", "numpy": "2.0.0"}
ROWS_2 = [
    VideoRow(
        "left/é a.mp4",
        label="left",
        split="train",
        group="Zoë",
        fps=25.0,
        num_frames_from_header=40,
        source_size=12345,
        source_sha256="ab" * 32,
        root="/data/clips",
    ),
    VideoRow(
        "right/b.avi",
        label="right",
        group="p02",
        fps=29.97,
        num_frames_from_header=7,
        status="partial",
        message="cut short: 3 of the 7 frames that the header promises are there",
        source_size=99,
        source_sha256="cd" * 32,
        missing=True,
    ),
    VideoRow("unlabelled.mkv", split="test"),
]
ROWS_1 = [replace(row, group="", root="", missing=False) for row in ROWS_2]
DECODING_VERSION = 1
"""Of all rows, which the files do not record of each."""
LENGTHS = [4, 3, 1]
CHECKSUMS = ["8e8448da", "29501959", "676f1c06"]
"""How the checksums of the videos' rows begin."""


def features_of(video: int) -> np.ndarray:
    """(length, 2, 2) uint8 that count on from the video's number times 50."""
    return (np.arange(LENGTHS[video] * 4).reshape(-1, 2, 2) + 50 * video).astype(np.uint8)


def timestamps_of(video: int) -> np.ndarray:
    return np.arange(LENGTHS[video]) * 0.4 + video


def make(path: Path) -> None:
    with writing_features(
        path, settings=SETTINGS_2, versions=VERSIONS, num_rows=sum(LENGTHS), frame_shape=(2, 2), dtype="uint8"
    ) as writer:
        for video, row in enumerate(ROWS_2):
            writer.append(features_of(video), timestamps_of(video))
            writer.end_video(row)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
