"""Annotation files are read as written, merged into videos by name, and refused with the line that is wrong."""

from collections import Counter
from pathlib import Path

import pytest

from vidrep.errors import InputError, LabelError
from vidrep.features.annotation_files import read_annotations
from vidrep.features.annotations import Annotation, MergedAnnotations, merge, require_distinct_classes


def csv_file(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def split_lists(
    folder: Path,
    *,
    train: str = "left/a.mp4 1\nright/b.mp4 2\n",
    test: str = "left/c.mp4\n",
    classes: str = "1 left\n2 right\n",
    number: str = "01",
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "classInd.txt").write_bytes(classes.encode())
    (folder / f"trainlist{number}.txt").write_bytes(train.encode())
    (folder / f"testlist{number}.txt").write_bytes(test.encode())
    return folder


def read_label_csv(path: Path) -> dict[str, Annotation]:
    return read_annotations(labels=path)


def read_splits(path: Path, *, number: int = 1) -> dict[str, Annotation]:
    return read_annotations(splits=path, number=number)


def one_line(caught: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- CSV


def test_csv_has_labels_and_splits_in_columns_of_any_order(tmp_path: Path) -> None:
    text = 'split,Video, label\ntrain,left/a.mp4,left\nVal,"b, c.mp4", right \n,d.mp4,\n\ntest,ä.mp4,x\n'
    for encoding in ("utf-8", "utf-8-sig"):
        annotations = read_label_csv(csv_file(tmp_path, text.replace("\n", "\r\n"), encoding=encoding))
        assert annotations == {
            "left/a.mp4": Annotation("left", "train"),
            "b, c.mp4": Annotation("right", "validation"),
            "d.mp4": Annotation("", ""),
            "ä.mp4": Annotation("x", "test"),
        }
    assert annotations["b, c.mp4"].place == f"'{tmp_path}/labels.csv', line 3"


def test_columns_that_a_csv_lacks_are_none(tmp_path: Path) -> None:
    assert read_label_csv(csv_file(tmp_path, "video,label\na.mp4,x\n")) == {"a.mp4": Annotation("x", None)}
    assert read_label_csv(csv_file(tmp_path, "video,split\na.mp4,test\n")) == {"a.mp4": Annotation(None, "test")}


def test_csv_has_groups(tmp_path: Path) -> None:
    annotations = read_label_csv(csv_file(tmp_path, "Group,video\np01,a.mp4\n,b.mp4\n"))
    assert annotations == {"a.mp4": Annotation(None, None, "p01"), "b.mp4": Annotation(None, None, "")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("video,lable\na.mp4,x\n", "line 1: unknown column 'lable'; did you mean 'label'?"),
        ("video,label,spilt\na.mp4,x,test\n", "line 1: unknown column 'spilt'; did you mean 'split'?"),
        ("video\na.mp4\n", "line 1: columns are video; needed are video and label, split or group"),
        ("label,split\nx,test\n", "line 1: columns are label,split; needed are video and"),
        ("video,label,label\na.mp4,x,x\n", "line 1: a column is named twice"),
        ("video,label\na.mp4\n", "line 2: 1 values for 2 columns (video,label)"),
        ("video,label\na.mp4,x,y\n", "line 2: 3 values for 2 columns"),
        ("video,label\n,x\n", "line 2: no video is named"),
        ("video,label\na.mp4,x\nb.mp4,x\na.mp4,y\n", "line 4: 'a.mp4' has the labels 'x' and 'y'; correct one"),
        ("video,split\na.mp4,train\na.mp4,test\n", "line 3: 'a.mp4' is in the splits 'train' and 'test'; keep one"),
        ("video,group\na.mp4,p1\na.mp4,p2\n", "line 3: 'a.mp4' is in the groups 'p1' and 'p2'; keep one"),
        (
            "video,split\na.mp4,trian\n",
            "line 2: unknown split 'trian'; allowed are train, validation, test or nothing; did",
        ),
        ("video,split\na.mp4,zz\n", "line 2: unknown split 'zz'; allowed are train, validation, test or nothing"),
        ("video,label\n", "names no video: write a line 'video,label'"),
        ("", "names no video"),
        ('video,label\n"a.mp4,x\n', "not a CSV"),
    ],
)
def test_csv_mistakes_are_refused_with_their_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(LabelError) as caught:
        read_label_csv(csv_file(tmp_path, text))
    message = one_line(caught)
    assert expected in message
    assert "labels.csv'" in message


def test_csv_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "video,label\nä.mp4,x\n", encoding="latin-1")
    with pytest.raises(InputError, match="not UTF-8"):
        read_label_csv(path)
    with pytest.raises(InputError, match=r"does not exist: did you mean 'labels\.csv'\?"):
        read_label_csv(tmp_path / "label.csv")


