"""Metrics frame by frame, against loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from vidrep.metrics.segmentation.bouts import UNKNOWN
from vidrep.metrics.segmentation.estimate import Estimate
from vidrep.metrics.segmentation.per_frame import frame_metrics, several_labels_metrics

LABELS = ("background", "groom", "rear")


def test_one_label_a_frame_on_1000_cases() -> None:
    rng = np.random.default_rng(0)
    for case in range(1000):
        true = [rng.integers(-1, rng.integers(1, 4), rng.integers(2, 20)) for _ in range(3)]
        true[0][0] = 0
        predicted = [np.where(rng.random(len(one)) < 0.5, one.clip(0), rng.integers(0, 3, len(one))) for one in true]
        every, found = np.concatenate(true), np.concatenate(predicted)
        known = every != UNKNOWN
        metrics = frame_metrics(true, predicted, LABELS, ["a", "b", "c"])
        assert metrics.num_frames == known.sum()
        assert metrics.accuracy.value == pytest.approx(np.mean(every[known] == found[known]))
        if case % 25 == 0:  # it takes milliseconds
            assert metrics.macro_f1.value == pytest.approx(f1_score(every[known], found[known], average="macro"))
        for k, label in enumerate(metrics.by_label):
            hits = sum(1 for t, p in zip(every, found, strict=True) if t == p == k)
            assert label.support == sum(1 for t in every if t == k)
            assert label.predictions == sum(1 for t, p in zip(every, found, strict=True) if t != UNKNOWN and p == k)
            assert label.recall == (hits / label.support if label.support else None)
            assert label.precision == (hits / label.predictions if label.predictions else None)
            total = label.support + label.predictions
            assert label.f1 == (pytest.approx(2 * hits / total) if total else None)


def test_several_labels_are_binary_each_on_300_cases() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        true = [rng.integers(-1, 2, (int(rng.integers(1, 20)), 3)) for _ in range(2)]
        predicted = [rng.random(one.shape) < 0.5 for one in true]
        metrics = several_labels_metrics(true, predicted, LABELS, ["a", "b"])
        every, found = np.concatenate(true), np.concatenate(predicted)
        right = total = 0
        for k, label in enumerate(metrics.by_label):
            pairs = [(t, p) for t, p in zip(every[:, k], found[:, k], strict=True) if t != UNKNOWN]
            hits = sum(1 for t, p in pairs if t and p)
            denominator = sum(int(t) + int(p) for t, p in pairs)
            assert label.f1 == (pytest.approx(2 * hits / denominator) if denominator else None)
            right, total = right + sum(1 for t, p in pairs if bool(t) == bool(p)), total + len(pairs)
        assert metrics.accuracy.value == (pytest.approx(right / total) if total else None)


def test_perfect_unsure_and_unknown() -> None:
    labels = [np.array([0, 1, 2, 2])] * 5
    perfect = frame_metrics(labels, labels, LABELS, list("abcde"))
    assert perfect.accuracy == Estimate(1.0, 1.0, 1.0)
    assert perfect.macro_f1 == Estimate(1.0, 1.0, 1.0)
    unsure = frame_metrics(labels, [np.array([0, 1, 2, UNKNOWN])] * 5, LABELS, list("abcde"))
    assert unsure.accuracy.value == 0.75
    assert unsure.by_label[2].precision == 1
    nothing = frame_metrics([np.full(3, UNKNOWN)], [np.zeros(3, np.int64)], LABELS, ["a"])
    assert (nothing.accuracy.value, nothing.macro_f1.value, nothing.num_frames) == (None, None, 0)
    with pytest.raises(ValueError, match=r"labels of \(4,\) frames, and predictions of \(3,\)"):
        frame_metrics(labels[:1], [np.zeros(3, np.int64)], LABELS, ["a"])
