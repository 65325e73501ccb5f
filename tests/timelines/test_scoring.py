"""F1 of many videos at once equals the metric that is reported."""

import numpy as np
import pytest

from vidrep.metrics.segmentation.bouts import Bouts
from vidrep.metrics.segmentation.metrics import PredictedVideo, bout_metrics
from vidrep.metrics.segmentation.segmental import OVERLAPS
from vidrep.segments.segment import Span
from vidrep.timelines.scoring import f1_scores, lanes_of_spans, lanes_of_videos, within

LABELS = ("groom", "rear", "dig")


def random_bouts(rng: np.random.Generator) -> Bouts:
    """Bouts, some of one label that overlap or touch, at times of which many are equal."""
    count = int(rng.integers(0, 12))
    starts = rng.integers(0, 60, count)
    return Bouts.of(starts / 25, (starts + rng.integers(1, 12, count)) / 25, rng.integers(0, 3, count))


def random_spans(rng: np.random.Generator) -> list[Span]:
    if rng.random() < 0.3:
        return [Span(0.0, 4.0)]
    return [Span(start / 25, (start + length) / 25) for start, length in rng.integers(0, 40, (rng.integers(1, 4), 2))]


def test_f1_equals_the_metric_on_1000_cases() -> None:
    rng, num_right = np.random.default_rng(0), 0
    for _ in range(1000):
        count = int(rng.integers(1, 4))
        true = [random_bouts(rng) for _ in range(count)]
        predicted = [one if rng.random() < 0.3 else random_bouts(rng) for one in true]
        watched = [random_spans(rng) for _ in true]
        time = lanes_of_spans(watched, len(LABELS))
        pair = [within(lanes_of_videos(of, len(LABELS)), time) for of in (true, predicted)]
        found = f1_scores(pair[0], pair[1], OVERLAPS)
        for one in range(count):
            watched[one].append(Span(100.0, 101.0))  # the metric wants some time
        videos = [
            PredictedVideo(
                name=str(one), true=true[one], predicted=predicted[one], watched=watched[one], group=str(one)
            )
            for one in range(count)
        ]
        metrics = bout_metrics(videos, LABELS)
        assert found == [pytest.approx(metrics.f1[overlap].value or 0.0, abs=1e-12) for overlap in OVERLAPS]
        num_right += found[2] > 0
    assert num_right > 300


def test_without_bouts_there_is_nothing() -> None:
    none = lanes_of_videos([Bouts.of([], [], [])], 3)
    assert f1_scores(none, none, OVERLAPS) == [0, 0, 0]