# ---- UCF-101's lists


def test_lists_give_labels_by_number_or_folder(tmp_path: Path) -> None:
    train = "left/a.mp4 1\r\n\r\nfolder/my clip 2.mp4 2\r\n"
    folder = split_lists(
        tmp_path, train=train, test="left/c.mp4\r\nright/d.mp4\t2\r\n", classes="1 left\r\n2 right\r\n"
    )
    expected = {
        "left/a.mp4": Annotation("left", "train"),
        "folder/my clip 2.mp4": Annotation("right", "train"),
        "left/c.mp4": Annotation("left", "test"),
        "right/d.mp4": Annotation("right", "test"),
    }
    assert read_splits(folder) == expected
    assert read_splits(folder / "trainlist01.txt") == expected
    assert read_splits(folder / "testlist01.txt") == expected


def test_the_number_chooses_among_lists(tmp_path: Path) -> None:
    folder = split_lists(tmp_path)
    split_lists(folder, train="left/c.mp4 1\n", test="left/a.mp4\n", number="03")
    assert read_splits(folder)["left/a.mp4"].split == "train"
    assert read_splits(folder, number=3)["left/a.mp4"].split == "test"
    assert read_splits(folder / "testlist03.txt")["left/a.mp4"].split == "test"
    with pytest.raises(LabelError, match="no lists with the number 2: it has 1, 3"):
        read_splits(folder, number=2)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (
            {"train": "left/a.mp4 1\nleft/b.mp4 2\n"},
            "trainlist01.txt', line 2: class 2 is 'right', but 'left/b.mp4' is in",
        ),
        (
            {"train": "left/a.mp4 0\n"},
            "trainlist01.txt', line 1: class number 0 is not in classInd.txt, which has 1 to 2",
        ),
        ({"test": "lefd/a.mp4\n"}, "testlist01.txt', line 1: the folder 'lefd' of 'lefd/a.mp4' is no class"),
        ({"test": "a.mp4\n"}, "testlist01.txt', line 1: the folder '' of 'a.mp4' is no class"),
        ({"test": "left/a.mp4\n"}, "testlist01.txt', line 1: 'left/a.mp4' is in the splits 'train' and 'test'; keep"),
        ({"train": "\n"}, "trainlist01.txt' names no video"),
        ({"test": ""}, "testlist01.txt' names no video"),
        ({"classes": "1 left\nright 2\n"}, "classInd.txt', line 2: 'right 2' is not a class"),
        ({"classes": "1 left\n1 right\n"}, "classInd.txt', line 2: '1 right' repeats a number or a name"),
        ({"classes": "1 left\n2 left\n"}, "classInd.txt', line 2: '2 left' repeats a number or a name"),
        ({"classes": ""}, "class number 1 is not in classInd.txt, which has none"),
    ],
)
def test_mistakes_in_lists_are_refused_with_their_line(tmp_path: Path, lists: dict[str, str], expected: str) -> None:
    with pytest.raises(LabelError) as caught:
        read_splits(split_lists(tmp_path / "lists", **lists))
    assert expected in one_line(caught)


@pytest.mark.parametrize("lacking", ["classInd.txt", "trainlist01.txt", "testlist01.txt"])
def test_an_incomplete_set_of_lists_is_refused(tmp_path: Path, lacking: str) -> None:
    folder = split_lists(tmp_path)
    (folder / lacking).unlink()
    given = folder / ("trainlist01.txt" if lacking == "testlist01.txt" else "testlist01.txt")
    for path in (folder, given):
        with pytest.raises(InputError, match=f"{lacking}' does not exist"):
            read_splits(path)


def test_paths_without_lists_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabelError, match=r"holds no lists that are recognized: UCF-101's, HMDB-51's, or lists with"):
        read_splits(tmp_path)
    with pytest.raises(InputError, match="list' does not exist"):
        read_splits(tmp_path / "list")

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        with pytest.raises(InputError, match="cannot read the folder"):
            read_splits(tmp_path)


# ---- both


