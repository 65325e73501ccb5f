"""What labels frames, and by which rules bouts are found in that: chosen on validation videos."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ..config.segmentation import ClassWeights
from ..metrics.predictor_file import PredictorKind
from ..metrics.segmentation.frame_baselines import MAJORITY, FrameClassifier
from ..metrics.segmentation.frame_network import FrameNetwork
from ..timelines.calibration import Calibrated, ValidationVideo, calibrate
from ..timelines.segmenter_run import LSTM, FramePredictor, SegmenterRun
from ..timelines.settings import BoutSettings
from ..timelines.timeline import Timeline
from .segmentation_data import SegmentedVideos

_log = logging.getLogger(__name__)

# The class weights of the LSTM, "" where there is none, and what it is or is part of.
_Candidate = tuple[ClassWeights | Literal[""], FramePredictor]


@dataclass(frozen=True, kw_only=True)
class TriedPredictor:
    """What may label frames, and how good the bouts are that its rules find in the validation videos.

    class_weights: of the training of the LSTM that it is, or is made of; "" if there is none. score: the mean of
    segmental F1 at 50, 70 and 90 % overlap, which chooses. f1: at 50 %. may_predict: see `choose_predictor`.
    """

    name: str
    kind: PredictorKind
    class_weights: str
    score: float
    f1: float
    may_predict: bool


@dataclass(frozen=True, kw_only=True)
class SegmentSelection:
    """What labels the frames of a run, by which class weights its LSTM is trained, and the rules of all, by name.

    num_bouts, num_videos: of the validation. tried: the best first; () if there was no validation, or too little of it,
    to choose by. is_asked_for: whether the settings say which kind predicts.
    """

    predictor: FramePredictor
    class_weights: ClassWeights
    rules_of: Mapping[str, BoutSettings]
    tried: tuple[TriedPredictor, ...] = ()
    num_bouts: int = 0
    num_videos: int = 0
    is_asked_for: bool = False

    @property
    def rules(self) -> BoutSettings:
        """The rules by which bouts are found in what predicts."""
        return self.rules_of[str(self.predictor)]

    @property
    def verdict(self) -> str:
        """One sentence on what predicts, and on what it is worth beside the others."""
        asked = ", as was asked for" if self.is_asked_for else ""
        where = f"of {self.num_bouts} bouts in {self.num_videos} validation videos"
        if not self.tried:
            few = f"{where[3:]} choose nothing" if self.num_videos else "there is no validation video to choose by"
            return f"{few}: the {self.predictor} predicts{asked}, with the default rules for bouts"
        with_weights = [one for one in self.tried if one.class_weights in ("", self.class_weights) and one.may_predict]
        chosen = next(one for one in with_weights if one.name == str(self.predictor))
        best = {kind: next((one for one in with_weights if one.kind == kind), None) for kind in ("lstm", "linear")}
        others = [f"{one.name} {one.score:.3f}" for one in best.values() if one is not None and one is not chosen]
        lstms = [one for one in self.tried if one.kind == "lstm"]
        if len(lstms) > 1:
            weights = " and ".join(f"{one.score:.3f} with class weights {one.class_weights}" for one in lstms)
            others.append(f"the LSTM {weights}")
        head = f"{chosen.name} predicts{asked}: F1 {chosen.score:.3f}, the mean of 50, 70 and 90 % overlap, {where}"
        return "; ".join([head, ", ".join(others)] if others else [head])

    def to_json(self) -> dict[str, Any]:
        """Return what was tried and chosen, and the verdict, JSON-like; bouts.json of the run has the rules."""
        content = {name: value for name, value in asdict(self).items() if name != "rules_of"}
        return content | {"verdict": self.verdict}


def choose_predictor(
    networks: Mapping[ClassWeights, FrameNetwork],
    baselines: Mapping[str, FrameClassifier],
    videos: SegmentedVideos,
    wanted: PredictorKind | Literal["auto"],
    *,
    kept_weights: ClassWeights | None = None,
) -> SegmentSelection:
    """Choose rules for all that may label frames, and what does: that with the largest score, the first of equal ones.

    It must know more than how frequent labels are, and beside a causal network no later frame.

    networks: by the class weights that they were trained with. Of the validation videos neither they nor the baselines
    have learned; but with `training.keep` "best" the network's weights were chosen by these, which favors it.
    wanted: the kind that is to label frames. kept_weights: the class weights that were chosen before.
    """
    runs = {weights: SegmenterRun(network=one, baselines=baselines) for weights, one in networks.items()}
    every: dict[_Candidate, SegmenterRun] = {
        (weights, one): run for weights, run in runs.items() for one in _with_network(run)
    }
    first, *_ = runs.values()
    every |= {("", FramePredictor("linear", name)): first for name in baselines}
    may_predict = {candidate: _may_predict(candidate[1], run) for candidate, run in every.items()}
    allowed = [one for one in every if wanted in ("auto", one[1].kind) and may_predict[one]]
    timelines = _Timelines(runs, videos)
    found: dict[_Candidate, Calibrated] = {}
    num_bouts = 0
    for candidate in every if videos.split.validation else ():
        calibrated = calibrate(timelines.validated(candidate), name=_name_in_log(candidate, len(networks)))
        num_bouts = calibrated.num_bouts
        if not calibrated.is_chosen:
            break  # too few bouts for any
        found[candidate] = calibrated
    chosen = SegmentSelection(
        predictor=allowed[0][1],
        class_weights=next(iter(networks)) if kept_weights is None else kept_weights,
        rules_of={},
        num_bouts=num_bouts,
        num_videos=len(videos.split.validation),
        is_asked_for=wanted != "auto",
    )
    if not found:
        if not videos.split.validation:
            _log.warning("no video can be held out to choose rules for bouts: the default rules find them")
        default = BoutSettings.default([name for name in videos.truth.labels if name != videos.truth.background])
        return replace(chosen, rules_of=dict.fromkeys((str(one) for _, one in every), default))
    usable = [name for name in networks if kept_weights in (None, name)]
    allowed = [one for one in allowed if one[0] in ("", *usable)]
    # Of equal ones the first: averages of what is no better than one part of it come last.
    best = max(allowed, key=lambda one: (found[one].score, one[1].kind != "average"))
    # A baseline that predicts has the best LSTM beside it, to be measured too.
    best_lstm = max(usable, key=lambda name: found[name, LSTM].score)
    of_lstm = next((name for name in usable if name == best[0]), best_lstm)
    tried = [
        TriedPredictor(
            name=str(one[1]),
            kind=one[1].kind,
            class_weights=one[0],
            score=calibrated.score,
            f1=calibrated.f1,
            may_predict=may_predict[one],
        )
        for one, calibrated in found.items()
    ]
    return replace(
        chosen,
        predictor=best[1],
        class_weights=of_lstm,
        rules_of={str(one): calibrated.rules for (of, one), calibrated in found.items() if of in ("", of_lstm)},
        tried=tuple(sorted(tried, key=lambda one: one.score, reverse=True)),
    )


class _Timelines:
    """What candidates make of the validation videos; each network and baseline reads them once."""

    def __init__(self, runs: Mapping[ClassWeights, SegmenterRun], videos: SegmentedVideos) -> None:
        self._runs, self._videos = runs, videos
        self._read: dict[_Candidate, list[Timeline]] = {}

    def validated(self, candidate: _Candidate) -> list[ValidationVideo]:
        """Return them beside what is known of the videos."""
        weights, one = candidate
        if one.kind == "average":
            parts = self._timelines((weights, LSTM)), self._timelines(("", FramePredictor("linear", one.reads)))
            timelines = [
                replace(first, probabilities=np.float32(0.5) * (first.probabilities + second.probabilities))
                for first, second in zip(*parts, strict=True)
            ]
        else:
            timelines = self._timelines(candidate)
        truths = [self._videos.truth.videos[video] for video in self._videos.split.validation]
        return [
            ValidationVideo(timeline, truth.bouts, truth.known)
            for timeline, truth in zip(timelines, truths, strict=True)
        ]

    def _timelines(self, candidate: _Candidate) -> list[Timeline]:
        """Return those of a network or a baseline."""
        weights, one = candidate
        if candidate not in self._read:
            run = self._runs[weights] if weights else next(iter(self._runs.values()))
            predicting = run.predicting_with(one)
            read = [predicting.timeline(self._videos.features, video) for video in self._videos.split.validation]
            self._read[candidate] = read
        return self._read[candidate]


def _name_in_log(candidate: _Candidate, num_networks: int) -> str:
    weights, one = candidate
    return f"{one}, class weights {weights}" if num_networks > 1 and weights else str(one)


def _with_network(run: SegmenterRun) -> list[FramePredictor]:
    """Return the LSTM, and its averages with the baselines that may predict."""
    averages = [FramePredictor("average", name) for name in run.baselines]
    return [LSTM, *(one for one in averages if _may_predict(one, run))]


def _may_predict(one: FramePredictor, run: SegmenterRun) -> bool:
    """Return whether it knows more than how frequent labels are, and of a causal network no later frame."""
    ahead = run.classifier(one).frames_ahead
    return one.reads != MAJORITY and not (run.network.is_causal and ahead)
