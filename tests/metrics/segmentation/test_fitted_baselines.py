"""Baselines of frames as a run keeps them: what was fitted is what is loaded, and damage is one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_segments import FPS, moving_features

from vidrep.errors import InputError
from vidrep.features.store import Features
from vidrep.metrics.segmentation import fitted_baselines
from vidrep.metrics.segmentation.fitted_baselines import (
    fit_baselines,
    load_frame_baselines,
    refit_baselines,
    save_frame_baselines,
)
from vidrep.metrics.segmentation.frame_baselines import FrameClassifier, Majority, WindowClassifier
from vidrep.metrics.segmentation.truth import Truth, read_truth


def fitted(folder: Path, *, several_labels: bool) -> tuple[Features, Truth, dict[str, FrameClassifier]]:
    """Fit to two videos of 40 frames."""
    features, annotations = moving_features(folder, num_videos=3, num_frames=40, seed=1)
    truth = read_truth(features, annotations, several_labels=several_labels)
    return features, truth, fit_baselines(features, truth, [0, 1], groups=["a", "b", "c"])


@pytest.mark.parametrize("several_labels", [False, True])
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, several_labels: bool) -> None:
    features, _, baselines = fitted(tmp_path, several_labels=several_labels)
    save_frame_baselines(tmp_path, baselines)
    loaded = load_frame_baselines(tmp_path)
    assert [*loaded] == [*baselines] == ["majority", "single frame", "mean of a window"]
    for name, one in baselines.items():
        before, after = (list(which.probabilities([features[2]])) for which in (one, loaded[name]))
        assert np.concatenate(before).tobytes() == np.concatenate(after).tobytes()
    path = tmp_path / fitted_baselines.NAME
    whole = path.read_bytes()
    for damaged in (b"", whole[:7], whole[:200], whole[:-5], whole.replace(b"lengths", b"length5")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read") as caught:
            load_frame_baselines(tmp_path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(InputError, match="the run is not finished, or damaged"):
        load_frame_baselines(tmp_path)
    classifier = baselines["mean of a window"]
    assert isinstance(classifier, WindowClassifier)
    assert classifier.several_labels == several_labels


def test_windows_are_seconds_of_the_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, annotations = moving_features(tmp_path, num_videos=3, num_frames=40, seed=1)
    truth, rates = read_truth(features, annotations), []

    def majority(videos: Any, num_labels: int, *, frames_per_second: float) -> dict[str, Majority]:
        rates.append(frames_per_second)
        assert [(len(video.frames), video.group) for video in videos] == [(40, "a")]
        return {"majority": Majority(np.array([0.5, 0.2, 0.3]))}

    monkeypatch.setattr(fitted_baselines, "fit_frame_baselines", majority)
    fit_baselines(features, truth, [0], groups=["a", "b", "c"])
    assert rates == pytest.approx([FPS])


def test_they_can_learn_from_more_videos(tmp_path: Path) -> None:
    features, truth, baselines = fitted(tmp_path, several_labels=False)
    more = refit_baselines(baselines, features, truth, [0, 1, 2], groups=["a", "b", "c"])
    before, after = baselines["majority"], more["majority"]
    assert isinstance(before, Majority) and isinstance(after, Majority)
    every = np.concatenate([truth.targets(video) for video in (0, 1, 2)])
    np.testing.assert_allclose(after.shares, np.bincount(every) / 120)
    assert not np.allclose(before.shares, after.shares)