def test_labels_come_from_either_and_splits_from_the_lists(tmp_path: Path) -> None:
    folder = split_lists(tmp_path / "lists")
    labels = csv_file(tmp_path, "video,label,split,group\nleft/a.mp4,left,test,p1\nleft/c.mp4,,,\nz.mp4,up,test,p2\n")
    assert read_annotations() == {}
    assert read_annotations(labels=labels) == read_label_csv(labels)
    assert read_annotations(splits=folder) == read_splits(folder)
    both = read_annotations(labels=labels, splits=folder)
    assert both == {
        "left/a.mp4": Annotation("left", "train", "p1"),
        "left/c.mp4": Annotation("left", "test", ""),
        "z.mp4": Annotation("up", None, "p2"),
        "right/b.mp4": Annotation("right", "train"),
    }
    assert "labels.csv', line 2 and '" in both["left/a.mp4"].place


def test_the_number_chooses_the_lists_of_both(tmp_path: Path) -> None:
    folder = split_lists(tmp_path, number="02")
    assert read_annotations(splits=folder, number=2) == read_splits(folder, number=2)


def test_labels_that_contradict_the_lists_are_refused(tmp_path: Path) -> None:
    folder = split_lists(tmp_path / "lists")
    labels = csv_file(tmp_path, "video,label\nleft/a.mp4,right\n")
    with pytest.raises(LabelError) as caught:
        read_annotations(labels=labels, splits=folder)
    message = one_line(caught)
    assert "labels.csv', line 2 and '" in message
    assert "trainlist01.txt', line 1: 'left/a.mp4' has the labels 'right' and 'left'" in message


# ---- merge


def test_annotations_change_their_videos_and_the_rest_is_reported() -> None:
    annotations = {
        "c.mp4": Annotation("new", None),
        "gone.mp4": Annotation("x", "train"),
        "a.mp4": Annotation(None, "test"),
        "also_gone.mp4": Annotation("x", None),
        "d.mp4": Annotation("", "", "p01"),
    }
    result = merge(
        ["a.mp4", "b.mp4", "c.mp4", "d.mp4"], ["p", "q", "r", "s"], ["", "train", "test", "test"], annotations
    )
    assert result == MergedAnnotations(
        labels=["", "", "new", ""],
        splits=["test", "", "", ""],
        groups=["", "", "", "p01"],
        missing=["gone.mp4", "also_gone.mp4"],
        unlisted=["b.mp4"],
        lost={"label": ["b.mp4"], "split": ["b.mp4"]},
    )
    assert result.decided == dict.fromkeys(("label", "split", "group"), frozenset(range(4)))


def test_lists_are_the_whole_truth_for_the_columns_that_they_have() -> None:
    keys, labels, splits = ["a.mp4", "b.mp4", "c.mp4"], ["p", "q", ""], ["train", "test", ""]

    def merged(given: Annotation) -> MergedAnnotations:
        return merge(keys, labels, splits, {"a.mp4": given})

    of_labels = merged(Annotation("new", None))
    assert (of_labels.labels, of_labels.splits, of_labels.lost) == (
        ["new", "", ""],
        splits,
        {"label": ["b.mp4"], "split": []},
    )
    assert (of_labels.decided["label"], of_labels.decided["split"]) == (frozenset({0, 1, 2}), frozenset())
    of_empty_label = merged(Annotation("", None))
    assert of_empty_label.labels == ["", "", ""]
    of_splits = merged(Annotation(None, "validation"))
    assert (of_splits.labels, of_splits.splits) == (labels, ["validation", "", ""])
    assert of_splits.lost == {"label": [], "split": ["b.mp4"]}
    of_groups = merged(Annotation(None, None, "g"))
    assert (of_groups.labels, of_groups.splits, of_groups.groups) == (labels, splits, ["g", "", ""])
    assert of_groups.decided["group"] == frozenset({0, 1, 2})


def test_lists_that_extend_leave_other_videos_as_they_are(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "video,label,split\na.mp4,new,\n")
    annotations = read_annotations(labels=path, extend=True)
    result = merge(["a.mp4", "b.mp4"], ["p", "q"], ["train", "test"], annotations)
    assert (result.labels, result.splits, result.unlisted) == (["new", "q"], ["", "test"], ["b.mp4"])
    assert (result.lost["label"], result.decided["label"]) == ([], frozenset({0}))


