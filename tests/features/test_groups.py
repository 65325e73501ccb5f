"""Every video has a group: annotated, matched in its key, recorded in the file, or its source video."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vidrep.errors import ConfigError, LabelError
from vidrep.features.annotations import Annotation, annotate
from vidrep.features.groups import GroupRule, groups_by_number, groups_by_pattern
from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features


def features_of(folder: Path, rows: Sequence[VideoRow]) -> Features:
    with writing_features(
        folder / "f.h5", settings={}, versions={}, num_rows=len(rows), frame_shape=(2,), dtype="uint8"
    ) as writer:
        for row in rows:
            writer.append(np.zeros((1, 2), np.uint8), np.zeros(1))
            writer.end_video(row)
    return open_features(folder / "f.h5")


def test_names_of_ucf101_have_their_recording_as_group(tmp_path: Path) -> None:
    expected = {
        "A/v_Archery_g08_c01.avi": "Archery_g08",
        "A/v_Archery_g08_c02.avi#crop-1": "Archery_g08",
        "g08_c01.avi": "g08_c01.avi",
        "v_Archery_g08.avi": "v_Archery_g08.avi",
    }
    features = features_of(tmp_path, [VideoRow(name) for name in expected])
    assert annotate(features).groups == list(expected.values())


def test_the_first_capture_group_or_else_the_whole_match_is_the_group() -> None:
    keys = ["walk/person01_d1.avi", "run/person02_d1.avi", "run/person01_d2.avi"]
    assert groups_by_pattern(keys, r"person(\d+)_(d\d)") == ["01", "02", "01"]
    assert groups_by_pattern(keys, r"person\d+") == ["person01", "person02", "person01"]
    assert groups_by_pattern([], "x") == []


@pytest.mark.parametrize("pattern", [r"person(\d+)", r"(\d*)", r"run|walk/(\w)"])
def test_a_key_without_a_match_is_named(pattern: str) -> None:
    with pytest.raises(LabelError) as caught:
        groups_by_pattern(["walk/person01.avi", "run/x.avi", "run/y.avi"], pattern)
    message = str(caught.value)
    assert "of 3 keys, first in '" in message
    assert "give one that matches every key, or name groups in a column 'group' of --labels" in message
    assert "\n" not in message


def test_an_invalid_pattern_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"group pattern 'person\(': not a regular expression \(missing \)"):
        groups_by_pattern(["a"], "person(")


def test_groups_come_from_annotations_then_the_pattern_then_the_file_then_the_source(tmp_path: Path) -> None:
    rows = [
        VideoRow("p1/a.mp4", group="old", source_sha256="aa"),
        VideoRow("p2/b.mp4", group="old", source_sha256="bb"),
        VideoRow("p3/c.mp4", source_sha256="cc"),
        VideoRow("p4/d.mp4#crop-1"),
        VideoRow("p4/d.mp4#crop-2"),
    ]
    features = features_of(tmp_path, rows)
    annotations = {"a.mp4": Annotation("x", None, "new"), "b.mp4": Annotation("x", None, "")}
    assert annotate(features).groups == ["old", "old", "cc", "p4/d.mp4", "p4/d.mp4"]
    assert annotate(features, annotations).groups == ["new", "bb", "cc", "p4/d.mp4", "p4/d.mp4"]
    assert annotate(features, None, GroupRule(r"p\d")).groups == ["p1", "p2", "p3", "p4", "p4"]
    assert annotate(features, annotations, GroupRule(r"p\d")).groups == ["new", "p2", "p3", "p4", "p4"]
    assert annotate(features, annotations, GroupRule("[bcd].mp4")).groups == ["new", "b.mp4", "c.mp4", "d.mp4", "d.mp4"]
    without_groups = {"a.mp4": Annotation("x", None)}
    assert annotate(features, without_groups).groups == ["old", "old", "cc", "p4/d.mp4", "p4/d.mp4"]
    extending = {"a.mp4": Annotation("x", None, "new", extends=True)}
    assert annotate(features, extending).groups == ["new", "old", "cc", "p4/d.mp4", "p4/d.mp4"]
    with pytest.raises(LabelError, match=r"nothing in 1 of 5 keys, first in 'p1/a\.mp4'"):
        annotate(features, None, GroupRule("[bcd].mp4"))


def test_a_pattern_never_divides_the_crops_of_a_video(tmp_path: Path) -> None:
    rows = [VideoRow(f"a.mp4#cell-{number}-1", source_sha256="aa") for number in (1, 2)]
    assert annotate(features_of(tmp_path, rows), None, GroupRule(".*")).groups == ["a.mp4", "a.mp4"]


def test_labels_and_splits_are_merged_and_what_does_not_match_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = features_of(tmp_path, [VideoRow("0.npy", label="walk"), VideoRow("1.npy", label="walk")])
    annotations = {"0.npy": Annotation("run", "test"), "9.npy": Annotation("run", "test")}
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        videos = annotate(features, annotations)
    assert (videos.labels, videos.splits, videos.groups) == (["run", ""], ["test", ""], ["0.npy", "1.npy"])
    assert caplog.messages == [
        "1 videos are listed but not among the videos: 9.npy",
        "1 videos are not listed: 1.npy; 1 of them have no label now (--labels-extend keeps what they have)",
    ]


def test_a_block_is_of_numbers_of_one_label() -> None:
    keys = ["a/x1.mp4", "a/x3.mp4", "a/x4.mp4", "a/x12.mp4", "b/x3.mp4", "x2.mp4"]
    labels = ["a", "a", "a", "a", "b", ""]
    assert groups_by_number(keys, labels, 3) == ["a 1-3", "a 1-3", "a 4-6", "a 10-12", "b 1-3", "1-3"]
    assert groups_by_number(keys, labels, 1)[:3] == ["a 1-1", "a 3-3", "a 4-4"]


def test_the_number_is_the_last_one_of_the_file_name() -> None:
    keys = ["07/s2e011_b.mp4", "v.02", "k4.m4v", "2026-11-28/007.npy"]
    assert groups_by_number(keys, ["x"] * 4, 10) == ["x 11-20", "x 1-10", "x 1-10", "x 1-10"]


def test_where_numbers_begin_with_zero_blocks_do() -> None:
    keys = [f"{number:03d}.mp4" for number in range(6)]
    assert groups_by_number(keys, ["x"] * 6, 3) == ["x 0-2"] * 3 + ["x 3-5"] * 3
    assert groups_by_number(keys[1:], ["x"] * 5, 3) == ["x 1-3"] * 3 + ["x 4-6"] * 2


def test_a_video_without_a_number_is_its_own_group_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [VideoRow("a/1.npy", label="a"), VideoRow("a/2.npy", label="a"), VideoRow("a/x.npy", source_sha256="aa")]
    features = features_of(tmp_path, rows)
    assert annotate(features, None, GroupRule(blocks=2)).groups == ["a 1-2", "a 1-2", "aa"]
    assert caplog.messages == ["1 videos have no number in their file name, and are in no block: a/x.npy"]
    annotations = {
        "a/1.npy": Annotation("b", None, ""),
        "a/2.npy": Annotation("a", None),
        "a/x.npy": Annotation("", None, "own"),
    }
    assert annotate(features, annotations, GroupRule(blocks=2)).groups == ["b 1-2", "a 1-2", "own"]
    with pytest.raises(LabelError, match=r"^groups of 2 numbers: no file name has a number, first 'x\.mp4'; "):
        groups_by_number(["x.mp4", "y.mp4"], ["", ""], 2)


def test_a_rule_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match=r"--group\) and by blocks \(--group-blocks\): give one of the two"):
        GroupRule("x", 3)
    with pytest.raises(ConfigError, match="give 1 or more"):
        GroupRule(blocks=0)
    for rule in (GroupRule(), GroupRule("x"), GroupRule(blocks=3)):
        assert GroupRule.from_recorded(rule.recorded) == rule
    with pytest.raises(TypeError, match="a text and a number"):
        GroupRule.from_recorded({"blocks": "3"})
