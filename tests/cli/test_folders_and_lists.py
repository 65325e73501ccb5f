"""`vidrep extract` of folders and lists as people bring them: what is printed, the exit code, labels and splits."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from running import vidrep

from vidrep.features.annotations import annotate
from vidrep.features.groups import GroupRule
from vidrep.features.store import open_features
from vidrep.video.writing import write_h264

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
SMALL = ("--size", "8", "--workers", "0")
Rows = dict[str, tuple[str, str, str]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write small videos, each with other frames, in a fresh current folder."""
    monkeypatch.chdir(tmp_path)

    def make_videos(*names: str) -> None:
        for name in names:
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = int.from_bytes(name.encode()[-16:], "little")
            write_h264(
                path, np.random.default_rng(seed).integers(0, 256, (2, 16, 16, 3), np.uint8), frames_per_second=5
            )

    return make_videos


def extract(*arguments: object, code: int = 0) -> list[str]:
    """Extract to f.h5; return the lines on standard error, without the progress."""
    got, _, stderr = vidrep("extract", "patches", *arguments, "-o", "f.h5", *SMALL)
    assert got == code, stderr
    return [line for line in stderr.splitlines() if not line.startswith("extract")]


def rows() -> Rows:
    """Return (label, split, group) by key."""
    return {row.path: (row.label, row.split, row.group) for row in open_features("f.h5").videos}


def failures() -> list[list[str]]:
    return list(csv.reader(Path("f.failures.csv").read_text(encoding="utf-8").splitlines()))[1:]


# ---- Unicode


def test_labels_in_one_form_are_those_of_a_folder_in_the_other(make: Callable[..., None]) -> None:
    make(f"clips/{DECOMPOSED}/a.mp4", "clips/run/b.mp4")
    Path("labels.csv").write_text(f"video,label\n{COMPOSED}/a.mp4,{COMPOSED} noir\nrun/b.mp4,run\n", encoding="utf-8")
    lines = extract("clips", "--labels", "labels.csv")
    assert lines == ["'labels.csv': a table separated by commas, columns video, label: 2 videos, 2 labels"]
    assert rows() == {f"{COMPOSED}/a.mp4": (f"{COMPOSED} noir", "", ""), "run/b.mp4": ("run", "", "")}


def test_mixed_sources_make_one_class(make: Callable[..., None]) -> None:
    make(f"mac/{DECOMPOSED}/a.mp4", f"linux/{COMPOSED}/b.mp4")
    extract("mac", "linux")
    assert {label for label, _, _ in rows().values()} == {COMPOSED}


def test_files_with_keys_in_the_other_form_go_on(make: Callable[..., None]) -> None:
    """A feature file of an earlier version has keys as they were on disk: the same videos are not computed again."""
    make(f"clips/{DECOMPOSED}/a.mp4", "clips/run/b.mp4")
    extract("clips")
    with h5py.File("f.h5", "r+") as file:
        for column in ("path", "label"):
            stored = [value.decode().replace(COMPOSED, DECOMPOSED).encode() for value in file[f"videos/{column}"]]
            del file[f"videos/{column}"]
            file[f"videos/{column}"] = np.array(stored)
    features = open_features("f.h5")
    assert [row.path for row in features.videos] == [f"{COMPOSED}/a.mp4", "run/b.mp4"]
    assert features.index(f"{COMPOSED}/a.mp4") == 0
    assert annotate(features, None, GroupRule(f"{DECOMPOSED}|run")).groups == [COMPOSED, "run"]
    code, stdout, _ = vidrep("extract", "patches", "clips", "-o", "f.h5", *SMALL)
    assert code == 0 and "2 videos, 4 frames; 0 new" in stdout
    assert rows() == {f"{COMPOSED}/a.mp4": (COMPOSED, "", ""), "run/b.mp4": ("run", "", "")}


# ---- splits


