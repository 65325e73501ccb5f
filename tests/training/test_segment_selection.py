"""What labels frames is the LSTM, unless a baseline or an average finds the bouts of validation videos better."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from small_features import features_of
from small_segments import FPS, segmentation_config

from vidrep.config.segmentation import ClassWeights, SegmenterSettings
from vidrep.config.settings import EncoderSettings, OptimizerSettings
from vidrep.errors import InputError, Stopped
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.segmentation import SegmentationEvaluation
from vidrep.features.groups import NO_RULE
from vidrep.features.store import Features
from vidrep.inference.run_info import describe_run
from vidrep.metrics.segmentation.frame_baselines import MAJORITY, SINGLE_FRAME, WINDOW_MEAN
from vidrep.metrics.segmentation.frame_network import FrameNetwork
from vidrep.models.description import read_description
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.timelines import calibration
from vidrep.timelines.segmenter_run import LSTM, FramePredictor, SegmenterRun
from vidrep.timelines.settings import BoutSettings
from vidrep.training import segment_selection
from vidrep.training.run import RunFolder
from vidrep.training.segment_selection import SegmentSelection, choose_predictor
from vidrep.training.segment_trials import choose
from vidrep.training.segmentation import SegmentationResult, finetune_segments
from vidrep.training.segmentation_data import SegmentedVideos, segmented_videos
from vidrep.training.segmenter_training import SegmenterTraining
from vidrep.training.session import SessionOptions

LABELS = ("a", "b", "background")


@pytest.fixture(autouse=True)
def few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try few rules: which are found is tested elsewhere."""
    monkeypatch.setattr(calibration, "SHARES", (0.25, 0.0))
    monkeypatch.setattr(calibration, "_THRESHOLDS", ((0.5, 0.375), (0.3, 0.225)))


@dataclass(frozen=True)
class Told:
    """Reads the label off a frame, but takes every frame whose number `wrong` divides for the background.

    known: the only one of the two labels that it tells from the background; None for both.
    """

    wrong: int = 10**9
    known: int | None = None
    sure: float = 0.9
    frames_ahead: int = 0
    labels: tuple[str, ...] = LABELS
    background: str = "background"
    several_labels: bool = False

    @property
    def is_causal(self) -> bool:
        return self.frames_ahead == 0

    def probabilities(self, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
        (frames,) = blocks
        labels = frames.argmax(axis=1)
        labels[:: self.wrong] = 2
        table = np.where(np.eye(3) == 1, self.sure, (1 - self.sure) / 2)
        if self.known is not None:
            table[1 - self.known] = table[2] = [0.1, 0.1, 0.8]
        yield table[labels]


def told_videos(folder: Path, *, num_bouts: int = 12) -> tuple[Features, Annotations]:
    """Four videos of bouts of 10 frames, 5 frames apart; a frame says which label it has, with some noise."""
    labels = np.full((num_bouts, 15), 2)
    labels[:, 5:] = (np.arange(num_bouts) % 2)[:, None]
    rng = np.random.default_rng(0)
    names = [f"v{number}.npy" for number in range(4)]
    splits = dict(zip(names, ("train", "train", "validation", "test"), strict=True))
    bouts = [(15 * number + 5, 15 * number + 15, LABELS[number % 2]) for number in range(num_bouts)]
    segments = [Segment(name, start / FPS, end / FPS, label) for name in names for start, end, label in bouts]
    watched = {name: [Span(0, labels.size / FPS)] for name in names}
    frames = {name: np.eye(3)[labels.ravel()] + rng.uniform(0, 0.1, (labels.size, 3)) for name in names}
    videos = {name: one.astype(np.float32) for name, one in frames.items()}
    return features_of(folder, videos, splits, fps=FPS), Annotations.of(segments, watched)


def videos_of(folder: Path, **how: Any) -> SegmentedVideos:
    return segmented_videos(*told_videos(folder, **how), segmentation_config(), group_rule=NO_RULE)


def chosen(videos: SegmentedVideos, network: Told, wanted: Any = "auto", **baselines: Told) -> SegmentSelection:
    names = {"majority": MAJORITY, "single": SINGLE_FRAME, "window": WINDOW_MEAN}
    of_names = {names[name]: one for name, one in baselines.items()}
    return choose_predictor(cast(FrameNetwork, network), of_names, videos, wanted)


RIGHT, BLIND = Told(), Told(wrong=1, sure=1.0)


@pytest.mark.parametrize(
    ("network", "single", "window", "expected"),
    [
        (RIGHT, BLIND, BLIND, "LSTM"),
        (RIGHT, RIGHT, RIGHT, "LSTM"),  # of equal ones
        (BLIND, RIGHT, BLIND, "single frame"),
        (BLIND, BLIND, RIGHT, "mean of a window"),
    ],
)
def test_what_finds_the_bouts_best_predicts(
    tmp_path: Path, network: Told, single: Told, window: Told, expected: str
) -> None:
    found = chosen(videos_of(tmp_path), network, majority=BLIND, single=single, window=window)
    assert str(found.predictor) == expected
    assert [one.score for one in found.tried] == sorted((one.score for one in found.tried), reverse=True)
    assert {one.name for one in found.tried} == found.rules_of.keys()
    assert len(found.tried) == 6
    best = next(one for one in found.tried if one.name == expected)
    assert best.score == found.tried[0].score
    assert (found.num_bouts, found.num_videos) == (12, 1)
    where = "the mean of 50, 70 and 90 % overlap, of 12 bouts in 1 validation video"
    assert f"{expected} predicts: F1 {best.score:.3f}, {where}" in found.verdict


def test_the_average_predicts_where_each_is_sure_of_what_it_knows(tmp_path: Path) -> None:
    """One misses every label a, the other every b, and neither is sure of it."""
    videos = videos_of(tmp_path)
    found = chosen(videos, Told(known=0), single=Told(known=1))
    scores = {one.name: one.f1 for one in found.tried}
    assert scores["average of LSTM and single frame"] == 1 > max(scores["LSTM"], scores["single frame"])
    assert (found.predictor.kind, found.predictor.reads) == ("average", "single frame")


SINGLE, AVERAGE = FramePredictor("linear", SINGLE_FRAME), FramePredictor("average", SINGLE_FRAME)


@pytest.mark.parametrize(
    ("scores", "num_bouts", "expected"),
    [
        ({LSTM: 0.787, SINGLE: 0.033, AVERAGE: 0.789}, 74, LSTM),  # hardly better, and unsure of everything
        ({LSTM: 0.70, SINGLE: 0.60, AVERAGE: 0.74}, 100, LSTM),  # one standard error: .044
        ({LSTM: 0.69, SINGLE: 0.60, AVERAGE: 0.74}, 100, AVERAGE),
        ({LSTM: 0.70, SINGLE: 0.71, AVERAGE: 0.60}, 100, SINGLE),
        ({LSTM: 0.70, SINGLE: 0.71, AVERAGE: 0.72}, 100, AVERAGE),
        ({LSTM: 0.70, SINGLE: 0.70, AVERAGE: 0.70}, 100, LSTM),
        ({SINGLE: 0.3}, 100, SINGLE),
        ({LSTM: 0.1}, 100, LSTM),
    ],
)
def test_the_lstm_predicts_unless_another_is_clearly_better(
    scores: dict[FramePredictor, float], num_bouts: int, expected: FramePredictor
) -> None:
    assert segment_selection._simplest(scores, num_bouts) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("lstm", "LSTM"), ("linear", "single frame"), ("average", "average of LSTM and single frame")],
)
def test_what_is_asked_for_predicts(tmp_path: Path, wanted: str, expected: str) -> None:
    found = chosen(videos_of(tmp_path), BLIND, wanted, majority=RIGHT, single=BLIND)
    assert str(found.predictor) == expected
    assert f"{expected} predicts, as was asked for: F1 " in found.verdict


