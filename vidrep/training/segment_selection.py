"""What labels frames, and by which rules bouts are found in that: chosen on validation videos."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..config.segmentation import ClassWeights
from ..metrics.predictor_file import PredictorKind
from ..metrics.segmentation.frame_baselines import MAJORITY, FrameClassifier
from ..metrics.segmentation.frame_network import FrameNetwork
from ..timelines.calibration import Calibrated, ValidationVideo, calibrate
from ..timelines.segmenter_run import LSTM, FramePredictor, SegmenterRun
from ..timelines.settings import BoutSettings
from .segmentation_data import SegmentedVideos

_log = logging.getLogger(__name__)

# The class weights of the LSTM, "" where there is none, and what it is or is part of.
_Candidate = tuple[ClassWeights | Literal[""], FramePredictor]


@dataclass(frozen=True, kw_only=True)
class TriedPredictor:
    """What may label frames, and how good the bouts are that its rules find in the validation videos.

    class_weights: of the training of the LSTM that it is, or is made of; "" if there is none. score: the mean of
    segmental F1 at 50, 70 and 90 % overlap, which chooses. f1: at 50 %.
    """

    name: str
    kind: PredictorKind
    class_weights: str
    score: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class SegmentSelection:
    """What labels the frames of a run, by which class weights its LSTM is trained, and the rules of all, by name.

    num_bouts, num_videos: of the validation; 0 if there was none, or too little, and then nothing was tried. tried:
    the best first.
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
        if not self.tried:
            return f"no validation video could choose: the {self.predictor} predicts, by the default rules for bouts"
        with_weights = [one for one in self.tried if one.class_weights in ("", self.class_weights)]
        chosen = next(one for one in with_weights if one.name == str(self.predictor))
        best = {kind: next((one for one in with_weights if one.kind == kind), None) for kind in ("lstm", "linear")}
        others = [f"{one.name} {one.f1:.3f}" for one in best.values() if one is not None and one is not chosen]
        lstms = [one for one in self.tried if one.kind == "lstm"]
        if len(lstms) > 1:
            others.append(" and ".join(f"{one.f1:.3f} with class weights {one.class_weights}" for one in lstms))
        asked = ", as was asked for" if self.is_asked_for else ""
        where = f"of {self.num_bouts} bouts in {self.num_videos} validation videos"
        return f"{chosen.name} predicts{asked}: F1 at 50 % overlap {chosen.f1:.3f} {where}; {', '.join(others)}"

    def to_json(self) -> dict[str, Any]:
        """Return what was tried and chosen, and the verdict, JSON-like; bouts.json of the run has the rules."""
        content = {name: value for name, value in asdict(self).items() if name != "rules_of"}
        return content | {"verdict": self.verdict}


def choose_predictor(
    networks: Mapping[ClassWeights, FrameNetwork],
    baselines: Mapping[str, FrameClassifier],
    videos: SegmentedVideos,
    wanted: PredictorKind | Literal["auto"],
) -> SegmentSelection:
    """Choose rules for all that may label frames, and what does: that with the largest score, the first of equal ones.

    networks: by the class weights that they were trained with. They and the baselines did not learn from the validation
    videos. wanted: the kind that is to label frames. What is to label frames of a causal network is causal too.
    """
    found: dict[_Candidate, Calibrated] = {}
    runs = {weights: SegmenterRun(network=one, baselines=baselines) for weights, one in networks.items()}
    every: dict[_Candidate, SegmenterRun] = {
        (weights, one): run for weights, run in runs.items() for one in _with_network(run)
    }
    first, *_ = runs.values()
    every |= {("", FramePredictor("linear", name)): first for name in baselines}
    allowed = [
        (weights, one)
        for (weights, one), run in every.items()
        if wanted in ("auto", one.kind) and _may_predict(one, run)
    ]
    for (weights, one), run in every.items() if videos.split.validation else ():
        name = f"{one}, class weights {weights}" if len(networks) > 1 and weights else str(one)
        calibrated = calibrate(_validated(run.predicting_with(one), videos), name=name)
        if not calibrated.is_chosen:
            break  # too few bouts for any
        found[weights, one] = calibrated
    if not found:
        if not videos.split.validation:
            _log.warning("no video can be held out to choose rules for bouts: the default rules find them")
        default = BoutSettings.default([name for name in videos.truth.labels if name != videos.truth.background])
        return SegmentSelection(
            predictor=allowed[0][1],
            class_weights=next(iter(networks)),
            rules_of=dict.fromkeys((str(one) for _, one in every), default),
        )
    # Of equal ones the first: averages of what is no better than one part of it come last.
    best = max(allowed, key=lambda one: (found[one].score, one[1].kind != "average"))
    # A baseline that predicts has the best LSTM beside it, to be measured too.
    best_lstm = max(networks, key=lambda name: found[name, LSTM].score)
    of_lstm = next((name for name in networks if name == best[0]), best_lstm)
    tried = [
        TriedPredictor(name=str(one), kind=one.kind, class_weights=of, score=calibrated.score, f1=calibrated.f1)
        for (of, one), calibrated in found.items()
    ]
    return SegmentSelection(
        predictor=best[1],
        class_weights=of_lstm,
        rules_of={str(one): calibrated.rules for (of, one), calibrated in found.items() if of in ("", of_lstm)},
        tried=tuple(sorted(tried, key=lambda one: one.score, reverse=True)),
        num_bouts=found[best].num_bouts,
        num_videos=len(videos.split.validation),
        is_asked_for=wanted != "auto",
    )


def _validated(run: SegmenterRun, videos: SegmentedVideos) -> list[ValidationVideo]:
    """Return what a run predicts of the validation videos, beside what is known of them."""
    return [
        ValidationVideo(run.timeline(videos.features, video), known.bouts, known.known)
        for video in videos.split.validation
        for known in [videos.truth.videos[video]]
    ]


def _with_network(run: SegmenterRun) -> list[FramePredictor]:
    """Return the LSTM, and its averages with the baselines that may predict."""
    averages = [FramePredictor("average", name) for name in run.baselines]
    return [LSTM, *(one for one in averages if _may_predict(one, run))]


def _may_predict(one: FramePredictor, run: SegmenterRun) -> bool:
    """Return whether it knows more than how frequent labels are, and of a causal network no later frame."""
    ahead = run.classifier(one).frames_ahead
    return one.reads != MAJORITY and not (run.network.is_causal and ahead)
