"""Which files are found, under which key and label, and what is refused."""

import io
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vidrep.errors import InputError
from vidrep.video.decoders import open_video
from vidrep.video.folder_search import VIDEO_EXTENSIONS
from vidrep.video.named_paths import read_text
from vidrep.video.sampling import Sampling
from vidrep.video.sources import VideoSource, find_videos

MakeFiles = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeFiles:
    """Create files in a fresh current folder."""
    monkeypatch.chdir(tmp_path)

    def make_files(*names: str) -> None:
        for name in names:
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode("utf-8", "surrogateescape"))

    return make_files


def keys_and_labels(found: list[VideoSource]) -> list[tuple[str, str]]:
    return [(video.key, video.label) for video in found]


def refusal(*sources: str | Path, list_files: tuple[Path, ...] = ()) -> str:
    with pytest.raises(InputError) as caught:
        find_videos(sources, list_files=list_files)
    message = str(caught.value)
    assert "\n" not in message
    message.encode()  # can be printed
    return message


# ---- folders


def test_one_folder_gives_relative_keys_sorted_and_labels_from_class_folders(make: MakeFiles) -> None:
    make("clips/right/b.mp4", "clips/left/a.mp4", "clips/left/deep/c.MKV", "clips/z.avi", "clips/left.mp4")
    found = find_videos(["clips"])
    assert keys_and_labels(found) == [
        ("left.mp4", ""),
        ("left/a.mp4", "left"),
        ("left/deep/c.MKV", "deep"),
        ("right/b.mp4", "right"),
        ("z.avi", ""),
    ]
    assert found[1].path == Path("clips/left/a.mp4")


def test_a_folder_leaves_out_hidden_names_and_other_files(make: MakeFiles) -> None:
    make("clips/a.mp4", "clips/.b.mp4", "clips/.cache/c.mp4", "clips/notes.txt", "clips/noextension")
    assert keys_and_labels(find_videos([Path("clips")])) == [("a.mp4", "")]
    make(".hidden/a.mp4")
    assert keys_and_labels(find_videos([".hidden"])) == [("a.mp4", "")]  # named by the user: not left out


def test_extensions_are_lower_case_with_a_dot_and_those_of_the_guide() -> None:
    assert {".mp4", ".avi", ".webm", ".y4m", ".gif", ".apng", ".mod", ".tod", ".dav"} <= VIDEO_EXTENSIONS
    assert all(one.startswith(".") and one == one.lower() for one in VIDEO_EXTENSIONS)
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    paragraph = next(part for part in guide.split("\n\n") if part.startswith("These extensions"))
    assert set(re.findall(r"\.\w+", paragraph.partition(":")[2])) == VIDEO_EXTENSIONS


