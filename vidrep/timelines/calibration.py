"""The rules of bouts that fit validation videos best, of a small grid.

Lanes are numbered through the videos, as many a video as there are labels.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ..metrics.segmentation.bouts import Bouts
from ..segments.segment import Span
from .runs import Runs, join, likeliest_labels, long_enough, runs_of
from .scoring import Intervals, f1_scores, lanes_of_spans, lanes_of_videos, within
from .settings import BoutSettings
from .smoothing import SmoothedFrames, smoothed
from .timeline import Timeline

_log = logging.getLogger(__name__)

FEWEST_BOUTS = 10
"""Fewer true bouts choose nothing; of a label, no thresholds of its own."""

# Of each, the middle comes first: of rules that are equally good, the first are taken.
SHARES = (0.25, 0.125, 0.5, 0.0, 1.0)
"""Windows, gaps and least durations that are tried, as shares of the lower quartile of the true bouts' durations."""
ENTER = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
"""Thresholds `enter` that are tried."""
LEAVE = (0.75, 1.0, 0.5)
"""Thresholds `leave` that are tried, as shares of `enter`."""

_THRESHOLDS = tuple((enter, round(enter * share, 3)) for enter, share in product(ENTER, LEAVE))
# Large overlaps tell whether boundaries are right, which F1 at 50 % hardly does.
_OVERLAPS = (0.5, 0.7, 0.9)

Score = tuple[float, float]
"""The mean of segmental F1 at all overlaps that count, and F1 at 50 %, which counts where the first is equal."""


@dataclass(frozen=True)
class ValidationVideo:
    """A video of which it is known what happens.

    true: its bouts, labels numbered as in the timeline; those of the background do not count. watched: outside of these
    spans nothing is scored.
    """

    timeline: Timeline
    true: Bouts
    watched: Sequence[Span]


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """Rules that were chosen, and how good the bouts are that they find in the videos that chose them.

    score: the mean of segmental F1 at 50, 70 and 90 % overlap. f1: that at 50 %. num_bouts: true ones, in watched time.
    is_chosen: whether there were enough of them to choose; else the rules are the defaults.
    """

    rules: BoutSettings
    score: float
    f1: float
    num_bouts: int
    is_chosen: bool


def calibrate(videos: Sequence[ValidationVideo], *, name: str = "") -> Calibrated:
    """Return the rules with the largest score over all videos, which have the same labels.

    First all labels share their thresholds: of the defaults and of all combinations of SHARES for window, gap and least
    duration with ENTER and LEAVE, the best is taken. Then each label, one after the other, may get better thresholds of
    its own. name: of what made the timelines, for the log. `unsure`, which F1 does not measure, has its default.

    With fewer than FEWEST_BOUTS true bouts the rules are `BoutSettings.default`, and a warning says so.

    Raises ValueError without videos, or for videos of several sets of labels.
    """
    search = _Search(videos)
    default, num_bouts = BoutSettings.default(search.labels), len(search.true)
    by_default = search.score(search.runs(search.smoothed(default.smoothing), default), default)
    if num_bouts < FEWEST_BOUTS:
        _log.warning(
            "%d validation videos have %d bouts in watched time, and fewer than %d choose no rules: the default rules "
            "find bouts",
            len(videos),
            num_bouts,
            FEWEST_BOUTS,
        )
        return Calibrated(rules=default, score=by_default[0], f1=by_default[1], num_bouts=num_bouts, is_chosen=False)
    shared, score = _best_shared(search, default, by_default)
    best, score = _best_of_labels(search, shared, score)
    _log.info(
        "%srules chosen on %d bouts of %d validation videos: F1 at 50 %% overlap %.3f, by the default rules %.3f",
        f"{name}: " if name else "",
        num_bouts,
        len(videos),
        score[1],
        by_default[1],
    )
    return Calibrated(rules=best, score=score[0], f1=score[1], num_bouts=num_bouts, is_chosen=True)


def _best_shared(search: "_Search", default: BoutSettings, by_default: Score) -> tuple[BoutSettings, Score]:
    best, score = default, by_default
    unit = float(np.quantile(search.true.ends - search.true.starts, 0.25))
    times = [round(unit * share, 3) for share in SHARES]
    for smoothing in times:
        frames = search.smoothed(smoothing)
        for enter, leave in _THRESHOLDS:
            enters, leaves = dict.fromkeys(search.labels, enter), dict.fromkeys(search.labels, leave)
            thresholds = replace(default, smoothing=smoothing, enter=enters, leave=leaves)
            runs = search.runs(frames, thresholds)
            for largest_gap, minimum_duration in product(times, times):
                tried = replace(thresholds, largest_gap=largest_gap, minimum_duration=minimum_duration)
                if (of_tried := search.score(runs, tried)) > score:
                    best, score = tried, of_tried
    return best, score


