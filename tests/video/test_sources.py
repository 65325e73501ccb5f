"""Which files are found, under which key and label, and what is refused."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vidrep.errors import InputError
from vidrep.video.folder_search import VIDEO_EXTENSIONS
from vidrep.video.named_paths import read_text
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
    make("clips/a.mp4", "clips/.b.mp4", "clips/.cache/c.mp4", "clips/notes.txt", "clips/d.gif", "clips/noextension")
    assert keys_and_labels(find_videos([Path("clips")])) == [("a.mp4", "")]
    make(".hidden/a.mp4")
    assert keys_and_labels(find_videos([".hidden"])) == [("a.mp4", "")]  # named by the user: not left out


def test_extensions_are_lower_case_with_a_dot() -> None:
    assert {".mp4", ".avi", ".webm", ".y4m"} <= VIDEO_EXTENSIONS
    assert all(one.startswith(".") and one == one.lower() for one in VIDEO_EXTENSIONS)
    assert ".gif" not in VIDEO_EXTENSIONS


def test_equal_stems_in_different_folders_or_with_different_extensions_are_fine(make: MakeFiles) -> None:
    make("clips/left/a.mp4", "clips/right/a.mp4", "clips/right/a.avi")
    assert [video.key for video in find_videos(["clips"])] == ["left/a.mp4", "right/a.avi", "right/a.mp4"]


def test_several_folders_put_their_names_in_front(make: MakeFiles) -> None:
    make("x/train_clips/left/a.mp4", "x/test_clips/left/a.mp4", "x/test_clips/b.mp4")
    expected = [("test_clips/b.mp4", ""), ("test_clips/left/a.mp4", "left"), ("train_clips/left/a.mp4", "left")]
    assert keys_and_labels(find_videos(["x/train_clips", "x/test_clips/"])) == expected


def test_dots_are_called_by_the_folder_that_they_mean(make: MakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    make("home/a.mp4", "other/b.mp4", "home/sub/c.mp4")
    monkeypatch.chdir("home")
    assert [video.key for video in find_videos(["."])] == ["a.mp4", "sub/c.mp4"]
    assert [video.key for video in find_videos([".", "../other"])] == ["home/a.mp4", "home/sub/c.mp4", "other/b.mp4"]
    monkeypatch.chdir("sub")
    assert [video.key for video in find_videos(["..", "."])] == ["home/a.mp4", "home/sub/c.mp4", "sub/c.mp4"]


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
    assert caplog.messages == ["'clips': 2 symbolic links are left out: they lead to folders, or out of it"] * 2


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
    assert [video.key for video in find_videos(["link", "other"])] == ["link/c.mp4", "link/left/a.mp4", "other/b.mp4"]


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
    assert keys_and_labels(found) == [("clips/left/a.mp4", "left"), ("x/b.mp4", "x"), ("y/c.mp4", "y")]


def test_the_same_file_reached_twice_is_taken_once(make: MakeFiles) -> None:
    make("clips/left/a.mp4")
    assert [v.key for v in find_videos(["clips/left/a.mp4", "./clips/left/a.mp4", "clips/*/a.mp4"])] == ["a.mp4"]
    assert [v.key for v in find_videos(["clips", "clips/"])] == ["clips/left/a.mp4"]
    Path("links/clips").mkdir(parents=True)
    Path("links/clips/left").symlink_to(Path("clips/left").absolute())
    assert [v.key for v in find_videos(["clips/left", "links/clips/left"])] == ["left/a.mp4"]


def test_two_files_with_one_key_are_refused(make: MakeFiles) -> None:
    make("one/clips/left/a.mp4", "two/clips/left/a.mp4")
    message = refusal("one/clips", "two/clips")
    assert "key 'clips/left/a.mp4': 'one/clips/left/a.mp4' and 'two/clips/left/a.mp4'; rename one" in message


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
    expected = [("left/a b.mp4", "left"), ("more/d.mp4", ""), ("right/c.mp4", "right")]
    assert keys_and_labels(find_videos([], list_files=[Path("list.txt")])) == expected


def test_a_list_of_one_folder_is_one_folder(make: MakeFiles) -> None:
    make("clips/a.mp4")
    Path("list.txt").write_text("clips\n")
    assert [video.key for video in find_videos([], list_files=[Path("list.txt")])] == ["a.mp4"]
    assert [video.key for video in find_videos(["clips"], list_files=[Path("list.txt")])] == ["clips/a.mp4"]


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


def test_a_folder_that_cannot_be_read_is_refused(make: MakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    make("clips/a.mp4", "clips/left/b.mp4")
    scandir = os.scandir

    def refuse_left(folder: Path) -> object:
        if Path(folder).name == "left":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse_left)  # tests may run as root, who may read everything
    assert "cannot read the folder 'clips/left': Permission denied" in refusal("clips")


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
