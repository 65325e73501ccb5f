"""What becomes of each bout of the videos that a run is measured on, and CSV files of that."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..files import write_text
from ..metrics.segmentation.bouts import Bouts
from ..metrics.segmentation.matching import greedy_matches, tiou
from ..metrics.segmentation.metrics import PredictedVideo

MATCHED_AT = 0.5
"""The tIoU from which on a predicted bout is a true one."""

COLUMNS = ("video", "group", "outcome", "label", "start", "end", "true_start", "true_end", "overlap", "confidence")
_DECIMALS = 6  # of seconds: as exact as videos' clocks
Outcome = Literal["found", "missed", "wrong"]


@dataclass(frozen=True, kw_only=True)
class BoutResult:
    """A true bout, a predicted one, or both where they match.

    outcome: "found" if they do, "missed" for a true bout alone, "wrong" for a predicted one alone. true, predicted:
    start and end, seconds; None if there is none. overlap: tIoU with the bout that it matches, else with the one of its
    label that it shares most with. confidence: of the predicted bout.
    """

    video: str
    group: str
    outcome: Outcome
    label: str
    true: tuple[float, float] | None
    predicted: tuple[float, float] | None
    overlap: float
    confidence: float | None

    @property
    def start(self) -> float:
        """When it begins: the predicted bout, or else the true one."""
        times = self.predicted or self.true
        assert times is not None
        return times[0]


def bout_results(videos: Iterable[PredictedVideo], labels: Sequence[str]) -> list[BoutResult]:
    """Return the bouts of videos by video and time, as they are counted: cut at the ends of watched time, and joined.

    labels: by the bouts' numbers. Bouts match as `greedy_matches` has it.
    """
    return [result for video in videos for result in _of_video(video.cut(), labels)]


def _of_video(video: PredictedVideo, labels: Sequence[str]) -> list[BoutResult]:
    """Return the bouts of one video by time. One label after the other: overlaps of all bouts with all take much."""
    every = np.union1d(video.true.labels, video.predicted.labels).tolist()
    found = [result for label in every for result in _of_label(video, label, labels[label])]
    return sorted(found, key=lambda one: (one.start, one.outcome, one.label))


def _of_label(video: PredictedVideo, number: int, label: str) -> list[BoutResult]:
    true, predicted = (of.joined().chosen(of.joined().labels == number) for of in (video.true, video.predicted))
    of_true, of_predicted = greedy_matches(true, predicted, MATCHED_AT)
    matches = dict(zip(of_predicted.tolist(), of_true.tolist(), strict=True))
    is_missed = np.isin(np.arange(len(true)), of_true, invert=True)
    shares = tiou(predicted, true)
    found = []
    for position in range(len(predicted)):
        match = matches.get(position)
        found.append(
            BoutResult(
                video=video.name,
                group=video.group,
                outcome="wrong" if match is None else "found",
                label=label,
                true=None if match is None else _times(true, match),
                predicted=_times(predicted, position),
                overlap=float(shares[position].max(initial=0.0) if match is None else shares[position, match]),
                confidence=float(predicted.scores[position]),
            )
        )
    found += [
        BoutResult(
            video=video.name,
            group=video.group,
            outcome="missed",
            label=label,
            true=_times(true, position),
            predicted=None,
            overlap=float(shares[:, position].max(initial=0.0)),
            confidence=None,
        )
        for position in np.flatnonzero(is_missed).tolist()
    ]
    return found


def _times(bouts: Bouts, number: int) -> tuple[float, float]:
    return float(bouts.starts[number]), float(bouts.ends[number])


def write_bout_table(path: Path, bouts: Iterable[BoutResult]) -> None:
    """Publish a CSV file of bouts, one a row; raises OutputError if it cannot be written."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in bouts:
        times = [round(value, _DECIMALS) for of in (one.predicted, one.true) for value in of or ()]
        predicted, true = (times[:2] if one.predicted else ["", ""]), (times[-2:] if one.true else ["", ""])
        confidence = "" if one.confidence is None else f"{one.confidence:.6f}"
        table.writerow(
            [one.video, one.group, one.outcome, one.label, *predicted, *true, f"{one.overlap:.6f}", confidence]
        )
    write_text(path, text.getvalue())
