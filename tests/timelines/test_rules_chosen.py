"""The rules that are chosen: measured as the metric does, never worse than the defaults, never by unknown time."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from vidrep.metrics.segmentation.bouts import Bouts
from vidrep.metrics.segmentation.metrics import PredictedVideo, bout_metrics
from vidrep.segments.segment import Span
from vidrep.timelines.calibration import ValidationVideo, _Search, calibrate
from vidrep.timelines.finder import find_bouts
from vidrep.timelines.settings import BoutSettings
from vidrep.timelines.timeline import Timeline

LABELS = ("dig", "groom", "rest")


def noisy_video(
    rng: np.random.Generator, *, several_labels: bool = False, seconds: float = 60.0, high: float = 0.6
) -> ValidationVideo:
    """Bouts of 1 to 3 s, whose probabilities are around `high` and flicker; at 25 frames/s."""
    edges = np.arange(round(seconds * 25) + 1) / 25
    active = np.zeros((len(edges) - 1, 3), dtype=bool)
    frame = 0
    while frame < len(active):
        length, label = int(rng.integers(25, 76)), int(rng.integers(0, 3))
        active[frame : frame + length, label] = True
        frame += length
    scores = np.where(active, high, (1 - high) / 2) * rng.gamma(4.0, 0.25, active.shape)
    values = scores.clip(0, 1) if several_labels else scores / scores.sum(axis=1, keepdims=True)
    background = None if several_labels else "rest"
    case = Timeline("a.mp4", edges, values.astype(np.float32), LABELS, background, several_labels)
    true = Bouts.of_active(active[:, : 3 if several_labels else 2], edges)
    return ValidationVideo(case, true, [case.span])


def f1(videos: list[ValidationVideo], settings: BoutSettings) -> float:
    """The metric that is reported."""
    predicted = [
        PredictedVideo(
            name=str(number),
            true=one.true,
            predicted=find_bouts(one.timeline, settings),
            watched=one.watched,
            group=str(number),
        )
        for number, one in enumerate(videos)
    ]
    return bout_metrics(predicted, LABELS).f1[0.5].value or 0.0


@pytest.mark.parametrize("several_labels", [False, True])
def test_chosen_rules_are_better_and_measured_as_reported(
    several_labels: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    videos = [noisy_video(rng, several_labels=several_labels, high=0.45) for _ in range(2)]
    with caplog.at_level(logging.INFO):
        settings = calibrate(videos).rules
    default = BoutSettings.default(LABELS)
    before, after = f1(videos, default), f1(videos, settings)
    assert after > before + 0.2
    assert after > 0.8
    assert f"F1 at 50 % overlap {after:.3f}, by the default rules {before:.3f}" in caplog.text
    others = [noisy_video(rng, several_labels=several_labels, high=0.45) for _ in range(2)]
    assert f1(others, settings) > f1(others, default) + 0.2
    assert settings.unsure == default.unsure
    assert calibrate(videos).rules == settings


def test_the_defaults_stay_where_nothing_is_better(caplog: pytest.LogCaptureFixture) -> None:
    video = noisy_video(np.random.default_rng(1))
    active = np.stack([np.arange(1500) % 100 < 50, np.zeros(1500, dtype=bool)], axis=1)
    sure = np.concatenate([active, ~active[:, :1]], axis=1).astype(np.float32)
    case = Timeline("a.mp4", video.timeline.edges, sure, LABELS, "rest", False)
    true = Bouts.of_active(active, case.edges)
    with caplog.at_level(logging.INFO):
        settings = calibrate([ValidationVideo(case, true, [case.span])]).rules
    assert settings == BoutSettings.default(["dig", "groom"])
    assert "on 15 bouts of 1 validation videos: F1 at 50 % overlap 1.000, by the default rules 1.000" in caplog.text


def test_few_bouts_choose_nothing(caplog: pytest.LogCaptureFixture) -> None:
    video = noisy_video(np.random.default_rng(2), high=0.45)
    short = ValidationVideo(video.timeline, video.true, [Span(0.0, 10.0)])
    assert calibrate([short]).rules == BoutSettings.default(["dig", "groom"])
    assert "1 validation videos have " in caplog.text
    assert "bouts in watched time, and fewer than 10 choose no rules: the default rules find bouts" in caplog.text


def test_unknown_time_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    video = noisy_video(rng, high=0.45)
    watched = [Span(0.0, 25.0), Span(27.0, 50.0)]
    every = video.true
    known = every.chosen((every.starts < 25) | ((every.ends > 27) & (every.starts < 50)))
    first = calibrate([ValidationVideo(video.timeline, every, watched)]).rules
    assert first == calibrate([ValidationVideo(video.timeline, known, watched)]).rules
    assert first != BoutSettings.default(["dig", "groom"])


def test_a_label_gets_thresholds_of_its_own() -> None:
    """One label has 0.9 where it holds, and 0.38 for as long where it does not; the other has 0.35 where it holds."""
    frames = np.arange(3000) % 300
    dig, groom, wrong = (frames // 50 == number for number in (0, 2, 4))
    values = np.stack([0.9 * dig + 0.38 * wrong, 0.35 * groom], axis=1)
    values = np.concatenate([values, 1 - values.sum(axis=1, keepdims=True)], axis=1).astype(np.float32)
    case = Timeline("a.mp4", np.arange(3001) / 25, values, LABELS, "rest", False)
    true = Bouts.of_active(np.stack([dig, groom], axis=1), case.edges)
    videos = [ValidationVideo(case, true, [case.span])]
    settings = calibrate(videos).rules
    assert f1(videos, settings) == 1
    assert settings.enter["groom"] <= 0.35 < 0.38 < settings.enter["dig"]


def test_videos_of_other_labels_are_refused() -> None:
    videos = [noisy_video(np.random.default_rng(4), several_labels=several) for several in (False, True)]
    with pytest.raises(ValueError, match="2 videos; needed are some, with the same labels"):
        calibrate(videos)
    with pytest.raises(ValueError, match="0 videos"):
        calibrate([])


def test_runs_of_one_label_change_alone() -> None:
    rng = np.random.default_rng(5)
    search = _Search([noisy_video(rng, several_labels=True) for _ in range(2)])
    frames, default = search.smoothed(0.2), BoutSettings.default(LABELS)
    tried = replace(default, enter={**default.enter, "groom": 0.3}, leave={**default.leave, "groom": 0.2})
    found = search.changed(search.runs(frames, default), frames, tried, "groom")
    assert len(found) > 100
    assert found.tobytes() == search.runs(frames, tried).tobytes()
    assert found.tobytes() != search.runs(frames, default).tobytes()
