"""Confusion and the metrics of each class, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from vidrep.metrics.confusion import ClassMetrics, Confusion

CLASSES = ["a", "b", "c", "d"]


def test_every_class_has_scikit_learns_metrics() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 200)
    predicted = np.where(rng.random(200) < 0.5, true, rng.integers(0, 4, 200))
    confusion = Confusion.of(CLASSES, true, predicted)
    assert (confusion.rows, confusion.columns, confusion.classes) == ("true", "predicted", CLASSES)
    np.testing.assert_array_equal(confusion.counts, confusion_matrix(true, predicted))
    expected = precision_recall_fscore_support(true, predicted)
    for number, one in enumerate(confusion.by_class()):
        assert (one.name, one.support) == (CLASSES[number], (true == number).sum())
        assert one.predictions == (predicted == number).sum()
        assert (one.precision, one.recall, one.f1) == pytest.approx([of[number] for of in expected[:3]])
        wrong = predicted[(true == number) & (predicted != number)]
        counts = np.bincount(wrong, minlength=4)
        assert (one.confused_with, one.num_confused) == (CLASSES[int(counts.argmax())], counts.max())


def test_what_would_divide_by_zero_is_none_and_the_first_of_equals_is_confused() -> None:
    found = Confusion.of(CLASSES, np.array([0, 0, 0, 1, 1]), np.array([0, 2, 1, 0, 0])).by_class()
    assert found[0] == ClassMetrics(
        name="a", support=3, predictions=3, precision=1 / 3, recall=1 / 3, f1=1 / 3, confused_with="b", num_confused=1
    )
    assert found[1] == ClassMetrics(
        name="b", support=2, predictions=1, precision=0.0, recall=0.0, f1=0.0, confused_with="a", num_confused=2
    )
    assert (found[2].support, found[2].recall, found[2].precision, found[2].f1) == (0, None, 0.0, 0.0)
    assert found[3] == ClassMetrics(
        name="d", support=0, predictions=0, precision=None, recall=None, f1=None, confused_with="", num_confused=0
    )
