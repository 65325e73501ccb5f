"""MATLAB's files: axes and types are MATLAB's, whatever the version that wrote them."""

import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from vidrep.errors import FeatureFileError
from vidrep.features.importing import ImportSummary, import_features

CLASSES = {"float64": b"double", "float32": b"single", "uint8": b"uint8", "int64": b"int64"}


def frames(seed: int, length: int = 5, width: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((length, width)).astype(np.float32)


def save_v7(path: Path, arrays: dict[str, Any]) -> None:
    savemat(path, arrays, do_compression=True)


def save_v6(path: Path, arrays: dict[str, Any]) -> None:
    savemat(path, arrays)


def save_v73(path: Path, arrays: dict[str, Any]) -> None:
    """Write what MATLAB does with -v7.3: HDF5 behind 512 bytes of its own, arrays in the order of their memory."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            array = np.atleast_2d(np.asarray(value))
            dataset = file.create_dataset(name, data=array.T, chunks=True if array.size > 4 else None)
            dataset.attrs["MATLAB_class"] = np.bytes_(CLASSES[array.dtype.name])
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
    with path.open("r+b") as raw:
        raw.write(header.ljust(124) + b"\x00\x02IM")


VERSIONS = pytest.mark.parametrize("save", [save_v6, save_v7, save_v73])


def imported(path: Path, **options: Any) -> ImportSummary:
    return import_features(path, path.with_name("out.h5"), overwrite=True, **options)


@VERSIONS
def test_a_variable_a_video(tmp_path: Path, caplog: pytest.LogCaptureFixture, save: Any) -> None:
    caplog.set_level("INFO", logger="vidrep")
    source = tmp_path / "in.mat"
    save(source, {"v1": frames(1), "v2": frames(2, length=7), "scale": 3.0, "row_numbers": np.arange(9.0)[:, None]})
    features = imported(source).features
    assert [(row.path, row.length) for row in features.videos] == [("v1", 5), ("v2", 7)]
    for index in (0, 1):
        np.testing.assert_array_equal(features.rows(index), frames(index + 1, length=(5, 7)[index]))
    assert caplog.messages == [
        f"{source}: 2 videos, an array each: v1, v2",
        f"{source}: 2 other arrays are left out: row_numbers, scale",
    ]


@VERSIONS
def test_all_videos_in_one_variable(tmp_path: Path, save: Any) -> None:
    videos = np.stack([frames(seed) for seed in range(4)])
    save(tmp_path / "in.mat", {"features": videos, "labels": np.array([1, 2, 1, 2], np.int64)})
    features = imported(tmp_path / "in.mat").features
    assert [row.label for row in features.videos] == ["1", "2", "1", "2"]
    np.testing.assert_array_equal([features.rows(index) for index in range(4)], videos)


@VERSIONS
def test_one_video_a_file(tmp_path: Path, save: Any) -> None:
    folder = tmp_path / "in"
    (folder / "run").mkdir(parents=True)
    save(folder / "run/a.MAT", {"features": frames(1), "fps": 4.0, "other": np.zeros((2, 2))})
    save(folder / "run/b.mat", {"anything": frames(2), "timestamps": np.arange(5.0) / 4})
    summary = import_features(folder, tmp_path / "out.h5")
    assert summary.failures == []
    assert [(row.path, row.label, row.fps) for row in summary.features.videos] == [
        ("run/a.MAT", "run", 4.0), ("run/b.mat", "run", 0.0),
    ]  # fmt: skip
    for index in (0, 1):
        np.testing.assert_array_equal(summary.features.rows(index), frames(index + 1))
        assert summary.features.timestamps(index).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_a_struct_of_version_7_3_is_a_group(tmp_path: Path) -> None:
    save_v73(tmp_path / "in.mat", {"data/v1": frames(1), "data/v2": frames(2), "#refs#/a": frames(3, width=9)})
    features = imported(tmp_path / "in.mat").features
    assert [row.path for row in features.videos] == ["data/v1", "data/v2"]
    np.testing.assert_array_equal(features.rows(1), frames(2))


def test_whole_numbers_that_matlab_packs_are_of_the_variables_class(tmp_path: Path) -> None:
    """MATLAB stores double(uint8 values) as uint8; written byte by byte after the description of the format."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    int8, int32, uint32, uint8, matrix, double = 1, 5, 6, 2, 14, 6
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = (
        element(uint32, struct.pack("<II", double, 0))
        + element(int32, struct.pack("<ii", 2, 3))
        + element(int8, b"video")
        + element(uint8, values.tobytes(order="F"))
    )
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "in.mat").write_bytes(header + element(matrix, content))
    features = imported(tmp_path / "in.mat").features
    assert features.dtype == "float32"  # as of every other float64
    np.testing.assert_array_equal(features.rows(0), values)


def test_what_is_no_numeric_variable(tmp_path: Path) -> None:
    cells = np.array([frames(1), frames(2, length=7)], dtype=object)
    save_v7(tmp_path / "in.mat", {"v": frames(0), "cells": cells, "names": "a text", "s": {"field": 1.0}})
    summary = imported(tmp_path / "in.mat")
    assert [row.path for row in summary.features.videos] == ["v"]
    how = "save each video as a numeric variable of its own"
    assert {failure.path: failure.reason for failure in summary.failures} == {
        "cells": f"/cells is of MATLAB's class cell; {how}",
        "s": f"/s is of MATLAB's class struct; {how}",
    }
    with h5py.File(tmp_path / "in.mat", "w", userblock_size=512) as file:
        file["v"] = frames(0).T
        file["cells"] = np.zeros((2, 1))
        file["cells"].attrs["MATLAB_class"] = np.bytes_(b"cell")
        file["text"] = np.zeros((9, 2), np.uint16)
        file["text"].attrs["MATLAB_class"] = np.bytes_(b"char")
    summary = imported(tmp_path / "in.mat")
    np.testing.assert_array_equal(summary.features.rows(0), frames(0))
    assert {failure.path: failure.reason for failure in summary.failures} == {
        "cells": f"/cells is of MATLAB's class cell; {how}"
    }


@pytest.mark.parametrize("num_bytes", [0, 50, 128 + 20, -10])
def test_a_file_cut_short(tmp_path: Path, num_bytes: int) -> None:
    for save in (save_v6, save_v7, save_v73):
        save(tmp_path / "in.mat", {"v": frames(0, length=100)})
        (tmp_path / "in.mat").write_bytes((tmp_path / "in.mat").read_bytes()[:num_bytes])
        with pytest.raises(FeatureFileError, match=r"in\.mat: ") as caught:
            imported(tmp_path / "in.mat")
        assert "\n" not in str(caught.value)
        assert "can be read" in str(caught.value) or "not a readable HDF5 file" in str(caught.value)


def test_a_variable_that_would_fill_the_memory(tmp_path: Path) -> None:
    save_v7(tmp_path / "in.mat", {"v": frames(0)})
    header = (tmp_path / "in.mat").read_bytes()[:128]
    packed = zlib.compress(struct.pack("<II", 14, 0xFFFF_FFF0) + bytes(1000))
    (tmp_path / "in.mat").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(FeatureFileError, match=r"in\.mat: not a .mat file .* that can be read"):
        imported(tmp_path / "in.mat")
