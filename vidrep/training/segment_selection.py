"""What labels frames, and by which rules bouts are found in that: chosen on validation videos."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ..errors import Stopped
from ..metrics.cross_validation import one_error_below_best
from ..metrics.predictor_file import PredictorKind
from ..metrics.segmentation.frame_baselines import MAJORITY, FrameClassifier
from ..metrics.segmentation.frame_network import FrameNetwork
from ..timelines.calibration import Calibrated, ValidationVideo, calibrate
from ..timelines.segmenter_run import LSTM, FramePredictor, SegmenterRun
from ..timelines.settings import BoutSettings
from ..timelines.timeline import Timeline
from .loop import never
from .segmentation_data import SegmentedVideos

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TriedPredictor:
    """What may label frames, and how good the bouts are that its rules find in the validation videos.

    score: the mean of segmental F1 at 50, 70 and 90 % overlap, which chooses. f1: at 50 %. may_predict: see
    `choose_predictor`.
    """

    name: str
    kind: PredictorKind
    score: float
    f1: float
    may_predict: bool


@dataclass(frozen=True, kw_only=True)
class SegmentSelection:
    """What labels the frames of a run, and the rules for bouts of all that might, by name.

    num_bouts, num_videos: of the validation. tried: the best first; () if there was no validation, or too little of it,
    to choose by. is_asked_for: whether the settings say which kind predicts.
    """

    predictor: FramePredictor
    rules_of: Mapping[str, BoutSettings]
    tried: tuple[TriedPredictor, ...]
    num_bouts: int
    num_videos: int
    is_asked_for: bool

    @property
    def rules(self) -> BoutSettings:
        """The rules by which bouts are found in what predicts."""
        return self.rules_of[str(self.predictor)]

    @property
    def verdict(self) -> str:
        """One sentence on what predicts, and on what it is worth beside the others."""
        asked = ", as was asked for" if self.is_asked_for else ""
        where = f"{self.num_bouts} bouts in {self.num_videos} validation video{'s' if self.num_videos > 1 else ''}"
        if not self.tried:
            few = f"{where} choose nothing" if self.num_videos else "there is no validation video to choose by"
            return f"{few}: the {self.predictor} predicts{asked}, with the default rules for bouts"
        allowed = [one for one in self.tried if one.may_predict]
        chosen = next(one for one in allowed if one.name == str(self.predictor))
        best = {kind: next((one for one in allowed if one.kind == kind), None) for kind in ("lstm", "linear")}
        others = [f"{one.name} {one.score:.3f}" for one in best.values() if one is not None and one is not chosen]
        head = f"{chosen.name} predicts{asked}: F1 {chosen.score:.3f}, the mean of 50, 70 and 90 % overlap, of {where}"
        return "; ".join([head, ", ".join(others)] if others else [head])

    def to_json(self) -> dict[str, Any]:
        """Return what was tried and chosen, and the verdict, JSON-like; bouts.json of the run has the rules."""
        content = {name: value for name, value in asdict(self).items() if name != "rules_of"}
        return content | {"verdict": self.verdict}


def choose_predictor(
    network: FrameNetwork,
    baselines: Mapping[str, FrameClassifier],
    videos: SegmentedVideos,
    wanted: PredictorKind | Literal["auto"],
    should_stop: Callable[[], bool] = never,
) -> SegmentSelection:
    """Choose rules for all that may label frames, and what does, as `finetune` of whole videos does.

    That is the LSTM if its score is within one standard error of the best and no less than that of the best baseline,
    else the better of the best baseline and the best average: with a baseline that knows little an average is hardly
    better, and unsure of everything. A baseline must know more than how frequent labels are, and, beside a causal
    network, no later frame.

    network, baselines: of the validation videos neither has learned; but with `training.keep` "best" the network's
    weights were chosen by these, which favors it. wanted: the kind that is to label frames.

    Raises Stopped if `should_stop` says so, which is asked before each.
    """
    run = SegmenterRun(network=network, baselines=baselines)
    linear = [FramePredictor("linear", name) for name in baselines if _may_predict(name, run)]
    averages = [FramePredictor("average", one.reads) for one in linear]
    allowed = [one for one in (LSTM, *linear, *averages) if wanted in ("auto", one.kind)]
    parts = [LSTM, *(FramePredictor("linear", name) for name in baselines)]
    found, num_bouts = _calibrated(run, parts, averages, videos, should_stop)
    labels = [name for name in videos.truth.labels if name != videos.truth.background]
    rules_of = {str(one): of_one.rules for one, of_one in found.items()}
    tried = [
        TriedPredictor(
            name=str(one),
            kind=one.kind,
            score=of_one.score,
            f1=of_one.f1,
            may_predict=one in (LSTM, *linear, *averages),
        )
        for one, of_one in found.items()
    ]
    return SegmentSelection(
        predictor=_simplest({one: found[one].score for one in allowed}, num_bouts) if found else allowed[0],
        rules_of=rules_of or dict.fromkeys(map(str, [*parts, *averages]), BoutSettings.default(labels)),
        tried=tuple(sorted(tried, key=lambda one: one.score, reverse=True)),
        num_bouts=num_bouts,
        num_videos=len(videos.split.validation),
        is_asked_for=wanted != "auto",
    )


def _simplest(scores: Mapping[FramePredictor, float], num_bouts: int) -> FramePredictor:
    """Return the LSTM if it is within one standard error of the best and no worse than a baseline; else the best."""
    least = max(
        one_error_below_best(list(scores.values()), num_bouts),
        max((score for one, score in scores.items() if one.kind == "linear"), default=0.0),
    )
    if scores.get(LSTM, -1.0) >= least:
        return LSTM
    return max((one for one in scores if one != LSTM), key=lambda one: scores[one], default=LSTM)


def _may_predict(name: str, run: SegmenterRun) -> bool:
    """Return whether a baseline may predict, on its own or with the LSTM."""
    return name != MAJORITY and not (run.network.is_causal and run.baselines[name].frames_ahead)


def _calibrated(
    run: SegmenterRun,
    parts: Sequence[FramePredictor],
    averages: Sequence[FramePredictor],
    videos: SegmentedVideos,
    should_stop: Callable[[], bool],
) -> tuple[dict[FramePredictor, Calibrated], int]:
    """Choose the rules of all, {} if there are too few bouts to; and return how many there are.

    parts: the LSTM and the baselines, which read the videos once.
    """
    if not videos.split.validation:
        _log.warning("no video can be held out to choose rules for bouts: the default rules find them")
        return {}, 0
    timelines = {one: predicted_timelines(run.predicting_with(one), videos) for one in parts}
    for one in averages:
        pairs = zip(timelines[LSTM], timelines[FramePredictor("linear", one.reads)], strict=True)
        timelines[one] = [_mean(first, second) for first, second in pairs]
    found: dict[FramePredictor, Calibrated] = {}
    for one, of_one in timelines.items():
        stop_if(should_stop)
        calibrated = calibrate(validated(of_one, videos), name=str(one))
        if not calibrated.is_chosen:
            return {}, calibrated.num_bouts
        found[one] = calibrated
    return found, calibrated.num_bouts


def stop_if(should_stop: Callable[[], bool]) -> None:
    """Raise Stopped between two steps of choosing."""
    if should_stop():
        raise Stopped("stopped while rules for bouts were chosen; --resume chooses them anew")


def _mean(first: Timeline, second: Timeline) -> Timeline:
    return replace(first, probabilities=np.float32(0.5) * (first.probabilities + second.probabilities))


def predicted_timelines(run: SegmenterRun, videos: SegmentedVideos) -> list[Timeline]:
    """Return what a run predicts of the validation videos."""
    return [run.timeline(videos.features, video) for video in videos.split.validation]


def validated(timelines: Sequence[Timeline], videos: SegmentedVideos) -> list[ValidationVideo]:
    """Return timelines of the validation videos beside what is known of these."""
    truths = [videos.truth.videos[video] for video in videos.split.validation]
    return [
        ValidationVideo(timeline, truth.bouts, truth.known) for timeline, truth in zip(timelines, truths, strict=True)
    ]
