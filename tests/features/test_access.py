"""Features as Python, MATLAB and R have them."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_features import circles, features_of

from vidrep.features.store import open_features

DOCUMENT = Path(__file__).parents[2] / "docs" / "feature-file.md"


def test_videos_are_reached_by_key_position_and_iteration(tmp_path: Path) -> None:
    videos = circles(2)
    features = features_of(tmp_path, videos)
    assert features.paths == sorted(videos)
    assert features.labels == ["left", "left", "right", "right"]
    assert features.groups == [""] * 4
    np.testing.assert_array_equal(features["right/01.npy"], videos["right/01.npy"])
    np.testing.assert_array_equal(features[-1], features[3])
    for key, frames in zip(features.paths, features, strict=True):
        np.testing.assert_array_equal(frames, videos[key])
    with pytest.raises(KeyError):
        features["none.npy"]
    with pytest.raises(IndexError):
        features[4]


def test_videos_are_pooled_for_other_libraries(tmp_path: Path) -> None:
    videos = circles(2)
    features = features_of(tmp_path, videos)
    means, labels = features.to_numpy()
    assert means.shape == (4, 4)
    assert means.dtype == np.float32
    assert labels.tolist() == features.labels
    every = np.stack([videos[key].astype(np.float64) for key in sorted(videos)])
    np.testing.assert_allclose(means, every.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(features.to_numpy(pool="max")[0], every.max(axis=1))
    np.testing.assert_allclose(features.to_numpy(pool="last")[0], every[:, -1])


def test_what_the_documented_readers_rely_on(tmp_path: Path) -> None:
    """Column-major readers have dimensions reversed, texts padded to one length, integers and floats of 64 bits."""
    features = features_of(tmp_path, circles(2))
    text = DOCUMENT.read_text(encoding="utf-8")
    readers = re.findall(r"```(matlab|r)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in readers] == ["matlab", "r"]
    with h5py.File(features.path) as file:
        for _, code in readers:
            names = re.findall(r"""['"](/[\w/]+)['"]""", code)
            assert names
            for name in names:
                assert name in file
        for column in re.findall(r"videos\$(\w+)", readers[1][1]):
            assert column in file["videos"]
        path = file["videos/path"]
        assert path.dtype.kind == "S"  # fixed length, as h5read of both returns text
        position = [one.decode() for one in path[:]].index("right/00.npy")
        start, length = (int(file[f"videos/{name}"][position]) for name in ("start", "length"))
        assert file["videos/start"].dtype == np.int64
        reversed_view = file["features"][:].T  # what MATLAB and R have: (D, N)
        np.testing.assert_array_equal(reversed_view[:, start : start + length].T, features["right/00.npy"])
        assert json.loads(file.attrs["settings"])["kind"] == "import"
    assert open_features(features.path).frame_shape == (4,)
