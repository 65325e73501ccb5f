"""What is written is documented, published whole, and the same bytes for the same input."""

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import h5py
import numpy as np
import pytest
from fixture_types import MakeFeatureFile

from vidrep.errors import FeatureFileError, OutputError
from vidrep.features.store import open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import FeatureWriter, require_new_file, write_merged, writing_features

VIDEOS = {"a/x.mp4": ("a", "train", 4), "b/x.mp4": ("b", "test", 2), "c.mp4": ("", "", 3)}


def keep(row: VideoRow) -> VideoRow:
    return row


def writing(path: Path, num_rows: int = 4, dtype: str = "float32") -> AbstractContextManager[FeatureWriter]:
    return writing_features(path, settings={}, versions={}, num_rows=num_rows, frame_shape=(3,), dtype=dtype)


def test_plain_h5py_reads_what_the_description_says(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS, settings={"kind": "test", "größe": 2})
    with h5py.File(tmp_path / "f.h5") as file:
        assert set(file) == {"features", "timestamps", "videos"}
        assert (file["features"].shape, file["features"].dtype) == ((9, 3), np.dtype("<f2"))
        assert (file["timestamps"].shape, file["timestamps"].dtype) == ((9,), np.dtype("<f8"))
        assert file["features"].chunks is None and file["features"].compression is None
        assert file.attrs["format"] == b"vidrep-features"
        assert file.attrs["version"] == 2
        assert json.loads(file.attrs["settings"]) == {"kind": "test", "größe": 2}
        assert json.loads(file.attrs["versions"]) == {"vidrep": "0"}
        table = file["videos"]
        texts = {"path", "label", "split", "group", "status", "message", "source_sha256", "root", "checksum"}
        whole_numbers = {"start", "length", "num_frames_from_header", "source_size", "decoding_version", "missing"}
        assert set(table) == texts | whole_numbers | {"fps"}
        assert all(h5py.check_string_dtype(table[name].dtype).encoding == "utf-8" for name in texts)
        assert all(table[name].dtype == "<i8" for name in whole_numbers)
        assert table["fps"].dtype == "<f8"
        assert table["path"].asstr()[:].tolist() == list(VIDEOS)
        for number, key in enumerate(VIDEOS):
            start, length = table["start"][number], table["length"][number]
            found, times = file["features"][start : start + length], file["timestamps"][start : start + length]
            np.testing.assert_array_equal(found, rows[key])
            checksum = hashlib.sha256(found.tobytes() + times.tobytes()).hexdigest()
            assert table["checksum"].asstr()[number] == checksum
    assert b"GCOL" not in (tmp_path / "f.h5").read_bytes()  # no heap, of which readers must beware


def test_settings_that_no_attribute_can_hold_write_nothing(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    with pytest.raises(ValueError, match=r"64\d+ bytes of JSON; HDF5 stores 64000 in an attribute"):
        feature_file(tmp_path / "f.h5", VIDEOS, settings={"kind": "x" * 64_000})
    assert not list(tmp_path.iterdir())
    settings = {"kind": "x" * 63_900}
    feature_file(tmp_path / "f.h5", VIDEOS, settings=settings)
    assert open_features(tmp_path / "f.h5").settings == settings


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_every_type_comes_back(tmp_path: Path, feature_file: MakeFeatureFile, dtype: str) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS, dtype=dtype, frame_shape=(2, 3))
    features = open_features(tmp_path / "f.h5")
    assert (features.dtype, features.frame_shape, features.frame_size) == (dtype, (2, 3), 6)
    np.testing.assert_array_equal(features.rows(1), rows["b/x.mp4"])


def test_the_same_input_gives_the_same_bytes_later_too(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "1.h5", VIDEOS)
    time.sleep(1.1)  # HDF5 can write down seconds
    feature_file(tmp_path / "2.h5", VIDEOS)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_rows_can_come_in_any_blocks(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    for name, cuts in {"whole": [4], "cut": [1, 3, 4]}.items():
        with writing(tmp_path / name) as writer:
            start = 0
            for stop in cuts:
                writer.append(rows[start:stop], np.arange(start, stop, dtype=np.float64))
                start = stop
            writer.end_video(VideoRow("a"))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "cut").read_bytes()


@pytest.mark.parametrize("num_rows", [0, 3, 5])
def test_another_number_of_rows_publishes_nothing(tmp_path: Path, num_rows: int) -> None:
    with pytest.raises((ValueError, TypeError)), writing(tmp_path / "f.h5", num_rows) as writer:
        writer.append(np.zeros((4, 3), np.float32), np.zeros(4))
        writer.end_video(VideoRow("a"))
    assert not list(tmp_path.iterdir())


