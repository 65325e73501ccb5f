"""Extraction skips what is done, goes on after a kill, and never lets one bad video touch the others."""

import csv
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pytest
import torch
from fixture_types import MakeClip
from native import NativePatches
from numpy.typing import NDArray

from vidrep.errors import InputError, LabelError, OutputError, Stopped
from vidrep.extraction import output as output_module
from vidrep.extraction import parts
from vidrep.extraction.extract import ExtractSummary, extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.annotations import Annotation
from vidrep.features.parts_folder import MARKER, find_parts
from vidrep.features.store import open_features
from vidrep.features.writer import write_merged
from vidrep.progress import Progress
from vidrep.video.sampling import Sampling
from vidrep.video.sources import VideoSource, find_videos

NUM_FRAMES = {"d.mp4": 8, "left/a.mp4": 3, "left/b.mp4": 4, "left/c.mp4": 5, "right/a.mp4": 6, "right/b.mp4": 7}


def patches(sources: Sequence[VideoSource], output: Path, *, size: int = 8, **options: Any) -> ExtractSummary:
    return extract(sources, output, PatchExtractor(size=size), **{"workers": 0, **options})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def read_failures(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows_by_key(path: Path) -> dict[str, bytes]:
    features = open_features(path)
    return {row.path: features.rows(index).tobytes() for index, row in enumerate(features.videos)}


@pytest.fixture
def folder(tmp_path: Path, clip: MakeClip) -> Path:
    """Three clips that a test may change."""
    for number, name in enumerate(["left/a", "left/b", "right/a"]):
        clip(tmp_path / "clips" / f"{name}.mp4", seed=number, num_frames=3 + number)
    return tmp_path / "clips"


def test_what_is_written(clips_folder: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    summary = patches(find_videos([clips_folder]), tmp_path / "f.h5", on_progress=seen.append)
    features = open_features(tmp_path / "f.h5")
    assert {row.path: row.length for row in features.videos} == NUM_FRAMES
    assert [row.label for row in features.videos] == ["", "left", "left", "left", "right", "right"]
    assert {row.status for row in features.videos} == {"ok"}
    assert {row.fps for row in features.videos} == {5.0}
    assert [row.num_frames_from_header for row in features.videos] == [row.length for row in features.videos]
    sizes = {row.path: row.source_size for row in features.videos}
    assert sizes == {key: (clips_folder / key).stat().st_size for key in NUM_FRAMES}
    assert features.timestamps(2) == pytest.approx([0, 0.2, 0.4, 0.6])
    assert list(features.damaged()) == []
    sampling = {"fps": None, "every": 1, "max_frames": None, "start": None, "end": None}
    got = {"sampling": sampling}
    assert features.settings == {**PatchExtractor(size=8).settings, **got}
    assert {"vidrep", "av", "numpy"} <= set(features.versions)
    assert (summary.num_videos, summary.num_new, summary.num_frames, summary.num_new_frames) == (6, 6, 33, 33)
    assert (summary.failures, summary.missing, summary.unlisted) == ([], [], [])
    assert [(one.done, one.total, one.unit) for one in seen] == [(done, 6, "videos") for done in range(1, 7)]
    assert names(tmp_path) == ["f.h5"]


def test_the_order_of_videos_and_the_parts_do_not_show(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = find_videos([clips_folder])
    patches(sources, tmp_path / "sorted.h5")
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    patches(sources[::-1], tmp_path / "reversed.h5")
    patches(sources[3:] + sources[:3], tmp_path / "rotated.h5")
    expected = (tmp_path / "sorted.h5").read_bytes()
    assert (tmp_path / "reversed.h5").read_bytes() == expected
    assert (tmp_path / "rotated.h5").read_bytes() == expected


def test_sampling_is_applied_and_recorded(clips_folder: Path, tmp_path: Path) -> None:
    patches(find_videos([clips_folder]), tmp_path / "f.h5", sampling=Sampling(fps=2.5, max_frames=3))
    features = open_features(tmp_path / "f.h5")
    assert [row.length for row in features.videos] == [3, 2, 2, 3, 3, 3]
    assert features.timestamps(0) == pytest.approx([0, 0.4, 0.8])
    assert features.settings["sampling"] == asdict(Sampling(fps=2.5, max_frames=3))


def test_what_is_done_is_not_done_again(clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = find_videos([clips_folder])
    patches(sources[:4], tmp_path / "f.h5")
    second = patches(sources, tmp_path / "f.h5")
    assert (second.num_new, second.num_new_frames, second.num_videos) == (2, 13, 6)
    before = (tmp_path / "f.h5").read_bytes()

    def never(path: Path, **options: object) -> NoReturn:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr("vidrep.extraction.decoding.open_video", never)
    third = patches(sources, tmp_path / "f.h5")
    assert (third.num_new, third.num_new_frames, third.num_videos) == (0, 0, 6)
    assert (tmp_path / "f.h5").read_bytes() == before
    assert names(tmp_path) == ["f.h5"]


def test_extending_equals_extracting_at_once(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    patches(sources[3:], tmp_path / "f.h5")
    patches(sources, tmp_path / "f.h5")
    patches(sources, tmp_path / "once.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "once.h5").read_bytes()


def test_a_changed_file_is_done_again(folder: Path, tmp_path: Path, clip: MakeClip) -> None:
    patches(find_videos([folder]), tmp_path / "f.h5")
    before = rows_by_key(tmp_path / "f.h5")
    clip(folder / "left" / "b.mp4", seed=99, num_frames=2)
    summary = patches(find_videos([folder]), tmp_path / "f.h5")
    assert (summary.num_new, summary.num_videos) == (1, 3)
    after = rows_by_key(tmp_path / "f.h5")
    assert len(after["left/b.mp4"]) == 2 * 64
    assert {key for key in after if after[key] != before[key]} == {"left/b.mp4"}


def test_finished_rows_stay_when_their_file_cannot_be_read_any_more(folder: Path, tmp_path: Path) -> None:
    patches(find_videos([folder]), tmp_path / "f.h5")
    patches(find_videos([folder]), tmp_path / "parts")
    before = rows_by_key(tmp_path / "f.h5")
    assert len(before) == 3
    (folder / "left" / "b.mp4").write_text("no video any more")
    for output in ("f.h5", "parts"):
        summary = patches(find_videos([folder]), tmp_path / output)
        assert [failure.path for failure in summary.failures] == ["left/b.mp4"]
        assert summary.failures[0].reason.endswith("; the rows of its earlier version are kept")
        after = rows_by_key(tmp_path / output)
        assert after.keys() == before.keys()
        assert all(np.array_equal(after[key], before[key]) for key in before)


def test_another_file_in_the_place_of_one_is_said(
    folder: Path, tmp_path: Path, clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    patches(find_videos([folder]), tmp_path / "f.h5")
    clip(folder / "left" / "b.mp4", seed=99)
    assert patches(find_videos([folder]), tmp_path / "f.h5").num_new == 1
    assert "1 videos took the place of others with the same key: left/b.mp4" in caplog.text


def test_other_settings_are_refused_by_name(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    patches(sources, tmp_path / "f.h5")
    before = (tmp_path / "f.h5").read_bytes()
    with pytest.raises(OutputError, match=r"f\.h5 was made with other settings: size is 8, not 9; .*--overwrite"):
        patches(sources, tmp_path / "f.h5", size=9)
    with pytest.raises(OutputError, match=r"sampling\.every is 1, not 2"):
        patches(sources, tmp_path / "f.h5", sampling=Sampling(every=2))
    with pytest.raises(OutputError, match=r"video_stream is None, not 0"):
        patches(sources, tmp_path / "f.h5", video_stream=0)
    assert (tmp_path / "f.h5").read_bytes() == before
    assert names(tmp_path) == ["f.h5"]


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_overwriting_starts_over(clips_folder: Path, tmp_path: Path, output: str) -> None:
    sources = find_videos([clips_folder])
    patches(sources, tmp_path / output)
    summary = patches(sources[:2], tmp_path / output, size=4, overwrite=True)
    assert (summary.num_new, summary.num_videos) == (2, 2)
    assert open_features(tmp_path / output).frame_shape == (4, 4)
    assert names(tmp_path) == [output]


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_overwriting_with_nothing_keeps_what_was_there(clips_folder: Path, tmp_path: Path, output: str) -> None:
    patches(find_videos([clips_folder]), tmp_path / output)
    before = rows_by_key(tmp_path / output)
    (tmp_path / "bad.mp4").write_text("text")
    with pytest.raises(InputError, match="none of the 1 videos could be read"):
        patches(find_videos([tmp_path / "bad.mp4"]), tmp_path / output, overwrite=True)
    assert rows_by_key(tmp_path / output) == before


# ---- labels


def test_labels_are_laid_over_without_computing(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = find_videos([clips_folder])
    annotations = {
        "left/a.mp4": Annotation("new", "test"),
        "d.mp4": Annotation("x", None),
        "gone.mp4": Annotation("y", None),
    }
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    for output in ("f.h5", "parts"):
        patches(sources, tmp_path / output)
        before = rows_by_key(tmp_path / output)
        summary = patches(sources, tmp_path / output, annotations=annotations)
        assert summary.num_new == 0
        assert (summary.missing, len(summary.unlisted)) == (["gone.mp4"], 4)
        features = open_features(tmp_path / output)
        assert [(row.label, row.split) for row in features.videos] == [
            ("x", ""), ("new", "test"), ("", ""), ("", ""), ("", ""), ("", ""),
        ]  # fmt: skip
        assert rows_by_key(tmp_path / output) == before
        assert list(features.damaged()) == []
    patches(sources, tmp_path / "at-once.h5", annotations=annotations)
    assert (tmp_path / "at-once.h5").read_bytes() == (tmp_path / "f.h5").read_bytes()


def test_labels_that_name_nothing_write_nothing(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="none of the 1 annotated videos"):
        patches(find_videos([clips_folder]), tmp_path / "f.h5", annotations={"gone.mp4": Annotation("y", None)})
    assert names(tmp_path) == []


def test_equal_stems_in_different_folders_stay_apart(clips_folder: Path, tmp_path: Path) -> None:
    patches(find_videos([clips_folder]), tmp_path / "f.h5")
    features = open_features(tmp_path / "f.h5")
    assert [(row.path, row.label, row.length) for row in features.videos if row.path.endswith("a.mp4")] == [
        ("left/a.mp4", "left", 3),
        ("right/a.mp4", "right", 6),
    ]


def test_groups_come_with_labels(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    annotations = {source.key: Annotation(None, None, source.key[-5]) for source in sources[1:]}
    patches(sources, tmp_path / "f.h5", annotations=annotations)
    groups = [row.group for row in open_features(tmp_path / "f.h5").videos]
    assert groups == ["", "a", "b", "c", "a", "b"]
    patches(sources, tmp_path / "f.h5", annotations={"d.mp4": Annotation("x", None)})  # names no groups
    assert [row.group for row in open_features(tmp_path / "f.h5").videos] == groups
    patches(sources, tmp_path / "later.h5")
    patches(sources, tmp_path / "later.h5", annotations=annotations)
    assert [row.group for row in open_features(tmp_path / "later.h5").videos] == groups


# ---- files of version 1


def make_version_1(path: Path) -> None:
    """Give a file the words of version 1, as far as an extraction depends on them."""
    with h5py.File(path, "r+") as file:
        settings = json.loads(file.attrs["settings"])
        settings["decoder"] = "pyav"
        settings["colour"] = settings.pop("color")
        text = json.dumps(settings).encode()
        file.attrs.create("settings", np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))
        file.attrs["version"] = 1
        file.move("videos/num_frames_from_header", "videos/frames_promised")
        for column in ("group", "root", "missing", "decoding_version"):
            del file[f"videos/{column}"]


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_a_file_of_version_1_is_rewritten_without_computing(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    sources = find_videos([clips_folder])
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    patches(sources, tmp_path / output)
    written = [tmp_path / output] if output == "f.h5" else find_parts(tmp_path / output)
    before = [path.read_bytes() for path in written]
    for path in written:
        make_version_1(path)
    assert open_features(tmp_path / output).format_version == 1
    summary = patches(sources, tmp_path / output)
    assert (summary.num_new, summary.num_videos) == (0, 6)
    assert [path.read_bytes() for path in written] == before
    make_version_1(written[0])
    assert patches(sources[:5], tmp_path / output, prune=True).num_removed == 1
    assert open_features(tmp_path / output).format_version == 2


# ---- bad videos


@pytest.fixture
def bad_folder(folder: Path, clip: MakeClip) -> Path:
    """The three good clips among an empty file, a text, and one cut short."""
    (folder / "left" / "empty.mp4").touch()
    (folder / "a-text.mp4").write_text("This is no video. " * 50)
    noise = clip(folder / "right" / "cut.mp4", seed=9, num_frames=30, side=32)
    # libx264 puts the index at the end: it has to be in front for a file cut short to open at all.
    import av

    with av.open(str(noise)) as whole, av.open(str(folder / "front"), "w", "mp4", {"movflags": "faststart"}) as front:
        stream = front.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = stream
                front.mux(packet)
    content = (folder / "front").read_bytes()
    noise.write_bytes(content[: 2 * len(content) // 3])
    (folder / "front").unlink()
    return folder


def test_a_bad_video_changes_nothing_else(bad_folder: Path, tmp_path: Path) -> None:
    good = [source for source in find_videos([bad_folder]) if "a.mp4" in source.key or source.key == "left/b.mp4"]
    assert len(good) == 3
    patches(good, tmp_path / "good.h5")
    summary = patches(find_videos([bad_folder]), tmp_path / "all.h5")
    expected, found = rows_by_key(tmp_path / "good.h5"), rows_by_key(tmp_path / "all.h5")
    assert {key: found[key] for key in expected} == expected
    assert set(found) - set(expected) == {"right/cut.mp4"}
    features = open_features(tmp_path / "all.h5")
    cut = features.videos[features.index("right/cut.mp4")]
    assert (cut.status, cut.num_frames_from_header) == ("partial", 30)
    assert 0 < cut.length < 30
    assert "of the 30 frames that the header promises" in cut.message
    annotations = [(failure.path, failure.status) for failure in summary.failures]
    assert annotations == [("a-text.mp4", "failed"), ("left/empty.mp4", "failed"), ("right/cut.mp4", "partial")]


def test_the_list_of_failures_comes_and_goes(bad_folder: Path, tmp_path: Path, clip: MakeClip) -> None:
    for output, listed_in in {"f.h5": "f.failures.csv", "parts": "parts/failures.csv"}.items():
        summary = patches(find_videos([bad_folder]), tmp_path / output)
        assert summary.failures_file == tmp_path / listed_in
        table = read_failures(tmp_path / listed_in)
        assert list(table[0]) == ["video", "status", "reason", "source"]
        assert [row["video"] for row in table] == ["a-text.mp4", "left/empty.mp4", "right/cut.mp4"]
        assert table[1]["reason"] == "the file is empty (0 bytes)"
        assert table[1]["source"] == str(bad_folder / "left" / "empty.mp4")
        again = patches(find_videos([bad_folder]), tmp_path / output)
        assert again.num_new == 0
        assert read_failures(tmp_path / listed_in) == table
    for number, failed in enumerate(["a-text.mp4", "left/empty.mp4", "right/cut.mp4"]):
        clip(bad_folder / failed, seed=20 + number)
    for output, listed_in in {"f.h5": "f.failures.csv", "parts": "parts/failures.csv"}.items():
        assert patches(find_videos([bad_folder]), tmp_path / output).failures == []
        assert not (tmp_path / listed_in).exists()
        assert {row.status for row in open_features(tmp_path / output).videos} == {"ok"}


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_nothing_is_published_if_all_are_bad(tmp_path: Path, output: str) -> None:
    for name in ("a", "b"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "x.mp4").write_text("text")
    for _ in range(2):
        with pytest.raises(InputError, match=r"none of the 2 videos could be read; a/x\.mp4: .*every reason is in"):
            patches(find_videos([tmp_path / "bad"]), tmp_path / output)
        listed_in = tmp_path / ("f.failures.csv" if output == "f.h5" else "parts/failures.csv")
        assert len(read_failures(listed_in)) == 2
        assert not (tmp_path / "f.h5").exists()
        assert not (tmp_path / "f.h5.parts").exists()


def test_a_file_that_vanishes_is_listed(folder: Path, tmp_path: Path) -> None:
    sources = find_videos([folder])
    (folder / "left" / "a.mp4").unlink()
    summary = patches(sources, tmp_path / "f.h5")
    assert [(failure.path, failure.reason) for failure in summary.failures] == [
        ("left/a.mp4", "cannot be read (No such file or directory)")
    ]
    assert len(open_features(tmp_path / "f.h5")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 exist on Linux alone")
def test_names_that_are_not_utf8_are_listed(folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"bad\xff.mp4")).write_text("text")
    summary = patches(find_videos([folder]), tmp_path / "f.h5")
    assert [failure.path for failure in summary.failures] == ["bad\\xff.mp4"]
    assert read_failures(tmp_path / "f.failures.csv")[0]["source"].endswith("bad\\xff.mp4")


# ---- the output


def test_a_folder_of_parts_is_kept_and_extended(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    sources = find_videos([clips_folder])
    patches(sources[:3], tmp_path / "parts")
    assert names(tmp_path / "parts") == ["part-000001.h5", "part-000002.h5"]
    first = (tmp_path / "parts" / "part-000001.h5").read_bytes()
    summary = patches(sources, tmp_path / "parts")
    assert (summary.num_new, summary.num_videos) == (3, 6)
    assert names(tmp_path / "parts") == [f"part-{number:06d}.h5" for number in (1, 2, 3, 4)]
    assert (tmp_path / "parts" / "part-000001.h5").read_bytes() == first
    patches(sources, tmp_path / "f.h5")
    assert rows_by_key(tmp_path / "parts") == rows_by_key(tmp_path / "f.h5")


def test_a_folder_with_other_things_is_left_alone(clips_folder: Path, folder: Path, tmp_path: Path) -> None:
    before = names(folder)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"holds other things than parts \(left, right\); give a new folder"):
            patches(find_videos([clips_folder]), folder, overwrite=overwrite)
    assert names(folder) == before


def test_outputs_that_cannot_be(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "file").write_text("as before")
    (tmp_path / "foreign.h5").write_text("as before")
    for output, message in {
        "folder.h5": "is a folder; give a file name that ends in .h5",
        "file": "is a file; a feature file's name ends in .h5",
        "foreign.h5": "not a readable feature file .* give --overwrite or another output",
        "file/f.h5": "cannot be written",
    }.items():
        with pytest.raises(OutputError, match=message):
            patches(sources, tmp_path / output)
    assert names(tmp_path) == ["file", "folder.h5", "foreign.h5"]
    assert (tmp_path / "foreign.h5").read_text() == "as before"


def test_damaged_rows_are_not_merged_on(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    patches(sources[:3], tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["features"][0] ^= 1
    from vidrep.errors import FeatureFileError

    with pytest.raises(FeatureFileError, match=r"the rows of video 'd\.mp4' are damaged; remove that file"):
        patches(sources, tmp_path / "f.h5")


def test_what_cannot_be_is_refused_before_anything_is_written(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no video"):
        patches([], tmp_path / "f.h5")
    assert names(tmp_path) == []


# ---- ended early; tests/crash kills at every operation


def test_a_kill_between_the_merge_and_the_end_does_no_harm(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = find_videos([clips_folder])
    with monkeypatch.context() as patched:
        patched.setattr("vidrep.extraction.output.remove_parts", lambda folder: None)
        patches(sources, tmp_path / "f.h5")
    assert names(tmp_path) == ["f.h5", "f.h5.parts"]
    before = (tmp_path / "f.h5").read_bytes()
    assert patches(sources, tmp_path / "f.h5").num_new == 0
    assert names(tmp_path) == ["f.h5"]
    assert (tmp_path / "f.h5").read_bytes() == before


def test_an_error_in_the_middle_keeps_the_parts_before_it(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(PatchExtractor):
        num_calls = 0

        def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
            self.num_calls += 1
            if self.num_calls > 20:
                raise MemoryError
            return super().encode(batch)

    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 1)
    monkeypatch.setattr("vidrep.extraction.extractors.patches._BATCH_BYTES", 1)  # a frame a batch
    sources = find_videos([clips_folder])
    with pytest.raises(MemoryError):
        extract(sources, tmp_path / "f.h5", Failing(size=8), workers=0)
    done = len(open_features(tmp_path / "f.h5.parts"))
    assert 0 < done < 6
    assert patches(sources, tmp_path / "f.h5").num_new == 6 - done
    patches(sources, tmp_path / "once.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "once.h5").read_bytes()


def test_settings_are_json(clips_folder: Path, tmp_path: Path) -> None:
    patches(find_videos([clips_folder]), tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        assert json.loads(file.attrs["settings"])["kind"] == "patches"
        assert not any(str(tmp_path) in str(value) for value in file.attrs.values())
        assert np.all(file["videos/source_size"][:] > 0)


def test_stopping_keeps_what_is_finished(clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidrep.extraction.extractors.patches._BATCH_BYTES", 2 * 8 * 8)
    sources = find_videos([clips_folder])
    seen: list[Progress] = []
    with pytest.raises(Stopped, match="what is finished is kept, and the same command goes on"):
        patches(sources, tmp_path / "f.h5", on_progress=seen.append, should_stop=lambda: len(seen) > 2)
    assert names(tmp_path) == ["f.h5.parts"]
    there = len(open_features(tmp_path / "f.h5.parts"))
    assert 0 < there < 6
    assert patches(sources, tmp_path / "f.h5").num_new == 6 - there
    patches(sources, tmp_path / "once.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "once.h5").read_bytes()


def test_stopping_while_merging_leaves_the_output_as_it_was(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = find_videos([clips_folder])
    patches(sources[:2], tmp_path / "f.h5")
    before = (tmp_path / "f.h5").read_bytes()
    merging: list[Any] = []
    monkeypatch.setattr("vidrep.extraction.output.write_merged", noting(merging, write_merged))
    with pytest.raises(Stopped):
        patches(sources, tmp_path / "f.h5", should_stop=lambda: bool(merging))
    assert (tmp_path / "f.h5").read_bytes() == before
    assert names(tmp_path) == ["f.h5", "f.h5.parts"]
    assert patches(sources, tmp_path / "f.h5").num_new == 0
    assert len(open_features(tmp_path / "f.h5")) == 6


def noting(calls: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: object, **options: object) -> Any:
        calls.append(arguments)
        return function(*arguments, **options)

    return noted


def test_a_second_writer_is_refused(clips_folder: Path, tmp_path: Path) -> None:
    def build() -> PatchExtractor:
        with pytest.raises(OutputError, match=rf"f\.h5 is being written by process {os.getpid()} on host"):
            patches(find_videos([clips_folder]), tmp_path / "f.h5")
        return PatchExtractor(size=8)

    assert extract(find_videos([clips_folder]), tmp_path / "f.h5", build, workers=0).num_new == 6
    assert names(tmp_path) == ["f.h5"]


# ---- workers


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_does_not_show(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    sources = find_videos([clips_folder])
    patches = NativePatches(size=8, grid=2, color=True)
    extract(sources, tmp_path / "here.h5", patches, workers=0)
    summary = extract(sources, tmp_path / "workers.h5", patches, workers=workers)
    assert (summary.num_new, summary.num_new_frames, summary.failures) == (6, 33, [])
    assert (tmp_path / "workers.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()
    assert summary.rates.decode and summary.rates.write
    assert extract(sources, tmp_path / "workers.h5", patches, workers=workers).num_new == 0


def test_workers_list_the_same_failures(bad_folder: Path, tmp_path: Path) -> None:
    patches = NativePatches(size=32)
    sources = [source for source in find_videos([bad_folder]) if source.key[-5] != "a" and "b.mp4" not in source.key]
    here = extract(sources, tmp_path / "here.h5", patches, workers=0)
    away = extract(sources, tmp_path / "away.h5", patches, workers=2)
    assert away.failures == here.failures
    assert len(here.failures) == 3
    assert (tmp_path / "away.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()
    assert read_failures(tmp_path / "away.failures.csv") == read_failures(tmp_path / "here.failures.csv")


# ---- several sequences of one video


def test_crops_are_sequences_of_their_own(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])[:2]
    whole = PatchExtractor(size=16, color=True)
    cut = PatchExtractor(size=8, color=True, crops=3, seed=5)
    extract(sources, tmp_path / "whole.h5", whole, workers=0)
    summary = extract(sources, tmp_path / "crops.h5", cut, workers=0)
    assert (summary.num_videos, summary.num_new, summary.num_new_frames, summary.num_frames) == (2, 2, 11, 33)
    frames, crops = open_features(tmp_path / "whole.h5"), open_features(tmp_path / "crops.h5")
    assert [row.path for row in crops.videos][:3] == ["d.mp4#crop-1", "d.mp4#crop-2", "d.mp4#crop-3"]
    assert [row.label for row in crops.videos] == ["", "", "", "left", "left", "left"]
    for index, row in enumerate(crops.videos):
        video = frames.index(row.path.partition("#")[0])
        assert row.source_sha256 == frames.videos[video].source_sha256
        np.testing.assert_array_equal(crops.timestamps(index), frames.timestamps(video))
        places = [
            (top, left)
            for top in range(9)
            for left in range(9)
            if np.array_equal(crops.rows(index), frames.rows(video)[:, top : top + 8, left : left + 8])
        ]
        assert len(places) >= 1
    assert list(crops.damaged()) == []
    assert extract(sources, tmp_path / "crops.h5", cut, workers=0).num_new == 0
    with pytest.raises(OutputError, match="crops is 3, not 2"):
        extract(sources, tmp_path / "crops.h5", PatchExtractor(size=8, color=True, crops=2, seed=5), workers=0)


# ---- sources that are gone


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_pruning_drops_what_has_no_source(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 1)
    patches(find_videos([folder]), tmp_path / output)
    before = rows_by_key(tmp_path / output)
    (folder / "left" / "b.mp4").unlink()
    kept = patches(find_videos([folder]), tmp_path / output)
    assert (kept.num_removed, kept.num_videos, kept.changes.missing) == (0, 2, ["left/b.mp4"])
    assert [row.path for row in open_features(tmp_path / output).missing] == ["left/b.mp4"]
    stored = open_features(tmp_path / output, as_stored=True)
    assert {row.path: stored.rows(index).tobytes() for index, row in enumerate(stored.videos)} == before
    pruned = patches(find_videos([folder]), tmp_path / output, prune=True)
    assert (pruned.num_removed, pruned.num_new, pruned.num_videos) == (1, 0, 2)
    del before["left/b.mp4"]
    assert rows_by_key(tmp_path / output) == before
    patches(find_videos([folder]), tmp_path / "fresh.h5")
    if output == "f.h5":
        assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_pruning_keeps_what_cannot_be_read_now(folder: Path, tmp_path: Path) -> None:
    patches(find_videos([folder]), tmp_path / "f.h5")
    (folder / "left" / "b.mp4").write_text("no video any more")
    assert patches(find_videos([folder]), tmp_path / "f.h5", prune=True).num_removed == 0
    assert "left/b.mp4" in open_features(tmp_path / "f.h5")


def test_torch_has_its_threads_back(clips_folder: Path, tmp_path: Path) -> None:
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)

    class Seeing(PatchExtractor):
        def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
            seen.append(torch.get_num_threads())
            return super().encode(batch)

    extract(find_videos([clips_folder]), tmp_path / "f.h5", Seeing(size=8), workers=0)
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert (set(seen), after) == ({1}, 2)


# ---- starting over


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_starting_over_goes_on_where_it_was_stopped(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr("vidrep.extraction.extractors.patches._BATCH_BYTES", 2 * 8 * 8)
    sources = find_videos([clips_folder])
    patches(sources[:3], tmp_path / output, size=4)
    before = rows_by_key(tmp_path / output)
    seen: list[Progress] = []
    with pytest.raises(Stopped):
        patches(sources, tmp_path / output, overwrite=True, on_progress=seen.append, should_stop=lambda: len(seen) > 3)
    assert rows_by_key(tmp_path / output) == before  # whole, and what it was
    there = len(open_features(tmp_path / f".{output}.anew"))
    assert 0 < there < 6
    summary = patches(sources, tmp_path / output, overwrite=True)
    assert (summary.num_new, summary.num_videos) == (6 - there, 6)
    assert names(tmp_path) == [output]
    patches(sources, tmp_path / "once.h5")
    assert rows_by_key(tmp_path / output) == rows_by_key(tmp_path / "once.h5")


def test_another_attempt_to_start_over_begins_anew(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrep.extraction.extractors.patches._BATCH_BYTES", 2 * 8 * 8)
    sources = find_videos([clips_folder])
    seen: list[Progress] = []
    patches(sources, tmp_path / "f.h5", size=4)
    with pytest.raises(Stopped):
        patches(sources, tmp_path / "f.h5", overwrite=True, on_progress=seen.append, should_stop=lambda: len(seen) > 3)
    assert patches(sources, tmp_path / "f.h5", size=5, overwrite=True).num_new == 6
    assert open_features(tmp_path / "f.h5").frame_shape == (5, 5)
    assert names(tmp_path) == ["f.h5"]


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_a_kill_while_the_new_takes_the_place_of_the_old(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, step: int
) -> None:
    """Whatever was done last, the output is the old one or the new one, and the same command ends in the new one."""
    sources = find_videos([clips_folder])
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    patches(sources[:3], tmp_path / "old.h5", size=4)
    patches(sources, tmp_path / "new.h5")
    old, new = rows_by_key(tmp_path / "old.h5"), rows_by_key(tmp_path / "new.h5")
    patches(sources[:3], tmp_path / output, size=4)
    done: list[str] = []

    class Killed(BaseException):
        pass

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: object, **options: object) -> Any:
            if len(done) == step:
                raise Killed
            done.append(function.__name__)
            return function(*arguments, **options)

        return once

    with monkeypatch.context() as patched:
        for name in ("write_merged", "remove_parts", "rename_folder", "_remove_folder_of_parts"):
            patched.setattr(output_module, name, dying(getattr(output_module, name)))
        try:
            patches(sources, tmp_path / output, overwrite=True)
        except Killed:
            pass
        else:
            assert len(done) <= step
    if (tmp_path / output).exists():
        assert rows_by_key(tmp_path / output) in (old, new)
    patches(sources, tmp_path / output, overwrite=True)
    assert rows_by_key(tmp_path / output) == new
    assert names(tmp_path) == sorted(["new.h5", "old.h5", output])


def test_a_folder_that_a_kill_left_aside_comes_back(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    patches(sources[:3], tmp_path / "parts")
    before = rows_by_key(tmp_path / "parts")
    (tmp_path / "parts").rename(tmp_path / ".parts.old")
    assert patches(sources[:3], tmp_path / "parts").num_new == 0
    assert rows_by_key(tmp_path / "parts") == before
    assert names(tmp_path) == ["parts"]


# ---- odd outputs


@pytest.mark.skipif(sys.platform == "win32", reason="links")
@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_the_two_names_of_a_linked_output_are_one(clips_folder: Path, tmp_path: Path, output: str) -> None:
    sources = find_videos([clips_folder])
    (tmp_path / "real").mkdir()
    patches(sources[:2], tmp_path / "real" / output)
    (tmp_path / output).symlink_to(tmp_path / "real" / output)

    def build() -> PatchExtractor:
        with pytest.raises(OutputError, match="is being written by"):
            patches(sources, tmp_path / "real" / output)
        return PatchExtractor(size=8)

    assert extract(sources, tmp_path / output, build, workers=0).num_new == 4
    assert (tmp_path / output).is_symlink()
    assert len(open_features(tmp_path / "real" / output)) == 6


def test_the_folder_of_an_outputs_parts_is_no_output(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"f\.h5\.parts is where the parts of .*f\.h5 lie"):
        patches(find_videos([clips_folder]), tmp_path / "f.h5.parts")


def test_a_folder_of_the_users_stays(clips_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "bad.mp4").write_text("text")
    with pytest.raises(InputError):
        patches(find_videos([tmp_path / "bad.mp4"]), tmp_path / "mine")
    assert names(tmp_path) == ["bad.mp4", "mine"]


def test_failures_are_listed_when_stopped(bad_folder: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(Stopped):
        patches(
            find_videos([bad_folder]), tmp_path / "f.h5", on_progress=seen.append, should_stop=lambda: len(seen) > 3
        )
    assert "a-text.mp4" in [row["video"] for row in read_failures(tmp_path / "f.failures.csv")]


def test_a_partial_video_is_listed_once_for_all_its_views(bad_folder: Path, tmp_path: Path) -> None:
    summary = extract(find_videos([bad_folder]), tmp_path / "f.h5", PatchExtractor(size=8, grid=2), workers=0)
    partial = [failure for failure in summary.failures if failure.status == "partial"]
    assert [(one.path, one.source) for one in partial] == [("right/cut.mp4", str(bad_folder / "right" / "cut.mp4"))]


def test_a_finished_video_is_published_although_a_long_one_is_under_way(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_MAX_SECONDS", 0.0)
    monkeypatch.setattr("vidrep.extraction.extractors.patches._BATCH_BYTES", 1)
    there: list[int] = []

    class Seeing(PatchExtractor):
        def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
            there.append(len(list((tmp_path / "f.h5.parts").glob("part-*.h5"))))
            return super().encode(batch)

    extract(find_videos([clips_folder]), tmp_path / "f.h5", Seeing(size=8), workers=0)
    assert there[8 + 2] == 1  # the first video has eight frames


def test_a_full_disk_under_a_spool_is_an_output_error(
    clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def write(self, content: bytes) -> NoReturn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> NoReturn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vidrep.extraction.parts.tempfile.SpooledTemporaryFile", lambda **options: Full())
    with pytest.raises(OutputError, match=r"No space left on device"):
        patches(find_videos([clips_folder]), tmp_path / "f.h5")
