"""How golden_v1.h5 was made. It is never made anew: what it holds must be read by every later version.

python tests/features/golden.py tests/features/golden_v1.h5
"""

import sys
from pathlib import Path

import numpy as np

from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features

SETTINGS = {
    "kind": "patches",
    "size": 2,
    "region": "frame",
    "colour": False,
    "sampling": {"fps": 2.5, "every": 1, "max_frames": None},
    "decoder": "pyav",
}
VERSIONS = {"vidrep": "0.1.0", "numpy": "2.0.0"}
ROWS = [
    VideoRow.new(
        "left/é a.mp4",
        label="left",
        split="train",
        fps=25.0,
        num_frames_from_header=40,
        source_size=12345,
        source_sha256="ab" * 32,
    ),
    VideoRow.new(
        "right/b.avi",
        label="right",
        fps=29.97,
        num_frames_from_header=7,
        status="partial",
        message="cut short: 3 of the 7 frames that the header promises are there",
        source_size=99,
        source_sha256="cd" * 32,
    ),
    VideoRow.new("unlabelled.mkv", split="test"),
]
LENGTHS = [4, 3, 1]


def features_of(video: int) -> np.ndarray:
    """(length, 2, 2) uint8 that count on from the video's number times 50."""
    return (np.arange(LENGTHS[video] * 4).reshape(-1, 2, 2) + 50 * video).astype(np.uint8)


def timestamps_of(video: int) -> np.ndarray:
    return np.arange(LENGTHS[video]) * 0.4 + video


def make(path: Path) -> None:
    with writing_features(
        path, settings=SETTINGS, versions=VERSIONS, num_rows=sum(LENGTHS), frame_shape=(2, 2), dtype="uint8"
    ) as writer:
        for video, row in enumerate(ROWS):
            writer.append(features_of(video), timestamps_of(video))
            writer.end_video(row)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
