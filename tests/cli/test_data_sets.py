"""A rehearsal on data sets as they come: one command each, as the guide has it, gives labels, splits and groups.

The folders have the shapes and the names of UCF-101, HMDB-51, Kinetics-400, Something-Something-V2, Diving48, THUMOS14,
a DeepLabCut project and recordings of one animal each; the videos are 4 frames of 16x16.
"""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from running import vidrep

from vidrep.features.store import Features, open_features
from vidrep.video.writing import write_h264

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guide.md"
SECTION = "### Data sets as they come"
Rows = dict[str, tuple[str, str, str]]


def write_videos(*names: str) -> None:
    """Write videos with different frames. FFmpeg goes by content: H.264 in MP4 has any extension here."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = int.from_bytes(name.encode(), "little")
        frames = np.random.default_rng(seed).integers(0, 256, (4, 16, 16, 3), np.uint8)
        write_h264(path, frames, frames_per_second=5)


def write_images(folder: str, prefix: str, numbers: Sequence[int], *, digits: int, suffix: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    shade = sum(folder.encode()) % 50  # so that no two folders hold the same
    for number in numbers:
        image = np.full((16, 16, 3), 10 * (number % 20) + shade, np.uint8)
        assert cv2.imwrite(f"{folder}/{prefix}{number:0{digits}}{suffix}", image)


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8", newline="")


# ---- the data sets


def write_ucf101() -> None:
    write_videos(
        "UCF-101/Archery/v_Archery_g08_c01.avi",
        "UCF-101/Archery/v_Archery_g08_c02.avi",
        "UCF-101/Archery/v_Archery_g01_c01.avi",
        "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi",
    )
    write("ucfTrainTestlist/classInd.txt", "1 Archery\r\n2 HandstandPushups\r\n")
    write("ucfTrainTestlist/trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\r\nArchery/v_Archery_g08_c02.avi 1\r\n")
    write(
        "ucfTrainTestlist/testlist01.txt",
        "Archery/v_Archery_g01_c01.avi\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi\r\n",
    )
    for name in ("trainlist02.txt", "testlist02.txt"):
        write(f"ucfTrainTestlist/{name}", "Archery/v_Archery_g01_c01.avi 1\n")


def write_hmdb51() -> None:
    write_videos(
        "hmdb51_org/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
        "hmdb51_org/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi",
        "hmdb51_org/clap/#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi",
        "hmdb51_org/clap/(HQ)_Rock_&_Roll;_live_clap_u_nm_np1_fr_med_3.avi",
    )
    lists = "testTrainMulti_7030_splits"
    write(
        f"{lists}/brush_hair_test_split1.txt",
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \nApril_09_brush_hair_u_nm_np1_ba_goo_1.avi 0 \n",
    )
    write(
        f"{lists}/clap_test_split1.txt",
        "#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi 2 \n(HQ)_Rock_&_Roll;_live_clap_u_nm_np1_fr_med_3.avi 1 \n",
    )
    for name in ("brush_hair", "clap"):
        write(f"{lists}/{name}_test_split2.txt", "")


KINETICS = {
    "train": ("air drumming", "-3B32lodo2M", 59),
    "val": ("abseiling", "_4RhfC0jgnc", 1),
    "test": ("", "zzz32lodo2M", 7),
}


def write_kinetics(*, flat: bool) -> None:
    """Write the videos of KINETICS and its lists; flat: the test videos too, and all without class folders."""
    for split, (label, video, start) in KINETICS.items():
        if flat or label:
            write_videos(f"k400/{split}/{'' if flat else label + '/'}{video}_{start:06}_{start + 10:06}.mp4")
        name = {"val": "validate"}.get(split, split)
        label_column, label = ("label,", f"{label},") if label else ("", "")
        header = f"{label_column}youtube_id,time_start,time_end,split,is_cc"
        lines = [header, f"{label}{video},{start},{start + 10},{name},0"]
        lines += [f"{label}not_there__,0,10,{name},0"] if split == "train" else []
        write(f"k400_lists/{name}.csv", "\n".join(lines) + "\n")


def write_something_something() -> None:
    write_videos(*(f"20bn-something-something-v2/{number}.webm" for number in (74225, 116154, 198186, 1420)))
    classes = {"Spinning something so it continues spinning": "0", "Holding something, then dropping it": "1"}
    write("labels/labels.json", json.dumps(classes))
    first = {
        "id": "74225",
        "label": "spinning cube so it continues spinning",
        "template": "Spinning [something] so it continues spinning",
        "placeholders": ["cube"],
    }
    second = {"id": "116154", "label": "x", "template": "Holding [something], then dropping it", "placeholders": ["x"]}
    write("labels/train.json", json.dumps([first, second]))
    write("labels/validation.json", json.dumps([{**first, "id": "198186"}]))
    write("labels/test.json", json.dumps([{"id": "1420"}]))
    write("labels/test-answers.csv", "1420;Holding something, then dropping it\n")


def write_diving48() -> None:
    write_videos("rgb/_8Vy3dlHg2w_00000.mp4", "rgb/_8Vy3dlHg2w_00001.mp4", "rgb/0sKg--Inj8k_00003.mp4")
    write("Diving48/Diving48_vocab.json", json.dumps([["Back", "15som", "05Twis", "FREE"], ["Fwd", "15som", "PIKE"]]))
    one = {"vid_name": "_8Vy3dlHg2w_00000", "start_frame": 0, "label": 1, "end_frame": 100}
    write("Diving48/Diving48_V2_train.json", json.dumps([one, {**one, "vid_name": "_8Vy3dlHg2w_00001", "label": 0}]))
    write("Diving48/Diving48_V2_test.json", json.dumps([{**one, "vid_name": "0sKg--Inj8k_00003"}]))


def write_thumos14() -> None:
    for video in ("video_validation_0000051", "video_validation_0000052", "video_test_0000004"):
        write_images(f"rawframes/{video}", "img_", range(1, 5), digits=5, suffix=".jpg")
        write_images(f"rawframes/{video}", "flow_x_", range(1, 5), digits=5, suffix=".jpg")
        write_images(f"rawframes/{video}", "flow_y_", range(1, 5), digits=5, suffix=".jpg")
    write(
        "thumos14_lists/thumos14_train_list_rawframes.txt",
        "video_validation_0000051 4 1\nvideo_validation_0000052 4 0\n",
    )
    write("thumos14_lists/thumos14_test_list_rawframes.txt", "video_test_0000004 4 1\n")
    write("thumos14_lists/label_map.txt", "BaseballPitch\nBasketballDunk\n")


def write_deeplabcut() -> None:
    for video in ("m1-trial1", "m2-trial1"):
        write_videos(f"reach-anna-2024-05-01/videos/{video}.avi")
        labeled = f"reach-anna-2024-05-01/labeled-data/{video}"
        write_images(labeled, "img", (3, 8, 18), digits=3, suffix=".png")
        write(f"{labeled}/CollectedData_anna.csv", "scorer,,,anna\n")
        write(f"{labeled}/CollectedData_anna.h5", "")
    write("reach-anna-2024-05-01/config.yaml", "Task: reach\n")
    write("reach-anna-2024-05-01/videos/m1-trial1DLC_resnet50.csv", "")


def write_recordings() -> None:
    write_videos(
        "recordings/mouse1/2024-05-01/cam1_00000.mp4",
        "recordings/mouse1/2024-05-01/cam1_00001.mp4",
        "recordings/mouse1/2024-05-02/cam1_00000.mp4",
        "recordings/mouse2/2024-05-01/cam1_00000.mp4",
    )
    write("recordings/mouse1/2024-05-01/cam1_00000_outputs.csv", "")


@dataclass(frozen=True)
class DataSet:
    """A data set: what writes it, its command in the guide, and (label, split, group) of each video by its key.

    says: beginnings of the lines on standard error, without the progress.
    """

    write: Callable[[], None]
    command: str
    rows: Rows
    says: list[str] = field(default_factory=list)


HAND = "HandStandPushups_g01"
SPINNING, HOLDING = "Spinning something so it continues spinning", "Holding something, then dropping it"
FRAMES_AT_30 = "{} folders of numbered images are one video each, at 30 frames a second (--frame-rate); --images makes"
DATA_SETS = {
    "UCF-101": DataSet(
        write_ucf101,
        "vidrep extract patches UCF-101 -o ucf101.h5 --labels ucfTrainTestlist",
        {
            "Archery/v_Archery_g01_c01.avi": ("Archery", "test", "Archery_g01"),
            "Archery/v_Archery_g08_c01.avi": ("Archery", "train", "Archery_g08"),
            "Archery/v_Archery_g08_c02.avi": ("Archery", "train", "Archery_g08"),
            "HandstandPushups/v_HandStandPushups_g01_c01.avi": ("HandstandPushups", "test", HAND),
        },
        [
            "'ucfTrainTestlist': UCF-101's lists trainlist01.txt and testlist01.txt: 4 videos, 2 labels, 2 train, "
            "2 test, 3 groups"
        ],
    ),
    "HMDB-51": DataSet(
        write_hmdb51,
        "vidrep extract patches hmdb51_org -o hmdb51.h5 --labels testTrainMulti_7030_splits",
        {
            "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi": ("brush_hair", "train", "April_09_brush_hair"),
            "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi": ("brush_hair", "", "April_09_brush_hair"),
            "clap/#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi": ("clap", "test", "#20_Rhythm_clap"),
            "clap/(HQ)_Rock_&_Roll;_live_clap_u_nm_np1_fr_med_3.avi": (
                *("clap", "train"),
                "(HQ)_Rock_&_Roll;_live_clap",
            ),
        },
        [
            "'testTrainMulti_7030_splits': HMDB-51's lists with the number 1: 4 videos, 2 labels, 2 train, 1 test, "
            "3 groups"
        ],
    ),
    "Kinetics-400, by folders": DataSet(
        lambda: write_kinetics(flat=False),
        "vidrep extract patches k400 -o k400.h5",
        {
            "train/air drumming/-3B32lodo2M_000059_000069.mp4": ("air drumming", "train", ""),
            "val/abseiling/_4RhfC0jgnc_000001_000011.mp4": ("abseiling", "validation", ""),
        },
        ["'k400': train, val are splits, and the folders in them classes (with --no-split-folders they are classes"],
    ),
    "Kinetics-400, by lists": DataSet(
        lambda: write_kinetics(flat=True),
        "vidrep extract patches k400 -o k400.h5 --labels k400_lists --no-class-folders",
        {
            "train/-3B32lodo2M_000059_000069.mp4": ("air drumming", "train", ""),
            "val/_4RhfC0jgnc_000001_000011.mp4": ("abseiling", "validation", ""),
            "test/zzz32lodo2M_000007_000017.mp4": ("", "test", ""),
        },
        [
            "'k400_lists': lists test.csv, train.csv, validate.csv: 4 videos, 2 labels, 2 train, 1 validation, 1 test",
            "warning: 1 videos are listed but not among the videos: not_there___000000_000010",
        ],
    ),
    "Something-Something-V2": DataSet(
        write_something_something,
        "vidrep extract patches 20bn-something-something-v2 -o ssv2.h5 --labels labels",
        {
            "74225.webm": (SPINNING, "train", ""),
            "116154.webm": (HOLDING, "train", ""),
            "198186.webm": (SPINNING, "validation", ""),
            "1420.webm": (HOLDING, "test", ""),
        },
        [
            "'labels': lists test-answers.csv, test.json, train.json, validation.json: 4 videos, 2 labels, 2 train, "
            "1 validation, 1 test"
        ],
    ),
    "Diving48": DataSet(
        write_diving48,
        r"vidrep extract patches rgb -o diving48.h5 --labels Diving48 --group '(.+)_\d+'",
        {
            "_8Vy3dlHg2w_00000.mp4": ("Fwd_15som_PIKE", "train", "_8Vy3dlHg2w"),
            "_8Vy3dlHg2w_00001.mp4": ("Back_15som_05Twis_FREE", "train", "_8Vy3dlHg2w"),
            "0sKg--Inj8k_00003.mp4": ("Fwd_15som_PIKE", "test", "0sKg--Inj8k"),
        },
        ["'Diving48': lists Diving48_V2_test.json, Diving48_V2_train.json: 3 videos, 2 labels, 2 train, 1 test"],
    ),
    "THUMOS14": DataSet(
        write_thumos14,
        "vidrep extract patches rawframes -o thumos14.h5 --labels thumos14_lists --frame-rate 30",
        {
            "video_test_0000004": ("BasketballDunk", "test", ""),
            "video_validation_0000051": ("BasketballDunk", "train", ""),
            "video_validation_0000052": ("BaseballPitch", "train", ""),
        },
        [
            FRAMES_AT_30.format(3),
            "warning: other images in folders of frames are left out: 12 'flow_x_...', 12 'flow_y_...'",
            "'thumos14_lists': lists thumos14_test_list_rawframes.txt, thumos14_train_list_rawframes.txt: 3 videos, "
            "2 labels, 2 train, 1 test",
        ],
    ),
    "DeepLabCut, videos": DataSet(
        write_deeplabcut,
        "vidrep extract patches reach-anna-2024-05-01/videos -o reach.h5 --group '(m[0-9]+)-'",
        {"m1-trial1.avi": ("", "", "m1"), "m2-trial1.avi": ("", "", "m2")},
        ["'reach-anna-2024-05-01/videos': 1 files are left out, no videos by their extensions: 1 .csv"],
    ),
    "DeepLabCut, labeled frames": DataSet(
        write_deeplabcut,
        "vidrep extract patches reach-anna-2024-05-01/labeled-data -o labeled.h5 --frame-rate 30 --group '(m[0-9]+)-'",
        {"m1-trial1": ("", "", "m1"), "m2-trial1": ("", "", "m2")},
        [
            "'reach-anna-2024-05-01/labeled-data': 4 files are left out, no videos by their extensions: 2 .csv, 2 .h5",
            FRAMES_AT_30.format(2),
            "warning: 2 videos are whole, but note: m1-trial1: 13 of the numbers 3 to 18 are missing, and their time",
        ],
    ),
    "recordings": DataSet(
        write_recordings,
        "vidrep extract patches recordings -o recordings.h5 --no-class-folders --group '[^/]+'",
        {
            "mouse1/2024-05-01/cam1_00000.mp4": ("", "", "mouse1"),
            "mouse1/2024-05-01/cam1_00001.mp4": ("", "", "mouse1"),
            "mouse1/2024-05-02/cam1_00000.mp4": ("", "", "mouse1"),
            "mouse2/2024-05-01/cam1_00000.mp4": ("", "", "mouse2"),
        },
        ["'recordings': 1 files are left out, no videos by their extensions: 1 .csv"],
    ),
}


def run(command: str, code: int = 0) -> tuple[list[str], Features]:
    """Run a command of the guide, with features as small as can be; return what it says, and the features."""
    words = shlex.split(command)
    got, _, stderr = vidrep(*words[1:], "--size", 8, "--workers", 0)
    assert got == code, stderr
    return said(stderr), open_features(words[words.index("-o") + 1])


def said(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if not line.startswith("extract")]


def rows_of(features: Features) -> Rows:
    return {row.path: (row.label, row.split, row.group) for row in features.videos}


@pytest.mark.parametrize("name", DATA_SETS)
def test_labels_splits_and_groups_are_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data_set = DATA_SETS[name]
    data_set.write()
    lines, features = run(data_set.command)
    assert rows_of(features) == data_set.rows
    assert {row.status for row in features.videos} == {"ok"}
    assert len(lines) == len(data_set.says), lines
    for line, beginning in zip(lines, data_set.says, strict=True):
        assert line.startswith(beginning), line
    again, features = run(data_set.command)  # what is there stays
    assert rows_of(features) == data_set.rows
    assert [line for line in again if "whole, but note" not in line] == [
        line for line in lines if "whole, but note" not in line
    ]


def test_the_guide_has_these_commands() -> None:
    _, _, text = GUIDE.read_text(encoding="utf-8").partition(f"{SECTION}\n")
    section = re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0]
    commands = [line.partition(" # ")[0].strip() for line in section.splitlines() if line.startswith("    vidrep ")]
    assert commands == list(dict.fromkeys(data_set.command for data_set in DATA_SETS.values()))


# ---- bad input

UCF101, DIVING48 = DATA_SETS["UCF-101"], DATA_SETS["Diving48"]
THUMOS14 = DATA_SETS["THUMOS14"]
TEST_LIST = "thumos14_lists/thumos14_test_list_rawframes.txt"


@pytest.mark.parametrize(
    ("data_set", "change", "more", "line"),
    [
        (UCF101, {}, "--split-number 4", "'ucfTrainTestlist' has no lists with the number 4: it has 1, 2"),
        (
            UCF101,
            {"ucfTrainTestlist/testlist01.txt": "Archery/v_Archery_g08_c01.avi\n"},
            "",
            "'ucfTrainTestlist/trainlist01.txt', line 1 and 'ucfTrainTestlist/testlist01.txt', line 1: "
            "'Archery/v_Archery_g08_c01.avi' is in the splits 'train' and 'test'; keep one of them",
        ),
        (
            DIVING48,
            {"Diving48/Diving48_vocab.json": "[]"},
            "",
            "class number 1 is not in 'Diving48/Diving48_vocab.json', which names none; add its name",
        ),
        (
            THUMOS14,
            {TEST_LIST: "video_test_0000004 4 0\nvideo_test_0000004 4 1\n"},
            "",
            f"'{TEST_LIST}', line 1 and '{TEST_LIST}', line 2: 'video_test_0000004' has the labels '0' and '1'; "
            "correct one of them",
        ),
    ],
)
def test_bad_lists_are_one_line(
    data_set: DataSet,
    change: dict[str, str],
    more: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data_set.write()
    for name, text in change.items():
        write(name, text)
    words = shlex.split(f"{data_set.command} {more}")
    code, _, stderr = vidrep(*words[1:], "--size", 8, "--workers", 0)
    assert (code, said(stderr)[-1]) == (3, f"vidrep: {line}")
    assert not Path(words[words.index("-o") + 1]).exists()


def test_a_whole_deeplabcut_project_says_that_it_holds_videos_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_deeplabcut()
    lines, features = run("vidrep extract patches reach-anna-2024-05-01 -o f.h5")
    assert len(features) == 4
    assert (
        "warning: folders of frames have names of videos; name one of both if they are the same: "
        "'reach-anna-2024-05-01/labeled-data/m1-trial1', 'reach-anna-2024-05-01/labeled-data/m2-trial1'"
    ) in lines


def test_bad_folders_of_frames_are_one_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for prefix in ("x", "y"):
        write_images("clips/two schemes", prefix, (1, 2), digits=3, suffix=".png")
    write_images("clips/one image", "img_", (7,), digits=3, suffix=".png")
    write_images("clips/two sizes", "img_", (1, 2), digits=3, suffix=".png")
    assert cv2.imwrite("clips/two sizes/img_003.png", np.zeros((8, 24, 3), np.uint8))
    lines, features = run("vidrep extract patches clips -o f.h5", code=4)
    assert [(row.path, row.length, row.status) for row in features.videos] == [("two sizes", 3, "ok")]
    assert [lines[0], *lines[2:]] == [
        "'clips': 1 files are left out, no videos by their extensions: 1 .png",
        "warning: 1 videos are whole, but note: two sizes: 1 images are not 16x16 as the first, such as 'img_003.png' "
        "of 24x8",
        "failed: two schemes: 2 numbering schemes, 2 'x...', 2 'y...', and none is img_: leave one in the folder",
        "1 videos failed, 0 are partial; all are listed in f.failures.csv",
    ]
