"""Bouts of probabilities: against slow ones, in chunks, and in the cases at the limits."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import slow_bouts as slow

from vidrep.errors import ConfigError
from vidrep.metrics.segmentation.bouts import UNKNOWN, Bouts
from vidrep.timelines.finder import (
    BoutFinder,
    concatenated,
    find_bouts,
    find_unsure,
    frame_activity,
    frame_labels,
)
from vidrep.timelines.settings import BoutSettings
from vidrep.timelines.timeline import Timeline

LABELS = ("groom", "rear", "rest")
SHARE, RATE = 64, 25  # of which probabilities and times are whole parts, so that limits are met exactly


def timeline(
    rows: list[list[float]], *, background: str | None = "rest", several_labels: bool = False, rate: float = 10.0
) -> Timeline:
    values = np.array(rows, dtype=np.float32).reshape(-1, len(LABELS))
    return Timeline("a.mp4", np.arange(len(values) + 1) / rate, values, LABELS, background, several_labels)


def rules(
    *,
    smoothing: float = 0.0,
    enter: float = 0.5,
    leave: float = 0.5,
    minimum_duration: float = 0.0,
    largest_gap: float = 0.0,
    unsure: float = 0.0,
) -> BoutSettings:
    return BoutSettings(
        smoothing=smoothing,
        enter=dict.fromkeys(LABELS, enter),
        leave=dict.fromkeys(LABELS, leave),
        minimum_duration=minimum_duration,
        largest_gap=largest_gap,
        unsure=unsure,
    )


def in_frames(bouts: Bouts, edges: np.ndarray) -> list[tuple[int, int, int]]:
    firsts, lasts = np.searchsorted(edges, bouts.starts), np.searchsorted(edges, bouts.ends)
    assert (edges[firsts] == bouts.starts).all()
    assert (edges[lasts] == bouts.ends).all()
    return list(zip(firsts.tolist(), lasts.tolist(), bouts.labels.tolist(), strict=True))


def groom(values: list[float]) -> Timeline:
    """Probabilities of the first label; the rest is background."""
    return timeline([[value, 0, 1 - value] for value in values])


def random_case(rng: np.random.Generator) -> tuple[Timeline, BoutSettings]:
    """Probabilities that hold for a few frames, some of which last longer than others."""
    count, several = int(rng.integers(0, 30)), bool(rng.random() < 0.5)
    parts = rng.integers(0, SHARE + 1, (count, 3))
    for frame in range(1, count):
        if rng.random() < 0.5:
            parts[frame] = parts[frame - 1]
    if not several:
        total = parts.cumsum(axis=1)
        parts = np.diff(np.minimum(total, SHARE), axis=1, prepend=0)
    steps = rng.choice([1, 1, 1, 2], count)
    thresholds = [sorted(rng.integers(1, SHARE, 2).tolist()) for _ in LABELS]
    settings = BoutSettings(
        smoothing=float(rng.choice([0, 0.08, 0.12, 0.4])),
        enter={name: high / SHARE for name, (_, high) in zip(LABELS, thresholds, strict=True)},
        leave={name: low / SHARE for name, (low, _) in zip(LABELS, thresholds, strict=True)},
        minimum_duration=float(rng.choice([0, 0.04, 0.12, 0.2])),
        largest_gap=float(rng.choice([0, 0.04, 0.12, 0.2])),
        unsure=0.5,
    )
    background = None if rng.random() < 0.3 else "rest"
    edges, values = np.append(0, np.cumsum(steps)) / RATE, (parts / SHARE).astype(np.float32)
    return Timeline("a.mp4", edges, values, LABELS, background, several), settings


def whole(values: Iterable[float], unit: int) -> list[int]:
    return [round(value * unit) for value in values]


def test_bouts_equal_slow_ones_and_come_alike_in_chunks_on_1000_cases() -> None:
    rng, num_bouts, num_joined = np.random.default_rng(0), 0, 0
    for _ in range(1000):
        case, settings = random_case(rng)
        found = find_bouts(case, settings)
        expected = slow.bouts(
            whole(case.edges, RATE),
            [whole(row, SHARE) for row in case.probabilities.tolist()],
            slow.Rules(
                round(settings.smoothing * RATE),
                whole(settings.enter.values(), SHARE),
                whole(settings.leave.values(), SHARE),
                round(settings.minimum_duration * RATE),
                round(settings.largest_gap * RATE),
            ),
            num_labels=3,
            background=None if case.background is None else 2,
            several_labels=case.several_labels,
        )
        assert in_frames(found, case.edges) == [one[:3] for one in expected]
        assert found.scores.tolist() == [float(one[3] / SHARE) for one in expected]
        assert_same_bits(in_chunks(case, settings, rng), found)
        num_bouts += len(found)
        num_joined += sum(
            bool((case.probabilities[first:last, label] < settings.leave[LABELS[label]]).any())
            for first, last, label in in_frames(found, case.edges)
        )
    assert num_bouts > 1000
    assert num_joined > 100


def in_chunks(case: Timeline, settings: BoutSettings, rng: np.random.Generator) -> Bouts:
    """Chunks of any sizes, empty ones among them."""
    finder = BoutFinder(settings, LABELS, background=case.background, several_labels=case.several_labels)
    cuts = [0, *sorted(rng.integers(0, len(case) + 1, rng.integers(0, 6)).tolist()), len(case)]
    found = []
    for number, (start, stop) in enumerate(pairwise(cuts), start=2):
        chunk = case.edges[start : stop + 1], case.probabilities[start:stop]
        found.append(finder.add(*chunk, is_last=number == len(cuts)))
    return concatenated(found)


def assert_same_bits(first: Bouts, second: Bouts) -> None:
    for name in ("starts", "ends", "labels", "scores"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


@pytest.mark.parametrize("several_labels", [False, True])
def test_many_frames_come_alike_in_chunks(several_labels: bool) -> None:
    """Probabilities of any bits, more frames than are read at once, times that are rounded."""
    rng = np.random.default_rng(1)
    values = rng.dirichlet([0.3] * 3, 100_000).astype(np.float32).clip(0, 1)
    edges = np.arange(len(values) + 1) / 29.97 + 1234.5
    case = Timeline("a.mp4", edges, values, LABELS, "rest", several_labels)
    settings = rules(smoothing=0.3, enter=0.6, leave=0.4, minimum_duration=0.2, largest_gap=0.1)
    found = find_bouts(case, settings)
    assert len(found) > 900
    assert_same_bits(in_chunks(case, settings, rng), found)


def test_bouts_come_early_and_little_is_kept() -> None:
    case = groom([1, 1, 0, 0] * 1000)
    finder = BoutFinder(rules(smoothing=0.05), LABELS, background="rest", several_labels=False)
    for start in range(0, 4000, 100):
        found = finder.add(case.edges[start : start + 101], case.probabilities[start : start + 100])
        assert len(found) >= 22
        assert len(finder._smoother._edges) < 5
        assert sum(len(joiner._kept) for joiner in finder._joiners) <= 3


def test_a_bout_comes_when_no_later_frame_can_change_it() -> None:
    case = groom([0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1])  # a gap of 0.2 s is filled, windows reach 0.1 s further
    finder = BoutFinder(rules(smoothing=0.2, largest_gap=0.2), LABELS, background="rest", several_labels=False)
    came = [
        len(finder.add(case.edges[frame : frame + 2], case.probabilities[frame : frame + 1])) for frame in range(13)
    ]
    assert came == [0] * 7 + [1] + [0] * 5
    assert len(finder.add(case.edges[-1:], case.probabilities[:0], is_last=True)) == 1


def test_what_meets_a_limit_is_within_it() -> None:
    case = groom([1, 1, 0, 0, 1, 0, 0, 0, 1])  # tenths of a second, no binary fractions
    assert in_frames(find_bouts(case, rules(largest_gap=0.2)), case.edges) == [(0, 5, 0), (8, 9, 0)]
    assert in_frames(find_bouts(case, rules(largest_gap=0.3)), case.edges) == [(0, 9, 0)]
    assert in_frames(find_bouts(case, rules(minimum_duration=0.2)), case.edges) == [(0, 2, 0)]
    assert in_frames(find_bouts(case, rules(minimum_duration=0.1)), case.edges) == [(0, 2, 0), (4, 5, 0), (8, 9, 0)]
    exactly = groom([0.5, 0.25, 0.0])
    assert in_frames(find_bouts(exactly, rules(enter=0.5, leave=0.25)), exactly.edges) == [(0, 2, 0)]


def test_a_bout_is_weak_at_both_ends_and_strong_within() -> None:
    case = groom([0, 0.4, 0.8, 0.4, 0, 0.4, 0.4, 0])
    found = find_bouts(case, rules(enter=0.75, leave=0.375))
    assert in_frames(found, case.edges) == [(1, 4, 0)]
    assert found.scores[0] == pytest.approx(1.6 / 3, abs=1e-7)


def test_a_short_bout_of_another_label_leaves_no_gap() -> None:
    a, b, rest = [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]
    case = timeline([a, a, b, a, a, rest, b, b, b])
    assert in_frames(find_bouts(case, rules(minimum_duration=0.2, largest_gap=0.1)), case.edges) == [
        (0, 5, 0),
        (6, 9, 1),
    ]
    assert in_frames(find_bouts(case, rules(largest_gap=0.1)), case.edges) == [
        (0, 2, 0),
        (2, 3, 1),
        (3, 5, 0),
        (6, 9, 1),
    ]


def test_windows_are_shorter_at_the_ends() -> None:
    case = groom([1, 0, 0, 0, 1])
    found = find_bouts(case, rules(smoothing=0.2, enter=0.5, leave=0.5))  # means of 2, 3, 3, 3, 2 frames
    assert in_frames(found, case.edges) == [(0, 1, 0), (4, 5, 0)]


@pytest.mark.parametrize("background", ["rest", None])
@pytest.mark.parametrize("several_labels", [False, True])
def test_an_empty_video_has_no_bouts(background: str | None, several_labels: bool) -> None:
    case = timeline([], background=background, several_labels=several_labels)
    found = find_bouts(case, rules(smoothing=1.0))
    assert len(found) == 0
    assert frame_labels(case, found, find_unsure(case, rules(), found)).shape == (0,)
    assert frame_activity(case, found).shape == (0, 3)


def test_one_frame_and_only_background() -> None:
    one = groom([1])
    assert in_frames(find_bouts(one, rules(smoothing=1.0)), one.edges) == [(0, 1, 0)]
    none = groom([0] * 20)
    bouts = find_bouts(none, rules(smoothing=1.0))
    assert len(bouts) == 0
    assert frame_labels(none, bouts, find_unsure(none, rules(), bouts)).tolist() == [2] * 20


def test_frames_have_the_labels_of_their_bouts() -> None:
    rng, num_unsure = np.random.default_rng(2), 0
    for _ in range(200):
        case, settings = random_case(rng)
        bouts = find_bouts(case, settings)
        active = frame_activity(case, bouts)
        of_active = Bouts.of_active(active, case.edges)
        for name in ("starts", "ends", "labels"):
            assert getattr(of_active, name).tolist() == getattr(bouts, name).tolist()
        if not case.several_labels:
            unsure = find_unsure(case, settings, bouts)
            labels = frame_labels(case, bouts, unsure)
            assert (active.sum(axis=1) <= 1).all()
            assert (labels[active.any(axis=1)] == active.argmax(axis=1)[active.any(axis=1)]).all()
            rest = labels[~active.any(axis=1)]
            assert set(rest.tolist()) <= ({2, UNKNOWN} if case.background else {UNKNOWN})
            num_unsure += len(unsure)
            assert case.background is None or sum(
                last - first for first, last, _ in in_frames(unsure, case.edges)
            ) == rest.tolist().count(UNKNOWN)
    assert num_unsure > 40


def test_a_stretch_without_a_sure_label_is_unsure() -> None:
    case = timeline([[0.9, 0, 0.1], [0.4, 0.2, 0.4], [0.3, 0.3, 0.4], [0, 0, 1], *[[0.45, 0.45, 0.1]] * 2])
    settings = rules(enter=0.6, leave=0.4, unsure=0.5)
    bouts = find_bouts(case, settings)
    assert in_frames(bouts, case.edges) == [(0, 2, 0)]  # a bout may hold unsure frames
    unsure = find_unsure(case, settings, bouts)
    assert in_frames(unsure, case.edges) == [(2, 3, 3), (4, 6, 3)]
    assert frame_labels(case, bouts, unsure).tolist() == [0, 0, UNKNOWN, 2, UNKNOWN, UNKNOWN]
    long = find_unsure(case, replace(settings, minimum_duration=0.2), bouts)
    assert in_frames(long, case.edges) == [(4, 6, 3)]
    assert frame_labels(case, bouts, long).tolist() == [0, 0, 2, 2, UNKNOWN, UNKNOWN]


def test_several_labels_overlap_and_are_apart() -> None:
    case = timeline([[1, 0, 0], [1, 1, 0], [0, 1, 0]], background=None, several_labels=True)
    bouts = find_bouts(case, rules())
    assert in_frames(bouts, case.edges) == [(0, 2, 0), (1, 3, 1)]
    assert frame_activity(case, bouts).tolist() == [[True, False, False], [True, True, False], [False, True, False]]


def test_settings_without_a_label_are_refused() -> None:
    settings = BoutSettings.default(["groom"])
    with pytest.raises(ConfigError, match="settings of bouts lack rear"):
        find_bouts(groom([1]), settings)


def test_chunks_that_do_not_follow_each_other_are_refused() -> None:
    finder = BoutFinder(rules(), LABELS, background="rest", several_labels=False)
    case = groom([1, 1])
    finder.add(case.edges, case.probabilities)
    with pytest.raises(ValueError, match=r"frames from 0.0 s follow frames until 0.2 s"):
        finder.add(case.edges, case.probabilities)
