"""Metrics of bouts: against slow ones from the definitions, and in the cases that nothing else defines."""

import logging
from fractions import Fraction

import numpy as np
import pytest
import slow_segment_metrics as slow
from numpy.typing import NDArray

from vidrep.errors import LabelError
from vidrep.metrics.intervals import ratio_interval
from vidrep.metrics.segmentation.bouts import UNKNOWN, Bouts
from vidrep.metrics.segmentation.detection import ACTIVITYNET, THUMOS, average_precision
from vidrep.metrics.segmentation.metrics import BoutMetrics, PredictedVideo, bout_metrics
from vidrep.metrics.segmentation.segmental import boundary_errors, edit_score
from vidrep.segments.segment import Segment, Span

SECONDS_A_FRAME = 0.04  # no binary fraction: times are rounded
LABELS = ("background", "groom", "rear", "dig")


def random_labels(rng: np.random.Generator, num_frames: int) -> list[int]:
    """Runs of 1 to 8 frames of the background and of three labels."""
    labels: list[int] = []
    while len(labels) < num_frames:
        labels += [int(rng.integers(0, 4))] * int(rng.integers(1, 9))
    return labels[:num_frames]


def disturbed(rng: np.random.Generator, labels: list[int]) -> list[int]:
    """Predictions: moved by a few frames, some of them others."""
    moved = np.roll(labels, rng.integers(-2, 3))
    wrong = rng.random(len(labels)) < rng.choice([0.0, 0.05, 0.5])
    return [int(label) for label in np.where(wrong, rng.integers(0, 4, len(labels)), moved)]


def edges(num_frames: int) -> NDArray[np.float64]:
    return np.arange(num_frames + 1, dtype=np.float64) * SECONDS_A_FRAME


def video_of(name: str, true: list[int], predicted: list[int], *, group: str = "") -> PredictedVideo:
    bouts = [Bouts.of_frames(labels, edges(len(labels)), background=0) for labels in (true, predicted)]
    watched = (Span(0.0, float(edges(len(true))[-1])),)
    return PredictedVideo(name=name, true=bouts[0], predicted=bouts[1], watched=watched, group=group or name)


def measure(*videos: tuple[list[int], list[int]]) -> BoutMetrics:
    return bout_metrics([video_of(str(number), *one) for number, one in enumerate(videos)], LABELS)


def test_segmental_metrics_equal_slow_ones_on_1000_cases() -> None:
    rng, num_bouts = np.random.default_rng(0), 0
    for _ in range(1000):
        pairs = []
        for _ in range(rng.integers(1, 3)):
            true = random_labels(rng, int(rng.integers(1, 30)))
            pairs.append((true, disturbed(rng, true)))
        found = measure(*pairs)
        bouts = [(slow.runs(true, 0), slow.runs(predicted, 0)) for true, predicted in pairs]
        for overlap, part in ((0.1, Fraction(1, 10)), (0.25, Fraction(1, 4)), (0.5, Fraction(1, 2))):
            expected = slow.f1(bouts, part)
            assert found.f1[overlap].value == (None if expected is None else pytest.approx(float(expected), abs=1e-12))
        edits = [slow.edit_score(*pair) for pair in bouts]
        assert found.edit.value == pytest.approx(float(sum(edits) / len(edits)), abs=1e-12)
        errors = [
            error
            for (true, _), pair in zip(pairs, bouts, strict=True)
            for error in slow.boundary_errors(*pair, {0, len(true)})
        ]
        mean = SECONDS_A_FRAME * sum(errors) / len(errors) if errors else None
        assert found.boundary_error.value == (None if mean is None else pytest.approx(mean, abs=1e-9))
        assert found.num_true == sum(len(true) for true, _ in bouts)
        assert found.num_predictions == sum(len(predicted) for _, predicted in bouts)
        num_bouts += found.num_true
    assert num_bouts > 2000


def random_bouts(rng: np.random.Generator, count: int) -> list[slow.Bout]:
    """Bouts of two labels that may overlap, sorted."""
    starts = rng.integers(0, 30, count)
    ends = starts + rng.integers(1, 12, count)
    return sorted(zip(starts.tolist(), ends.tolist(), rng.integers(0, 2, count).tolist(), strict=True))


