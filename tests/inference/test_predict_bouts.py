"""Bouts of videos and of features: the same of both, of any span, by any rules, in every file that is asked for."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import circles, features_of, finetune_config, pretrain_config
from small_segments import FPS, segmentation_config, trained_run

from vidrep.config.segmentation import SegmenterSettings
from vidrep.config.settings import OptimizerSettings
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import Features, open_features
from vidrep.inference.clip_timelines import clip_timeline, spread_over_frames
from vidrep.inference.inputs import InputOptions
from vidrep.inference.kind_of_run import finds_bouts
from vidrep.inference.predict_bouts import BoutPredictions, BoutRules, most_certain, predict_bouts
from vidrep.metrics.cross_validation import at_temperature
from vidrep.metrics.predictor import ClassifierRun
from vidrep.metrics.segmentation.bouts import Bouts
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.sequences.windows import Windows
from vidrep.timelines.finder import find_bouts
from vidrep.timelines.frame_files import read_frames
from vidrep.timelines.segmenter_run import SegmenterRun
from vidrep.timelines.settings import BoutSettings
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train
from vidrep.training.segmentation import finetune_segments
from vidrep.video.sampling import Sampling
from vidrep.video.sources import find_videos
from vidrep.video.writing import write_h264

CPU = torch.device("cpu")
LABELS = ("left", "right")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Features, Annotations, Path]:
    return trained_run(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 50 small frames that are dark in their first half and bright in their second."""
    folder = tmp_path_factory.mktemp("videos") / "clips"
    for number in range(3):
        rng = np.random.default_rng(number)
        frames = rng.integers(0, 100, (50, 16, 16, 3), dtype=np.uint8)
        frames[25:] += 120
        folder.mkdir(exist_ok=True)
        write_h264(folder / f"v{number}.mp4", frames, frames_per_second=10)
    return folder


@pytest.fixture(scope="module")
def of_videos(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Features, Path]:
    """Every second frame as features, and a run of them."""
    folder = tmp_path_factory.mktemp("extracted")
    extract(find_videos([videos]), folder / "f.h5", PatchExtractor(size=4), sampling=Sampling(every=2), workers=0)
    features = open_features(folder / "f.h5")
    segments = [Segment(f"v{n}.mp4", *one) for n in range(3) for one in ((0, 2.5, "dark"), (2.5, 5, "bright"))]
    config = segmentation_config(
        segmenter=SegmenterSettings(dropout=0.0),
        optimizer=OptimizerSettings(learning_rate=0.05, warmup_steps=2),
        settings={"transforms": ("standardize",), "transform": {}},
        steps=20,
        batch_size=0,
    )
    run = finetune_segments(features, folder / "run", Annotations.of(segments), config, device="cpu", threads=1).folder
    return features, run


def predicted(run: Path, inputs: Any, rules: BoutRules | None = None, **how: Any) -> BoutPredictions:
    files = {name: how.pop(name) for name in ("frames", "frame_format", "overwrite") if name in how}
    return predict_bouts(run, inputs, rules=rules, options=InputOptions(device="cpu", threads=1, **how), **files)


def rows(bouts: Bouts) -> list[tuple[float, ...]]:
    return list(zip(*(of.tolist() for of in (bouts.starts, bouts.ends, bouts.labels, bouts.scores)), strict=True))


def assert_equal(first: BoutPredictions, second: BoutPredictions) -> None:
    assert first.labels == second.labels
    assert [one.key for one in first.videos] == [one.key for one in second.videos]
    for one, other in zip(first.videos, second.videos, strict=True):
        assert rows(one.bouts) == rows(other.bouts)
        assert rows(one.unsure) == rows(other.unsure)
        assert one.watched == other.watched


def test_bouts_are_those_of_the_run_and_its_rules(trained: tuple[Features, Annotations, Path]) -> None:
    features, _, run = trained
    found, segmenter = predicted(run, features.path), SegmenterRun.load(run)
    assert (found.labels, found.rules, found.is_of_clips, found.failures) == (LABELS, segmenter.rules, False, [])
    assert [one.key for one in found.videos] == [row.path for row in features.videos]
    for index, one in enumerate(found.videos):
        expected = find_bouts(segmenter.timeline(features, index), segmenter.rules)
        assert rows(one.bouts) == rows(expected)
        assert (one.path, one.watched) == (one.key, Span(0, 60 / FPS))
    assert sum(len(one.bouts) for one in found.videos) > 5
    assert finds_bouts(run)
    assert_equal(found, predicted(run, features))


