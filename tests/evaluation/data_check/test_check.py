"""What a check finds in small features whose defects are known, one after the other and all together."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_features import features_of, with_value

import vidrep
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.evaluation.data_check.check import DataCheck
from vidrep.features.annotations import Annotation

Videos = dict[str, NDArray[np.float32]]


def drift(seed: int, *, num_frames: int = 16) -> NDArray[np.float32]:
    """Noise that drifts: no two clips have anything in common."""
    return np.cumsum(np.random.default_rng(seed).standard_normal((num_frames, 6)), axis=0).astype(np.float32)


def clips(num: int = 40) -> Videos:
    return {f"{'left' if number % 2 else 'right'}/{number:02d}.npy": drift(number) for number in range(num)}


def splits_of(videos: Mapping[str, object]) -> dict[str, str]:
    return {key: "test" if number % 5 < 2 else "train" for number, key in enumerate(videos)}


def kinds(found: DataCheck) -> list[str]:
    return [one.kind for one in found.findings]


def test_sound_features_have_no_finding(tmp_path: Path) -> None:
    videos = clips()
    found = vidrep.check(features_of(tmp_path, videos, splits_of(videos)))
    assert found.findings == []
    assert (found.num_videos, found.num_frames, found.num_groups, found.num_compared) == (40, 640, 0, 40)
    assert found.class_counts == {"left": {"train": 12, "test": 8}, "right": {"train": 12, "test": 8}}
    assert found.split is None and found.shares_group is None


def copied(videos: Videos, splits: dict[str, str]) -> None:
    videos["left/copy.npy"] = videos["left/01.npy"]
    splits["left/copy.npy"] = "train" if splits["left/01.npy"] == "test" else "test"


def copied_within(videos: Videos, splits: dict[str, str]) -> None:
    videos["left/copy.npy"] = videos["left/01.npy"]
    splits["left/copy.npy"] = splits["left/01.npy"]


def relabeled(videos: Videos, splits: dict[str, str]) -> None:
    videos["right/copy.npy"] = videos["left/01.npy"]
    splits["right/copy.npy"] = splits["left/01.npy"]


def nearly_copied(videos: Videos, splits: dict[str, str]) -> None:
    videos["left/near.npy"] = videos["left/01.npy"] + np.float32(0.01)
    splits["left/near.npy"] = "train" if splits["left/01.npy"] == "test" else "test"


def unlabeled(videos: Videos, splits: dict[str, str]) -> None:
    videos["loose.npy"] = videos["left/01.npy"][::-1].copy()
    splits["loose.npy"] = "train"


def without_split(videos: Videos, splits: dict[str, str]) -> None:
    splits["left/01.npy"] = ""


def alone_in_test(videos: Videos, splits: dict[str, str]) -> None:
    for number in range(3):
        key = f"up/{number}.npy"
        videos[key], splits[key] = drift(100 + number), "test"


def rarely_tested(videos: Videos, splits: dict[str, str]) -> None:
    alone_in_test(videos, splits)
    splits["up/0.npy"] = splits["up/1.npy"] = "train"


def one_video(videos: Videos, splits: dict[str, str]) -> None:
    alone_in_test(videos, splits)
    del videos["up/1.npy"], videos["up/2.npy"], splits["up/1.npy"], splits["up/2.npy"]


def one_frame(videos: Videos, splits: dict[str, str]) -> None:
    videos["left/01.npy"] = videos["left/01.npy"][:1]


def short(videos: Videos, splits: dict[str, str]) -> None:
    videos["left/01.npy"] = videos["left/01.npy"][:15]


def long(videos: Videos, splits: dict[str, str]) -> None:
    videos["left/01.npy"] = drift(1, num_frames=20)


def constant(videos: Videos, splits: dict[str, str]) -> None:
    for frames in videos.values():
        frames[:, 2], frames[:, 4] = 0, 3


def alike(videos: Videos, splits: dict[str, str]) -> None:
    for number in range(2):
        videos[f"Left /{number}.npy"], splits[f"Left /{number}.npy"] = drift(100 + number), "train"


@pytest.mark.parametrize(
    ("defect", "expected", "is_problem"),
    [
        (copied, ["exact duplicates across splits"], True),
        (copied_within, ["exact duplicates"], False),
        (relabeled, ["contradicting labels", "exact duplicates"], True),
        (nearly_copied, ["near duplicates across splits"], True),
        (unlabeled, ["videos without label"], False),
        (without_split, ["videos without split"], False),
        (alone_in_test, ["classes without training videos"], True),
        (rarely_tested, ["classes with few test videos"], False),
        (one_video, ["classes without training videos", "classes with few test videos", "classes of one video"], True),
        (one_frame, ["videos of one frame"], False),
        (short, ["videos shorter than a window"], False),
        (long, ["extreme lengths"], False),
        (constant, ["constant dimensions"], False),
        (alike, ["labels that look alike", "classes with few test videos"], True),
    ],
)
def test_each_defect_is_found_and_nothing_else(
    tmp_path: Path, defect: Callable[[Videos, dict[str, str]], None], expected: list[str], is_problem: bool
) -> None:
    videos = clips()
    splits = splits_of(videos)
    defect(videos, splits)
    found = vidrep.check(features_of(tmp_path, videos, splits))
    assert kinds(found) == expected
    assert bool(found.problems) == is_problem
    assert all(one.what and one.remedy for one in found.findings)


def test_values_that_are_not_finite_are_a_problem(tmp_path: Path) -> None:
    features = with_value(features_of(tmp_path, clips()), "left/03.npy", 15, np.nan)
    found = vidrep.check(features)
    assert kinds(found) == ["values that are not finite"]
    assert [one.video for one in found.problems[0].videos] == ["left/03.npy"]
    assert found.num_compared == 39


def test_features_that_never_change_are_a_problem(tmp_path: Path) -> None:
    found = vidrep.check(features_of(tmp_path, {key: np.ones_like(one) for key, one in clips().items()}))
    assert kinds(found) == ["contradicting labels", "constant features", "exact duplicates"]


def test_groups_across_splits_and_what_a_random_split_leaks(tmp_path: Path) -> None:
    videos = clips()
    features = features_of(tmp_path, videos, splits_of(videos))
    found = vidrep.check(features, group_blocks=10)
    assert kinds(found) == ["groups across splits"]
    assert found.num_groups == 8 and len(found.problems[0].videos) == 40
    assert "16 of 16 test videos have a video of their group outside the test split" in found.problems[0].what
    whole = {key: Annotation(None, "test" if int(key[-6:-4]) < 10 else "train") for key in videos}
    found = vidrep.check(features, annotations=whole, group_blocks=10)
    assert found.findings == []
    # 4 of 20 a label are held out; groups have 5 videos, so that none is held out whole.
    assert found.split is not None and found.split.num_test == found.split.num_beside == 8
    assert found.shares_group is not None and found.shares_by_chance is not None and found.shares_by_chance < 0.3


def test_the_table_has_all_videos_and_replaces_only_such_a_table(tmp_path: Path) -> None:
    videos = clips()
    splits = splits_of(videos)
    copied(videos, splits)
    features, path = features_of(tmp_path, videos, splits), tmp_path / "found.csv"
    for _ in range(2):
        found = vidrep.check(features, table=path)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["finding"] == "exact duplicates across splits" and row["severity"] == "problem"
    assert {row["video"], row["other"]} == {"left/01.npy", "left/copy.npy"}
    assert {row["split"], row["other_split"]} == {"train", "test"}
    assert json.loads(json.dumps(found.to_json()))["findings"][0]["videos"][0]["label"] == "left"
    path.write_text("mine\n", encoding="utf-8")
    with pytest.raises(OutputError, match=r"found\.csv exists and is no table of `vidrep check`"):
        vidrep.check(features, table=path)
    with pytest.raises(OutputError, match="is a folder; give the name of a CSV file"):
        vidrep.check(features, table=tmp_path)


def test_too_few_videos_are_not_searched(tmp_path: Path) -> None:
    found = vidrep.check(features_of(tmp_path, clips(10)))
    assert found.num_compared == 0 and found.findings == []


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        vidrep.check(tmp_path / "none.h5")
    with pytest.raises(ConfigError, match="a window of 0 frames; give 1 or more"):
        vidrep.check(features_of(tmp_path, clips(4)), window=0)
