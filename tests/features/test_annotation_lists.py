"""Lists of data sets and of spreadsheets are recognized by their content, and named in one line of the log."""

import json
import logging
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vidrep.errors import LabelError
from vidrep.features.annotation_files import read_annotations
from vidrep.features.annotations import Annotation, merge

Result = dict[str, tuple[str, str, str]]


def write(folder: Path, name: str, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def merged(keys: list[str], annotations: dict[str, Annotation]) -> Result:
    """Return (label, split, group) of the videos with these keys, all of which the annotations must name."""
    result = merge(keys, [""] * len(keys), [""] * len(keys), annotations)
    assert (result.missing, result.unlisted) == ([], [])
    return dict(zip(keys, zip(result.labels, result.splits, result.groups, strict=True), strict=True))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.INFO, "vidrep")
    return caplog.messages


def log_of(caplog: pytest.LogCaptureFixture, path: Path) -> str:
    """Return the one line of the log, without the path in front."""
    (line,) = caplog.messages
    caplog.clear()
    assert line.startswith(f"'{path}': ")
    return line.removeprefix(f"'{path}': ")


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidrep")


def refusal(path: Path | list[Path], **options: Any) -> str:
    with pytest.raises(LabelError) as caught:
        read_annotations(labels=path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- spreadsheets


def test_excels_csv(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "\ufeffVIDEO;Label;Split;Person;Notes\r\nrun\\a.mp4;run;Train;anna;good; \r\n".replace("; \r", "\r")
        + 'C:\\data\\clips\\jump\\b.mp4;jump;TEST;ben;"semi;colon"\r\n'
        "/data/clips/jump/c.mp4;jump;val;ben;\r\n"
        "d;run;;;\r\n"
    )
    path = write(tmp_path, "labels.csv", text)
    keys = ["run/a.mp4", "jump/b.mp4", "jump/c.mp4", "run/d.avi"]
    assert merged(keys, read_annotations(labels=path)) == {
        "run/a.mp4": ("run", "train", "anna"),
        "jump/b.mp4": ("jump", "test", "ben"),
        "jump/c.mp4": ("jump", "validation", "ben"),
        "run/d.avi": ("run", "", ""),
    }
    assert log_of(caplog, path) == (
        "a table separated by semicolons, columns video, label, split, person as group (left out: Notes): 4 videos, "
        "2 labels, 1 train, 1 validation, 1 test, 2 groups"
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("video,label\r\na.mp4,x\r\n", "utf-8"),
        ("sep=;\r\nVideo;Label\r\na.mp4;x\r\n", "utf-8-sig"),
        ("\r\n;;\r\nvideo;label;\r\n".replace(";\r", "\r") + "a.mp4;x\r\n", "utf-8"),
        ("video\tlabel\r\na.mp4\tx\r\n", "utf-16"),  # "Unicode text"
        ('"video","label"\n"a.mp4","x"\n', "utf-8"),
        ("File Name,Class\na.mp4,x\n", "utf-8"),
        ("clip-name;id;Action\na.mp4;7;x\n", "utf-8"),
        ("label,path,width\nx,a.mp4,640\n", "utf-8"),
    ],
)
def test_tables_in_other_forms(tmp_path: Path, text: str, encoding: str) -> None:
    annotations = read_annotations(labels=write(tmp_path, "l.csv", text, encoding=encoding))
    assert annotations == {"a.mp4": Annotation("x", None)}


def test_of_columns_with_one_meaning_the_first_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "l.csv", "clip_name,clip_path,recording,person,label\nx,run/a.mp4,r1,anna,run\n")
    assert read_annotations(labels=path) == {"run/a.mp4": Annotation("run", None, "anna")}
    assert log_of(caplog, path) == (
        "a table separated by commas, columns clip_path as video, label, person as group (left out: clip_name, "
        "recording): 1 videos, 1 labels, 1 groups"
    )