def test_an_unfinished_video_publishes_nothing(tmp_path: Path) -> None:
    declared = pytest.raises(ValueError, match="4 rows declared, 4 written, 0 in finished videos")
    with declared, writing(tmp_path / "f.h5") as writer:
        writer.append(np.zeros((4, 3), np.float32), np.zeros(4))
    with (
        pytest.raises(ValueError, match="dtype 'float64': a feature file holds"),
        writing(tmp_path / "f.h5", 4, "float64"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for features, timestamps in [((2, 4), 2), ((2, 3), 3), ((5, 3), 5)]:
        with (
            pytest.raises(ValueError, match=rf"features \({features[0]}, {features[1]}\) and timestamps .* \(4, 3\)"),
            writing(tmp_path / "f.h5") as writer,
        ):
            writer.append(np.zeros(features, np.float32), np.zeros(timestamps))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_videos", [0, 1, 300])
def test_any_number_of_videos_has_room_in_the_file(
    tmp_path: Path, feature_file: MakeFeatureFile, num_videos: int
) -> None:
    videos = {f"{number:03}/{'long' * 20}.mp4": (f"{number}", "", number % 3) for number in range(num_videos)}
    rows = feature_file(tmp_path / "f.h5", videos)
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["videos/path"].asstr()[:].tolist() == list(videos)
        expected = np.concatenate([np.empty((0, 3), np.float16), *rows.values()])
        np.testing.assert_array_equal(file["features"][:], expected)


# ---- full disks


def test_a_disk_with_too_little_space_is_said_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature_file: MakeFeatureFile
) -> None:
    feature_file(tmp_path / "f.h5", VIDEOS)
    before = (tmp_path / "f.h5").read_bytes()
    usage = SimpleNamespace(total=100 << 20, used=99 << 20, free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    message = r"f\.h5: .*needs 20\.0 MB and the disk has 1\.0 MB left.*; what was there is as it was"
    with pytest.raises(OutputError, match=message), writing(tmp_path / "f.h5", 10**6):
        raise AssertionError("nothing is to be written")
    assert (tmp_path / "f.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


@pytest.mark.parametrize("refused", ["posix_fallocate", "pwrite", "ftruncate", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    feature_file: MakeFeatureFile,
    refused: str,
    number: int,
) -> None:
    if refused == "posix_fallocate" and sys.platform != "linux":
        pytest.skip("only Linux is asked to reserve space")
    feature_file(tmp_path / "f.h5", VIDEOS)
    before = (tmp_path / "f.h5").read_bytes()

    def fail(*arguments: object) -> NoReturn:
        raise OSError(number, "refused by the test")

    monkeypatch.setattr(os, refused, fail)
    with pytest.raises(OutputError, match=rf"f\.h5: cannot be written \({os.strerror(number)}"):
        feature_file(tmp_path / "f.h5", {"other": ("", "", 3)})
    assert (tmp_path / "f.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


def test_a_disk_that_cannot_reserve_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature_file: MakeFeatureFile
) -> None:
    feature_file(tmp_path / "reserved.h5", VIDEOS)

    def cannot(*arguments: object) -> NoReturn:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    feature_file(tmp_path / "plain.h5", VIDEOS)
    assert (tmp_path / "plain.h5").read_bytes() == (tmp_path / "reserved.h5").read_bytes()


# ---- merging


def test_merged_parts_are_sorted_and_the_last_wins(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "1.h5", {"b": ("old", "", 2), "c": ("c", "", 1)})
    rows = feature_file(tmp_path / "2.h5", {"b": ("new", "", 5), "a": ("a", "", 3)})
    parts = [open_features(tmp_path / name) for name in ("1.h5", "2.h5")]
    write_merged(tmp_path / "m.h5", parts, edit=keep)
    merged = open_features(tmp_path / "m.h5")
    assert [(row.path, row.label, row.start, row.length) for row in merged.videos] == [
        ("a", "a", 0, 3),
        ("b", "new", 3, 5),
        ("c", "c", 8, 1),
    ]
    np.testing.assert_array_equal(merged.rows(1), rows["b"])
    assert list(merged.damaged()) == []
    feature_file(tmp_path / "whole.h5", {"a": ("a", "", 3), "b": ("new", "", 5), "c": ("c", "", 1)})
    assert (tmp_path / "whole.h5").read_bytes() == (tmp_path / "m.h5").read_bytes()


def test_merging_renames(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "1.h5", VIDEOS)

    def rename(row: VideoRow) -> VideoRow:
        return replace(row, label=row.label.upper())

    write_merged(tmp_path / "m.h5", [open_features(tmp_path / "1.h5")], edit=rename)
    merged, before = open_features(tmp_path / "m.h5"), open_features(tmp_path / "1.h5")
    assert {row.path: row.label for row in merged.videos}["b/x.mp4"] == "B"
    assert [(row.path, row.label) for row in merged.videos] == [(row.path, row.label.upper()) for row in before.videos]


@pytest.mark.parametrize("keys", [set(), {"c.mp4", "absent"}, set(VIDEOS)])
def test_merging_leaves_out(tmp_path: Path, feature_file: MakeFeatureFile, keys: set[str]) -> None:
    rows = feature_file(tmp_path / "1.h5", VIDEOS)
    write_merged(
        tmp_path / "m.h5", [open_features(tmp_path / "1.h5")], edit=lambda row: row if row.path in keys else None
    )
    feature_file(tmp_path / "never.h5", {key: VIDEOS[key] for key in rows if key in keys})
    assert (tmp_path / "m.h5").read_bytes() == (tmp_path / "never.h5").read_bytes()


def test_merging_does_not_wash_damage_away(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "1.h5", VIDEOS)
    with h5py.File(tmp_path / "1.h5", "r+") as file:
        file["features"][4, 1] += 1
    with pytest.raises(
        FeatureFileError,
        match=r"1\.h5: the rows of video 'b/x.mp4' are damaged; remove that file",
    ):
        write_merged(tmp_path / "m.h5", [open_features(tmp_path / "1.h5")], edit=keep)
    assert not (tmp_path / "m.h5").exists()


# ---- names of outputs


def test_names_of_outputs(tmp_path: Path) -> None:
    (tmp_path / "there.h5").touch()
    (tmp_path / "folder.h5").mkdir()
    require_new_file(tmp_path / "new.h5", overwrite=False)
    require_new_file(tmp_path / "there.h5", overwrite=True)
    for name, overwrite, message in [
        ("there.h5", False, "exists; give a new name or --overwrite"),
        ("folder.h5", True, "is a folder; give the name"),
        ("new.txt", False, r"ends in \.h5"),
    ]:
        with pytest.raises(OutputError, match=message):
            require_new_file(tmp_path / name, overwrite=overwrite)
