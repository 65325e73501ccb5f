"""What labels frames, and by which rules bouts are found in that: chosen on validation videos."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..metrics.predictor_file import PredictorKind
from ..metrics.segmentation.frame_baselines import MAJORITY, FrameClassifier
from ..metrics.segmentation.frame_network import FrameNetwork
from ..metrics.segmentation.segmenter_run import LSTM, FramePredictor, SegmenterRun
from ..timelines.calibration import Calibrated, ValidationVideo, calibrate
from ..timelines.settings import BoutSettings
from .segmentation_data import SegmentedVideos

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TriedPredictor:
    """What may label frames, and how good the bouts are that its rules find in the validation videos.

    score: the mean of segmental F1 at 50, 70 and 90 % overlap, which chooses. f1: at 50 %.
    """

    name: str
    kind: PredictorKind
    score: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class SegmentSelection:
    """What labels the frames of a run, and the rules of everything that was tried, by its name.

    num_bouts, num_videos: of the validation; 0 if there was none, or too little, and then nothing was tried.
    """

    predictor: FramePredictor
    rules_of: Mapping[str, BoutSettings]
    tried: tuple[TriedPredictor, ...] = ()
    num_bouts: int = 0
    num_videos: int = 0
    is_asked_for: bool = False

    @property
    def verdict(self) -> str:
        """One sentence on what predicts, and on what it is worth beside the others."""
        if not self.tried:
            return f"no validation video could choose: the {self.predictor} predicts, by the default rules for bouts"
        chosen = next(one for one in self.tried if one.name == str(self.predictor))
        best = {kind: next((one for one in self.tried if one.kind == kind), None) for kind in ("lstm", "linear")}
        others = [f"{one.name} {one.f1:.3f}" for one in best.values() if one is not None and one is not chosen]
        asked = ", as was asked for" if self.is_asked_for else ""
        where = f"of {self.num_bouts} bouts in {self.num_videos} validation videos"
        return f"{chosen.name} predicts{asked}: F1 at 50 % overlap {chosen.f1:.3f} {where}; {', '.join(others)}"


def choose_predictor(
    network: FrameNetwork,
    baselines: Mapping[str, FrameClassifier],
    videos: SegmentedVideos,
    wanted: PredictorKind | Literal["auto"],
) -> SegmentSelection:
    """Choose rules for all that may label frames, and what does: that with the largest score, the LSTM of equal ones.

    network, baselines: that did not learn from the validation videos. wanted: the kind that is to label frames. What
    is to label frames of a causal network is causal too.
    """
    run = SegmenterRun(network=network, baselines=baselines)
    candidates = _candidates(run)
    allowed = [one for one in candidates if wanted in ("auto", one.kind) and _may_predict(one, run)]
    found: dict[FramePredictor, Calibrated] = {}
    for one in candidates if videos.split.validation else ():
        calibrated = calibrate(_validated(run.predicting_with(one), videos), name=str(one))
        if not calibrated.is_chosen:
            break  # too few bouts for any
        found[one] = calibrated
    if not found:
        if not videos.split.validation:
            _log.warning("no video can be held out to choose rules for bouts: the default rules find them")
        default = BoutSettings.default([name for name in videos.truth.labels if name != videos.truth.background])
        return SegmentSelection(predictor=allowed[0], rules_of={str(one): default for one in candidates})
    best = max(allowed, key=lambda one: found[one].score)  # the first of equal ones
    tried = [
        TriedPredictor(name=str(one), kind=one.kind, score=of_one.score, f1=of_one.f1) for one, of_one in found.items()
    ]
    return SegmentSelection(
        predictor=best,
        rules_of={str(one): of_one.rules for one, of_one in found.items()},
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


def _candidates(run: SegmenterRun) -> list[FramePredictor]:
    """Return the LSTM, the baselines beside it, and its averages with those that may predict."""
    baselines = [FramePredictor("linear", name) for name in run.baselines]
    return [LSTM, *baselines, *(FramePredictor("average", one.reads) for one in baselines if _may_predict(one, run))]


def _may_predict(one: FramePredictor, run: SegmenterRun) -> bool:
    """Return whether it knows more than how frequent labels are, and of a causal network no later frame."""
    ahead = run.classifier(one).frames_ahead
    return one.reads != MAJORITY and not (run.network.is_causal and ahead)