def test_a_short_row_names_what_separates_values(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", "video;label\na.mp4;x;y\n")
    assert refusal(path) == f"'{path}', line 2: 3 values for 2 columns (video;label); quote values that hold semicolons"


def test_a_spreadsheet_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.xlsx").write_bytes(b"PK\x03\x04\x14\0\0\0\x08\0")
    with pytest.raises(Exception, match=r"holds binary data, no text: save it as UTF-8 text \(a spreadsheet as CSV\)"):
        read_annotations(labels=tmp_path / "labels.xlsx")


# ---- UCF-101


def test_ucf101_names_have_groups(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "classInd.txt", "1 Archery\n2 Handstand\n")
    write(tmp_path, "trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\nHandstand/v_HandStand_g09_c03.avi 2\n")
    write(tmp_path, "testlist01.txt", "Archery/v_Archery_g01_c02.avi\n")
    expected = {
        "UCF-101/Archery/v_Archery_g08_c01.avi": ("Archery", "train", "Archery_g08"),
        "UCF-101/Handstand/v_HandStand_g09_c03.avi": ("Handstand", "train", "HandStand_g09"),
        "UCF-101/Archery/v_Archery_g01_c02.avi": ("Archery", "test", "Archery_g01"),
    }
    for path in (tmp_path, tmp_path / "trainlist01.txt"):
        assert merged(list(expected), read_annotations(labels=path)) == expected
        line = "UCF-101's lists trainlist01.txt and testlist01.txt: 3 videos, 2 labels, 2 train, 1 test, 3 groups"
        assert log_of(caplog, path) == line
    table = write(tmp_path, "l.csv", "video,label,group\nv_Archery_g08_c01,x,\nv_Archery_g01_c02,x,own\n")
    groups = {name: one.group for name, one in read_annotations(labels=table).items()}
    assert groups == {"v_Archery_g08_c01": "", "v_Archery_g01_c02": "own"}  # a column is what it says


# ---- HMDB-51


def test_hmdb51(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "draw_sword_test_split1.txt", "Old_Film_draw_sword_f_cm_np1_ba_med_0.avi 1 \nx!(1)_y.avi 0 \n")
    write(tmp_path, "sword_test_split1.txt", "Old_Film_sword_f_cm_np1_ba_med_3.avi 2 \n")
    write(tmp_path, "sword_test_split2.txt", "Old_Film_sword_f_cm_np1_ba_med_3.avi 1 \n")
    expected = {
        "draw_sword/Old_Film_draw_sword_f_cm_np1_ba_med_0.avi": ("draw_sword", "train", "Old_Film_draw_sword"),
        "draw_sword/x!(1)_y.avi": ("draw_sword", "", ""),
        "sword/Old_Film_sword_f_cm_np1_ba_med_3.avi": ("sword", "test", "Old_Film_sword"),
    }
    line = "HMDB-51's lists with the number 1: 3 videos, 2 labels, 1 train, 1 test, 2 groups"
    for path in (tmp_path, tmp_path / "sword_test_split1.txt"):
        assert merged(list(expected), read_annotations(labels=path)) == expected
        assert log_of(caplog, path) == line
    bare = [key.partition("/")[2].removesuffix(".avi") for key in expected]  # folders of frames, all in one folder
    assert list(merged(bare, read_annotations(splits=tmp_path)).values()) == list(expected.values())
    assert [one.split for one in read_annotations(labels=tmp_path, number=2).values()] == ["train"]
    assert refusal(tmp_path, number=3) == f"'{tmp_path}' has no lists with the number 3: it has 1, 2"
    write(tmp_path, "run_test_split1.txt", "a.avi 1\nb.avi 3\n")
    assert refusal(tmp_path) == (
        f"'{tmp_path}/run_test_split1.txt', line 2: 'b.avi 3' is not a video and 0, 1 or 2; write 1 for training, "
        "2 for testing"
    )


# ---- Kinetics

KINETICS = {
    "train/testifying/---QUuC4vJs_000084_000094.mp4": ("testifying", "validation", ""),
    "washing dishes/--07WQ2iBlw.mp4": ("washing dishes", "train", ""),
}


def test_kinetics_csv(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "label,youtube_id,time_start,time_end,split,is_cc\n"
    text += 'testifying,---QUuC4vJs,84,94,validate,0\n"washing dishes",--07WQ2iBlw,1,11,train,0\n'
    path = write(tmp_path, "kinetics.csv", text)
    assert merged(list(KINETICS), read_annotations(labels=path)) == KINETICS
    assert log_of(caplog, path) == (
        "a table separated by commas, columns youtube_id as video, label, split (left out: is_cc): 2 videos, 2 labels, "
        "1 train, 1 validation"
    )


def test_kinetics_csv_for_testing_has_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "test.csv", "youtube_id,time_start,time_end,split\n--abc,3,13,test\n")
    assert merged(["--abc_000003_000013.mp4"], read_annotations(labels=path)) == {
        "--abc_000003_000013.mp4": ("", "test", "")
    }


def test_kinetics_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def entry(label: str, start: float, subset: str) -> dict[str, Any]:
        segment = {"label": label, "segment": [start, start + 10]}
        return {"annotations": segment, "duration": 10.0, "subset": subset, "url": "https://www.youtube.com/watch?v=x"}

    content: dict[str, Any] = {
        "---QUuC4vJs": entry("testifying", 84.0, "validate"),
        "--07WQ2iBlw": entry("washing dishes", 1.0, "train"),
    }
    path = write(tmp_path, "kinetics.json", json.dumps(content))
    assert merged(list(KINETICS), read_annotations(labels=path)) == KINETICS
    assert log_of(caplog, path) == (
        "JSON with a member a video, as Kinetics has it: 2 videos, 2 labels, 1 train, 1 validation"
    )
    for one in content.values():
        one["annotations"] = [one["annotations"]]  # as ActivityNet has it
    path = write(tmp_path, "activitynet.json", json.dumps({"version": "1", "database": content}))
    assert merged(list(KINETICS), read_annotations(labels=path)) == KINETICS
    content["--07WQ2iBlw"]["annotations"] *= 2
    path = write(tmp_path, "twice.json", json.dumps(content))
    assert merged(list(KINETICS), read_annotations(labels=path)) == KINETICS
    content["--07WQ2iBlw"]["annotations"].append({"label": "ironing", "segment": [20, 30]})
    path = write(tmp_path, "several.json", json.dumps(content))
    assert refusal(path) == (
        f"'{path}', '--07WQ2iBlw': has the labels 'washing dishes' and 'ironing'; vidrep takes one label a video"
    )


# ---- Something-Something


def something(folder: Path) -> None:
    train = [
        {"id": "78687", "label": "holding potato next to cup", "template": "Holding [something] next to [something]"}
        | {"placeholders": ["potato", "cup"]},
        {"id": "42", "label": "tearing paper", "template": "Tearing [something]", "placeholders": ["paper"]},
    ]
    validation = [{"id": "74225", "label": "x", "template": "Tearing [something]", "placeholders": []}]
    write(folder, "train.json", json.dumps(train))
    write(folder, "validation.json", json.dumps(validation))
    write(folder, "test.json", json.dumps([{"id": "1420"}]))
    write(folder, "labels.json", json.dumps({"Tearing something": "0", "Holding something next to something": "1"}))


def test_something_something_v2(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    something(tmp_path)
    expected = {
        "78687.webm": ("Holding something next to something", "train", ""),
        "42.webm": ("Tearing something", "train", ""),
        "74225.webm": ("Tearing something", "validation", ""),
        "1420.webm": ("", "test", ""),
    }
    assert merged(list(expected), read_annotations(labels=tmp_path)) == expected
    assert log_of(caplog, tmp_path) == (
        "lists test.json, train.json, validation.json: 4 videos, 2 labels, 2 train, 1 validation, 1 test"
    )
    two = read_annotations(labels=[tmp_path / "train.json", tmp_path / "validation.json"])
    del expected["1420.webm"]
    assert merged(list(expected), two) == expected
    assert len(caplog.messages) == 2
    caplog.clear()
    path = tmp_path / "train.json"
    assert {one.split for one in read_annotations(labels=path).values()} == {None}  # one list alone is no split
    assert log_of(caplog, path) == "JSON with a list of videos, as Something-Something has it: 2 videos, 2 labels"
    write(tmp_path, "test-answers.csv", "1420;Tearing something\n")
    assert read_annotations(labels=tmp_path)["1420"] == Annotation("Tearing something", "test")


def test_something_something_v1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "something-something-v1-train.csv", "100218;Something falling, like a rock\n7;Tearing it\n")
    assert merged(["100218", "7"], read_annotations(labels=path)) == {
        "100218": ("Something falling, like a rock", "", ""),
        "7": ("Tearing it", "", ""),
    }
    assert log_of(caplog, path) == "a list of videos with their labels: 2 videos, 2 labels"


def test_diving48(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entries = [{"vid_name": f"x5dBzzqEqdk_0000{n}", "label": n, "start_frame": 0, "end_frame": 99} for n in (0, 1)]
    path = write(tmp_path, "Diving48_V2_train.json", json.dumps(entries[:1]))
    write(tmp_path, "Diving48_V2_test.json", json.dumps(entries[1:]))
    assert read_annotations(labels=path)["x5dBzzqEqdk_00000"].label == "0"
    assert log_of(caplog, path).startswith("JSON with a list of videos, as Something-Something has it, labels are num")
    write(tmp_path, "Diving48_vocab.json", json.dumps([["Back", "15som", "FREE"], ["Inward", "35som", "TUCK"]]))
    keys = ["rgb/x5dBzzqEqdk_00000.mp4", "rgb/x5dBzzqEqdk_00001.mp4"]
    assert merged(keys, read_annotations(labels=tmp_path)) == {
        keys[0]: ("Back_15som_FREE", "train", ""),
        keys[1]: ("Inward_35som_TUCK", "test", ""),
    }


# ---- lists without names of columns


@pytest.mark.parametrize(
    "text",
    [
        "a.mp4 run\nmy clip 2.mp4 long jump\n",
        "a.mp4\trun\nmy clip 2.mp4\tlong jump\n",
        'a.mp4,run\n"my clip 2.mp4",long jump\n',
        "a.mp4;run\r\n\r\nmy clip 2.mp4; long jump\r\n",
    ],
)
def test_path_and_label(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    path = write(tmp_path, "list.txt", text)
    expected = {"a.mp4": Annotation("run", None), "my clip 2.mp4": Annotation("long jump", None)}
    assert read_annotations(labels=path) == expected
    assert log_of(caplog, path) == "a list of videos with their labels: 2 videos, 2 labels"


def test_path_without_an_extension_and_label(tmp_path: Path) -> None:
    path = write(tmp_path, "list.txt", "anna/01 long jump\nanna/02 run 2\n")
    labels = {name: one.label for name, one in read_annotations(labels=path).items()}
    assert labels == {"anna/01": "long jump", "anna/02": "run 2"}


def test_mmaction2_video_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write(tmp_path, "ucf101_train_split_1_videos.txt", "Archery/v_Archery_g08_c01.avi 0\nB/v_B_g09_c01.avi 1\n")
    write(tmp_path, "ucf101_val_split_1_videos.txt", "Archery/v_Archery_g01_c01.avi 0\n")
    write(tmp_path, "ucf101_train_split_2_videos.txt", "Archery/v_Archery_g01_c01.avi 0\n")
    assert {name: one.label for name, one in read_annotations(labels=train).items()} == {
        "Archery/v_Archery_g08_c01.avi": "Archery",
        "B/v_B_g09_c01.avi": "B",
    }
    assert log_of(caplog, train) == (
        "a list of videos with their labels, numbers named by the videos' folders: 2 videos, 2 labels, 2 groups"
    )
    keys = ["Archery/v_Archery_g08_c01.avi", "B/v_B_g09_c01.avi", "Archery/v_Archery_g01_c01.avi"]
    assert merged(keys, read_annotations(labels=tmp_path)) == {
        keys[0]: ("Archery", "train", "Archery_g08"),
        keys[1]: ("B", "train", "B_g09"),
        keys[2]: ("Archery", "validation", "Archery_g01"),
    }
    assert read_annotations(labels=tmp_path, number=2) == {keys[2]: Annotation("Archery", "train", "Archery_g01")}
    assert refusal(tmp_path, number=4) == f"'{tmp_path}' has no lists with the number 4: it has 1, 2"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train/air drumming/abc 300 3\nval/x/d_01 40 0\n", "with their numbers of frames and labels"),
        ("train/air drumming/abc 1 300 3\nval/x/d_01 12 40 0\n", "with first frames, numbers of frames and labels"),
        ("train/air drumming/abc,300,3\nval/x/d_01,40,0\n", "with their numbers of frames and labels"),
    ],
)
def test_mmaction2_rawframe_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, what: str) -> None:
    write(tmp_path, "kinetics_label_map_k4.txt", "x\ny\nz\nair drumming\n")
    path = write(tmp_path, "train_list.txt", text)
    keys = ["air drumming/abc", "x/d_01"]
    expected = {keys[0]: ("air drumming", "", ""), keys[1]: ("x", "", "")}
    assert merged(keys, read_annotations(labels=path)) == expected
    assert log_of(caplog, path) == (
        f"a list of folders of frames, {what}, numbers named by kinetics_label_map_k4.txt: 2 videos, 2 labels"
    )


