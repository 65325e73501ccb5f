"""What the benchmarks of long videos share: classifiers of frames, bouts by rules that validation chooses, and figures.

Shapes: T frames of a video, K labels.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from cbas_head import HeadTraining, fit_cbas_head

from vidrep.features.store import Features
from vidrep.metrics.segmentation.frame_baselines import FrameClassifier, LabeledFrames, fit_frame_baselines
from vidrep.metrics.segmentation.metrics import BoutMetrics, PredictedVideo, bout_metrics
from vidrep.metrics.segmentation.per_frame import FrameMetrics, frame_metrics, several_labels_metrics
from vidrep.metrics.segmentation.truth import Truth
from vidrep.timelines.calibration import ValidationVideo, calibrate
from vidrep.timelines.finder import find_bouts
from vidrep.timelines.settings import BoutSettings
from vidrep.timelines.timeline import Timeline

CBAS_HEAD = "CBAS's head"
_OVERLAPS = (0.1, 0.25, 0.5)
_EVERY_FIFTH = 5


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How good the bouts of test videos are; None where there is nothing to measure.

    f1: segmental F1 by tIoU, "0.5". low, high: the 95 % interval of that at 0.5, over videos. boundary_error: seconds.
    accuracy: the share of frames whose likeliest label is right, before the rules; where several hold at once, that of
    right decisions at 0.5. training_seconds: of fitting; the baselines are fitted together.
    """

    f1: dict[str, float | None]
    low: float | None
    high: float | None
    edit: float | None
    boundary_error: float | None
    accuracy: float | None
    num_true: int
    num_predictions: int
    training_seconds: float

    @classmethod
    def of(cls, bouts: BoutMetrics, frames: FrameMetrics, *, training_seconds: float) -> "Measured":
        """Take the figures of the table from all metrics."""
        return cls(
            f1={str(overlap): bouts.f1[overlap].value for overlap in _OVERLAPS},
            low=bouts.f1[0.5].low,
            high=bouts.f1[0.5].high,
            edit=bouts.edit.value,
            boundary_error=bouts.boundary_error.value,
            accuracy=frames.accuracy.value,
            num_true=bouts.num_true,
            num_predictions=bouts.num_predictions,
            training_seconds=training_seconds,
        )

    def save(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Measured":
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentTask:
    """Features, what is known of training videos and of test videos, with the same labels, and which of them validate.

    A fifth of the training videos, evenly spread, chooses the rules by which bouts are found, and which state of a
    trained head is kept; nothing else is learned from them.
    """

    features: Features
    training: Truth
    test: Truth

    @property
    def validation(self) -> list[int]:
        """The training videos that validate."""
        return sorted(self.training.videos)[::_EVERY_FIFTH]

    @property
    def train(self) -> list[int]:
        """The other ones."""
        return [video for video in sorted(self.training.videos) if video not in self.validation]

    def labeled(self, videos: Iterable[int]) -> list[LabeledFrames]:
        """Return training videos as classifiers take them, those without a known frame left out."""
        every = (
            LabeledFrames(
                frames=self.features.rows(video),
                targets=self.training.targets(video),
                group=self.features.videos[video].path,
            )
            for video in videos
        )
        return [one for one in every if len(one.known)]

    def classifiers(self, *, seed: int, head: HeadTraining) -> Iterator[tuple[str, FrameClassifier, float]]:
        """Yield everything that is measured beside the network: its name, fitted, and the seconds that took."""
        train, num_labels = self.labeled(self.train), len(self.training.labels)
        began = time.monotonic()
        rate = self.features.videos[0].fps
        baselines = fit_frame_baselines(train, num_labels, frames_per_second=rate)
        seconds = time.monotonic() - began
        for name, one in baselines.items():
            yield name, one, seconds
        began = time.monotonic()
        validation = self.labeled(self.validation)
        trained = fit_cbas_head(train, num_labels, validation=validation, seed=seed, training=head)
        yield CBAS_HEAD, trained, time.monotonic() - began

    def timeline(self, classifier: FrameClassifier, video: int, truth: Truth) -> Timeline:
        """Return what a classifier says of a video."""
        return Timeline(
            video=self.features.videos[video].path,
            edges=truth.videos[video].edges,
            probabilities=np.concatenate(list(classifier.probabilities([self.features.rows(video)]))).astype(
                np.float32
            ),
            labels=truth.labels,
            background=truth.background,
            several_labels=truth.several_labels,
        )

    def measured(
        self, classifier: FrameClassifier, *, training_seconds: float, rules: BoutSettings | None = None
    ) -> Measured:
        """Measure the bouts of the test videos that rules find; None: rules that the validation videos choose."""
        rules = (
            rules
            or calibrate(
                [
                    ValidationVideo(
                        self.timeline(classifier, video, self.training),
                        self.training.videos[video].bouts,
                        self.training.videos[video].known,
                    )
                    for video in self.validation
                ]
            ).rules
        )
        truth = self.test
        timelines = [self.timeline(classifier, video, truth) for video in truth.videos]
        found = [find_bouts(timeline, rules) for timeline in timelines]
        names = [timeline.video for timeline in timelines]
        videos = [
            PredictedVideo(name=name, true=known.bouts, predicted=bouts, watched=known.known, group=name)
            for name, known, bouts in zip(names, truth.videos.values(), found, strict=True)
        ]
        events = [label for label in truth.labels if label != truth.background]  # the background is the last
        targets = [truth.targets(video) for video in truth.videos]
        probabilities = [timeline.probabilities for timeline in timelines]
        if truth.several_labels:
            frames = several_labels_metrics(targets, [one >= 0.5 for one in probabilities], truth.labels, names)
        else:
            frames = frame_metrics(targets, [one.argmax(axis=1) for one in probabilities], truth.labels, names)
        bouts_of_all = bout_metrics(videos, events, several_labels=truth.several_labels)
        return Measured.of(bouts_of_all, frames, training_seconds=training_seconds)


def table(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Lay out a Markdown table; the first column has the names of the rows."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])


def mean_of(values: Iterable[float | None], digits: int = 3) -> str:
    """Return the mean of what several draws gave, and in brackets the least and the largest of several."""
    found = [value for value in values if value is not None]
    if not found:
        return "-"
    mean = f"{np.mean(found):.{digits}f}"
    return mean if len(found) == 1 else f"{mean} ({min(found):.{digits}f} to {max(found):.{digits}f})"