def test_what_a_list_does_not_name_is_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    annotations = {"a.mp4": Annotation("x", None), "gone.mp4": Annotation("x", None)}
    merge(["a.mp4", "b.mp4", "c.mp4"], ["x", "q", ""], [""] * 3, annotations).log()
    merge(["a.mp4", "b.mp4"], ["x", "q"], ["", "test"], {"a.mp4": Annotation("x", "")}).log()
    merge(["a.mp4", "b.mp4"], ["x", ""], [""] * 2, {"a.mp4": Annotation("x", None)}).log()
    assert caplog.messages == [
        "1 videos are listed but not among the videos: gone.mp4",
        "2 videos are not listed: b.mp4, c.mp4; 1 of them have no label now (--labels-extend keeps what they have)",
        "1 videos are not listed: b.mp4; 1 of them have no label now, 1 of them have no split now (--labels-extend "
        "keeps what they have)",
        "1 videos are not listed: b.mp4",
    ]


@pytest.mark.parametrize("labels", [["Run", "run"], ["run ", "x", "run"], ["STRASSE", "straße"]])
def test_classes_that_differ_by_case_or_blanks_alone_are_refused_with_both(labels: list[str]) -> None:
    first, second = sorted(set(labels) - {"x"})
    with pytest.raises(LabelError) as caught:
        require_distinct_classes(labels)
    assert one_line(caught).startswith(f"the classes {first!r} and {second!r} differ by case or blanks alone; give")
    require_distinct_classes(["run", "run", "runs", ""])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("UCF-101/Archery/v_a.avi", "Archery/v_a.avi"),
        ("Archery/v_a.avi", "videos/Archery/v_a.avi"),
        ("Archery/v_a.avi", "/data/UCF-101/Archery/v_a.avi"),
        ("Archery/v_a.avi", "./Archery/v_a.avi"),
        ("Archery/v_a", "Archery/v_a.avi"),
        ("Archery/v_a.npy", "Archery/v_a.AVI"),
        ("Archery/v_a.mp4", "Archery/v_a.avi"),
        ("v_a", "Archery/v_a.avi"),
        ("UCF-101/Archery/v_a.mp4", "Archery/v_a"),
        (".a", ".a"),
        ("a/x.avi.npy", "x.avi"),
    ],
)
def test_names_match_by_their_ends_and_without_extensions(key: str, name: str) -> None:
    result = merge(["other/b.avi", key], ["", ""], ["", ""], {name: Annotation("x", "train")})
    assert (result.labels, result.missing, result.unlisted) == (["", "x"], [], ["other/b.avi"])


@pytest.mark.parametrize(
    ("key", "name"), [("xArchery/a.avi", "Archery/a.avi"), ("a.avi", "ba.avi"), ("a.b/c", "a/c"), ("s.1", "s.2")]
)
def test_only_whole_names_and_known_extensions_match(key: str, name: str) -> None:
    annotations = {name: Annotation("x", None), "there": Annotation(None, None)}
    assert merge([key, "there"], ["", ""], ["", ""], annotations).missing == [name]


def test_the_closest_match_wins() -> None:
    keys = ["a.mp4", "left/a.mp4", "left/a.avi", "b.avi", "b"]
    annotations = {key: Annotation(key, None) for key in keys}
    assert merge(keys, [""] * 5, [""] * 5, annotations).labels == keys
    by_end = merge(["x/a.mp4", "x/a.avi"], ["", ""], ["", ""], {"a.avi": Annotation("new", None)})
    assert by_end.labels == ["", "new"]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["left/a.mp4", "right/a.mp4"], "a.mp4"),
        (["left/a.mp4", "a.mp4"], "x/left/a.mp4"),
        (["a.mp4", "a.avi"], "a.mkv"),
        (["left/a.mp4", "right/a.avi"], "a"),
    ],
)
def test_names_of_several_videos_are_refused(keys: list[str], name: str) -> None:
    with pytest.raises(LabelError) as caught:
        merge(keys, ["", ""], ["", ""], {name: Annotation("x", None, place="'l.csv', line 2")})
    assert one_line(caught).startswith(f"'l.csv', line 2: {name!r} could be {keys[0]!r}, {keys[1]!r}; write")


def test_a_name_without_the_ending_of_a_crop_stands_for_all_crops_of_the_video() -> None:
    keys = [f"{video}#crop-{number}" for video in ("x/a.mp4", "x/a.avi", "x/b.mp4") for number in (1, 2)]
    annotations = {
        "a.avi": Annotation("new", None, "p1"),
        "b": Annotation("b", "test"),
        "b.mp4#crop-2": Annotation("c", ""),
    }
    with pytest.raises(LabelError, match=r"'x/b\.mp4#crop-2' has the labels 'b' and 'c'"):
        merge(keys, [""] * 6, [""] * 6, annotations)
    annotations["b.mp4#crop-2"] = Annotation(None, None, "p2")
    result = merge(keys, [""] * 6, [""] * 6, annotations)
    assert result.labels == ["", "", "new", "new", "b", "b"]
    assert result.groups == ["", "", "p1", "p1", "", "p2"]
    assert result.splits == ["", "", "", "", "test", "test"]
    assert (result.missing, result.unlisted) == ([], keys[:2])
    with pytest.raises(LabelError, match=r"'a' could be 'x/a\.mp4#crop-1', 'x/a\.mp4#crop-2', 'x/a\.avi#crop-1', "):
        merge(keys, [""] * 6, [""] * 6, {"a": Annotation("x", None)})


