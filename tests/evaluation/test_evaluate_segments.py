"""Evaluation of runs that label frames: figures are those of their timelines, counted by hand."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slow_segment_metrics as slow
import torch
from small_segments import FPS, trained_run

from vidrep.errors import ConfigError, InputError, LabelError, OutputError
from vidrep.evaluation.bout_results import bout_results
from vidrep.evaluation.compare import compare
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.segmentation import SegmentationEvaluation
from vidrep.features.store import Features, open_features
from vidrep.metrics.segmentation.bouts import UNKNOWN, Bouts
from vidrep.metrics.segmentation.metrics import PredictedVideo, f1_difference, video_f1
from vidrep.metrics.segmentation.truth import read_truth
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.segments.writing import write_segments
from vidrep.timelines.finder import find_bouts
from vidrep.timelines.segmenter_run import SegmenterRun
from vidrep.training.history import append_start, read_history

Trained = tuple[Features, Annotations, Path]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def of_one_label(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_run(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def of_several_labels(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_run(tmp_path_factory.mktemp("several"), several_labels=True)


@pytest.fixture(params=["of_one_label", "of_several_labels"])
def trained(request: pytest.FixtureRequest) -> Trained:
    made: Trained = request.getfixturevalue(request.param)
    return made


def evaluated(run: Path, features: Features, **how: Any) -> SegmentationEvaluation:
    found = evaluate(run, features, device="cpu", threads=1, **how)
    assert isinstance(found, SegmentationEvaluation)
    return found


def in_frames(bouts: Bouts) -> list[slow.Bout]:
    times = (np.rint(of * FPS).astype(int).tolist() for of in (bouts.starts, bouts.ends))
    return list(zip(*times, bouts.labels.tolist(), strict=True))


def test_figures_are_those_of_the_timelines(trained: Trained) -> None:
    features, annotations, run = trained
    found, segmenter = evaluated(run, features, segments=annotations), SegmenterRun.load(run)
    several_labels = segmenter.network.several_labels
    truth = read_truth(features, annotations, several_labels=several_labels)
    videos, num_right, num_known = [], 0, 0
    for video in (0, 1):
        timeline = segmenter.timeline(features, video)
        bouts = find_bouts(timeline, segmenter.rules)
        videos.append((in_frames(truth.videos[video].bouts.joined()), in_frames(bouts)))
        labels = np.full(60, 2) if not several_labels else np.zeros((60, 2), dtype=int)
        for start, end, label in videos[-1][1]:
            labels[(slice(start, end), label) if several_labels else slice(start, end)] = 1 if several_labels else label
        targets = truth.targets(video)
        num_right += int((labels == targets)[targets != UNKNOWN].sum())
        num_known += int((targets != UNKNOWN).sum())
    for overlap, exact in ((0.1, Fraction(1, 10)), (0.25, Fraction(1, 4)), (0.5, Fraction(1, 2))):
        expected = slow.f1(videos, exact)
        assert expected is not None
        assert found.network.bouts.f1[overlap].value == pytest.approx(float(expected))
    if not several_labels:
        assert found.network.frames.accuracy.value == pytest.approx(num_right / num_known)
    assert (found.num_videos, found.which) == (2, "videos of split 'test'")
    assert found.seconds == pytest.approx(120 / FPS)
    assert (found.labels, found.several_labels, found.rules) == (truth.labels, several_labels, segmenter.rules)
    assert [*found.baselines] == [*found.differences] == ["majority", "single frame", "mean of a window"]
    for name, baseline in found.baselines.items():
        f1, of_baseline = found.network.bouts.f1[0.5].value, baseline.bouts.f1[0.5].value
        assert found.differences[name].difference == pytest.approx((f1 or 0) - (of_baseline or 0))
    assert "The LSTM, by segmental F1 at 50 % overlap, is" in found.verdict


def test_what_it_found_is_json(trained: Trained) -> None:
    features, annotations, run = trained
    found = evaluated(run, features, segments=annotations)
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["verdict"] == found.verdict
    assert content["network"]["bouts"]["f1"]["0.5"]["value"] == found.network.bouts.f1[0.5].value


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_tables_have_every_bout_and_the_mistakes(trained: Trained, tmp_path: Path) -> None:
    features, annotations, run = trained
    tables = {"predictions": tmp_path / "all.csv", "errors": tmp_path / "wrong.csv"}
    found = evaluated(run, features, segments=annotations, **tables)
    rows, wrong = (rows_of(path) for path in tables.values())
    counts = Counter(row["outcome"] for row in rows)
    bouts = found.predicted.bouts
    assert counts["found"] + counts["missed"] == bouts.num_true > counts["found"] > 0
    assert counts["found"] + counts["wrong"] == bouts.num_predictions
    assert bouts.f1[0.5].value == pytest.approx(2 * counts["found"] / (bouts.num_true + bouts.num_predictions))
    assert wrong == [row for row in rows if row["outcome"] != "found"]
    assert rows == sorted(rows, key=lambda row: (row["video"], float(row["start"] or row["true_start"])))
    for row in rows:
        assert (row["start"] == "") == (row["confidence"] == "") == (row["outcome"] == "missed")
        assert (row["true_start"] == "") == (row["outcome"] == "wrong")
        if row["outcome"] == "found":
            times = [float(row[name]) for name in ("start", "end", "true_start", "true_end")]
            shared = min(times[1], times[3]) - max(times[0], times[2])
            assert float(row["overlap"]) == pytest.approx(shared / (max(times[1::2]) - min(times[::2])), abs=1e-5)
            assert float(row["overlap"]) >= 0.5
    (tmp_path / "mine.txt").write_text("mine\n")
    for name, message in (("mine.txt", "exists and is no table of an evaluation"), ("", "is a folder")):
        with pytest.raises(OutputError, match=message):
            evaluated(run, features, segments=annotations, errors=tmp_path / name)
    evaluated(run, features, segments=annotations, errors=tables["errors"])  # of an earlier evaluation: replaced


def test_a_bout_is_found_missed_or_wrong() -> None:
    (video,) = videos_of([[(0, 10, 0), (20, 30, 1), (40, 50, 0)]], [[(1, 10, 0), (20, 30, 0), (38, 41, 0)]])
    found = [
        (one.outcome, one.label, one.true, one.predicted, round(one.overlap, 3)) for one in bout_results([video], "ab")
    ]
    assert found == [
        ("found", "a", (0, 10), (1, 10), 0.9),
        ("missed", "b", (20, 30), None, 0),
        ("wrong", "a", None, (20, 30), 0),
        ("wrong", "a", None, (38, 41), 0.083),
        ("missed", "a", (40, 50), None, 0.083),
    ]


def test_unknown_time_is_scored_nowhere(of_one_label: Trained) -> None:
    features, annotations, run = of_one_label
    (first, *_) = (one for one in annotations.segments if one.video == "v0.npy")
    found = evaluated(run, features, segments=Annotations.of([first]))
    assert found.num_videos == 1
    assert found.seconds == pytest.approx(first.end - first.start)
    assert found.network.bouts.num_true == 1
    watched = Annotations.of([first], {"v0.npy": [Span(0, 1)]})
    assert evaluated(run, features, segments=watched).seconds == pytest.approx(max(1, first.end))


def test_videos_that_trained_are_left_out(of_one_label: Trained, tmp_path: Path) -> None:
    features, annotations, run = of_one_label
    assert evaluated(run, features, segments=annotations, split="train").num_videos == 3
    of_training = Annotations.of([one for one in annotations.segments if one.video == "v2.npy"])
    with pytest.raises(InputError, match=r"videos of split 'test' have no annotations; give --annotations FILE"):
        evaluated(run, features, segments=of_training)


def test_the_annotations_that_trained_it_are_used(of_one_label: Trained, tmp_path: Path) -> None:
    features, annotations, run = of_one_label
    with pytest.raises(
        LabelError, match=r"does not say which annotations it was trained with; give --annotations FILE"
    ):
        evaluated(run, features)
    path = tmp_path / "segments.csv"
    with recorded(run, annotations, path):
        assert evaluated(run, features) == evaluated(run, features, segments=annotations)
        path.unlink()
        with pytest.raises(LabelError) as caught:
            evaluated(run, features)
        assert "\n" not in str(caught.value)
        assert f"--annotations {path}, cannot be read any more" in str(caught.value)


@contextmanager
def recorded(run: Path, annotations: Annotations, path: Path) -> Iterator[None]:
    """Write annotations, and in the run that it was trained with them."""
    write_segments(annotations, path)
    history = run / "history.jsonl"
    before, (start, *_) = history.read_bytes(), read_history(run)
    history.unlink()
    append_start(run, replace(start, options={"annotations": [str(path)]}))
    yield
    history.write_bytes(before)


@pytest.mark.parametrize(
    "option",
    [{"num_future": 3}, {"shuffle_frames": True}, {"probe": True}, {"filmstrip": "x.png"}, {"reliability": "x.png"}],
)
def test_options_of_other_kinds_are_refused(of_one_label: Trained, option: dict[str, Any]) -> None:
    features, annotations, run = of_one_label
    with pytest.raises(ConfigError, match=r"a segmentation, which labels frames; .*: for other runs"):
        evaluated(run, features, segments=annotations, **option)


def test_features_without_labels_that_it_knows(of_one_label: Trained, tmp_path: Path) -> None:
    features, _, run = of_one_label
    swim = Annotations.of([Segment("v0.npy", 0, 1, "swim")])
    found = evaluated(run, open_features(features.path), segments=Annotations.of([*swim.segments, *_one_left()]))
    assert found.labels == ("left", "right", "background")
    assert found.seconds == pytest.approx(0.5)


def _one_left() -> list[Segment]:
    return [Segment("v0.npy", 1.5, 2, "left")]


def test_runs_are_compared_by_their_bouts(of_one_label: Trained, tmp_path: Path) -> None:
    features, annotations, run = of_one_label
    with recorded(run, annotations, tmp_path / "segments.csv"):
        found = compare([run, run], features, device="cpu", threads=1)
    segmenter, truth = SegmenterRun.load(run), read_truth(features, annotations)
    scores = []
    for video in (0, 1):
        bouts = find_bouts(segmenter.timeline(features, video), segmenter.rules)
        scores.append(slow.f1([(in_frames(truth.videos[video].bouts.joined()), in_frames(bouts))], Fraction(1, 2)))
    assert found.runs[0].score == found.runs[1].score == pytest.approx(float(sum(filter(None, scores)) / 2))
    assert found.runs[1].better is not None
    assert (found.runs[1].better.difference, found.num_videos) == (0, 2)
    assert found.measure == "segmental F1 at 50 % overlap per video"


def videos_of(true: list[list[slow.Bout]], predicted: list[list[slow.Bout]]) -> list[PredictedVideo]:
    return [
        PredictedVideo(
            name=str(number),
            true=Bouts.of(*np.array(one, dtype=float).reshape(-1, 3).T),
            predicted=Bouts.of(*np.array(other, dtype=float).reshape(-1, 3).T),
            watched=[Span(0, 100)],
            group=str(number),
        )
        for number, (one, other) in enumerate(zip(true, predicted, strict=True))
    ]


def test_differences_of_f1_are_paired_over_groups() -> None:
    true = [[(0, 10, 0), (20, 30, 1)], [(5, 15, 1)], [(0, 4, 0)], [], [(0, 9, 1)]]
    right, wrong = videos_of(true, true), videos_of(true, [[(0, 10, 1)], [(5, 15, 1)], [], [(0, 9, 0)], [(0, 9, 1)]])
    same = f1_difference(right, right, 2)
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    found = f1_difference(right, wrong, 2)
    expected = slow.f1([(one, one) for one in true], Fraction(1, 2))
    assert expected == 1
    assert found.difference == pytest.approx(1 - 2 * 2 / (2 * 2 + 2 + 3))
    assert found.low is not None and found.high is not None
    assert 0 <= found.low <= found.difference <= found.high <= 1
    back = f1_difference(wrong, right, 2)
    assert back.difference == -found.difference
    assert [video_f1(one, 2) for one in wrong] == [0, 1, 0, 0, 1]
    assert video_f1(right[3], 2) == 1  # nothing is there, and nothing is said
    nothing = videos_of([[]] * 5, [[]] * 5)
    assert f1_difference(nothing, nothing, 2).difference == 0
