"""Odd inputs of every kind give the same bytes, whatever decodes them."""

from pathlib import Path

import pytest
from odd_files import write_odd_videos

from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.video.sources import find_videos

# Frames, rate and seconds of the last frame: what was written, apart from our code.
WRITTEN = {
    "animated.gif": (20, 10, 1.9),
    "browser.webm": (20, 19 / 0.628, 0.628),
    "empty chunks.avi": (14, 10, 1.9),
    "frames": (3, 25, 0.16),
    "joined.ts": (40, 10, 3.9),
    "mirrored.mp4": (3, 10, 0.2),
    "raw.dv": (10, 25, 0.36),
    "raw.h264": (20, 50, 0.38),
    "two streams.mp4": (30, 10, 2.9),
}


@pytest.fixture(scope="module")
def odd_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / "videos"
    assert write_odd_videos(folder) == sorted(WRITTEN)
    return folder


def extracted(videos: Path, output: Path, workers: int) -> Path:
    """Extract with the times in order: fast resizing, as workers import torch for the exact one."""
    extract(
        find_videos([videos]), output, PatchExtractor(size=8, color=True, resize="fast"), workers=workers, timeout=60
    )
    return output


def test_what_is_written_is_read(odd_videos: Path, tmp_path: Path) -> None:
    features = open_features(extracted(odd_videos, tmp_path / "f.h5", 0))
    assert [row.path for row in features.videos] == sorted(WRITTEN)
    for index, row in enumerate(features.videos):
        num_frames, fps, last = WRITTEN[row.path]
        assert (row.status, row.length) == ("ok", num_frames), row
        assert row.fps == pytest.approx(fps, rel=0.02), row
        assert features.timestamps(index)[[0, -1]] == pytest.approx([0, last], abs=1e-3), row


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_bytes_do_not_depend_on_workers(odd_videos: Path, tmp_path: Path, workers: int) -> None:
    expected = extracted(odd_videos, tmp_path / "0.h5", 0).read_bytes()
    assert extracted(odd_videos, tmp_path / f"{workers}.h5", workers).read_bytes() == expected
