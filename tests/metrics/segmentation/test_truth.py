"""What annotations say of every frame: labels, background, and what nobody said."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small_features import features_of

from vidrep.errors import LabelError
from vidrep.features.store import Features
from vidrep.metrics.segmentation.truth import read_truth
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.sequences.frame_targets import UNKNOWN

_ = UNKNOWN


@pytest.fixture
def features(tmp_path: Path) -> Features:
    """Two videos of 10 and 6 frames of a second each."""
    lengths = {"a.npy": 10, "b.npy": 6}
    return features_of(tmp_path, {key: np.zeros((n, 2), dtype=np.float32) for key, n in lengths.items()}, fps=1)


def segment(video: str, start: float, end: float, label: str, row: int = 0) -> Segment:
    return Segment(f"{video}.npy", start, end, label, place=f"line {row}" if row else "")


EAT, RUN = segment("a", 2, 4, "eat"), segment("a", 7, 9, "run")


def targets(
    features: Features, segments: Sequence[Segment], watched: Sequence[Span] = (), **how: object
) -> list[object]:
    annotations = Annotations.of(segments, {"a.npy": watched})
    truth = read_truth(features, annotations, **how)  # type: ignore[arg-type]
    found: list[object] = truth.targets(0).tolist()
    return found


def test_time_without_a_label_is_unknown(features: Features) -> None:
    assert targets(features, [EAT, RUN]) == [_, _, 0, 0, _, _, _, 1, 1, _]


def test_time_without_a_label_is_the_background_that_is_named(features: Features) -> None:
    truth = read_truth(features, Annotations.of([EAT, RUN]), background="calm")
    assert (truth.labels, truth.background) == (("eat", "run", "calm"), "calm")
    assert truth.targets(0).tolist() == [2, 2, 0, 0, 2, 2, 2, 1, 1, 2]
    assert (truth.videos[0].known, truth.videos[0].seconds) == ((Span(0, 10),), 10)
    assert sorted(truth.videos) == [0]  # of b nobody said a thing


def test_watched_time_without_a_label_is_background(features: Features) -> None:
    truth = read_truth(features, Annotations.of([EAT, RUN], {"a.npy": [Span(1, 5)]}))
    assert truth.background == "background"
    assert truth.targets(0).tolist() == [_, 2, 0, 0, 2, _, _, 1, 1, _]
    assert truth.videos[0].known == (Span(1, 5), Span(7, 9))
    assert targets(features, [EAT, RUN], [Span(1, 5)], background="calm") == [_, 2, 0, 0, 2, _, _, 1, 1, _]


def test_segments_can_say_what_is_background(features: Features) -> None:
    calm = segment("a", 4, 6, "calm")
    assert targets(features, [EAT, RUN, calm], [Span(7, 9)], background="calm") == [_, _, 0, 0, 2, 2, _, 1, 1, _]
    assert targets(features, [EAT, calm]) == [_, _, 1, 1, 0, 0, _, _, _, _]  # without the option it is a label


def test_of_several_labels_only_what_was_annotated_counts(features: Features) -> None:
    both = [EAT, segment("a", 3, 6, "run")]
    rows = [[_, _], [_, _], [1, _], [1, 1], [_, 1], [_, 1], [_, _], [_, _], [_, _], [_, _]]
    assert targets(features, both, several_labels=True) == rows
    rows = [[_, _], [0, 0], [1, 0], [1, 1], [0, 1], [_, 1], [_, _], [_, _], [_, _], [_, _]]
    assert targets(features, both, [Span(1, 5)], several_labels=True) == rows
    rows = [[0, 0], [0, 0], [1, 0], [1, 1], [0, 1], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert targets(features, both, several_labels=True, background="calm") == rows
    calm = segment("a", 0, 2, "calm")
    truth = read_truth(
        features, Annotations.of([*both, calm], {"a.npy": [Span(8, 9)]}), several_labels=True, background="calm"
    )
    rows = [[0, 0], [0, 0], [1, _], [1, 1], [_, 1], [_, 1], [_, _], [_, _], [0, 0], [_, _]]
    assert (truth.labels, truth.background, truth.targets(0).tolist()) == (("eat", "run"), None, rows)


def test_labels_that_overlap_are_refused_with_both_rows(features: Features) -> None:
    overlapping = Annotations.of([segment("a", 1, 4, "eat", 2), segment("a", 3, 5, "run", 7)])
    with pytest.raises(LabelError) as caught:
        read_truth(features, overlapping)
    assert str(caught.value) == (
        "line 2 and line 7: 'eat' and 'run' overlap from 3 s on in 'a.npy'; correct the times, or let several labels "
        "hold at once (--multi-label)"
    )
    within = Annotations.of([segment("a", 0, 9, "eat", 2), segment("a", 5, 5.03, "run", 3)])
    with pytest.raises(LabelError, match="line 2 and line 3: 'eat' and 'run' overlap from 5 s on"):
        read_truth(features, within)  # short as it is, what surrounds it goes on
    assert read_truth(features, overlapping, several_labels=True).labels == ("eat", "run")


def test_labels_that_overlap_by_rounding_are_cut(features: Features) -> None:
    bouts = read_truth(features, Annotations.of([segment("a", 1, 4.04, "eat"), segment("a", 4, 6, "run")])).videos[0]
    assert list(zip(bouts.bouts.starts, bouts.bouts.ends, strict=True)) == [(1, 4), (4, 6)]


def test_whatever_touches_is_apart_afterwards(features: Features) -> None:
    """Many short segments one upon the other, of which no frame gets two labels."""
    rng = np.random.default_rng(0)
    num_read = 0
    for _case in range(200):
        starts = np.sort(rng.choice(np.arange(0, 10, 0.01), 8, replace=False))
        ends = np.append(starts[1:], 10) + rng.choice([0, 0.02, 0.04], 8)
        labels = rng.choice(["eat", "rest", "run"], 8)
        every = [segment("a", *one) for one in zip(starts, np.maximum(ends, starts), labels, strict=True)]
        try:
            truth = read_truth(features, Annotations.of(every))
        except LabelError:
            continue
        truth.targets(0)
        num_read += 1
    assert num_read > 50


def test_the_same_label_may_overlap(features: Features) -> None:
    assert targets(features, [segment("a", 1, 4, "eat"), segment("a", 2, 3, "eat"), RUN])[:5] == [_, 0, 0, 0, _]


def test_videos_points_and_labels_that_are_left_out_are_said(
    features: Features, caplog: pytest.LogCaptureFixture
) -> None:
    missing, point = segment("c", 1, 2, "eat", 9), segment("a", 5, 5, "bite")
    with caplog.at_level(logging.WARNING):
        truth = read_truth(features, Annotations.of([EAT, RUN, missing, point]))
    assert truth.labels == ("eat", "run")
    assert "1 annotated videos are not among the 2 of the features and are left out: c.npy (line 9)" in caplog.text
    assert "1 events without a duration are left out, as frames have labels: bite" in caplog.text
    with pytest.raises(LabelError, match=r"none of the annotated videos is in it: c.npy; the videos are a.npy, b.npy"):
        read_truth(features, Annotations.of([missing]))
    with pytest.raises(LabelError, match="no segment with a duration and a label; annotate some"):
        read_truth(features, Annotations.of([point]))
    with pytest.raises(LabelError, match=r"line 3: 4 s to 12 s lies outside 'a.npy', which ends at 10.000 s"):
        read_truth(features, Annotations.of([segment("a", 4, 12, "eat", 3)]))


def test_the_labels_of_a_run(features: Features, caplog: pytest.LogCaptureFixture) -> None:
    """They keep their numbers, and time of another label is unknown rather than background."""
    given = Annotations.of([EAT, RUN, segment("a", 5, 6, "swim")])
    with caplog.at_level(logging.WARNING):
        truth = read_truth(features, given, background="calm", labels=["drink", "eat", "run", "calm"])
    assert "1 segments have labels that the run was not trained on and are left out: swim" in caplog.text
    assert truth.labels == ("drink", "eat", "run", "calm")
    assert truth.targets(0).tolist() == [3, 3, 1, 1, 3, _, 3, 2, 2, 3]
    assert truth.videos[0].known == (Span(0, 5), Span(6, 10))


def test_a_run_without_background_gets_none(features: Features) -> None:
    """Not even where the annotations say what was watched."""
    truth = read_truth(features, Annotations.of([EAT], {"a.npy": [Span(0, 10)]}), labels=["eat", "run"])
    assert (truth.labels, truth.background) == (("eat", "run"), None)
    assert truth.targets(0).tolist() == [_, _, 0, 0, _, _, _, _, _, _]


def test_a_run_whose_background_was_watched_takes_no_other_time_for_it(features: Features) -> None:
    truth = read_truth(features, Annotations.of([EAT]), labels=["eat", "run", "background"])
    assert (truth.background, truth.videos[0].known) == ("background", (Span(2, 4),))
    assert truth.targets(0).tolist() == [_, _, 0, 0, _, _, _, _, _, _]


def test_a_label_of_that_name_is_the_background(features: Features) -> None:
    truth = read_truth(features, Annotations.of([EAT, segment("a", 4, 6, "background")]))
    assert (truth.labels, truth.background) == (("eat", "background"), "background")
    assert truth.targets(0).tolist() == [_, _, 0, 0, 1, 1, _, _, _, _]
    truth = read_truth(features, Annotations.of([EAT, segment("a", 5, 6, "background")]), several_labels=True)
    assert truth.targets(0).tolist() == [[_], [_], [1], [1], [_], [0], [_], [_], [_], [_]]


def test_splits_and_groups_of_annotations(features: Features) -> None:
    segments = [Segment("a.npy", 0, 1, "eat", group="first"), segment("b", 0, 1, "run")]
    truth = read_truth(features, Annotations.of(segments, splits={"b.npy": "test"}))
    assert (truth.splits, truth.groups) == ({1: "test"}, {0: "first"})