def test_files_left_out_are_counted_by_extension(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make(
        "clips/run/a.mp4", "clips/jump/b.xyz", "clips/jump/c.XYZ", "clips/notes.txt", "clips/none", "clips/.hidden.txt"
    )
    assert keys_and_labels(find_videos(["clips"])) == [("run/a.mp4", "run")]
    expected = ": 4 files are left out, no videos by their extensions: 2 .xyz, 1 .txt, 1 no extension"
    assert caplog.messages == [f"'clips'{expected}"]
    caplog.clear()
    find_videos(["cli*"])  # the folders that a pattern matches: one line for all of them
    assert caplog.messages == [f"'cli*'{expected}"]


def test_line_of_files_left_out_is_bounded(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make("clips/a.mp4", *(f"clips/b.x{number:02}" for number in range(60)))
    find_videos(["clips"])
    assert caplog.messages == [
        "'clips': 60 files are left out, no videos by their extensions: 1 .x00, 1 .x01, 1 .x02, 1 .x03, 1 .x04 and "
        "55 more"
    ]


def test_equal_stems_in_different_folders_or_with_different_extensions_are_fine(make: MakeFiles) -> None:
    make("clips/left/a.mp4", "clips/right/a.mp4", "clips/right/a.avi")
    assert [video.key for video in find_videos(["clips"])] == ["left/a.mp4", "right/a.avi", "right/a.mp4"]


def test_several_folders_put_their_names_in_front_where_paths_are_equal(make: MakeFiles) -> None:
    make("x/train_clips/left/a.mp4", "x/test_clips/left/a.mp4", "x/test_clips/b.mp4")
    expected = [("b.mp4", ""), ("test_clips/left/a.mp4", "left"), ("train_clips/left/a.mp4", "left")]
    found = find_videos(["x/train_clips", "x/test_clips/"])
    assert keys_and_labels(found) == expected
    places = [("test_clips", "b.mp4"), ("test_clips", "left/a.mp4"), ("train_clips", "left/a.mp4")]
    assert [video.place for video in found] == places
    assert all(video.is_searched for video in found)
    assert [video.place for video in find_videos(["x/test_clips"])] == places[:2]  # as beside the other


def test_dots_are_called_by_the_folder_that_they_mean(make: MakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    make("home/a.mp4", "other/b.mp4", "home/sub/c.mp4")
    monkeypatch.chdir("home")
    assert [video.key for video in find_videos(["."])] == ["a.mp4", "sub/c.mp4"]
    places = [("home", "a.mp4"), ("home", "sub/c.mp4"), ("other", "b.mp4")]
    assert [video.place for video in find_videos([".", "../other"])] == places
    monkeypatch.chdir("sub")
    places = [("home", "a.mp4"), ("home", "sub/c.mp4"), ("sub", "c.mp4")]
    assert [video.place for video in find_videos(["..", "."])] == places


def test_links_are_taken_only_to_files_inside(make: MakeFiles) -> None:
    make("clips/left/a.mp4", "outside/b.mp4")
    for name, target in {
        "inside.mp4": "left/a.mp4",
        "out.mp4": "../outside/b.mp4",
        "nowhere.mp4": "none.mp4",
        "self.mp4": "self.mp4",
        "inner": "left",
        "outer": "../outside",
        "loop": ".",
    }.items():
        (Path("clips") / name).symlink_to(target)
    assert [video.key for video in find_videos(["clips"])] == ["inside.mp4", "left/a.mp4"]


def link(name: str, target: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(target)


def test_links_left_out_are_counted_in_the_log(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    make("clips/left/a.mp4", "outside/b.mp4", "clips/c.mp4")
    link("clips/inside.mp4", "c.mp4")
    find_videos(["clips"])
    assert caplog.messages == []
    link("clips/out.mp4", "../outside/b.mp4")
    link("clips/folder", "../outside")
    find_videos(["clips"])
    find_videos(["cl*"])
    why = "2 symbolic links are left out: they lead to folders, or out of it"
    assert caplog.messages == [f"'clips': {why}", f"'cl*': {why}"]


def test_links_are_followed_on_request_and_cycles_are_no_trap(
    make: MakeFiles, caplog: pytest.LogCaptureFixture
) -> None:
    make("clips/left/a.mp4", "outside/deep/b.mp4", "outside/.hidden/c.mp4", "far/d.mp4")
    link("clips/0.mp4", "../outside/deep/b.mp4")
    link("clips/aa", "left")  # sorts in front of it, yet the folder itself gives the key
    link("clips/all", "..")
    link("clips/loop", ".")
    link("clips/out", "../outside")
    link("clips/again", "../outside")
    link("outside/deep/back", "../../clips")
    link("outside/deep/far", "../../far")
    expected = ["0.mp4", "again/deep/b.mp4", "again/deep/far/d.mp4", "left/a.mp4"]
    assert [video.key for video in find_videos(["clips"], follow_links=True)] == expected
    assert [video.key for video in find_videos(["cl*"], follow_links=True)] == expected
    assert [video.key for video in find_videos(["clips"])] == ["left/a.mp4"]
    caplog.clear()
    link("clips/self.mp4", "self.mp4")
    link("clips/nowhere", "nothing")
    assert [video.key for video in find_videos(["clips"], follow_links=True)] == expected
    assert caplog.messages == ["'clips': 2 symbolic links are left out: they lead to nothing"]


def test_a_folder_may_itself_be_a_link(make: MakeFiles) -> None:
    make("real/left/a.mp4", "other/b.mp4")
    Path("link").symlink_to("real")
    Path("real/c.mp4").symlink_to("left/a.mp4")
    assert [video.key for video in find_videos(["link"])] == ["c.mp4", "left/a.mp4"]
    places = [("link", "c.mp4"), ("link", "left/a.mp4"), ("other", "b.mp4")]
    assert [video.place for video in find_videos(["link", "other"])] == places


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are not UTF-8")
def test_undecodable_bytes_are_escaped_and_stop_nothing(make: MakeFiles) -> None:
    make("clips/gr\udcffn/a\udcfe.mp4", "clips/grün/ä.mp4")
    found = find_videos(["clips"])
    assert keys_and_labels(found) == [("gr\\xffn/a\\xfe.mp4", "gr\\xffn"), ("grün/ä.mp4", "grün")]
    assert all(video.path.is_file() for video in found)
    assert keys_and_labels(find_videos(["clips/gr\udcffn/a\udcfe.mp4"])) == [("a\\xfe.mp4", "")]
    refusal("clips/gr\udcffn/b.mp4")


# ---- files


def test_one_file_gives_its_name_whatever_its_extension(make: MakeFiles) -> None:
    make("clips/left/a.dat", "clips/.b")
    assert keys_and_labels(find_videos(["clips/left/a.dat"])) == [("a.dat", "")]
    assert keys_and_labels(find_videos([Path("clips/.b").absolute()])) == [(".b", "")]


def test_files_give_paths_relative_to_what_they_have_in_common(make: MakeFiles, tmp_path: Path) -> None:
    make("clips/left/a.mp4", "clips/right/a.mp4", "clips/b.mp4")
    both = [("left/a.mp4", "left"), ("right/a.mp4", "right")]
    assert keys_and_labels(find_videos(["clips/left/a.mp4", "clips/right/a.mp4"])) == both
    assert keys_and_labels(find_videos([tmp_path / "clips/left/a.mp4", "clips/left/../right/a.mp4"])) == both
    assert keys_and_labels(find_videos(["clips/left/a.mp4", "clips/b.mp4"])) == [("b.mp4", ""), ("left/a.mp4", "left")]


def test_folders_and_files_mix(make: MakeFiles) -> None:
    make("clips/left/a.mp4", "more/x/b.mp4", "more/y/c.mp4")
    found = find_videos(["more/x/b.mp4", "clips", "more/y/c.mp4"])
    assert keys_and_labels(found) == [("left/a.mp4", "left"), ("x/b.mp4", "x"), ("y/c.mp4", "y")]
    assert [(video.root, video.is_searched) for video in found] == [("clips", True), ("more", False), ("more", False)]


def test_the_same_file_reached_twice_is_taken_once(make: MakeFiles) -> None:
    make("clips/left/a.mp4")
    assert [v.key for v in find_videos(["clips/left/a.mp4", "./clips/left/a.mp4", "clips/*/a.mp4"])] == ["a.mp4"]
    assert [v.key for v in find_videos(["clips", "clips/"])] == ["left/a.mp4"]
    Path("links/clips").mkdir(parents=True)
    Path("links/clips/left").symlink_to(Path("clips/left").absolute())
    assert [v.key for v in find_videos(["clips/left", "links/clips/left"])] == ["a.mp4"]


def test_roots_of_one_name_have_their_parents_in_front(make: MakeFiles) -> None:
    make("one/clips/left/a.mp4", "two/clips/left/a.mp4", "two/clips/b.mp4", "other/c.mp4")
    found = find_videos(["one/clips", "two/clips", "other"])
    assert [(video.root, video.key) for video in found] == [
        ("one/clips", "one/clips/left/a.mp4"),
        ("other", "c.mp4"),
        ("two/clips", "b.mp4"),
        ("two/clips", "two/clips/left/a.mp4"),
    ]


# ---- patterns


def test_matches_of_a_pattern_count_as_files(make: MakeFiles) -> None:
    make("clips/left/a.mp4", "clips/right/a.mp4", "clips/right/b.txt", "clips/c.mp4", "clips/right/.d.mp4")
    pair = [("left/a.mp4", "left"), ("right/a.mp4", "right")]
    assert keys_and_labels(find_videos(["clips/*/*.mp4"])) == pair
    assert keys_and_labels(find_videos(["clips/[lr]*/?.mp4"])) == pair
    assert keys_and_labels(find_videos(["clips/**/*.mp4"])) == [("c.mp4", ""), *pair]
    assert keys_and_labels(find_videos(["*/right/*"])) == [("a.mp4", ""), ("b.txt", "")]
    assert keys_and_labels(find_videos(["clips/right/.*"])) == [(".d.mp4", "")]


@pytest.mark.parametrize("pattern", ["clips/*", "clips/**", "cl*/**", "**", "clips/l* clips/r*", "clips/**/*"])
def test_folders_that_match_are_searched_as_folders(make: MakeFiles, pattern: str) -> None:
    make("clips/left/a.mp4", "clips/left/.b.mp4", "clips/right/deep/c.mp4", ".hidden/d.mp4")
    if pattern != "clips/**/*":
        make("clips/left/b.txt")
    expected = [("left/a.mp4", "left"), ("right/deep/c.mp4", "deep")]
    assert keys_and_labels(find_videos(pattern.split())) == expected


def test_an_absolute_pattern_works(make: MakeFiles, tmp_path: Path) -> None:
    make("clips/left/a.mp4")
    assert [video.path for video in find_videos([f"{tmp_path}/c**/left/*.mp4"])] == [tmp_path / "clips/left/a.mp4"]


def test_two_stars_pass_through_no_linked_folder(make: MakeFiles) -> None:
    make("clips/left/a.mp4")
    for name in ("loop", "again"):
        Path("clips", name).symlink_to(".")
    assert [video.key for video in find_videos(["clips/**/*.mp4"])] == ["a.mp4"]


def test_a_path_that_exists_is_no_pattern(make: MakeFiles) -> None:
    make("clips[1]/a.mp4", "clips1/b.mp4", "c[1].mp4", "c1.mp4")
    assert [video.key for video in find_videos(["clips[1]"])] == ["a.mp4"]
    assert [video.key for video in find_videos(["c[1].mp4"])] == ["c[1].mp4"]


# ---- lists


def test_list_files_count_as_sources(make: MakeFiles) -> None:
    make("clips/left/a b.mp4", "clips/right/c.mp4", "more/d.mp4")
    lines = "\ufeffclips/left/a b.mp4\r\n\r\n   \nclips/r*/*.mp4\nmore"
    Path("list.txt").write_bytes(lines.encode())
    expected = [("left/a b.mp4", "left"), ("right/c.mp4", "right"), ("d.mp4", "")]
    assert keys_and_labels(find_videos([], list_files=[Path("list.txt")])) == expected


def test_a_list_of_one_folder_is_one_folder(make: MakeFiles) -> None:
    make("clips/a.mp4")
    Path("list.txt").write_text("clips\n")
    assert [video.key for video in find_videos([], list_files=[Path("list.txt")])] == ["a.mp4"]
    assert [video.key for video in find_videos(["clips"], list_files=[Path("list.txt")])] == ["a.mp4"]


def test_a_list_may_end_its_paths_with_null_bytes(make: MakeFiles) -> None:
    make("clips/new\nline.mp4", "clips/b.mp4")
    Path("list").write_bytes(b"clips/new\nline.mp4\0clips/b.mp4\0")
    assert [video.key for video in find_videos([], list_files=["list"])] == ["b.mp4", "new\nline.mp4"]
    Path("list").write_bytes(b"clips/b.mp4\0clips/c\nd.mp4\0")
    assert refusal(list_files=(Path("list"),)).startswith("'list', path 2: 'clips/c\\nd.mp4' does not exist")


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are not UTF-8")
def test_standard_input_names_sources(make: MakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    make("clips/left/ä.mp4", "clips/gr\udcffn/b.mp4", "clips/left/new\nline.mp4", "more/c.mp4")
    standard_input(
        monkeypatch, "\ufeffclips/left/ä.mp4\r\n\nclips/gr\udcffn/*.mp4\n".encode("utf-8", "surrogateescape")
    )
    assert keys_and_labels(find_videos(["-"])) == [("gr\\xffn/b.mp4", "gr\\xffn"), ("left/ä.mp4", "left")]
    standard_input(monkeypatch, "clips/gr\udcffn/b.mp4\0clips/left/new\nline.mp4\0".encode("utf-8", "surrogateescape"))
    assert [video.key for video in find_videos(["-"])] == ["gr\\xffn/b.mp4", "left/new\nline.mp4"]
    standard_input(monkeypatch, b"clips\n")
    assert len(find_videos(["-", "more"])) == 4
    standard_input(monkeypatch, b"clips\nclipz\n")
    assert refusal("-") == "standard input, line 2: 'clipz' does not exist: did you mean 'clips'?"
    for nothing in (b"", b" \n"):
        standard_input(monkeypatch, nothing)
        assert refusal("-").startswith("standard input ('-') is empty: write one path a line to it")
    monkeypatch.setattr(sys, "stdin", None)
    assert "is empty" in refusal("-")


def test_a_file_called_dash_is_no_standard_input(make: MakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    make("-", "list.txt")
    monkeypatch.setattr(sys, "stdin", None)
    Path("list.txt").write_text("-\n")
    named: list[tuple[list[str | Path], list[str | Path]]] = [(["./-"], []), ([Path("-")], []), ([], ["list.txt"])]
    for sources, lists in named:
        assert [video.key for video in find_videos(sources, list_files=lists)] == ["-"]


def test_lists_that_cannot_be_used_are_refused(make: MakeFiles, tmp_path: Path) -> None:
    make("clips/a.mp4", "paths.txt")
    Path("blank.txt").write_text("\n \n")
    Path("latin.txt").write_bytes("a\nfür.mp4\n".encode("latin-1"))
    Path("wrong.txt").write_text("clips\n\nclipz\n")
    assert "'path.txt' does not exist: did you mean 'paths.txt'" in refusal(list_files=(Path("path.txt"),))
    assert "'blank.txt' is empty" in refusal(list_files=(Path("blank.txt"),))
    assert "'latin.txt' is not UTF-8 text (byte 3): save" in refusal(list_files=(Path("latin.txt"),))
    assert "cannot read 'clips': Is a directory" in refusal(list_files=(Path("clips"),))
    message = refusal(list_files=(Path("wrong.txt"),))
    assert message == "'wrong.txt', line 3: 'clipz' does not exist: did you mean 'clips'?"


def test_read_text_drops_the_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\n")
    assert read_text(tmp_path / "a.txt") == "a\r\n"


# ---- Unicode

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def keeps_forms(folder: Path) -> bool:
    """Whether the file system keeps names as they are written, so that two forms are two files."""
    (folder / f"{COMPOSED}-probe").touch()
    return not (folder / f"{DECOMPOSED}-probe").exists()


@pytest.fixture
def forms(tmp_path: Path) -> None:
    if not keeps_forms(tmp_path):
        pytest.skip("this file system takes both forms of a name for one")


def test_forms_differ_as_they_should() -> None:
    assert COMPOSED != DECOMPOSED and unicodedata.normalize("NFD", COMPOSED) == DECOMPOSED


@pytest.mark.usefixtures("forms")
def test_keys_and_labels_are_composed_and_paths_stay(make: MakeFiles) -> None:
    make(f"clips/{DECOMPOSED}/a.mp4", f"clips/{COMPOSED}/b{DECOMPOSED}.mp4")
    found = find_videos(["clips"])
    assert keys_and_labels(found) == [(f"{COMPOSED}/a.mp4", COMPOSED), (f"{COMPOSED}/b{COMPOSED}.mp4", COMPOSED)]
    assert found[0].path == Path(f"clips/{DECOMPOSED}/a.mp4")
    assert found[0].path.read_bytes() == f"clips/{DECOMPOSED}/a.mp4".encode()


@pytest.mark.usefixtures("forms")
def test_two_files_whose_names_differ_by_normalization_are_refused(make: MakeFiles) -> None:
    make(f"clips/{DECOMPOSED}.mp4", f"clips/{COMPOSED}.mp4")
    message = refusal("clips")
    assert message.startswith(f"two files have the key '{COMPOSED}.mp4': ")
    assert "'clips/cafe\\u0301.mp4'" in message and "'clips/caf\\xe9.mp4'" in message
    assert message.endswith(
        ", which differ in Unicode's normalization alone; rename one, or give one folder that holds both"
    )


@pytest.mark.usefixtures("forms")
@pytest.mark.parametrize(("on_disk", "given"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_sources_are_found_in_any_form(
    make: MakeFiles, monkeypatch: pytest.MonkeyPatch, on_disk: str, given: str
) -> None:
    make(f"{on_disk}/{on_disk}.mp4", f"{on_disk}/deep/x.mp4", "list.txt")
    Path("list.txt").write_text(f"{given}/{given}.mp4\n{given}/deep/x.mp4\n", encoding="utf-8")
    keys = [f"{COMPOSED}.mp4", "deep/x.mp4"]
    assert sorted(video.key for video in find_videos([], list_files=["list.txt"])) == keys
    found = find_videos([given])
    assert sorted(video.key for video in found) == keys
    assert {video.path for video in found} == {Path(f"{on_disk}/{on_disk}.mp4"), Path(f"{on_disk}/deep/x.mp4")}
    assert [video.key for video in find_videos([f"{given}/{given[:3]}*.mp4"])] == [f"{COMPOSED}.mp4"]
    assert [video.key for video in find_videos([f"*/{given}.mp4"])] == [f"{COMPOSED}.mp4"]
    standard_input(monkeypatch, f"{given}/deep/x.mp4\n".encode())
    assert [video.key for video in find_videos(["-"])] == ["x.mp4"]
    assert "does not exist" in refusal(f"{given}/caffé.mp4")


# ---- unlabeled folders


def test_videos_in_unlabeled_folders_have_no_label(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make("clips/run/a.mp4", "clips/unlabelled/b.mp4", "clips/Unlabeled_2024/cam1/c.mp4", "clips/_new/d.mp4")
    make("clips/unknown/e.mp4", "clips/unknown_x/f.mp4", "clips/g.mp4", "clips/run/_unlabeled.mp4")
    labels = {
        "run/a.mp4": "run",
        "run/_unlabeled.mp4": "run",
        "unlabelled/b.mp4": "",
        "Unlabeled_2024/cam1/c.mp4": "",
        "_new/d.mp4": "",
        "unknown/e.mp4": "",
        "unknown_x/f.mp4": "unknown_x",
        "g.mp4": "",
    }
    assert dict(keys_and_labels(find_videos(["clips"]))) == labels
    assert caplog.messages == [
        "Unlabeled_2024, _new, unknown, unlabelled: 4 videos have no label, by the names of their folders "
        "(--all-labels takes them as classes)"
    ]
    caplog.clear()
    by_folder = {key: key.split("/")[-2] if "/" in key else "" for key in labels}
    assert dict(keys_and_labels(find_videos(["clips"], all_labels=True))) == by_folder
    assert {video.label for video in find_videos(["clips"], class_folders=False)} == {""}
    assert [video.label for video in find_videos(["clips/unlabelled"])] == [""]
    assert caplog.messages == []


def test_unlabeled_folders_in_those_of_splits(make: MakeFiles) -> None:
    make("set/train/run/a.mp4", "set/train/unlabeled/b.mp4", "set/test/run/c.mp4")
    assert labels_and_splits(find_videos(["set"])) == {
        "train/run/a.mp4": ("run", "train"),
        "train/unlabeled/b.mp4": ("", "train"),
        "test/run/c.mp4": ("run", "test"),
    }
    make("set/unlabeled/cam1/d.mp4")
    found = labels_and_splits(find_videos(["set"]))
    assert (found["unlabeled/cam1/d.mp4"], found["test/run/c.mp4"]) == (("", ""), ("run", "test"))
    as_classes = labels_and_splits(find_videos(["set"], all_labels=True))
    assert (as_classes["unlabeled/cam1/d.mp4"], as_classes["test/run/c.mp4"]) == (("cam1", ""), ("run", ""))


# ---- folders of splits


def labels_and_splits(found: list[VideoSource]) -> dict[str, tuple[str, str]]:
    return {video.key: (video.label, video.split) for video in found}


def test_folders_named_as_splits_are_splits(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make("set/Train/run/a.mp4", "set/Train/jump/deep/b.mp4", "set/val/run/c.mp4", "set/val/d.mp4")
    make("set/testing/jump/e.mp4", "set/f.mp4")
    assert labels_and_splits(find_videos(["set"])) == {
        "Train/run/a.mp4": ("run", "train"),
        "Train/jump/deep/b.mp4": ("jump", "train"),
        "val/run/c.mp4": ("run", "validation"),
        "val/d.mp4": ("", "validation"),
        "testing/jump/e.mp4": ("jump", "test"),
        "f.mp4": ("", ""),
    }
    assert caplog.messages == [
        "'set': Train, testing, val are splits, and the folders in them classes (with --no-split-folders they are "
        "classes themselves)"
    ]
    caplog.clear()
    kept = find_videos(["set"], split_folders=False)
    assert {video.split for video in kept} == {""} and caplog.messages == []
    assert labels_and_splits(kept)["Train/jump/deep/b.mp4"] == ("deep", "")
    assert labels_and_splits(kept)["val/d.mp4"] == ("val", "")


@pytest.mark.parametrize("name", ["train", "training", "val", "valid", "validation", "test", "testing", "TEST"])
def test_every_name_of_a_split_counts(make: MakeFiles, name: str) -> None:
    make(f"set/{name}/run/a.mp4")
    expected = {"t": "train", "v": "validation", "test"[0]: "train"}[name[0].lower()]
    if name.lower().startswith("test"):
        expected = "test"
    assert labels_and_splits(find_videos(["set"])) == {f"{name}/run/a.mp4": ("run", expected)}


@pytest.mark.parametrize("more", ["set/other/run/b.mp4", "set/trains/run/b.mp4"])
def test_a_folder_with_another_name_makes_all_of_them_classes(
    make: MakeFiles, caplog: pytest.LogCaptureFixture, more: str
) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make("set/train/run/a.mp4", more)
    assert {video.split for video in find_videos(["set"])} == {""}
    assert caplog.messages == []


def test_folders_that_hold_no_videos_do_not_count(make: MakeFiles) -> None:
    make("set/train/run/a.mp4", "set/annotations/list/c.txt", "set/train/run/d.txt")
    assert labels_and_splits(find_videos(["set"])) == {"train/run/a.mp4": ("run", "train")}


def test_classes_named_as_splits_stay_classes_and_it_is_said(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make("set/train/a.mp4", "set/test/run/b.mp4")
    assert labels_and_splits(find_videos(["set"])) == {"train/a.mp4": ("train", ""), "test/run/b.mp4": ("run", "")}
    assert caplog.messages == ["'set': test, train are classes, not splits: not each of them holds class folders"]


def test_several_sources_are_splits_by_their_own_names_or_by_their_folders(
    make: MakeFiles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vidrep")
    make("one/train/run/a.mp4", "one/test/run/b.mp4", "two/clips/run/c.mp4")
    expected = {"run/a.mp4": ("run", "train"), "run/b.mp4": ("run", "test")}
    assert labels_and_splits(find_videos(["one/train", "one/test"])) == expected
    expected = {"train/run/a.mp4": ("run", "train"), "test/run/b.mp4": ("run", "test")}
    assert [message.partition(",")[0] for message in caplog.messages] == ["the folders: test"]
    assert labels_and_splits(find_videos(["one/*/*/*.mp4"])) == expected
    assert labels_and_splits(find_videos(["one", "two/clips"])) == {
        "train/run/a.mp4": ("run", "train"),
        "test/run/b.mp4": ("run", "test"),
        "run/c.mp4": ("run", ""),
    }


# ---- extensions that are taken


@pytest.mark.parametrize(
    ("extension", "form", "codec", "pix_fmt"),
    [
        (".gif", "gif", "gif", "rgb8"),
        (".apng", "apng", "apng", "rgb24"),
        (".mod", "mpeg", "mpeg2video", "yuv420p"),
        (".TOD", "mpegts", "mpeg2video", "yuv420p"),
        (".dav", "mpegts", "libx264", "yuv420p"),
    ],
)
def test_videos_of_other_extensions_are_found_and_read(
    tmp_path: Path, extension: str, form: str, codec: str, pix_fmt: str
) -> None:
    path = tmp_path / "clips" / "run" / f"a{extension}"
    path.parent.mkdir(parents=True)
    # Noise, for FFmpeg recognizes a transport stream by its many packets.
    noise = np.random.default_rng(0).integers(0, 64, (4, 48, 64, 3))
    written = (noise + 60 * np.arange(4)[:, None, None, None]).astype(np.uint8)
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for pixels in written:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    assert keys_and_labels(find_videos([tmp_path / "clips"])) == [(f"run/a{extension}", "run")]
    with open_video(path) as video:
        shown = [int(frame.rgb.mean()) for frame in video.frames(Sampling())]
    assert shown == pytest.approx(written.mean(axis=(1, 2, 3)), abs=20)  # rgb8 has 8 levels


# ---- URLs and streams


@pytest.mark.parametrize(
    "url", ["https://example.org/a.mp4", "http://example.org/a?b=[1]*", "rtsp://camera:554/live", "file:///a/b.mp4"]
)
def test_a_url_is_refused_with_what_to_do(make: MakeFiles, url: str) -> None:
    make("clips/a.mp4", "list.txt")
    expected = "is a URL, and vidrep reads files alone: download it first, then name the file"
    assert refusal(url) == f"{url!r} {expected}"
    assert refusal("clips", Path(url)) == f"{str(Path(url))!r} {expected}"
    Path("list.txt").write_text(f"clips/a.mp4\n{url}\n")
    assert refusal(list_files=(Path("list.txt"),)) == f"'list.txt', line 2: {url!r} {expected}"


@pytest.mark.parametrize(
    ("form", "codec"),
    [
        *(("mp4", "libx264"), ("matroska", "libx264"), ("mpegts", "libx264"), ("h264", "libx264"), ("avi", "mpeg4")),
        *(("flv", "flv1"), ("mpeg", "mpeg2video"), ("yuv4mpegpipe", "rawvideo"), ("gif", "gif"), ("asf", "wmv2")),
    ],
)
def test_a_video_on_standard_input_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, codec: str
) -> None:
    path = tmp_path / "a"
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if form == "gif" else "yuv420p"
        noise = np.random.default_rng(0).integers(1, 255, (3, 48, 64, 3), dtype=np.uint8)
        for pixels in noise:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    standard_input(monkeypatch, path.read_bytes())
    assert refusal("-") == (
        "standard input holds binary data, such as a video itself; '-' reads a list of paths: write the video to a "
        "file first, then name that file"
    )
    holds = "holds binary data, no text: save it as UTF-8 text (a spreadsheet as CSV)"
    assert refusal(list_files=(path,)) == f"{str(path)!r} {holds}"


def test_an_endless_stream_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    assert "standard input holds binary data" in refusal("-")


# ---- refusals


def test_a_path_that_does_not_exist_offers_its_neighbors(make: MakeFiles) -> None:
    make("clips/left/a.mp4")
    assert refusal("clps") == "'clps' does not exist: did you mean 'clips'?"
    assert "did you mean 'left'?" in refusal("clips/lefft/a.mp4")
    assert refusal("zzz") == "'zzz' does not exist: name a folder, a video file or a pattern"
    assert "'clips/left/a.mp4/b' does not exist: name a folder" in refusal("clips/left/a.mp4/b")
    assert "does not exist" in refusal("a\0*")
    Path("dangling.mp4").symlink_to("none.mp4")
    assert "'dangling.mp4' is a symbolic link to nothing" in refusal("dangling.mp4")


def test_nothing_given_is_refused(make: MakeFiles) -> None:
    make("a.mp4")
    assert "no source was given" in refusal()
    assert "empty text" in refusal("")
    with pytest.raises(TypeError, match=r"\['clips'\]"):
        find_videos("clips")


def test_patterns_without_matches_are_refused(make: MakeFiles) -> None:
    make("clips/left/a.txt")
    assert "the pattern 'clips/*.mp4' matches nothing" in refusal("clips/*.mp4")
    assert "matches nothing" in refusal("nowhere/**/*.mp4")
    assert "the pattern 'clips/*' matches only folders without a video" in refusal("clips/*")


def test_folders_without_videos_are_refused(make: MakeFiles) -> None:
    Path("empty/sub").mkdir(parents=True)
    assert "the folder 'empty' holds no files: name" in refusal("empty")
    Path("empty/link.mp4").symlink_to(Path(__file__))
    assert "holds no files (1 symbolic links left out)" in refusal("empty")
    make("papers/a.pdf", "papers/b/c.PDF", "papers/d.txt", "papers/e")
    message = refusal("papers")
    assert "none of the 4 files in the folder 'papers' is a video: 2 .pdf, 1 " in message
    assert "1 .txt" in message and "1 no extension" in message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_left_out_of_folders(make: MakeFiles) -> None:
    make("clips/a.mp4")
    os.mkfifo("clips/b.mp4")
    assert "'clips/b.mp4' is neither a file nor a folder" in refusal("clips/b.mp4")
    assert [video.key for video in find_videos(["clips"])] == ["a.mp4"]


@pytest.fixture
def close(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let no folder of a name be read; a mode would not do, for tests may run as root, who may read everything."""
    scandir, closed = os.scandir, set[str]()

    def scan(folder: Path) -> object:
        if Path(folder).name in closed:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    return closed.add


def test_a_folder_that_cannot_be_read_is_listed_and_stops_nothing(
    make: MakeFiles, close: Callable[[str], None]
) -> None:
    make("clips/a.mp4", "clips/left/b.mp4", "clips/left/lost+found/c.mp4", "other/d.mp4")
    close("lost+found")
    why = "the folder cannot be read (Permission denied)"
    found = find_videos(["clips"])
    assert [(video.key, video.unreadable) for video in found] == [
        ("a.mp4", ""),
        ("left/b.mp4", ""),
        ("left/lost+found", why),
    ]
    assert not any(video.is_searched for video in found)
    assert find_videos(["cli*"]) == found
    both = find_videos(["clips", "other"])
    assert [(video.key, video.is_searched) for video in both[3:]] == [("d.mp4", True)]
    assert both[:3] == found
    named = find_videos(["clips/left/lost+found", "other"])
    assert [(video.key, video.unreadable) for video in named] == [("lost+found", why), ("d.mp4", "")]
    assert find_videos(["clips/left/l*", "other"])[0].path == named[0].path


def test_nothing_but_folders_that_cannot_be_read_is_refused(make: MakeFiles, close: Callable[[str], None]) -> None:
    make("clips/a.mp4", "more/lost+found/c.mp4", "more/e.txt")
    close("clips")
    why = "the folder cannot be read (Permission denied)"
    expected = f"no video was found; 'clips': {why}; change the permissions or name other sources"
    assert refusal("clips") == refusal("cl*") == expected
    close("lost+found")
    assert refusal("more") == expected.replace("'clips'", "'more/lost+found'")
    assert refusal("clips", "more").startswith(f"no video was found; 'clips': {why}, 'more/lost+found': {why}; change")


def test_a_path_in_a_closed_folder_is_refused(make: MakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    make("clips/a.mp4")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", refuse)
        message = refusal("clips/a.mp4")
    assert "cannot read 'clips/a.mp4': Permission denied; check its name and permissions" in message


@pytest.mark.real_data
def test_real_folders(real_data: Path) -> None:
    tennis = find_videos([real_data / "tennis7"])
    assert len(tennis) == 371
    assert len({video.label for video in tennis}) == 7
    odd = find_videos([real_data / "odd"])
    assert len(odd) == 13
    assert all(video.label == "" for video in odd)


# ---- what a stranger's folders have


def said(caplog: pytest.LogCaptureFixture, *sources: str) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return labels and splits, and what the log says."""
    caplog.set_level(logging.INFO, "vidrep")
    caplog.clear()
    found = labels_and_splits(find_videos(sources))
    return found, [message.removeprefix(f"'{sources[0]}': ") for message in caplog.messages]


def test_folders_of_splits_may_lie_in_one_folder(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    make("set/data/v1/train/run/a.mp4", "set/data/v1/Val /run/b.mp4")
    found, (line,) = said(caplog, "set")
    assert found == {
        "data/v1/Val /run/b.mp4": ("run", "validation"),
        "data/v1/train/run/a.mp4": ("run", "train"),
    }
    assert line.startswith("Val , train are splits, and the folders in them classes")


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (
            ("train_set/run/a", "test_set/run/b"),
            "test_set, train_set are no splits: these are named train, val or test",
        ),
        (
            ("run/train/a", "run/test/b", "jump/train/c"),
            "test, train are taken for classes: folders of splits lie above class folders, not in them",
        ),
        (("train/a", "test/b"), "test, train are classes, not splits: not each of them holds class folders"),
    ],
)
def test_folders_that_only_look_like_splits_are_one_line(
    make: MakeFiles, caplog: pytest.LogCaptureFixture, names: tuple[str, ...], line: str
) -> None:
    make(*(f"set/{name}.mp4" for name in names))
    found, lines = said(caplog, "set")
    assert {split for _, split in found.values()} == {""}
    assert lines == [line]


def test_one_class_that_sounds_like_a_split_is_one(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    make("set/steam train/a.mp4", "set/steam train/b.mp4")
    assert said(caplog, "set")[1] == []


def test_paths_as_windows_writes_them_are_found(make: MakeFiles) -> None:
    make("c/run/a.mp4", "c/\u00e9/b.mp4", "c/back\\slash.mp4")
    Path("l.txt").write_text("c\\run\\a.mp4\r\nc\\e\u0301\\b.mp4\r\nc/back\\slash.mp4\r\n", encoding="utf-8")
    assert [str(one.path) for one in find_videos([], list_files=["l.txt"])] == [
        "c/back\\slash.mp4",
        "c/run/a.mp4",
        "c/\u00e9/b.mp4",
    ]
    with pytest.raises(InputError, match="does not exist"):
        find_videos(["c\\run\\b.mp4"])


def test_a_frame_rate_that_nothing_has_is_said(make: MakeFiles, caplog: pytest.LogCaptureFixture) -> None:
    make("c/run/a.mp4")
    find_videos(["c"], frame_rate=30)
    assert caplog.messages == ["--frame-rate 30 is not used: none of the videos is a folder of numbered images"]