def test_of_videos_they_are_as_of_their_features(of_videos: tuple[Features, Path], videos: Path) -> None:
    features, run = of_videos
    found = predicted(run, [videos])
    assert_equal(found, predicted(run, features))
    assert [one.path for one in found.videos] == [str(videos / one.key) for one in found.videos]
    (first, *_) = found.videos
    assert [found.labels[label] for label in first.bouts.labels] == ["dark", "bright"]
    assert abs(first.bouts.ends[0] - 2.5) <= 0.4


def test_features_can_be_kept_and_gone_on_with(of_videos: tuple[Features, Path], videos: Path, tmp_path: Path) -> None:
    features, run = of_videos
    found = predicted(run, [videos], keep=tmp_path / "kept.h5")
    kept = open_features(tmp_path / "kept.h5")
    for index in range(3):
        np.testing.assert_array_equal(kept[index], features[index])
    assert_equal(predicted(run, kept.path), found)
    assert_equal(predicted(run, [videos], keep=tmp_path / "kept.h5"), found)
    with pytest.raises(InputError, match=r"features are given; only those of videos can be kept"):
        predicted(run, features, keep=tmp_path / "other.h5")


def test_copies_of_a_video_have_its_bouts(of_videos: tuple[Features, Path], videos: Path, tmp_path: Path) -> None:
    _, run = of_videos
    for name in ("a.mp4", "b.mp4"):
        shutil.copyfile(videos / "v0.mp4", tmp_path / name)
    first, second = predicted(run, [tmp_path / "a.mp4", tmp_path / "b.mp4"]).videos
    assert [(Path(one.path).name, one.key) for one in (first, second)] == [("a.mp4", "a.mp4"), ("b.mp4", "b.mp4")]
    assert rows(first.bouts) == rows(second.bouts)


def test_a_span_of_videos_is_read_and_of_features_told(of_videos: tuple[Features, Path], videos: Path) -> None:
    features, run = of_videos
    for inputs in ([videos], features):
        for one in predicted(run, inputs, start=2.0, end=3.9).videos:
            assert one.watched == pytest.approx((2.0, 4.0))
            assert one.bouts.starts.min() >= 2
            assert one.bouts.ends.max() <= 4.0 + 1e-9
    whole = predicted(run, features).videos[0]
    assert rows(predicted(run, features, start=0.0).videos[0].bouts) == rows(whole.bouts)
    late = predicted(run, features, start=99.0).videos[0]
    assert (len(late.bouts), late.watched.start) == (0, late.watched.end)
    for start, end in ((3.0, 2.0), (-1.0, None), (None, 0.0)):
        with pytest.raises(ConfigError, match=r"^(start|end) "):
            predicted(run, features, start=start, end=end)


def test_rules_can_be_changed(trained: tuple[Features, Annotations, Path]) -> None:
    features, _, run = trained
    rules = SegmenterRun.load(run).rules
    changes = {"smoothing": 0.0, "minimum_duration": 0.3, "largest_gap": 0.5, "unsure": 0.9}
    changed = predicted(run, features, BoutRules(**changes)).rules  # type: ignore[arg-type]
    assert changed == replace(rules, **changes)  # type: ignore[arg-type]
    stricter = BoutRules(threshold=0.8).changed(replace(rules, enter={"left": 0.5}, leave={"left": 0.25}))
    assert (stricter.enter, stricter.leave) == ({"left": 0.8}, {"left": 0.4})
    long = predicted(run, features, BoutRules(minimum_duration=0.5))
    durations = [one.bouts.ends - one.bouts.starts for one in long.videos]
    assert np.concatenate(durations).min() >= 0.5 - 1e-9
    for mistake in ({"top_k": 0}, {"threshold": 0.0}, {"threshold": 1.5}):
        with pytest.raises(ConfigError, match=r"give "):
            BoutRules(**mistake)
    with pytest.raises(ConfigError, match="smoothing -1"):
        predicted(run, features, BoutRules(smoothing=-1))


def test_the_most_certain_bouts_of_each_label() -> None:
    bouts = Bouts.of([0, 2, 4, 6, 8], [1, 3, 5, 7, 9], [0, 1, 0, 0, 1], [0.5, 0.9, 0.8, 0.5, 0.2])
    assert most_certain(bouts, 2).starts.tolist() == [0, 2, 4, 8]
    assert most_certain(bouts, 1).starts.tolist() == [2, 4]
    assert len(most_certain(Bouts.of([], [], []), 1)) == 0