def _best_of_labels(search: "_Search", shared: BoutSettings, score: Score) -> tuple[BoutSettings, Score]:
    """Let each label with enough true bouts have thresholds of its own; return the rules and their score."""
    best, frames = shared, search.smoothed(shared.smoothing)
    runs = search.runs(frames, shared)
    for label in search.frequent_labels() if len(search.labels) > 1 else ():
        for enter, leave in _THRESHOLDS:
            tried = replace(best, enter={**best.enter, label: enter}, leave={**best.leave, label: leave})
            runs_of_tried = search.changed(runs, frames, tried, label)
            if (of_tried := search.score(runs_of_tried, tried)) > score:
                best, score, runs = tried, of_tried, runs_of_tried
    return best, score


class _Search:
    """What is the same for all rules that are tried.

    labels: without the background. true: the bouts that count, in lanes.
    """

    def __init__(self, videos: Sequence[ValidationVideo]) -> None:
        self._timelines = [video.timeline for video in videos]
        if len({(one.labels, one.background, one.several_labels) for one in self._timelines}) != 1:
            raise ValueError(f"{len(videos)} videos; needed are some, with the same labels")
        self._names, self._background = self._timelines[0].labels, self._timelines[0].background
        self._several_labels = self._timelines[0].several_labels
        self.labels = [name for name in self._names if name != self._background]
        is_own = np.array([name != self._background for name in self._names])
        self._watched = lanes_of_spans([video.watched for video in videos], len(self._names))
        true = [video.true.chosen(is_own[video.true.labels]) for video in videos]
        self.true = within(lanes_of_videos(true, len(self._names)), self._watched)

    def frequent_labels(self) -> list[str]:
        """Return the labels with so many true bouts that they may have thresholds of their own."""
        counts = np.bincount(self.true.lanes % len(self._names), minlength=len(self._names))
        return [name for name, count in zip(self._names, counts.tolist(), strict=True) if count >= FEWEST_BOUTS]

    def smoothed(self, seconds: float) -> list[SmoothedFrames]:
        """Return the frames of all videos, averaged over windows of so many seconds."""
        return [smoothed(one, seconds) for one in self._timelines]

    def runs(self, videos: Sequence[SmoothedFrames], settings: BoutSettings) -> Runs:
        """Return the runs of labels in all videos, those of several videos in lanes of their own."""
        enter, leave = settings.thresholds(self._names, self._background)
        every = []
        for video, frames in enumerate(videos):
            labels = likeliest_labels(frames.probabilities, leave, several_labels=self._several_labels)
            runs = runs_of(labels, frames)
            runs["lane"] += video * len(self._names)
            every.append(runs[runs["peak"] >= enter[runs["label"]]])
        return np.concatenate(every)

    def changed(self, runs: Runs, videos: Sequence[SmoothedFrames], settings: BoutSettings, label: str) -> Runs:
        """Return the runs of labels in all videos, where those of other settings for one label are there.

        Labels that may hold at once do not change each other's runs.
        """
        if not self._several_labels:
            return self.runs(videos, settings)
        number = self._names.index(label)
        every = [runs[runs["label"] != number]]
        for video, frames in enumerate(videos):
            column = slice(number, number + 1)
            own = SmoothedFrames(frames.edges, frames.probabilities[:, column], frames.sums[:, column])
            leave = np.array([settings.leave[label]])
            found = runs_of(likeliest_labels(own.probabilities, leave, several_labels=True), own)
            found["lane"], found["label"] = video * len(self._names) + number, number
            every.append(found[found["peak"] >= settings.enter[label]])
        together = np.concatenate(every)
        return together[np.argsort(together["lane"], kind="stable")]

    def score(self, runs: Runs, settings: BoutSettings) -> Score:
        """Return how good the bouts are that gaps and durations make of runs."""
        long = long_enough(join(runs, settings.largest_gap), settings.minimum_duration)
        bouts = join(long, settings.largest_gap)
        lanes = bouts["lane"] // len(self._names) * len(self._names) + bouts["label"]
        predicted = within(Intervals.of(lanes, bouts["start"], bouts["end"]), self._watched)
        scores = f1_scores(self.true, predicted, _OVERLAPS)
        return float(np.mean(scores)), scores[0]