def test_a_causal_network_has_a_causal_predictor(tmp_path: Path) -> None:
    videos, ahead = videos_of(tmp_path), Told(frames_ahead=5)
    assert str(chosen(videos, BLIND, single=BLIND, window=ahead).predictor) != "mean of a window"
    found = chosen(videos, BLIND, single=BLIND, window=ahead)
    assert "average of LSTM and mean of a window" not in found.rules_of
    assert "mean of a window" in found.rules_of and "mean of a window" not in found.verdict
    both = Told(wrong=1, sure=1.0, frames_ahead=5)
    assert str(chosen(videos, both, single=BLIND, window=ahead).predictor) == "mean of a window"


def test_choosing_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Stopped, match="stopped while rules for bouts were chosen; --resume chooses them anew"):
        choose_predictor(cast(FrameNetwork, BLIND), {SINGLE_FRAME: RIGHT}, videos_of(tmp_path), "auto", asked.__next__)


def test_too_few_bouts_choose_nothing_and_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = chosen(videos_of(tmp_path, num_bouts=4), BLIND, single=RIGHT)
    assert str(found.predictor) == "LSTM"
    assert set(map(str, found.rules_of.values())) == {str(BoutSettings.default(["a", "b"]))}
    assert caplog.text.count("fewer than 10 choose no rules") == 1
    few = "4 bouts in 1 validation video choose nothing: the"
    assert f"{few} LSTM predicts, with the default rules for bouts" in found.verdict
    asked = chosen(videos_of(tmp_path / "3", num_bouts=4), BLIND, "linear", single=RIGHT)
    assert f"{few} single frame predicts, as was asked for, with the default rules" in asked.verdict


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_network_that_learned_nothing_does_not_predict(tmp_path: Path, keep: Any) -> None:
    """Frames tell their labels, and one step teaches an LSTM nothing: the run is as good as its baseline."""
    features, annotations = told_videos(tmp_path)
    result = short(features, annotations, tmp_path / "run", keep)
    assert result.predictor == "single frame"
    assert result.verdict.startswith("single frame predicts: F1 1.000, the mean of 50, 70 and 90 % overlap, of 12")
    found = evaluate(result.folder, features, segments=annotations, device="cpu", threads=1)
    assert isinstance(found, SegmentationEvaluation)
    assert found.predictor == "single frame"
    assert found.predicted == found.baselines["single frame"]
    assert found.predicted.bouts.f1[0.5].value == 1 > (found.network.bouts.f1[0.5].value or 0)
    assert list(found.differences) == ["LSTM", "majority", "mean of a window"]
    assert found.verdict.startswith("The baseline single frame, which predicts, by segmental F1 at 50 % overlap, is ")
    written = json.loads((result.folder / "selection" / "results.json").read_text(encoding="utf-8"))
    assert written["verdict"] == result.verdict
    described = describe_run(result.folder)
    assert (described["predictor"], described["chosen"]) == ("single frame", result.verdict)
    assert SegmenterRun.load(result.folder).delay == result.delay == 0