def test_two_names_of_one_video_add_up_or_are_refused() -> None:
    annotations = {
        "x/a.mp4": Annotation("left", None, place="here"),
        "a.mp4": Annotation("left", "test", place="there"),
    }
    result = merge(["x/a.mp4"], ["old"], ["old"], annotations)
    assert (result.labels, result.splits) == (["left"], ["test"])
    with pytest.raises(LabelError, match=r"^here and there: 'x/a\.mp4' has the labels 'left' and 'right'"):
        merge(["x/a.mp4"], [""], [""], {**annotations, "a.mp4": Annotation("right", None, place="there")})
    with pytest.raises(LabelError, match=r"^'x/a\.mp4' is in the splits 'train' and 'test'"):
        merge(["x/a.mp4"], [""], [""], {"x/a.mp4": Annotation("", "train"), "a.mp4": Annotation("", "test")})
    with pytest.raises(LabelError, match=r"^'x/a\.mp4' is in the groups 'p1' and 'p2'"):
        merge(["x/a.mp4"], [""], [""], {"x/a.mp4": Annotation("", "", "p1"), "a.mp4": Annotation("", "", "p2")})


def test_annotations_with_nothing_in_common_are_refused() -> None:
    with pytest.raises(LabelError) as caught:
        merge(["left/a", "b"], ["", ""], ["", ""], {"c.mp4": Annotation("x", None, place="'l.csv', line 2")})
    message = one_line(caught)
    assert message.startswith(
        "none of the 1 annotated videos is among the 2 to be annotated: 'l.csv', line 2: 'c.mp4'; "
    )
    assert "the videos are 'left/a' and 1 more" in message
    with pytest.raises(LabelError, match="the videos are none"):
        merge([], [], [], {"c.mp4": Annotation("x", None)})


def test_no_annotations_change_nothing() -> None:
    nothing = {"label": list[str](), "split": list[str]()}
    assert merge(["a"], ["x"], ["test"], {}) == MergedAnnotations(["x"], ["test"], [""], [], [], nothing)


def test_unequal_lengths_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="2 keys, 1 labels and 2 splits"):
        merge(["a", "b"], ["x"], ["", ""], {})


@pytest.mark.parametrize("named_as", ["UCF-101/c{}/v{}.avi", "c{}/v{}.avi", "c{}/v{}.mp4", "/data/UCF-101/c{}/v{}"])
def test_many_annotations_are_matched(named_as: str) -> None:
    keys = [f"UCF-101/c{i % 101}/v{i}.avi" for i in range(13_000)]
    annotations = {named_as.format(i % 101, i): Annotation("x", None) for i in range(13_000)}
    annotations |= {f"c/gone{i}.avi": Annotation("x", None) for i in range(13_000)}
    blank = [""] * len(keys)
    result = merge(
        keys, blank, blank, annotations
    )  # about 0.1 s; comparing each with each would run into the time limit
    assert result.labels == ["x"] * 13_000
    assert len(result.missing) == 13_000


# ---- real lists


@pytest.mark.real_data
def test_lists_of_tennis7_name_its_videos(real_data: Path) -> None:
    root = real_data / "tennis7"
    keys = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.mp4"))
    assert len(keys) == 371
    blank = [""] * len(keys)
    result = merge(keys, blank, blank, read_annotations(splits=root))
    assert result.labels == [key.split("/")[0] for key in keys]
    assert Counter(result.splits) == {"train": 280, "test": 91}
    assert (result.missing, result.unlisted) == ([], [])


@pytest.mark.real_data
def test_official_lists_of_ucf101_are_read(real_data: Path) -> None:
    annotations = read_splits(real_data / "splits" / "ucf101")
    assert Counter(one.split for one in annotations.values()) == {"train": 9537, "test": 3783}
    assert len({one.label for one in annotations.values()}) == 101
    assert all(name.split("/")[0] == one.label for name, one in annotations.items())