def test_folders_of_splits_are_splits_also_of_videos_that_are_there(make: Callable[..., None]) -> None:
    make("set/train/run/a.mp4", "set/train/jump/b.mp4", "set/test/run/c.mp4")
    assert extract("set", "--no-split-folders") == []
    assert rows()["test/run/c.mp4"] == ("run", "", "")
    line = (
        "'set': test, train are splits, and the folders in them classes (with --no-split-folders they are classes "
        "themselves)"
    )
    assert extract("set") == [line]
    expected = {
        "test/run/c.mp4": ("run", "test", ""),
        "train/jump/b.mp4": ("jump", "train", ""),
        "train/run/a.mp4": ("run", "train", ""),
    }
    assert rows() == expected
    Path("l.csv").write_text("video,split\ntrain/run/a.mp4,validation\n")
    extract("set", "--labels", "l.csv")
    expected["train/run/a.mp4"] = ("run", "validation", "")
    without_splits = {key: (label, "", "") for key, (label, _, _) in expected.items()}
    assert rows() == without_splits | {"train/run/a.mp4": ("run", "validation", "")}
    extract("set")  # splits that were named stay, the others are those of the folders again
    assert rows() == expected


# ---- what is left out


def test_files_left_out_are_one_line(make: Callable[..., None]) -> None:
    make("clips/run/a.mp4", "clips/jump/b.mp4")
    for name in ("clips/walk/c.xyz", "clips/walk/d.xyz", "clips/labels.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    line = "'clips': 3 files are left out, no videos by their extensions: 2 .xyz, 1 .csv"
    assert extract("clips") == [line]
    Path("l.csv").write_text("video,label\nrun/a.mp4,run\njump/b.mp4,jump\nwalk/c.xyz,walk\n")
    assert extract("clips", "--labels", "l.csv")[-1] == (
        "warning: 1 videos are listed but not among the videos: walk/c.xyz"
    )


# ---- folders without permission


def close_lost_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no lost+found be read; a mode would not do, for tests may run as root."""
    scandir = os.scandir

    def scan(folder: Path) -> object:
        if Path(folder).name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)


def test_a_folder_without_permission_is_a_failure_among_others(
    make: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make("clips/a.mp4", "clips/run/b.mp4", "clips/lost+found/c.mp4")
    close_lost_and_found(monkeypatch)
    why = "the folder cannot be read (Permission denied)"
    listed = [["lost+found", "failed", why, "clips/lost+found"]]
    assert extract("clips", code=4) == [
        f"failed: lost+found: {why}",
        "1 videos failed, 0 are partial; all are listed in f.failures.csv",
    ]
    assert failures() == listed
    assert set(rows()) == {"a.mp4", "run/b.mp4"}
    Path("l.csv").write_text("video,label\na.mp4,x\nrun/b.mp4,y\n")
    lines = extract("clips", "--labels", "l.csv", code=4)
    assert lines[1:] == [
        f"failed: lost+found: {why}",
        "1 videos failed, 0 are partial; all are listed in f.failures.csv",
    ]
    code, stdout, _ = vidrep("extract", "patches", "clips", "-o", "g.h5", *SMALL, "--dry-run")
    assert code == 0
    assert stdout.splitlines()[0] == "2 videos, 1 class folders -> g.h5; 1 of the 3 tried cannot be read"


def test_rows_below_a_folder_without_permission_are_not_pruned(
    make: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make("clips/a.mp4", "clips/run/b.mp4", "clips/lost+found/c.mp4")
    extract("clips")
    Path("clips/a.mp4").unlink()
    close_lost_and_found(monkeypatch)
    extract("clips", "--prune", code=4)
    assert set(rows()) == {"a.mp4", "run/b.mp4", "lost+found/c.mp4"}  # what is gone cannot be told


# ---- URLs


@pytest.mark.usefixtures("make")
def test_a_url_is_one_line() -> None:
    why = "is a URL, and vidrep reads files alone: download it first, then name the file"
    assert extract("https://example.org/a.mp4", code=3) == [f"vidrep: 'https://example.org/a.mp4' {why}"]


# ---- lists


def test_a_list_with_two_labels_for_a_video_is_one_line(make: Callable[..., None]) -> None:
    make("clips/a.mp4")
    Path("l.txt").write_text("a.mp4 run\na.mp4 jump\n")
    assert extract("clips", "--labels", "l.txt", code=3) == [
        "vidrep: 'l.txt', line 1 and 'l.txt', line 2: 'a.mp4' has the labels 'run' and 'jump'; correct one of them"
    ]
    assert not Path("f.h5").exists()


def test_absolute_paths_in_a_list_are_those_of_the_videos(make: Callable[..., None], tmp_path: Path) -> None:
    make("clips/a.mp4", "clips/run/a.mp4")
    Path("l.csv").write_text(f"Video;Label;Group\r\n{tmp_path}/clips/a.mp4;x;p1\r\n{tmp_path}/clips/run/a;y;p2\r\n")
    extract("clips", "--labels", "l.csv")
    assert rows() == {"a.mp4": ("x", "", "p1"), "run/a.mp4": ("y", "", "p2")}


def test_hmdb51_in_one_command(make: Callable[..., None]) -> None:
    make("HMDB/sword/Film_sword_f_0.avi.mp4", "HMDB/run/Film_run_f_0.avi.mp4", "HMDB/run/Other_run_f_1.avi.mp4")
    Path("lists").mkdir()
    Path("lists/sword_test_split2.txt").write_text("Film_sword_f_0.avi 1 \n")
    Path("lists/run_test_split2.txt").write_text("Film_run_f_0.avi 2 \nOther_run_f_1.avi 0 \n")
    for name in ("sword/Film_sword_f_0", "run/Film_run_f_0", "run/Other_run_f_1"):
        Path(f"HMDB/{name}.avi.mp4").rename(f"HMDB/{name}.avi")
    assert extract("HMDB", "--labels", "lists", "--split-number", "2") == [
        "'lists': HMDB-51's lists with the number 2: 3 videos, 2 labels, 1 train, 1 test, 3 groups"
    ]
    assert rows() == {
        "run/Film_run_f_0.avi": ("run", "test", "Film_run"),
        "run/Other_run_f_1.avi": ("run", "", "Other_run"),
        "sword/Film_sword_f_0.avi": ("sword", "train", "Film_sword"),
    }


def test_two_lists_are_two_splits(make: Callable[..., None]) -> None:
    make("v/1.mp4", "v/2.mp4")
    Path("train.json").write_text('[{"id": "1", "template": "Tearing [something]"}]')
    Path("validation.json").write_text('[{"id": "2", "template": "Tearing [something]"}]')
    extract("v", "--labels", "train.json", "--labels", "validation.json")
    assert rows() == {"1.mp4": ("Tearing something", "train", ""), "2.mp4": ("Tearing something", "validation", "")}


# ---- folders that are no classes, and groups


def test_folders_of_recordings_are_no_classes(make: Callable[..., None]) -> None:
    make("set/train/mouse1/a.mp4", "set/test/mouse2/b.mp4", "set/test/c.mp4")
    assert extract("set", "--no-class-folders") == [
        "'set': test, train are splits (with --no-split-folders they are none)"
    ]
    expected = {"train/mouse1/a.mp4": ("", "train", ""), "test/mouse2/b.mp4": ("", "test", "")}
    assert rows() == {**expected, "test/c.mp4": ("", "test", "")}


def test_groups_of_a_pattern_are_kept_also_of_videos_that_are_there(make: Callable[..., None]) -> None:
    make("set/run/m1_a.mp4", "set/run/m2_b.mp4", "set/jump/m2_c.mp4")
    Path("l.csv").write_text("video,label,group\nrun/m1_a.mp4,walk,anna\n")
    extract("set", "--labels", "l.csv", "--labels-extend")
    extract("set", "--group", "(m[0-9])_", "--labels", "l.csv", "--labels-extend")
    first = {
        "jump/m2_c.mp4": ("jump", "", "m2"),
        "run/m1_a.mp4": ("walk", "", "anna"),
        "run/m2_b.mp4": ("run", "", "m2"),
    }
    assert rows() == first
    extract("set")
    assert rows() == first
    extract("set", "--group", "^[a-z]+")
    assert {key: group for key, (_, _, group) in rows().items()} == {
        "jump/m2_c.mp4": "jump",
        "run/m1_a.mp4": "run",
        "run/m2_b.mp4": "run",
    }
    assert rows()["run/m1_a.mp4"][0] == "walk"
    assert extract("set", "--group", "m2", code=3) == [
        "vidrep: group pattern 'm2' finds nothing in 1 of 3 keys, first in 'run/m1_a.mp4'; give one that matches every "
        "key, or name groups in a column 'group' of --labels"
    ]
