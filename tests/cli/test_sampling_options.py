"""`vidrep sample`, of short videos, of sources, and of long videos."""

from pathlib import Path

import pytest
from running import one_line, vidrep

from vidrep.features.store import open_features
from vidrep.segments.matching import match_videos
from vidrep.segments.reading import read_segments


def test_sources_become_the_groups_of_features(tmp_path: Path) -> None:
    clips, features = tmp_path / "clips", tmp_path / "features.h5"
    code, stdout, _ = vidrep("sample", "-o", clips, "--sources", 2, "--unbalanced", "--size", 16)
    assert code == 0
    assert f"labels, splits and groups in {clips / 'labels.csv'}" in stdout
    labels = ["--labels", clips / "labels.csv"]
    assert vidrep("extract", "patches", clips, "-o", features, "--size", 8, *labels, "--workers", 0)[0] == 0
    videos = open_features(features).videos
    assert {(video.split, video.group) for video in videos} == {("train", "source01"), ("test", "source02")}
    assert len({video.label for video in videos if video.split == "train"}) == 8


def test_long_videos_have_times_and_splits_that_features_keep(tmp_path: Path) -> None:
    folder, features = tmp_path / "long", tmp_path / "features.h5"
    code, stdout, _ = vidrep("sample", "-o", folder, "--long-videos", 2, "--minutes", 0.1, "--size", 16, "--overlaps")
    assert code == 0
    assert "2 videos (" in stdout
    assert f"times in {folder / 'annotations.csv'}, splits in {folder / 'splits.csv'}" in stdout
    splits = ["--splits", folder / "splits.csv"]
    assert vidrep("extract", "patches", folder, "-o", features, "--size", 8, *splits, "--workers", 0)[0] == 0
    found = open_features(features)
    assert [(video.path, video.split, video.length) for video in found.videos] == [
        ("video01.mp4", "train", 60),
        ("video02.mp4", "test", 60),
    ]
    annotations = match_videos(read_segments(folder / "annotations.csv"), dict.fromkeys(found.paths, 6.0))
    assert annotations.videos == found.paths


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--unbalanced"], "--unbalanced is for --sources N"),
        (["--minutes", 3], "--minutes and --overlaps are for --long-videos N"),
        (["--overlaps", "--sources", 4], "--minutes and --overlaps are for --long-videos N"),
        (["--long-videos", 4, "--sources", 4], "--sources and --long-videos are two kinds"),
        (["--long-videos", 4, "--frames", 20], "--per-class and --frames are not for --long-videos"),
        (["--long-videos", 4, "--minutes", 0.01], "minutes is 0.01; it must be at least 0.1"),
        (["--sources", 4, "--per-class", 5], "--per-class and --frames are not for --sources"),
        (["--sources", 4, "--frames", 20], "--per-class and --frames are not for --sources"),
        (["--sources", 1], "num_sources is 1; it must be at least 2"),
        (["--sources", 4, "--test-fraction", 0], "test_fraction is 0.0; it must be more than 0 and less than 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, options: list[object], words: str) -> None:
    one_line(["sample", "-o", tmp_path / "clips", *options], 2, words)
    assert not (tmp_path / "clips").exists()