def test_numbers_without_names_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "list.txt", "p1/a.mp4 0\np1/b.mp4 1\n")
    assert [one.label for one in read_annotations(labels=path).values()] == ["0", "1"]
    assert log_of(caplog, path) == "a list of videos with their labels, labels are numbers: 2 videos, 2 labels"
    write(tmp_path, "label_map.txt", "zero\n")
    assert refusal(path) == f"class number 1 is not in '{tmp_path}/label_map.txt', which has 0 to 0; add its name"
    write(tmp_path, "other_label_map.txt", "zero\none\n")
    assert refusal(path) == (
        f"'{tmp_path}' holds several files with names of classes: label_map.txt, other_label_map.txt; keep one of them "
        "there"
    )


# ---- mistakes


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("l.txt", "a.mp4 run\nb.mp4 run\na.mp4 jump\n", "', line 3: 'a.mp4' has the labels 'run' and 'jump'; correct"),
        ("l.txt", "a.mp4 1\na.mp4 2\n", "', line 2: 'a.mp4' has the labels '1' and '2'; correct one of them"),
        ("l.txt", "a.mp4 3 5\nb.mp4 3\n", "', line 1: 'a.mp4' has 2 labels, '3' and '5' among them; write one a video"),
        ("l.txt", "x/a 9 3\nx/b 9 3 5\n", "', line 2: 'x/b' has 2 labels, '3' and '5' among them; write one a video"),
        ("l.txt", "a,b,c\n", "', line 1: 'a' has 2 labels, 'b' and 'c' among them"),
        ("l.txt", "a.mp4\nb.mp4\n", "', line 1: 'a.mp4' has no label; write a path and a label in each line"),
        ("l.json", '{"a": "x", "b": "y", "a": "y"}', "', 'a': 'a' has the labels 'x' and 'y'; correct one of them"),
        ("l.json", '[{"id": 1, "label": ["x", "y"]}]', "', entry 1: ['x', 'y'] where one name is wanted; vidrep takes"),
        ("l.json", '[{"id": "1", "label": "x"}, 3]', "', entry 2: 3 is no object; each must have members such as id"),
        ("l.json", '[{"label": "x"}]', "', entry 1: columns are label; needed are video and label, split or group"),
        ("l.json", '{"a": ', "', line 1: not JSON (Expecting value); correct it"),
        ("l.json", '{"a": {"subset": "tset"}}', "', 'a': unknown split 'tset'; allowed are train, validation, test or"),
        ("l.json", "{}", "' names no video"),
        ("l.json", "[" * 100_000, "': JSON nested too deep for a list of videos"),
    ],
)
def test_mistakes_are_refused_with_their_place(tmp_path: Path, name: str, text: str, expected: str) -> None:
    message = refusal(write(tmp_path, name, text))
    assert message.startswith(f"'{tmp_path}/{name}")
    assert expected in message


