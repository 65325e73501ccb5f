"""A finished training from segments: what labels frames in it, and that damage is one line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_features import features_of
from small_segmenters import IN_WINDOWS, described, frames_of, network_of, read

from vidrep.errors import InputError
from vidrep.features.store import Features
from vidrep.metrics.segmentation.frame_baselines import SINGLE_FRAME, LabeledFrames, fit_frame_baselines
from vidrep.models.saved import save_model
from vidrep.timelines.segmenter_run import LSTM, FramePredictor, SegmenterRun
from vidrep.timelines.settings import BoutSettings

LINEAR, AVERAGE = FramePredictor("linear", SINGLE_FRAME), FramePredictor("average", SINGLE_FRAME)


def run_of(*, causal: bool = False) -> SegmenterRun:
    """A run with random weights, and rules that say whose they are by their smoothing."""
    frames, targets = frames_of(120, seed=5), np.arange(120) // 15 % 2
    videos = [LabeledFrames(frames=frames, targets=targets, group="a")]
    baselines = fit_frame_baselines(videos, 2, frames_per_second=10)
    rules = BoutSettings.default(["eat"])
    return SegmenterRun(
        network=network_of(described(after=0) if causal else IN_WINDOWS[1]),
        baselines=baselines,
        rules_of={str(one): replace(rules, smoothing=float(n)) for n, one in enumerate((LSTM, LINEAR, AVERAGE))},
    )


def two_videos(folder: Path) -> Features:
    return features_of(folder, {"a.npy": frames_of(30), "b.npy": frames_of(30, seed=1)}, fps=10)


def test_a_timeline_has_the_times_of_the_features(tmp_path: Path) -> None:
    features, run = two_videos(tmp_path), run_of()
    timeline = run.timeline(features, 1)
    np.testing.assert_array_equal(timeline.probabilities, read(run.network, [frames_of(30, seed=1)]))
    np.testing.assert_allclose(timeline.edges, np.arange(31) / 10)
    assert (timeline.video, timeline.labels, timeline.background) == ("b.npy", ("eat", "rest"), "rest")
    several = SegmenterRun(network_of(described(several_labels=True))).timeline(features, 0)
    assert (several.background, several.several_labels) == (None, True)


def test_what_predicts_labels_the_frames(tmp_path: Path) -> None:
    features, run = two_videos(tmp_path), run_of()
    of: dict[FramePredictor, NDArray[Any]] = {
        one: run.predicting_with(one).timeline(features, 0).probabilities for one in (LSTM, LINEAR, AVERAGE)
    }
    np.testing.assert_allclose(of[AVERAGE], (of[LSTM] + of[LINEAR]) / 2, atol=1e-6)
    assert not np.allclose(of[LSTM], of[LINEAR], atol=0.05)
    assert [run.predicting_with(one).rules.smoothing for one in of] == [0, 1, 2]
    assert [run.predicting_with(one).delay for one in of] == [8, 0, 8]
    assert [str(one) for one in of] == ["LSTM", "single frame", "average of LSTM and single frame"]


def test_the_average_of_causal_classifiers_is_causal_to_the_bit(tmp_path: Path) -> None:
    frames, run = frames_of(700), run_of(causal=True).predicting_with(AVERAGE)
    features = features_of(tmp_path, {f"{n}.npy": frames[:n] for n in (1, 255, 300, 699, 700)}, fps=10)
    every = [run.timeline(features, video).probabilities for video in range(len(features))]
    whole = next(one for one in every if len(one) == 700)
    assert run.delay == 0
    assert all(one.tobytes() == whole[: len(one)].tobytes() for one in every)


@pytest.mark.parametrize("predictor", [LSTM, LINEAR, AVERAGE])
def test_what_is_saved_is_loaded(tmp_path: Path, predictor: FramePredictor) -> None:
    run, features = run_of().predicting_with(predictor), two_videos(tmp_path)
    save_model(tmp_path, run.network.description, run.network.model.state_dict())
    with pytest.raises(InputError, match="its training is not finished; --resume goes on with it"):
        SegmenterRun.load(tmp_path)
    run.save(tmp_path)
    loaded = SegmenterRun.load(tmp_path)
    assert (loaded.rules, loaded.rules_of, loaded.predictor) == (run.rules, run.rules_of, predictor)
    before, after = (one.timeline(features, 0).probabilities for one in (run, loaded))
    assert before.shape == (30, 2)
    assert before.tobytes() == after.tobytes()


def test_damage_is_one_line(tmp_path: Path) -> None:
    run = run_of().predicting_with(AVERAGE)
    save_model(tmp_path, run.network.description, run.network.model.state_dict())
    run.save(tmp_path)
    content = json.loads((tmp_path / "bouts.json").read_text(encoding="utf-8"))
    rules = content["rules"]["LSTM"]
    of_lstm = [
        {**content, "rules": {"LSTM": one}} for one in ({**rules, "smoothing": "x"}, {**rules, "more": 1}, [1], 3)
    ]
    others = [rules, {**content, "version": 1}, {**content, "rules": 3}, {"format": "vidrep-bouts", "version": 2}]
    for damaged in ("", "[1]", "3", "{}", *map(json.dumps, [*of_lstm, *others])):
        assert_one_line(tmp_path, "bouts.json", damaged, r"bouts.json: cannot be read \(.*\); the run is damaged, or")
    for some in ({}, {"LSTM": rules}):
        damaged = json.dumps({**content, "rules": some})
        assert_one_line(tmp_path, "bouts.json", damaged, r"bouts.json: has no rules for average of LSTM and single")
    (tmp_path / "bouts.json").write_text(json.dumps(content), encoding="utf-8")
    described_predictor = json.loads((tmp_path / "predictor.json").read_text(encoding="utf-8"))
    for change in ({"kind": "oracle"}, {"reads": "tea leaves"}, {"more": 1}):
        damaged = json.dumps({**described_predictor, **change})
        assert_one_line(tmp_path, "predictor.json", damaged, r"predictor.json: names no predictor that can be used")
    (tmp_path / "predictor.json").unlink()
    with pytest.raises(InputError, match=r"predictor.json: is not there; the run is damaged, train it again"):
        SegmenterRun.load(tmp_path)


def assert_one_line(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        SegmenterRun.load(folder)
    assert "\n" not in str(caught.value)
