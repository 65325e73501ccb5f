"""IDX files of images become videos of one-value frames."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import FeatureFileError
from vidrep.features.importing import import_features


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    content = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def images(number: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (number, 3, 4), dtype=np.uint8)


def test_each_image_is_a_video_of_its_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images(11))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.arange(11, dtype=np.uint8) % 10)
    write_idx(tmp_path / "t10k-images.idx3-ubyte", images(2, seed=1))
    (tmp_path / "more.npy").write_bytes(b"")
    caplog.set_level("INFO")
    features = import_features(tmp_path, tmp_path / "pixels.h5").features
    assert [row.path for row in features.videos] == ["t10k/0", "t10k/1", *(f"train/{n:02d}" for n in range(11))]
    assert [row.label for row in features.videos] == ["", "", *"01234567890"]
    assert [row.split for row in features.videos] == ["test"] * 2 + ["train"] * 11
    assert np.array_equal(features["train/07"], images(11)[7].reshape(12, 1))
    assert f"{tmp_path}: 13 images of IDX files, each a video of its pixels, row by row" in caplog.messages
    assert f"{tmp_path}: 1 other files are left out: more.npy" in caplog.messages


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it begins with nothing, and should with 00000803"),
        (b"\0\0\x08\x01\0\0\0\x05hello", "it begins with 00000801"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 2) + b"1234567", "its header promises 8 bytes, it has fewer"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 1, 2, 2) + b"12345", "its header promises 4 bytes, it has more"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 9), "at most 4294967296 are read in one piece"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(FeatureFileError, match=f"train-images-idx3-ubyte: .*{reason}"):
        import_features(tmp_path, tmp_path / "pixels.h5")


def test_labels_are_one_an_image(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", images(3))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2, dtype=np.uint8))
    with pytest.raises(FeatureFileError, match="3 images, but 2 labels beside them"):
        import_features(tmp_path, tmp_path / "pixels.h5")