def test_several_lists_must_not_contradict_each_other(tmp_path: Path) -> None:
    one, two = write(tmp_path, "one.txt", "a.mp4 run\n"), write(tmp_path, "two.csv", "video,label\na.mp4,jump\n")
    assert refusal([one, two]) == (
        f"'{one}', line 1 and '{two}', line 2: 'a.mp4' has the labels 'run' and 'jump'; correct one of them"
    )
    agreeing = write(tmp_path, "three.csv", "video,label,group\na.mp4,run,anna\n")
    assert read_annotations(labels=[one, agreeing]) == {"a.mp4": Annotation("run", None, "anna")}


def test_two_spellings_of_one_video_must_not_contradict_each_other(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", "video,label\nrun/a.mp4,run\nrun\\a.mp4,jump\n")
    with pytest.raises(LabelError, match=r"line 2 and .*line 3: 'run/a\.mp4' has the labels 'run' and 'jump'"):
        merged(["run/a.mp4"], read_annotations(labels=path))


# ---- Unicode

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("key", [f"{COMPOSED}/a.mp4", f"{DECOMPOSED}/a.mp4"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", f"video,label,group\n{COMPOSED}/a.mp4,{COMPOSED},{COMPOSED}\n"),
        ("l.txt", f"{COMPOSED}/a.mp4 {COMPOSED}\n"),
        ("l.json", json.dumps({f"{COMPOSED}/a.mp4": COMPOSED}, ensure_ascii=False)),
    ],
)
def test_names_and_labels_compare_in_nfc(tmp_path: Path, key: str, form: Any, name: str, text: str) -> None:
    annotations = read_annotations(labels=write(tmp_path, name, unicodedata.normalize(form, text)))
    label, _, group = merged([key], annotations)[key]
    assert label == COMPOSED
    assert group in ("", COMPOSED)
    given = {f"{DECOMPOSED}/a.mp4": Annotation(DECOMPOSED, None), "b": Annotation("y", None)}
    result = merge([key, "b", "c"], ["", "", DECOMPOSED], [""] * 3, given)
    assert (result.labels, result.missing, result.lost["label"]) == ([COMPOSED, "y", ""], [], ["c"])
    assert merge(["b", "c"], ["", DECOMPOSED], [""] * 2, {"b": Annotation(None, "")}).labels == ["", COMPOSED]


def test_two_labels_in_two_forms_are_one(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", f"video,label\n{COMPOSED}.mp4,{COMPOSED}\n{DECOMPOSED}.mp4,{DECOMPOSED}\n")
    assert read_annotations(labels=path) == {f"{COMPOSED}.mp4": Annotation(COMPOSED, None)}
    path = write(tmp_path, "l.csv", f"video,label\n{COMPOSED}.mp4,x\n{DECOMPOSED}.mp4,y\n")
    assert "line 3: 'café.mp4' has the labels 'x' and 'y'" in refusal(path)


# ---- paths


def test_an_absolute_path_is_its_video_whatever_else_its_end_could_be() -> None:
    keys = ["a.mp4", "left/a.mp4", f"{COMPOSED}.mp4"]
    paths = ["/data/clips/a.mp4", "/data/clips/left/a.mp4", f"/data/clips/{DECOMPOSED}.mp4"]
    annotations = {
        "/data/clips/left/a.mp4": Annotation("left", None),
        "/data/clips/a.mp4": Annotation("none", None),
        f"/data/clips/{COMPOSED}.mp4": Annotation("café", None),
    }
    assert merge(keys, [""] * 3, [""] * 3, annotations, paths=paths).labels == ["none", "left", "café"]
    with pytest.raises(LabelError, match="could be"):
        merge(keys, [""] * 3, [""] * 3, annotations)


def test_a_backslash_in_a_key_is_found_as_it_is() -> None:
    annotations = {"gr\\xffn\\a.mp4": Annotation("x", None), "left\\b.mp4": Annotation("y", None)}
    keys = ["gr\\xffn\\a.mp4", "left/b.mp4", "gr/xffn/a.mp4"]
    assert merge(keys, [""] * 3, [""] * 3, annotations).labels == ["x", "y", ""]


# ---- the official lists


@pytest.mark.real_data
def test_official_lists_of_hmdb51_are_read(real_data: Path) -> None:
    annotations = read_annotations(labels=real_data / "splits" / "hmdb51")
    assert Counter(one.split for one in annotations.values()) == {"train": 3570, "test": 1530, "": 1666}
    assert len({one.label for one in annotations.values()}) == 51
    splits_of_groups: dict[str | None, set[str]] = {}
    for one in annotations.values():
        splits_of_groups.setdefault(one.group, set()).add(one.split or "")
    assert len(splits_of_groups) == 2288
    assert not any({"train", "test"} <= splits for splits in splits_of_groups.values())


@pytest.mark.real_data
def test_official_lists_of_ucf101_have_25_groups_a_class(real_data: Path) -> None:
    annotations = read_annotations(labels=real_data / "splits" / "ucf101")
    groups = {(one.label, one.group) for one in annotations.values()}
    assert Counter(label for label, _ in groups) == dict.fromkeys({one.label for one in annotations.values()}, 25)


def test_lists_of_splits_may_hold_paths_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "train.txt", "run/my clip 1.mp4\nrun/2\n")
    write(tmp_path, "test.txt", "jump/3.mp4\n")
    annotations = read_annotations(splits=tmp_path)
    assert {name: (one.label, one.split) for name, one in annotations.items()} == {
        "run/my clip 1.mp4": (None, "train"),
        "run/2": (None, "train"),
        "jump/3.mp4": (None, "test"),
    }
    assert log_of(caplog, tmp_path) == "lists test.txt, train.txt: 3 videos, 0 labels, 2 train, 1 test"
    assert read_annotations(labels=[tmp_path / "train.txt", tmp_path / "test.txt"]) == annotations
    why = f"'{tmp_path}/train.txt', line 1: 'run/my clip 1.mp4' has no label; write a path and a label in each line"
    assert refusal(tmp_path / "train.txt") == why


def test_columns_without_a_name_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "l.csv", "video,label,,\na.mp4,run,,\n")
    assert merged(["a.mp4"], read_annotations(labels=path)) == {"a.mp4": ("run", "", "")}
    assert "columns video, label (left out: without a name): 1 videos" in log_of(caplog, path)
