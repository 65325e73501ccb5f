"""Series of videos: their values by NumPy, their times, and names that are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import features_of

from vidrep.errors import ConfigError
from vidrep.features.store import Features
from vidrep.symbolic import series
from vidrep.symbolic.series import read_series, source_of

RNG = np.random.default_rng(0)
VIDEOS = {f"{name}.npy": RNG.random((length, 2, 3)).astype(np.float32) for name, length in (("a", 7), ("b", 1))}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, VIDEOS)


def test_motion_is_the_mean_squared_difference(features: Features) -> None:
    of_a, of_b = read_series(features, "motion")
    frames = VIDEOS["a.npy"].astype(np.float64)
    np.testing.assert_allclose(of_a.values, np.square(np.diff(frames, axis=0)).mean(axis=(1, 2)), rtol=1e-14)
    assert of_a.seconds.tolist() == [1, 2, 3, 4, 5, 6]
    assert len(of_b.values) == len(of_b.seconds) == 0


def test_motion_does_not_depend_on_blocks(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_series(features, "motion")[0].values
    frames = torch.from_numpy(VIDEOS["a.npy"].reshape(7, 6))
    monkeypatch.setattr(series, "frames_of", lambda *_: lambda: iter([frames[:2], frames[2:3], frames[3:]]))
    assert read_series(features, "motion")[0].values.tolist() == whole.tolist()


def test_motion_of_pixels_is_in_units_of_white(tmp_path: Path) -> None:
    videos = {"a.npy": np.array([[0, 0], [255, 0], [255, 51]], dtype=np.uint8)}
    (found,) = read_series(features_of(tmp_path, videos), "motion")
    np.testing.assert_allclose(found.values, [0.5, 0.02], rtol=1e-6)


def test_a_column_is_a_value_of_the_frame(features: Features) -> None:
    of_a, of_b = read_series(features, "column:4")
    assert of_a.values.tolist() == VIDEOS["a.npy"][:, 1, 1].tolist()
    assert of_b.values.tolist() == VIDEOS["b.npy"][:, 1, 1].tolist()
    assert of_a.seconds.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_component_is_that_of_all_frames(features: Features) -> None:
    frames = np.concatenate([video.reshape(len(video), -1) for video in VIDEOS.values()]).astype(np.float64)
    centered = frames - frames.mean(axis=0)
    second = np.linalg.svd(centered)[2][1]
    expected = centered @ second
    found = np.concatenate([one.values for one in read_series(features, "component:2")])
    np.testing.assert_allclose(found, expected * np.sign(found[0] * expected[0]), atol=1e-6)


def test_a_component_is_fitted_to_its_videos(tmp_path: Path, features: Features) -> None:
    source = source_of(features, "motion")
    assert source == source_of(features, "column:1")
    assert (source.extractor, source.frame_shape, source.dtype) == (features.settings, [2, 3], "float32")
    assert source.fitted_to == ""
    assert len(source_of(features, "component:1").fitted_to) == 64
    others = features_of(tmp_path / "others", {"a.npy": VIDEOS["a.npy"]})
    assert source_of(others, "component:1").fitted_to != source_of(features, "component:1").fitted_to


@pytest.mark.parametrize("name", ["", "surprise", "surprise:", "column", "column:-1", "component:1.5", "motion:1"])
def test_names_that_are_none(features: Features, name: str) -> None:
    with pytest.raises(ConfigError, match=f"series '{name}': give motion, column:N"):
        read_series(features, name)


@pytest.mark.parametrize(
    ("name", "allowed"), [("column:6", "0 to 5"), ("component:0", "1 to 6"), ("component:7", "1 to 6")]
)
def test_values_that_frames_lack(features: Features, name: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"series {name}: frames of .* have 6 values; give {allowed}"):
        read_series(features, name)
