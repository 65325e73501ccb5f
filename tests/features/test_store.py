"""The feature file is as its description has it, and nothing else is taken for one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden
import h5py
import numpy as np
import pytest
from fixture_types import MakeFeatureFile

from vidrep.errors import FeatureFileError
from vidrep.features.checksum import RowsChecksum
from vidrep.features.store import VERSION, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import write_merged, writing_features

VIDEOS = {"a/x.mp4": ("a", "train", 4), "b/x.mp4": ("b", "test", 2), "c.mp4": ("", "", 3)}


def refusal(path: Path) -> str:
    with pytest.raises(FeatureFileError) as caught:
        open_features(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


# ---- reading


def test_keys_labels_and_rows_agree_for_every_video(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    features = open_features(tmp_path / "f.h5")
    assert (len(features), features.num_frames, features.frame_shape, features.frame_size) == (3, 9, (3,), 3)
    assert repr(features).endswith("f.h5', 3 videos, (9, 3) float16)")
    for key, (label, split, length) in VIDEOS.items():
        index = features.index(key)
        video = features.videos[index]
        assert (video.path, video.label, video.split, video.length) == (key, label, split, length)
        np.testing.assert_array_equal(features.rows(index), rows[key])
        np.testing.assert_array_equal(features.rows(index, 1, 99), rows[key][1:])
        np.testing.assert_array_equal(features.timestamps(index), np.arange(length) / 10)
    assert "c.mp4" in features and "d.mp4" not in features
    with pytest.raises(KeyError):
        features.index("d.mp4")


def test_blocks_are_bounded_and_whole(
    tmp_path: Path, feature_file: MakeFeatureFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    features = open_features(tmp_path / "f.h5")
    monkeypatch.setattr("vidrep.features.store._BLOCK_BYTES", 2 * 3 * 2)  # two frames
    blocks = list(features.blocks(0))
    assert [len(block) for block, _ in blocks] == [2, 2]
    np.testing.assert_array_equal(np.concatenate([block for block, _ in blocks]), rows["a/x.mp4"])


def test_damaged_rows_are_named(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    path = tmp_path / "f.h5"
    feature_file(path, VIDEOS)
    assert list(open_features(path).damaged()) == []
    with h5py.File(path, "r+") as file:
        file["features"][4, 1] += 1
        file["timestamps"][8] += 1
    assert list(open_features(path).damaged()) == ["b/x.mp4", "c.mp4"]


def test_the_checksum_does_not_depend_on_blocks_or_byte_order() -> None:
    rows, times = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4.0)
    whole, pieces = RowsChecksum(), RowsChecksum()
    whole.update(rows, times)
    for start in range(4):
        pieces.update(rows[start : start + 1].astype(">f4"), times[start : start + 1])
    assert whole.hexdigest() == pieces.hexdigest()


def test_a_folder_of_parts_reads_like_one_file(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "parts" / "part-000001.h5", {"b": ("old", "", 2), "c": ("c", "", 1)})
    feature_file(tmp_path / "parts" / "part-000002.h5", {"a": ("a", "", 3), "b": ("new", "", 5)})
    (tmp_path / "parts" / ".part-000003.h5.1.tmp").write_bytes(b"half")
    features = open_features(tmp_path / "parts")
    assert [(row.path, row.label, row.length) for row in features.videos] == [
        ("a", "a", 3),
        ("b", "new", 5),  # the newest part wins
        ("c", "c", 1),
    ]
    assert [len(features.rows(index)) for index in range(3)] == [3, 5, 1]
    assert list(features.damaged()) == []


def test_a_compressed_copy_reads_the_same(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    with h5py.File(tmp_path / "f.h5") as plain, h5py.File(tmp_path / "z.h5", "w") as packed:
        packed.create_dataset("features", data=plain["features"][:], chunks=(2, 3), compression="gzip")
        packed.create_dataset("timestamps", data=plain["timestamps"][:])
        plain.copy("videos", packed)
        packed.attrs.update(plain.attrs)
    np.testing.assert_array_equal(open_features(tmp_path / "z.h5").rows(0), rows["a/x.mp4"])


# ---- the golden files


@pytest.mark.parametrize(
    ("version", "settings", "rows"),
    [
        (1, golden.SETTINGS_1 | {"color": False}, golden.ROWS_1),
        (2, golden.SETTINGS_2, golden.ROWS_2),
    ],
)
def test_golden_files_are_read_forever(version: int, settings: dict[str, Any], rows: list[VideoRow]) -> None:
    features = open_features(Path(__file__).with_name(f"golden_v{version}.h5"), as_stored=True)
    assert features.format_version == version
    assert features.settings == {key: value for key, value in settings.items() if key != "colour"}
    assert features.versions == golden.VERSIONS
    assert (features.frame_shape, features.dtype, features.num_frames) == ((2, 2), "uint8", 8)
    order = [features.index(row.path) for row in rows]  # the files' own; features are sorted by root, too
    checksums = [features.videos[video].checksum for video in order]
    assert [checksum[:8] for checksum in checksums] == golden.CHECKSUMS
    for video, start in enumerate([0, 4, 7]):
        row = replace(rows[video], start=start, length=golden.LENGTHS[video], checksum=checksums[video])
        assert features.videos[order[video]] == replace(row, decoding_version=golden.DECODING_VERSION)
        np.testing.assert_array_equal(features.rows(order[video]), golden.features_of(video))
        np.testing.assert_array_equal(features.timestamps(order[video]), golden.timestamps_of(video))
    assert features.rows(order[1])[2].tolist() == [[58, 59], [60, 61]]
    assert list(features.damaged()) == []


def test_the_golden_file_is_still_written_alike(tmp_path: Path) -> None:
    golden.make(tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5") as new, h5py.File(Path(__file__).with_name("golden_v2.h5")) as old:
        assert dict(new.attrs) == dict(old.attrs)
        assert list(new) == list(old)
        assert set(new["videos"]) == {*old["videos"], "decoding_version"}  # which came later
        for name in ("features", "timestamps", *(f"videos/{column}" for column in old["videos"])):
            assert new[name].dtype == old[name].dtype
            np.testing.assert_array_equal(new[name][:], old[name][:])


def test_an_old_file_is_merged_into_a_new_one(tmp_path: Path) -> None:
    old = open_features(Path(__file__).with_name("golden_v1.h5"))
    write_merged(tmp_path / "new.h5", [old], edit=lambda row: row)
    new = open_features(tmp_path / "new.h5")
    assert new.format_version == VERSION
    assert (new.videos, new.settings, list(new.damaged())) == (old.videos, old.settings, [])


def test_names_of_version_1_are_those_of_version_1_alone(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    """An extractor of today may have settings of these names."""
    settings = {"kind": "test", "speed": 2, "colour": "red", "region": "centre"}
    feature_file(tmp_path / "f.h5", VIDEOS, settings=settings)
    assert open_features(tmp_path / "f.h5").settings == settings
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file.attrs["version"] = 1
    mapped = {"kind": "test", "displacement": 2, "color": "red", "region": "center"}
    features = open_features(tmp_path / "f.h5")
    assert (features.format_version, features.settings) == (1, mapped)


# ---- columns


def test_absent_columns_have_their_default_and_unknown_ones_are_ignored(
    tmp_path: Path, feature_file: MakeFeatureFile
) -> None:
    feature_file(tmp_path / "f.h5", VIDEOS)
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        for column in set(file["videos"]) - {"path", "start", "length", "checksum"}:
            del file["videos"][column]
        file["videos/weather"] = np.array([b"rain"])
        checksums = file["videos/checksum"].asstr()[:].tolist()
    assert open_features(tmp_path / "f.h5").videos == [
        VideoRow(key, start=start, length=length, checksum=checksum)
        for (key, (_, _, length)), start, checksum in zip(VIDEOS.items(), [0, 4, 6], checksums, strict=True)
    ]


@pytest.mark.parametrize("column", ["path", "start", "length", "checksum"])
def test_columns_that_rows_are_found_by_are_required(
    tmp_path: Path, feature_file: MakeFeatureFile, column: str
) -> None:
    feature_file(tmp_path / "f.h5", VIDEOS)
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        del file["videos"][column]
    assert f"it lacks 'videos/{column}'" in refusal(tmp_path / "f.h5")


def test_crops_of_a_video_share_its_source_video(tmp_path: Path) -> None:
    keys = {
        "a.mp4#cell-1-1": "aa",
        "a.mp4#cell-1-2": "aa",
        "a.mp4#crop-1": "bb",  # another source of that name
        "b#1.mp4": "aa",  # a copy of a.mp4 under another name
        "c.mp4#crop-1": "",
        "c.mp4#crop-10": "",
        "c.mp4#crop-x": "",  # no ending of ours
    }
    with writing_features(
        tmp_path / "f.h5", settings={}, versions={}, num_rows=len(keys), frame_shape=(3,), dtype="uint8"
    ) as writer:
        for key, sha256 in keys.items():
            writer.append(np.zeros((1, 3), np.uint8), np.zeros(1))
            writer.end_video(VideoRow(key, source_sha256=sha256))
    features = open_features(tmp_path / "f.h5")
    assert features.source_videos.tolist() == [0, 0, 1, 2, 3, 3, 4]
    assert features.source_videos.dtype == np.int64
    assert [row.source_key for row in features.videos][1:4] == ["a.mp4", "a.mp4", "b#1.mp4"]


# ---- what is refused


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "no such file; give a feature file" in refusal(tmp_path / "absent.h5")
    assert "a folder, and none of parts that `vidrep extract -o FOLDER` made" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_not_hdf5(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.h5").write_bytes(content)
    assert "not a readable feature file" in refusal(tmp_path / "f.h5")


def test_foreign_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["features"] = np.zeros((2, 3, 4))
    assert "an HDF5 file, but not of format vidrep-features; `vidrep import`" in refusal(tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file.attrs["format"] = np.arange(3)
    refusal(tmp_path / "f.h5")


def test_a_file_cut_short(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "f.h5", {"a": ("", "", 5000)})
    content = (tmp_path / "f.h5").read_bytes()
    for end in (len(content) // 2, len(content) - 1, 600):
        (tmp_path / "f.h5").write_bytes(content[:end])
        refusal(tmp_path / "f.h5")


def set_version(file: h5py.File) -> None:
    file.attrs["version"] = 3


def drop_timestamps(file: h5py.File) -> None:
    del file["timestamps"]


def fewer_timestamps(file: h5py.File) -> None:
    del file["timestamps"]
    file["timestamps"] = np.zeros(3)


def other_timestamps(file: h5py.File) -> None:
    del file["timestamps"]
    file["timestamps"] = np.zeros(9, np.int64)


def shorter_column(file: h5py.File) -> None:
    del file["videos/label"]
    file["videos/label"] = np.array([b"a"])


def numeric_column(file: h5py.File) -> None:
    del file["videos/label"]
    file["videos/label"] = np.arange(3)


def videos_not_a_group(file: h5py.File) -> None:
    del file["videos"]
    file["videos"] = np.arange(3)


def equal_keys(file: h5py.File) -> None:
    file["videos/path"][1] = file["videos/path"][0]


def rows_beyond_the_end(file: h5py.File) -> None:
    file["videos/length"][2] = 4


def negative_start(file: h5py.File) -> None:
    file["videos/start"][0] = -1


def unknown_status(file: h5py.File) -> None:
    file["videos/status"][0] = b"no"


def bad_settings(file: h5py.File) -> None:
    file.attrs["settings"] = "{"


def settings_no_object(file: h5py.File) -> None:
    file.attrs["settings"] = "3"


def complex_features(file: h5py.File) -> None:
    del file["features"]
    file["features"] = np.zeros((9, 3), complex)


def scalar_features(file: h5py.File) -> None:
    del file["features"]
    file["features"] = np.float32(1)


def link_to_elsewhere(file: h5py.File) -> None:
    del file["features"]
    file["features"] = h5py.ExternalLink("other.h5", "/features")


def promises_without_bytes(file: h5py.File) -> None:
    del file["features"]
    file.create_dataset("features", (2**40, 3), dtype="float32", chunks=(1000, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_version, "version 3 of vidrep-features; this vidrep reads versions 1 and 2"),
        (drop_timestamps, "it lacks 'timestamps'"),
        (fewer_timestamps, r"9 features but timestamps \(3,\) of float64"),
        (other_timestamps, r"timestamps \(9,\) of int64"),
        (shorter_column, "the columns of /videos have different lengths: 1, 3"),
        (numeric_column, "/videos/label is of type int64, which its column cannot be"),
        (videos_not_a_group, "/videos is no group"),
        (equal_keys, "is in its table twice"),
        (rows_beyond_the_end, "entry for video 'c.mp4' does not fit"),
        (negative_start, "entry for video 'a/x.mp4' does not fit"),
        (unknown_status, "entry for video 'a/x.mp4' does not fit"),
        (bad_settings, "not a readable feature file"),
        (settings_no_object, "attribute settings is no JSON object"),
        (complex_features, "/features is of type complex128; plain numbers and text are read"),
        (scalar_features, r"features of shape \(\)"),
        (link_to_elsewhere, "/features is a link into another file; only values in the file itself are read"),
        (promises_without_bytes, "/features declares 13194139533312 bytes that are not in the file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_is_not_as_described(
    tmp_path: Path,
    feature_file: MakeFeatureFile,
    change: Callable[[h5py.File], None],
    message: str,
) -> None:
    path = tmp_path / "f.h5"
    feature_file(path, VIDEOS)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FeatureFileError, match=message):
        open_features(path)
    refusal(path)


def test_parts_that_do_not_belong_together(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "part-000001.h5", {"a": ("", "", 2)})
    feature_file(tmp_path / "part-000002.h5", {"b": ("", "", 2)}, frame_shape=(4,))
    with pytest.raises(FeatureFileError, match=r"2\.h5: frames of another shape or type than those of .*1\.h5"):
        open_features(tmp_path)
    feature_file(tmp_path / "part-000002.h5", {"b": ("", "", 2)}, settings={"kind": "test", "size": 3})
    with pytest.raises(FeatureFileError, match=r"2\.h5 and .*1\.h5 were made with different settings: size is 3, not"):
        open_features(tmp_path)