@pytest.mark.parametrize(("name", "format"), [("all.h5", None), ("folder", "npy"), ("folder", ".csv")])
def test_the_frames_of_every_video_are_written(
    trained: tuple[Features, Annotations, Path], tmp_path: Path, name: str, format: str | None
) -> None:
    features, _, run = trained
    predicted(run, features, frames=tmp_path / name, frame_format=format)
    segmenter = SegmenterRun.load(run)
    found = {one.video: one for one in read_frames(tmp_path / name)}
    assert sorted(found) == [row.path for row in features.videos]
    for index, row in enumerate(features.videos):
        expected = segmenter.timeline(features, index)
        np.testing.assert_array_equal(found[row.path].probabilities, expected.probabilities)
        np.testing.assert_array_equal(found[row.path].edges, expected.edges)
        assert (found[row.path].labels, found[row.path].background) == (expected.labels, "background")
    with pytest.raises(OutputError, match=r"exists; give a new name or --overwrite"):
        predicted(run, features, frames=tmp_path / name, frame_format=format)
    predicted(run, features, frames=tmp_path / name, frame_format=format, overwrite=True)


def test_frames_need_a_format(trained: tuple[Features, Annotations, Path], tmp_path: Path) -> None:
    features, _, run = trained
    for format in (None, "xlsx"):
        with pytest.raises(ConfigError, match="names no format of frames; give --frames-format, one of npy, csv, h5"):
            predicted(run, features, frames=tmp_path / "x", frame_format=format)


def test_a_pretraining_finds_nothing(trained: tuple[Features, Annotations, Path], tmp_path: Path) -> None:
    features, _, _ = trained
    train(features, tmp_path / "run", pretrain_config(steps=1, validate_every=1), device="cpu")
    with pytest.raises(InputError, match="a pretraining, which has no labels; `vidrep finetune` makes what has some"):
        predicted(tmp_path / "run", features)


def test_videos_that_end_before_the_span_are_said(of_videos: tuple[Features, Path], videos: Path) -> None:
    _, run = of_videos
    with pytest.raises(InputError) as caught:
        predicted(run, [videos], start=99.0)
    assert "\n" not in str(caught.value)
    assert "99" in str(caught.value)


def slowly(of_windows: NDArray[np.float64], starts: list[int], lengths: list[int], count: int) -> NDArray[np.float64]:
    found = []
    for frame in range(count):
        windows = zip(of_windows, starts, lengths, strict=True)
        around = [row for row, start, length in windows if start <= frame < start + length]
        found.append(np.mean(around, axis=0) if around else of_windows[-1])
    return np.array(found)


def test_a_frame_has_the_mean_of_the_windows_around_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        count, num_windows = int(rng.integers(5, 30)), int(rng.integers(1, 8))
        starts = np.sort(rng.integers(0, count - 3, num_windows))
        lengths = rng.integers(1, 4, num_windows)
        of_windows = rng.dirichlet(np.ones(3), num_windows)
        expected = slowly(of_windows, starts.tolist(), lengths.tolist(), count)
        np.testing.assert_allclose(spread_over_frames(of_windows, starts, lengths, count), expected, atol=1e-6)


def test_a_classifier_of_clips_gives_a_timeline(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = features_of(tmp_path, circles(6, num_frames=12), fps=FPS)
    run = finetune(features, tmp_path / "run", finetune_config(length=4, steps=5), device="cpu").folder
    classifier = ClassifierRun.load(run)
    timeline = clip_timeline(classifier, features, 0, device=CPU)
    windows = classifier.windows(features, [0])
    of_windows = classifier.classify(windows, device=CPU)
    of_windows = at_temperature(of_windows, classifier.predictor.temperature)
    assert isinstance(windows, Windows)
    expected = slowly(of_windows, windows.starts.tolist(), windows.lengths.tolist(), 12)
    np.testing.assert_allclose(timeline.probabilities, expected, atol=1e-6)
    assert (timeline.labels, timeline.background) == (LABELS, None)
    found = predicted(run, features)
    assert found.is_of_clips
    assert found.rules == BoutSettings.default(LABELS)
    assert "was trained on whole clips: windows slide over the videos" in caplog.text
    assert not finds_bouts(run)
