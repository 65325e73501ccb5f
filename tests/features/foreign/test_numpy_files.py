"""A .npz file of many videos."""

from pathlib import Path

import numpy as np
import pytest

from vidrep.errors import FeatureFileError
from vidrep.features.importing import import_features


def test_an_array_a_video(tmp_path: Path) -> None:
    arrays = {name: np.random.default_rng(len(name)).random((len(name), 3)) for name in ("a", "walk/bb")}
    np.savez_compressed(tmp_path / "in.npz", allow_pickle=False, labels=np.arange(2), **arrays)
    features = import_features(tmp_path / "in.npz", tmp_path / "out.h5").features
    assert [(row.path, row.label) for row in features.videos] == [("a", ""), ("walk/bb", "walk")]
    for index, array in enumerate(arrays.values()):
        np.testing.assert_array_equal(features.rows(index), array.astype(np.float32))


def test_all_videos_in_one_array(tmp_path: Path) -> None:
    videos = np.random.default_rng(0).random((3, 4, 2)).astype(np.float32)
    np.savez(tmp_path / "in.npz", features=videos, labels=np.array(["a", "b", "a"]), names=np.array(["x", "z", "y"]))
    features = import_features(tmp_path / "in.npz", tmp_path / "out.h5").features
    assert [(row.path, row.label) for row in features.videos] == [("x", "a"), ("y", "a"), ("z", "b")]
    np.testing.assert_array_equal(features.rows(2), videos[1])


def test_pickled_objects_and_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", v=np.ones((2, 3)), objects=np.array([{}], dtype=object), w=np.ones((2, 3)))
    summary = import_features(tmp_path / "in.npz", tmp_path / "out.h5")
    assert [failure.reason for failure in summary.failures] == ["/objects holds Python objects"]
    (tmp_path / "in.npz").write_bytes((tmp_path / "in.npz").read_bytes()[:200])
    with pytest.raises(FeatureFileError, match=r"in\.npz: not an array that can be read"):
        import_features(tmp_path / "in.npz", tmp_path / "other.h5")
