import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from vidrep.errors import ConfigError
from vidrep.features.annotation_files import read_annotations
from vidrep.synthetic.motions import MOTIONS
from vidrep.synthetic.samples import Clip, write_samples
from vidrep.synthetic.source_samples import SourceSampleConfig

SMALL = SourceSampleConfig(num_sources=3, frame_size=16)


def counts_of(clips: list[Clip]) -> dict[str, Counter[str]]:
    """How many clips of each motion, by source."""
    return {
        group: Counter(clip.label for clip in clips if clip.group == group)
        for group in sorted({clip.group for clip in clips})
    }


def largest_shares(config: SourceSampleConfig, split: str) -> list[float]:
    """The share of the most frequent motion in each source of a split."""
    counts = counts_of([clip for clip in config.clips() if clip.split == split])
    return [max(of_source.values()) / of_source.total() for of_source in counts.values()]


def test_every_source_has_three_to_six_clips_of_every_motion() -> None:
    clips = SourceSampleConfig(frame_size=16).clips()
    counts = counts_of(clips)
    assert list(counts) == [f"source{number:02d}" for number in range(1, 31)]
    assert all(set(of_source) == set(MOTIONS) for of_source in counts.values())
    drawn = Counter(number for of_source in counts.values() for number in of_source.values())
    assert sorted(drawn) == [3, 4, 5, 6]
    assert min(drawn.values()) > 30  # 240 draws, 60 expected of each
    assert len({clip.video for clip in clips}) == len(clips)
    assert clips[0].video == "clockwise/source01-01.mp4"


def test_the_set_is_still_the_one_whose_difficulty_was_fixed() -> None:
    clips = SourceSampleConfig().clips()
    assert len(clips) == 1073
    # Frames, mean and standard deviation of pixels; another machine's arithmetic may end in other bits.
    for number, video, num_frames, mean, spread in (
        (0, "clockwise/source01-01.mp4", 18, 141.55, 53.33),
        (300, "right/source09-02.mp4", 24, 121.33, 68.49),
        (1072, "up/source30-04.mp4", 21, 121.35, 55.73),
    ):
        frames = clips[number].render()
        assert (clips[number].video, len(frames)) == (video, num_frames)
        assert (frames.mean(), frames.std()) == pytest.approx((mean, spread), abs=0.02)


def test_test_sources_are_the_last_third_and_in_no_other_split() -> None:
    clips = SourceSampleConfig(frame_size=16).clips()
    groups = {split: {clip.group for clip in clips if clip.split == split} for split in ("train", "test")}
    assert groups["train"].isdisjoint(groups["test"])
    assert groups["test"] == {f"source{number}" for number in range(21, 31)}


@pytest.mark.parametrize(
    ("num_sources", "fraction", "num_test"), [(30, 1 / 3, 10), (2, 0.9, 1), (2, 0.01, 1), (8, 0.25, 2), (3, 0.99, 2)]
)
def test_split_sizes(num_sources: int, fraction: float, num_test: int) -> None:
    assert SourceSampleConfig(num_sources=num_sources, test_fraction=fraction).num_test_sources == num_test


def test_unbalanced_sources_show_mostly_few_motions() -> None:
    balanced, unbalanced = (SourceSampleConfig(frame_size=16, unbalanced=one) for one in (False, True))
    assert max(largest_shares(balanced, "train")) < 0.25
    assert np.mean(largest_shares(unbalanced, "train")) > 0.35
    counts, uneven = counts_of(balanced.clips()), counts_of(unbalanced.clips())
    assert {group: one.total() for group, one in counts.items()} == {
        group: one.total() for group, one in uneven.items()
    }
    assert all(set(of_source) == set(MOTIONS) for of_source in uneven.values())
    # Test sources are the same, so that both can be measured on the same videos.
    assert largest_shares(balanced, "test") == largest_shares(unbalanced, "test")


def test_a_clip_depends_on_its_source_motion_and_number_alone() -> None:
    clips = {clip.video: clip for clip in SMALL.clips()}
    others = {clip.video: clip for clip in replace(SMALL, num_sources=5, unbalanced=True).clips()}
    for video in ("left/source01-01.mp4", "up/source03-01.mp4"):
        assert np.array_equal(clips[video].render(), clips[video].render())
        assert np.array_equal(clips[video].render(), others[video].render())
    first = [clip.render()[0] for clip in clips.values() if clip.video.endswith("-01.mp4")]
    assert len({frame.tobytes() for frame in first}) == 3 * 8
    reseeded = replace(SMALL, seed=1).clips()[0].render()
    assert not np.array_equal(reseeded[0], next(iter(clips.values())).render()[0])


def test_the_folder_has_groups_that_annotations_read(tmp_path: Path) -> None:
    config = replace(SMALL, num_sources=2)
    summary = write_samples(tmp_path / "one", config)
    with (tmp_path / "one" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "label", "split", "group"]
    videos = [row["video"] for row in rows]
    assert videos == sorted(path.relative_to(tmp_path / "one").as_posix() for path in tmp_path.glob("one/*/*.mp4"))
    assert len(videos) == summary.num_videos
    assert 16 * len(videos) <= summary.num_frames <= 28 * len(videos)
    annotations = read_annotations(labels=tmp_path / "one" / "labels.csv")
    for video, annotation in annotations.items():
        motion, _, name = video.partition("/")
        source = name.partition("-")[0]
        assert (annotation.label, annotation.group) == (motion, source)
        assert annotation.split == ("train" if source == "source01" else "test")
    # The same settings once more: the same bytes.
    write_samples(tmp_path / "two", config)
    for name in ["labels.csv", *videos]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_sources", 1),
        ("test_fraction", 0.0),
        ("test_fraction", 1.0),
        ("test_fraction", float("nan")),
        ("frame_size", 33),
        ("frames_per_second", 0),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{field} is {value}; it must be ") as raised:
        SourceSampleConfig(**cast("dict[str, Any]", {field: value}))
    assert "\n" not in str(raised.value)