def test_a_start_that_learned_labels_is_warned_of_and_info_shows_a_validation_that_is_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features, annotations = told_videos(tmp_path)
    first = short(features, annotations, tmp_path / "first", "last").folder
    assert "learned labels" not in caplog.text
    *_, last = (first / "selection" / "balanced" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    loss = json.loads(last)["validation"]["loss"]
    assert f"loss {loss:.6g}" in describe_run(first)["validation"]
    config = segmentation_config(encoder=EncoderSettings(hidden_size=2, bidirectional=True), steps=1, validate_every=1)
    with caplog.at_level(logging.WARNING):
        finetune_segments(features, tmp_path / "second", annotations, config, pretrained=first, device="cpu", threads=1)
    assert f"{first / 'members' / '1'} learned labels: where it saw the videos that validate or test" in caplog.text


@pytest.mark.parametrize("better", ["balanced", "none"])
def test_class_weights_are_those_with_which_bouts_are_found_best(
    tmp_path: Path, better: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_folder(folder: Path, device: Any = None) -> Any:
        return RIGHT if folder.name == better else BLIND

    videos, options = videos_of(tmp_path), SessionOptions(device="cpu", threads=1)
    training = SegmenterTraining(videos, segmentation_config(), None)
    trials: dict[ClassWeights, Path] = {"balanced": tmp_path / "balanced", "none": tmp_path / "none"}
    monkeypatch.setattr(FrameNetwork, "of_folder", of_folder)
    found = choose(RunFolder(tmp_path / "run"), trials, training, options)
    assert (found.class_weights, str(found.selection.predictor)) == (better, "LSTM")


@pytest.mark.parametrize(("keep", "tried"), [("last", {"balanced", "none"}), ("best", {"balanced"})])
def test_class_weights_are_tried_where_there_is_a_choice(tmp_path: Path, keep: Any, tried: set[str]) -> None:
    features, annotations = told_videos(tmp_path)
    result = short(features, annotations, tmp_path / "run", keep, class_weights="auto")
    assert {path.name for path in (result.folder / "selection").iterdir() if path.is_dir()} == (
        tried if keep == "last" else set()
    )
    kept = result.folder / "selection" / "class-weights.json"
    assert kept.exists() == (keep == "last")
    weights = json.loads(kept.read_text(encoding="utf-8")) if keep == "last" else "balanced"
    assert read_description(result.folder / "members" / "1").head["class_weights"] == weights


def test_class_weights_that_were_chosen_are_kept_by_a_run_that_goes_on(tmp_path: Path) -> None:
    """What is chosen might be other class weights with more steps, or on another machine."""
    features, annotations = told_videos(tmp_path)
    result = short(features, annotations, tmp_path / "run", "last", class_weights="auto")
    kept = tmp_path / "run" / "selection" / "class-weights.json"
    chosen_first = json.loads(kept.read_text(encoding="utf-8"))
    again = short(features, annotations, tmp_path / "run", "last", class_weights="auto", steps=2, resume=True)
    assert read_description(again.folder / "members" / "1").head["class_weights"] == chosen_first
    assert again.outcome.steps == 2
    kept.write_text('"heavy"', encoding="utf-8")
    with pytest.raises(InputError, match=r"class-weights.json: names no class weights \(.*\); remove it"):
        short(features, annotations, result.folder, "last", class_weights="auto", steps=3, resume=True)


def short(
    features: Features,
    annotations: Annotations,
    run: Path,
    keep: Any,
    class_weights: Any = "balanced",
    steps: int = 1,
    resume: bool = False,
) -> SegmentationResult:
    config = segmentation_config(
        encoder=EncoderSettings(hidden_size=2, bidirectional=True),
        segmenter=SegmenterSettings(class_weights=class_weights),
        optimizer=OptimizerSettings(warmup_steps=1, lr_schedule="constant"),
        steps=steps,
        validate_every=1,
        keep=keep,
    )
    return finetune_segments(features, run, annotations, config, device="cpu", threads=1, resume=resume)