def test_average_precision_equals_slow_one_on_1000_cases() -> None:
    rng, thresholds = np.random.default_rng(1), sorted({*ACTIVITYNET, *THUMOS})
    defined = []
    for _ in range(1000):
        num_videos = int(rng.integers(1, 4))
        true = [random_bouts(rng, int(rng.integers(0, 5))) for _ in range(num_videos)]
        found: list[list[slow.Detection]] = []
        for video in true:
            near = [(max(0, s + int(rng.integers(-1, 2))), e + int(rng.integers(0, 2)), k) for s, e, k in video]
            every = sorted({one for one in [*near, *random_bouts(rng, 3)] if one[1] > one[0]})
            found.append([(*one, float(rng.integers(0, 8)) / 8) for one in every])  # with equal scores
        fast = average_precision(
            [Bouts.of(*(np.array(video).reshape(-1, 3).T * [[0.04], [0.04], [1]])) for video in true],
            [Bouts.of(*(np.array(video).reshape(-1, 4).T * [[0.04], [0.04], [1], [1]])) for video in found],
            0,
            thresholds,
        )
        for number, threshold in enumerate(thresholds):
            expected = slow.average_precision(true, found, 0, Fraction(round(threshold * 100), 100))
            if expected is None:
                assert fast is None
            else:
                assert fast is not None
                assert fast[number] == pytest.approx(float(expected), abs=1e-12)
                defined.append(fast[number])
    assert len(defined) > 5000
    assert 0.1 < np.mean(defined) < 0.9


def test_average_precision_by_hand() -> None:
    """One hit, one miss, one hit of two: 1/2 * 1 + 1/2 * 2/3."""
    true = [Bouts.of([0, 10], [4, 14], [0, 0])]
    found = [Bouts.of([0, 20, 10], [4, 24, 14], [0, 0, 0], [0.9, 0.8, 0.7])]
    assert average_precision(true, found, 0, [0.5]) == pytest.approx([1 / 2 + 1 / 3])
    assert average_precision(true, [Bouts.of([], [], [])], 0, [0.5]) == pytest.approx([0.0])
    assert average_precision(true, found, 1, [0.5]) is None


def test_a_perfect_prediction_is_1() -> None:
    labels = [0, 0, 1, 1, 1, 2, 2, 0, 3, 3, 0]
    found = measure((labels, labels), (labels[::-1], labels[::-1]))
    assert [one.value for one in found.f1.values()] == [1.0, 1.0, 1.0]
    assert (found.edit.value, found.boundary_error.value) == (1.0, 0.0)
    assert (found.activitynet, found.thumos) == (1.0, 1.0)
    assert (found.num_true, found.num_predictions, found.num_videos) == (6, 6, 2)
    assert found.seconds == pytest.approx(22 * SECONDS_A_FRAME)
    assert [one.f1[0.5] for one in found.by_label] == [None, 1.0, 1.0, 1.0]


def test_only_background() -> None:
    """Nothing there and nothing found is right, but no bout can be scored; a false bout makes 0 of both."""
    nothing = measure(([0] * 5, [0] * 5))
    assert [one.value for one in nothing.f1.values()] == [None, None, None]
    assert (nothing.edit.value, nothing.boundary_error.value, nothing.activitynet) == (1.0, None, None)
    for true, predicted in (([0] * 5, [0, 1, 1, 0, 0]), ([0, 1, 1, 0, 0], [0] * 5)):
        found = measure((true, predicted))
        assert (found.f1[0.1].value, found.edit.value, found.boundary_error.value) == (0.0, 0.0, None)
    assert measure(([0, 1, 1, 0, 0], [0] * 5)).activitynet == 0.0


def test_a_bout_is_matched_once_and_not_given_the_second_best() -> None:
    true = [1] * 10 + [0] + [1]
    halves = (
        [1] * 4 + [0] + [1] * 7
    )  # tIoU with the first true bout 4/10 and 5/12, of the second half with the other 1/7
    counted = measure((true, halves))
    assert counted.by_label[1].f1[0.1] == pytest.approx(2 / 4)
    assert counted.by_label[1].f1[0.5] == 0


def test_unknown_time_is_scored_nowhere() -> None:
    true = Bouts.of([2, 8, 30], [6, 12, 40], [1, 2, 1])
    predicted = Bouts.of([2, 9, 14, 22], [6, 20, 16, 28], [1, 2, 3, 3])
    watched = (Span(0, 10), Span(25, 26))
    found = bout_metrics([PredictedVideo(name="a", true=true, predicted=predicted, watched=watched, group="a")], LABELS)
    assert found.seconds == 11
    assert (found.num_true, found.num_predictions) == (
        2,
        3,
    )  # what begins at 9 ends at 10, what begins at 22 is 25 to 26
    assert found.f1[0.5].value == pytest.approx(4 / 5)
    assert found.boundary_error.value == pytest.approx((0 + 0 + 1) / 3)  # 8 was 9; 10 is where nobody watched any more


def test_videos_without_watched_time_are_named(caplog: pytest.LogCaptureFixture) -> None:
    bouts = Bouts.of([0], [1], [1])
    unknown = PredictedVideo(name="a.mp4", true=bouts, predicted=bouts, watched=(), group="")
    with pytest.raises(LabelError, match="none of 1 videos has watched time"):
        bout_metrics([unknown], LABELS)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "vidrep"):
        assert bout_metrics([unknown, video_of("b", [1], [1])], LABELS).num_videos == 1
    assert caplog.messages == [
        "1 videos without watched time are not scored: a.mp4",
        "1.0 s of true bouts lie outside watched time and are not scored: a.mp4",
    ]


