"""`vidrep sample`, with and without sources."""

from pathlib import Path

import pytest
from running import one_line, vidrep

from vidrep.features.store import open_features


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--unbalanced"], "--unbalanced is for --sources N"),
        (["--sources", 4, "--per-class", 5], "--per-class and --frames are not for --sources"),
        (["--sources", 4, "--frames", 20], "--per-class and --frames are not for --sources"),
        (["--sources", 1], "num_sources is 1; it must be at least 2"),
        (["--sources", 4, "--test-fraction", 0], "test_fraction is 0.0; it must be more than 0 and less than 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, options: list[object], words: str) -> None:
    one_line(["sample", "-o", tmp_path / "clips", *options], 2, words)
    assert not (tmp_path / "clips").exists()
