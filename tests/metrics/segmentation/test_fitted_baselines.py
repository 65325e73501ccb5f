"""Baselines of frames as a run keeps them: what was fitted is what is loaded, and damage is one line."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_segments import FPS, moving_features

from vidrep.errors import InputError
from vidrep.features.store import Features
from vidrep.metrics.segmentation import fitted_baselines
from vidrep.metrics.segmentation.fitted_baselines import (
    FrameBaseline,
    fit_baselines,
    load_frame_baselines,
    save_frame_baselines,
)
from vidrep.metrics.segmentation.frame_baselines import Majority, WindowClassifier
from vidrep.metrics.segmentation.truth import Truth, read_truth
from vidrep.timelines.settings import BoutSettings


def fitted(folder: Path, *, several_labels: bool) -> tuple[Features, Truth, dict[str, FrameBaseline]]:
    """Fit to two videos of 40 frames without validation."""
    features, annotations = moving_features(folder, num_videos=3, num_frames=40, seed=1)
    truth = read_truth(features, annotations, several_labels=several_labels)
    return features, truth, fit_baselines(features, truth, [0, 1], [], groups=["a", "b", "c"])


@pytest.mark.parametrize("several_labels", [False, True])
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, several_labels: bool) -> None:
    features, truth, baselines = fitted(tmp_path, several_labels=several_labels)
    save_frame_baselines(tmp_path, baselines)
    loaded = load_frame_baselines(tmp_path)
    assert [*loaded] == [*baselines] == ["majority", "single frame", "mean of a window"]
    for name, one in baselines.items():
        assert loaded[name].bouts == one.bouts == BoutSettings.default(["left", "right"])
        before, after = (which.timeline(features, 2, truth) for which in (one, loaded[name]))
        assert before.probabilities.tobytes() == after.probabilities.tobytes()
        assert (after.video, after.labels, after.background) == ("v2.npy", truth.labels, truth.background)
        np.testing.assert_allclose(after.edges, np.arange(41) / FPS)
    path = tmp_path / fitted_baselines.NAME
    whole = path.read_bytes()
    for damaged in (b"", whole[:7], whole[:200], whole[:-5], whole.replace(b"smoothing", b"smoothed!")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read") as caught:
            load_frame_baselines(tmp_path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(InputError, match="the run is not finished, or damaged"):
        load_frame_baselines(tmp_path)
    classifier = baselines["mean of a window"].classifier
    assert isinstance(classifier, WindowClassifier)
    assert classifier.several_labels == several_labels


def test_rules_are_chosen_on_validation_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    features, annotations = moving_features(tmp_path, num_videos=3, num_frames=40, seed=1)
    truth = read_truth(features, annotations)
    rates = []

    def majority(videos: Any, num_labels: int, *, frames_per_second: float) -> dict[str, Majority]:
        rates.append(frames_per_second)
        assert [len(video.frames) for video in videos] == [40]
        return {"majority": Majority(np.array([0.5, 0.2, 0.3]))}

    seen: list[NDArray[np.float32]] = []

    def calibrate(videos: Any, *, name: str) -> BoutSettings:
        seen.extend(video.timeline.probabilities for video in videos)
        assert [video.watched for video in videos] == [truth.videos[1].known, truth.videos[2].known]
        return BoutSettings.default(["left", "right"])

    monkeypatch.setattr(fitted_baselines, "fit_frame_baselines", majority)
    monkeypatch.setattr(fitted_baselines, "calibrate", calibrate)
    with caplog.at_level(logging.INFO):
        fit_baselines(features, truth, [0], [1, 2], groups=["a", "b", "c"])
    assert rates == pytest.approx([FPS])
    assert [one.shape for one in seen] == [(40, 3), (40, 3)]