def test_several_labels_at_once_are_sequences_of_their_own() -> None:
    true = Bouts.of([0, 2, 8], [5, 9, 9], [1, 2, 1])
    predicted = Bouts.of([0, 2], [5, 9], [1, 2])
    video = PredictedVideo(name="a", true=true, predicted=predicted, watched=(Span(0, 10),), group="a")
    found = bout_metrics([video], ("x", "groom", "rear"), several_labels=True)
    assert found.edit.value == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found.f1[0.5].value == pytest.approx(4 / 5)
    assert bout_metrics([video], ("x", "groom", "rear")).edit.value == pytest.approx(2 / 3)


def test_intervals_draw_groups() -> None:
    rng = np.random.default_rng(2)
    videos = []
    for number in range(12):
        true = random_labels(rng, 60)
        videos.append(video_of(str(number), true, disturbed(rng, true), group=str(number // 2)))
    found = bout_metrics(videos, LABELS)
    for estimate in (*found.f1.values(), found.edit, found.boundary_error):
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
    few = bout_metrics(videos[:8], LABELS)  # 4 groups
    assert (few.edit.low, few.edit.high) == (None, None)


def test_a_ratio_of_several_leaves_out_what_a_draw_does_not_have() -> None:
    groups = list("abcdef")
    above = [[1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1, 2]]
    below = [[1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1, 4]]  # only the last group has the second label
    interval = ratio_interval(above, below, groups)
    assert interval is not None
    assert (interval.low, interval.high) == (0.75, 1.0)
    assert ratio_interval(np.zeros(6), np.zeros(6), groups) is None


def test_bouts_of_frames_and_back() -> None:
    labels = np.array([0, 1, 1, UNKNOWN, 1, 2, 2, 0])
    probabilities = np.linspace(0, 1, 24).reshape(8, 3)
    bouts = Bouts.of_frames(labels, edges(8), probabilities=probabilities, background=0)
    assert bouts.labels.tolist() == [1, 1, 2]
    assert bouts.starts == pytest.approx([0.04, 0.16, 0.2])
    assert bouts.ends == pytest.approx([0.12, 0.2, 0.28])
    expected = [probabilities[1:3, 1].mean(), probabilities[4, 1], probabilities[5:7, 2].mean()]
    assert bouts.scores == pytest.approx(expected)
    watched = (Span(0, 0.12), Span(0.16, 0.32))
    assert bouts.label_of_frames(edges(8), watched, background=0).tolist() == labels.tolist()
    with pytest.raises(ValueError, match="8 frames need 9 edges, got 8"):
        Bouts.of_frames(labels, edges(7))


def test_several_labels_of_frames_and_back() -> None:
    active = np.random.default_rng(3).random((30, 3)) < 0.5
    bouts = Bouts.of_active(active, edges(30))
    assert (bouts.on_frames(edges(30), 3, (Span(0, 2),)) == active).all()
    on = bouts.on_frames(edges(30), 3, (Span(0.4, 0.8),))
    assert (on[:10] == UNKNOWN).all()
    assert (on[20:] == UNKNOWN).all()
    assert (on[10:20] == active[10:20]).all()
    with pytest.raises(ValueError, match="two labels at one time"):
        bouts.label_of_frames(edges(30), (Span(0, 2),), background=3)


def test_bouts_of_segments_have_durations_and_are_joined(caplog: pytest.LogCaptureFixture) -> None:
    segments = [
        Segment("a", 3, 4, "rear", "anna"),
        Segment("a", 1, 3, "groom", "anna"),
        Segment("a", 2, 5, "groom", "ben"),
        Segment("a", 5, 6, "groom"),
        Segment("a", 7, 7, "groom"),
    ]
    bouts = Bouts.of_segments(segments, LABELS, [0.5, 1.0, 0.0, 0.5, 1.0])
    assert caplog.messages == ["a: 1 events without a duration are no bouts, and not scored"]
    assert (bouts.starts.tolist(), bouts.ends.tolist()) == ([1, 2, 3, 5], [3, 5, 4, 6])
    joined = bouts.joined()
    assert (joined.starts.tolist(), joined.ends.tolist(), joined.labels.tolist()) == ([1, 3], [6, 4], [1, 2])
    assert joined.scores == pytest.approx([(2 * 1.0 + 3 * 0.0 + 1 * 0.5) / 6, 0.5])
    with pytest.raises(KeyError):
        Bouts.of_segments(segments, ["groom"])


def test_empty_bouts() -> None:
    empty = Bouts.of([], [], [])
    assert len(empty.joined()) == len(empty.within([Span(0, 1)])) == len(Bouts.of_frames([], [0.0])) == 0
    assert edit_score([], []) == 1
    assert len(boundary_errors(empty, empty, ())) == 0
