"""Rows are found by the content of files: moved, renamed, copied, missing, back, in conflict."""

import shutil
from pathlib import Path

import pytest
from fixture_types import MakeClip

from vidrep.errors import InputError, LabelError
from vidrep.extraction import decoding
from vidrep.extraction.extract import ExtractSummary, extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features, open_features
from vidrep.video.decoders import open_video
from vidrep.video.sources import find_videos


@pytest.fixture
def clips(tmp_path: Path, clip: MakeClip) -> Path:
    """Two clips in each of two classes."""
    for number, name in enumerate(["left/a", "left/b", "right/c", "right/d"]):
        clip(tmp_path / "clips" / f"{name}.mp4", seed=number, num_frames=3 + number)
    return tmp_path / "clips"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from here on."""
    names: list[str] = []

    def opening(path: Path, **options: object) -> object:
        names.append(path.name)
        return open_video(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "open_video", opening)
    return names


def run(output: Path, *sources: Path, prune: bool = False, **annotations: str) -> ExtractSummary:
    labels = {key.replace("__", "/") + ".mp4": Annotation(label, None) for key, label in annotations.items()}
    return extract(find_videos(sources), output, PatchExtractor(size=4), annotations=labels, prune=prune, workers=0)


def labels(output: Path) -> dict[str, str]:
    return {row.path: row.label for row in open_features(output).videos}


def rows(features: Features) -> dict[str, bytes]:
    return {row.source_sha256: features.rows(index).tobytes() for index, row in enumerate(features.videos)}


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_moved_renamed_and_deleted_files(clips: Path, tmp_path: Path, output: str, decoded: list[str]) -> None:
    run(tmp_path / output, clips)
    before = rows(open_features(tmp_path / output, as_stored=True))
    decoded.clear()
    (clips / "left" / "a.mp4").rename(clips / "right" / "a.mp4")  # a label is corrected
    (clips / "left" / "b.mp4").rename(clips / "left" / "z.mp4")
    (clips / "right" / "d.mp4").unlink()
    changes = run(tmp_path / output, clips).changes
    assert decoded == []
    assert labels(tmp_path / output) == {"left/z.mp4": "left", "right/a.mp4": "right", "right/c.mp4": "right"}
    assert (changes.moved, changes.relabeled) == (["left/z.mp4", "right/a.mp4"], ["right/a.mp4"])
    assert (changes.missing, changes.num_unchanged, changes.added) == (["right/d.mp4"], 1, [])
    assert rows(open_features(tmp_path / output, as_stored=True)) == before
    assert [row.path for row in open_features(tmp_path / output).missing] == ["right/d.mp4"]


def test_two_files_may_change_places(clips: Path, tmp_path: Path, decoded: list[str]) -> None:
    run(tmp_path / "f.h5", clips)
    decoded.clear()
    (clips / "left" / "a.mp4").rename(clips / "x.mp4")
    (clips / "right" / "c.mp4").rename(clips / "left" / "a.mp4")
    (clips / "x.mp4").rename(clips / "right" / "c.mp4")
    assert run(tmp_path / "f.h5", clips).changes.moved == ["left/a.mp4", "right/c.mp4"]
    assert decoded == []
    run(tmp_path / "fresh.h5", clips)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_a_class_may_be_renamed(clips: Path, tmp_path: Path, decoded: list[str]) -> None:
    run(tmp_path / "f.h5", clips)
    decoded.clear()
    (clips / "left").rename(clips / "west")
    changes = run(tmp_path / "f.h5", clips).changes
    assert (len(changes.moved), changes.relabeled, changes.num_unchanged) == (2, ["west/a.mp4", "west/b.mp4"], 2)
    assert decoded == []
    run(tmp_path / "fresh.h5", clips)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_what_is_gone_comes_back_without_decoding_or_is_pruned(
    clips: Path, tmp_path: Path, decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "f.h5", clips)
    whole = (tmp_path / "f.h5").read_bytes()
    (clips / "left" / "a.mp4").rename(tmp_path / "a.mp4")
    run(tmp_path / "f.h5", clips)
    assert "1 videos are gone: left/a.mp4; their rows are kept, but not used" in caplog.text
    caplog.clear()
    decoded.clear()
    assert run(tmp_path / "f.h5", clips).changes.missing == []  # it is said once
    (tmp_path / "a.mp4").rename(clips / "left" / "a.mp4")
    assert run(tmp_path / "f.h5", clips).changes.back == ["left/a.mp4"]
    assert (decoded, (tmp_path / "f.h5").read_bytes()) == ([], whole)
    (clips / "left" / "a.mp4").unlink()
    assert run(tmp_path / "f.h5", clips, prune=True).num_removed == 1
    run(tmp_path / "fresh.h5", clips)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_only_a_folder_that_was_searched_whole_tells_what_is_gone(clips: Path, tmp_path: Path) -> None:
    run(tmp_path / "f.h5", clips)
    before = (tmp_path / "f.h5").read_bytes()
    run(tmp_path / "f.h5", clips / "left" / "a.mp4", prune=True)  # a file
    run(tmp_path / "f.h5", clips / "left", prune=True)  # a folder within the root
    run(tmp_path / "f.h5", *sorted(clips.glob("right/*.mp4")), prune=True)
    assert (tmp_path / "f.h5").read_bytes() == before
    for file in clips.glob("*/*.mp4"):
        file.unlink()
    with pytest.raises(InputError, match="holds no files"):  # a disk that is not there
        run(tmp_path / "f.h5", clips, prune=True)
    assert (tmp_path / "f.h5").read_bytes() == before


def test_a_second_folder_leaves_the_first_ones_keys(clips: Path, tmp_path: Path, clip: MakeClip) -> None:
    run(tmp_path / "f.h5", clips)
    first = open_features(tmp_path / "f.h5").videos
    clip(tmp_path / "more" / "up" / "e.mp4", seed=9)
    for sources in ([clips, tmp_path / "more"], [tmp_path / "more", clips]):
        summary = run(tmp_path / "f.h5", *sources)
        videos = open_features(tmp_path / "f.h5").videos
        assert [(row.root, row.path, row.label) for row in videos[:4]] == [
            (row.root, row.path, row.label) for row in first
        ]
        assert (videos[4].root, videos[4].path, videos[4].label) == ("more", "up/e.mp4", "up")
    assert (summary.changes.num_unchanged, summary.num_new) == (5, 0)
    run(tmp_path / "fresh.h5", tmp_path / "more", clips)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_equal_paths_in_two_roots_have_the_root_in_front(clips: Path, tmp_path: Path, clip: MakeClip) -> None:
    clip(tmp_path / "more" / "left" / "a.mp4", seed=9)
    run(tmp_path / "f.h5", clips, tmp_path / "more")
    keys = ["clips/left/a.mp4", "left/b.mp4", "right/c.mp4", "right/d.mp4", "more/left/a.mp4"]
    features = open_features(tmp_path / "f.h5")
    assert [row.path for row in features.videos] == keys
    assert features.index("more/left/a.mp4") == 4
    run(tmp_path / "g.h5", clips, tmp_path / "more", clips__left__a="x", more__left__a="y")
    assert labels(tmp_path / "g.h5")["clips/left/a.mp4"] == "x"
    assert labels(tmp_path / "g.h5")["more/left/a.mp4"] == "y"


def test_another_folder_of_the_same_name_is_another_root(
    clips: Path, tmp_path: Path, clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "f.h5", clips)
    clip(tmp_path / "other" / "clips" / "up" / "e.mp4", seed=9)
    summary = run(tmp_path / "f.h5", tmp_path / "other" / "clips")
    assert (summary.num_videos, summary.changes.missing) == (5, [])
    assert "clips shares no video with the folder of that name in the output, and is taken for another" in caplog.text
    assert [row.root for row in open_features(tmp_path / "f.h5").videos] == ["clips"] * 4 + ["other/clips"]


def test_copies_count_once_and_contradictions_not_at_all(clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "left" / "a.mp4", clips / "left" / "copy.mp4")
    shutil.copy(clips / "left" / "b.mp4", clips / "right" / "b.mp4")
    summary = run(tmp_path / "f.h5", clips)
    assert labels(tmp_path / "f.h5") == {"left/a.mp4": "left", "right/c.mp4": "right", "right/d.mp4": "right"}
    assert summary.changes.copies == {"left/copy.mp4": "left/a.mp4"}
    reason = "one video under the names 'left/b.mp4', 'right/b.mp4', with 'left', 'right': keep one of them"
    assert [(one.path, one.status, one.reason) for one in summary.failures] == [
        ("left/b.mp4", "conflict", reason),
        ("right/b.mp4", "conflict", reason),
    ]
    (clips / "left" / "b.mp4").unlink()
    summary = run(tmp_path / "f.h5", clips)
    assert (summary.failures, summary.num_new) == ([], 0)
    assert labels(tmp_path / "f.h5")["right/b.mp4"] == "right"


def test_a_label_from_a_list_stays_until_the_file_moves(clips: Path, tmp_path: Path) -> None:
    run(tmp_path / "f.h5", clips, left__a="wave", left__b="wave")
    run(tmp_path / "f.h5", clips)
    assert labels(tmp_path / "f.h5")["left/a.mp4"] == "wave"
    (clips / "left" / "a.mp4").rename(clips / "right" / "a.mp4")
    assert run(tmp_path / "f.h5", clips).changes.relabeled == ["right/a.mp4"]
    assert labels(tmp_path / "f.h5")["right/a.mp4"] == "right"


def test_a_file_that_changes_replaces_its_rows(clips: Path, tmp_path: Path, clip: MakeClip) -> None:
    run(tmp_path / "f.h5", clips)
    clip(clips / "left" / "a.mp4", seed=50)
    changes = run(tmp_path / "f.h5", clips).changes
    assert (changes.replaced, changes.added) == (["left/a.mp4"], ["left/a.mp4"])
    run(tmp_path / "fresh.h5", clips)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_a_list_is_the_whole_truth_for_labels_alone(clips: Path, tmp_path: Path, decoded: list[str]) -> None:
    run(tmp_path / "f.h5", clips)
    decoded.clear()
    run(tmp_path / "f.h5", clips, left__a="jump")
    assert labels(tmp_path / "f.h5") == {"left/a.mp4": "jump", "left/b.mp4": "", "right/c.mp4": "", "right/d.mp4": ""}
    patches = PatchExtractor(size=4)
    of_splits = {"left/b.mp4": Annotation(None, "test", "g"), "right/c.mp4": Annotation(None, "")}
    extract(find_videos([clips]), tmp_path / "f.h5", patches, annotations=of_splits, workers=0)
    found = [(row.label, row.split, row.group) for row in open_features(tmp_path / "f.h5").videos]
    assert found == [("jump", "", ""), ("", "test", "g"), ("", "", ""), ("", "", "")]
    extending = {"right/c.mp4": Annotation("x", None, "h", extends=True)}
    extract(find_videos([clips]), tmp_path / "f.h5", patches, annotations=extending, workers=0)
    found = [(row.label, row.split, row.group) for row in open_features(tmp_path / "f.h5").videos]
    assert found == [("jump", "", ""), ("", "test", "g"), ("x", "", "h"), ("", "", "")]
    of_groups = {"right/c.mp4": Annotation(None, None, "k")}
    extract(find_videos([clips]), tmp_path / "f.h5", patches, annotations=of_groups, workers=0)
    assert [row.group for row in open_features(tmp_path / "f.h5").videos] == ["", "", "k", ""]
    assert decoded == []


def test_unlabeled_folders_become_classes_and_back_without_decoding(
    clips: Path, tmp_path: Path, decoded: list[str]
) -> None:
    (clips / "right").rename(clips / "_right")
    run(tmp_path / "f.h5", clips)
    unlabeled = (tmp_path / "f.h5").read_bytes()
    assert set(labels(tmp_path / "f.h5").values()) == {"left", ""}
    decoded.clear()
    patches = PatchExtractor(size=4)
    changes = extract(find_videos([clips], all_labels=True), tmp_path / "f.h5", patches, workers=0).changes
    assert labels(tmp_path / "f.h5")["_right/c.mp4"] == "_right"
    assert changes.relabeled == ["_right/c.mp4", "_right/d.mp4"]
    run(tmp_path / "f.h5", clips)
    assert (tmp_path / "f.h5").read_bytes() == unlabeled
    assert decoded == []


def test_classes_that_differ_by_case_alone_are_refused(clips: Path, tmp_path: Path) -> None:
    (clips / "right").rename(clips / "Left")
    with pytest.raises(LabelError, match=r"^the classes 'Left' and 'left' differ by case or blanks alone; give both"):
        run(tmp_path / "f.h5", clips)
    assert not (tmp_path / "f.h5").exists()
