"""Features in the files of other tools, read back as these tools read them."""

import json
import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_features import features_of

from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.features.exporting import export_features, safe_name
from vidrep.features.importing import import_features
from vidrep.features.settings import Settings
from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features


@pytest.fixture
def features(tmp_path: Path) -> Features:
    """Three videos of 7, 5 and 1 frames of 6 values, 10 frames a second, in two folders."""
    rng = np.random.default_rng(0)
    for key, length in (("run/a.1.npy", 7), ("run/b.npy", 5), ("walk/a.npy", 1)):
        (tmp_path / "arrays" / key).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "arrays" / key, rng.normal(size=(length, 6)).astype(np.float32))
    return import_features(tmp_path / "arrays", tmp_path / "f.h5", fps=10).features


NAMES = {"run/a.1.npy": "run__a_1", "run/b.npy": "run__b", "walk/a.npy": "walk__a"}


def test_names_are_safe() -> None:
    assert {key: safe_name(key) for key in NAMES} == NAMES
    assert safe_name("été/ü (2).mp4#crop-1") == "été__ü__2__mp4_crop-1"
    assert safe_name("../../x.mp4") == "________x"


def test_npy_has_rows_and_times(features: Features, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = export_features(features.path, tmp_path / "out")
    assert (made.num_videos, made.num_frames, made.width, len(made.files)) == (3, 13, 6, 7)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in made.files)
    for index, key in enumerate(features.paths):
        assert (np.load(tmp_path / f"out/{NAMES[key]}.npy") == features[key]).all()
        assert (np.load(tmp_path / f"out/{NAMES[key]}.times.npy") == features.timestamps(index)).all()
    assert (tmp_path / "out/videos.csv").read_text().splitlines() == [
        "file,video,frames,frames_per_second,first_seconds,label,split,group",
        "run__a_1.npy,run/a.1.npy,7,10,0,run,,",
        "run__b.npy,run/b.npy,5,10,0,run,,",
        "walk__a.npy,walk/a.npy,1,10,0,walk,,",
    ]
    assert not caplog.records


def test_actionformer_reads_rows_and_a_database(features: Features, tmp_path: Path) -> None:
    export_features(features, tmp_path / "out", "actionformer")
    content = json.loads((tmp_path / "out/actionformer.json").read_text())
    assert set(content["database"]) == set(NAMES.values())
    entry = content["database"]["run__a_1"]
    assert entry == {"subset": "", "duration": pytest.approx(0.7), "fps": pytest.approx(10.0), "annotations": []}
    read = np.load(tmp_path / "out/run__a_1.npy").astype(np.float32)
    assert (read == features["run/a.1.npy"]).all()
    # As the tool puts seconds onto its grid: the middle of frame 3 is feature 3.
    middle = features.timestamps(0)[3] + 0.05
    assert (middle * entry["fps"] - 0.5 * content["num_frames"]) / content["feat_stride"] == pytest.approx(3)


def test_mstcn_reads_columns(features: Features, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vidrep"):
        export_features(features, tmp_path / "out", "mstcn")
    for key, name in NAMES.items():
        line_of_the_bundle = f"{name}.txt"
        read = np.load(tmp_path / "out" / (line_of_the_bundle.split(".")[0] + ".npy"))
        assert read.dtype == np.float32
        assert read.shape == (6, len(features[key]))
        assert (read == np.asarray(features[key]).T).all()
    assert "MS-TCN does not hold: times" in caplog.text


def test_cbas_reads_an_array(features: Features, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vidrep"):
        export_features(features, tmp_path / "out", "cbas")
    for key, name in NAMES.items():
        with h5py.File(tmp_path / f"out/{name}_cls.h5") as file:
            assert list(file) == ["cls"]
            assert file["cls"].dtype == np.float32
            assert (file["cls"][:] == features[key]).all()
    assert "6 values a frame, where CBAS' own features have 768" in caplog.text


def written(path: Path, times: dict[str, list[float]], dtype: str = "float16") -> Features:
    """A file of videos of frames (2, 2) at these times, of sources of 20 frames a second."""
    settings: Settings = {"extractor": "toy"}
    num_rows = sum(map(len, times.values()))
    with writing_features(
        path, settings=settings, versions={}, num_rows=num_rows, frame_shape=(2, 2), dtype=dtype
    ) as writer:
        for key, seconds in sorted(times.items()):
            writer.append(np.ones((len(seconds), 2, 2), dtype=dtype), np.array(seconds, dtype=np.float64))
            writer.end_video(VideoRow(path=key, start=0, length=0, checksum="", fps=20.0))
    return open_features(path)


def test_what_a_format_does_not_hold_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = written(
        tmp_path / "f.h5", {"even.mp4": [0, 0.1, 0.2], "late.mp4": [3, 3.05], "odd.mp4": [0, 0.1, 0.5], "none.mp4": []}
    )
    expected = {
        "npy": ["frame, (2, 2): rows of 4 values"],
        "actionformer": ["evenly spaced, of 1 videos (odd.mp4)", "after 0 s, which annotations must be moved by, of 1"],
        "mstcn": ["several rates: 4 to 20 frames/s"],
        "cbas": ["2 videos have features of some frames only", "(even.mp4, odd.mp4)"],
    }
    for name, words in expected.items():
        caplog.clear()
        with caplog.at_level(logging.WARNING, "vidrep"):
            export_features(features, tmp_path / name, name)
        left_out, line = caplog.messages
        assert left_out == "1 videos without a frame are left out: none.mp4"
        for word in words:
            assert word in line
    assert np.load(tmp_path / "npy/even.npy").dtype == np.float16
    assert np.load(tmp_path / "npy/even.npy").shape == (3, 4)
    assert np.load(tmp_path / "mstcn/even.npy").dtype == np.float32


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    frames = np.zeros((2, 3), dtype=np.float32)
    features = features_of(tmp_path, {"a/b.npy": frames, "A__b.npy": frames})
    with pytest.raises(InputError, match=r"'A__b.npy' and 'a/b.npy' would both be named 'a__b'; rename"):
        export_features(features, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of its 1 videos has a frame"):
        export_features(written(tmp_path / "f.h5", {"a.mp4": []}), tmp_path / "out")


def test_existing_files_stay(features: Features, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/run__b.npy").write_text("mine")
    with pytest.raises(OutputError, match=r"run__b.npy exists, of 7 files 1; give a new folder or --overwrite"):
        export_features(features, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run__b.npy"]
    export_features(features, tmp_path / "out", overwrite=True)
    assert np.load(tmp_path / "out/run__b.npy").shape == (5, 6)
    with pytest.raises(OutputError, match=r"f.h5 is a file; give the name of a folder"):
        export_features(features, features.path)


def test_a_damaged_read_leaves_no_half_file(
    features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise InputError("gone")

    monkeypatch.setattr(Features, "blocks", broken)
    with pytest.raises(InputError, match="gone"):
        export_features(features, tmp_path / "out", "cbas")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_format(features: Features, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format 'mstnc': did you mean 'mstcn'"):
        export_features(features, tmp_path / "out", "mstnc")
