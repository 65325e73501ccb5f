"""Accuracy of a classifier on videos, with baselines beside it.

Shapes: K classes, S source videos.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError, some_names
from ..metrics.calibration import Calibration, Reliability
from ..metrics.classification import Accuracy, average_over_windows
from ..metrics.confusion import ClassMetrics, Confusion
from ..metrics.paired import PairedDifference, paired_difference
from ..metrics.predictor import ClassifierRun, Predictor
from ..metrics.verdicts import accuracy_verdict
from ..progress import Progress
from ..training.overfitting import Overfitting, find_overfitting
from ..viewing.filmstrip import require_picture_name
from ..viewing.reliability import write_reliability
from .request import EvaluationOptions, SelectedVideos, TrainedRun
from .result_tables import require_result_tables
from .video_results import COLUMNS, VideoResult, source_path, worst_first, write_table

_log = logging.getLogger(__name__)

# What a verdict names, beside the most accurate baseline.
_NAMED_BASELINES = ("mean feature", "single frame")


@dataclass(frozen=True, kw_only=True)
class ClassificationEvaluation:
    """Metrics of a classifier. A video counts once, however many crops of it there are.

    per_window, per_video: of the LSTM, or of an ensemble of such. predictor, predicted: what the run predicts with, and
    its accuracy per video; with shuffled frames the LSTM, as a linear part would read them in order. baselines: per
    video, of "majority class" and of all that the run was measured against when it was trained. differences: the
    accuracy per video of what predicts minus each baseline's, with an interval over groups.
    calibration, confusion, by_class: of what predicts, per video. videos: what it makes of each, in the order of the
    features.
    num_left_out: videos left out because the run was trained on them. overfitting: of the training, None for none.
    """

    which: str
    classes: list[str]
    num_videos: int
    num_windows: int
    num_left_out: int
    shuffled: bool
    per_window: Accuracy
    per_video: Accuracy
    predictor: str
    predicted: Accuracy
    baselines: dict[str, Accuracy]
    differences: dict[str, PairedDifference]
    calibration: Calibration
    confusion: Confusion
    by_class: list[ClassMetrics]
    videos: list[VideoResult] = field(repr=False)
    overfitting: Overfitting | None

    @property
    def mistakes(self) -> list[VideoResult]:
        """The videos whose prediction is wrong, that with the lowest probability of its label first."""
        return worst_first(self.videos)

    @property
    def verdict(self) -> str:
        """One sentence on what predicts: is it better than mean feature, single frame and the best other baseline?

        '' with shuffled frames, which baselines read in order.
        """
        if self.shuffled:
            return ""
        others = {name: one.accuracy for name, one in self.baselines.items() if name != self.predictor}
        best = max(others, key=lambda name: others[name])
        names = dict.fromkeys([*(name for name in _NAMED_BASELINES if name in others), best])
        is_baseline = self.predictor in self.baselines
        subject = f"The linear baseline {self.predictor}, which predicts," if is_baseline else f"The {self.predictor}"
        return accuracy_verdict(subject, {name: self.differences[name] for name in names})

    def to_json(self) -> dict[str, Any]:
        """Return everything but what each video is taken for, which CSV files hold, and the verdict, JSON-like."""
        content = {name: value for name, value in asdict(self).items() if name != "videos"}
        return content | {"verdict": self.verdict}


def check_classifier(run: TrainedRun, options: EvaluationOptions) -> None:
    """Raise ConfigError for options that are for a pretraining, OutputError for files that cannot be written."""
    given = {
        "MNIST digits": options.mnist,
        "another number of predicted frames": options.num_future,
        "a filmstrip": options.filmstrip,
        "a probe": options.probe or None,
    }
    for what, value in given.items():
        if value is not None:
            raise ConfigError(f"{run.folder}: a classifier; {what}: for a pretraining, which predicts frames")
    require_result_tables(options, COLUMNS)
    if options.reliability is not None:
        if options.shuffle_frames:
            raise ConfigError("a reliability plot is of frames in their order; leave out one of the two")
        require_picture_name(options.reliability)


def select_labeled(run: TrainedRun, selected: SelectedVideos) -> SelectedVideos:
    """Leave out the videos without a label or without a frame, and those whose label is not among the run's classes.

    Raises InputError if none is left.
    """
    labels, classes = selected.annotated.labels, run.description.classes
    unknown = sorted({labels[index] for index in selected.indices} - {*classes, ""})
    labeled = [index for index in selected.indices if labels[index] in classes]
    known = [index for index in labeled if selected.features.videos[index].length]
    if len(known) < len(labeled):
        _log.warning("%d labeled videos without a frame are left out", len(labeled) - len(known))
    if labeled and not known:
        raise InputError(f"{selected.features.path}: {selected.which} have no frame; give features of others")
    if not known:
        there = f"they are {some_names(unknown)}; " if unknown else ""
        raise InputError(
            f"{selected.features.path}: {selected.which} have no label that the run was trained on; {there}"
            f"its classes are {some_names(classes)}; give --labels or --splits"
        )
    if unknown:
        _log.warning("videos with labels that the run was not trained on are left out: %s", some_names(unknown))
    return replace(selected, indices=known)


def evaluate_classifier(
    run: TrainedRun, selected: SelectedVideos, options: EvaluationOptions
) -> ClassificationEvaluation:
    """Classify the selected videos, and compare with their labels."""
    features, classes = selected.features, run.description.classes
    predictor = Predictor() if options.shuffle_frames else Predictor.load(run.folder)
    classifier = ClassifierRun(run.folder, run.models, run.description, predictor)
    windows = classifier.windows(features, selected.indices)
    shuffle_seed = 0 if options.shuffle_frames else None
    probabilities = classifier.classify(
        windows, device=run.device, shuffle_seed=shuffle_seed, groups=selected.annotated.groups
    )
    of_lstm = average_over_windows(windows, probabilities)
    labels = selected.annotated.labels
    class_of_video = np.array([classes.index(label) if label in classes else -1 for label in labels])
    measured, num_videos = list(of_lstm), len(of_lstm)
    true = class_of_video[measured]
    options.on_progress(Progress(done=len(windows), total=len(windows), unit="windows"))
    found = classifier.baselines(features, selected.indices, device=run.device)
    lstm = np.stack(list(of_lstm.values()))
    combined = predictor.combined(lstm, features, selected.indices)
    predicted = combined.argmax(axis=1)
    majority = np.full(num_videos, int(np.argmax(run.description.class_counts)))
    of_baselines = {"majority class": majority, **{name: one.argmax(axis=1) for name, one in found.items()}}
    groups_of = selected.annotated.groups
    groups = [groups_of[video] for video in measured]
    confusion = Confusion.of(classes, true, predicted)
    result = ClassificationEvaluation(
        which=selected.which,
        classes=classes,
        num_videos=num_videos,
        num_windows=len(windows),
        num_left_out=selected.num_left_out,
        shuffled=options.shuffle_frames,
        per_window=Accuracy.of(
            class_of_video[windows.videos],
            probabilities.argmax(axis=1),
            [groups_of[video] for video in windows.videos.tolist()],
        ),
        per_video=Accuracy.of(true, np.array([one.argmax() for one in of_lstm.values()]), groups),
        predictor=str(predictor),
        predicted=Accuracy.of(true, predicted, groups),
        baselines={name: Accuracy.of(true, of_baseline, groups) for name, of_baseline in of_baselines.items()},
        differences={
            name: paired_difference(predicted == true, of_baseline == true, groups)
            for name, of_baseline in of_baselines.items()
        },
        calibration=Calibration(
            temperature=predictor.temperature,
            final_temperature=predictor.final_temperature,
            before=Reliability.of(predictor.uncalibrated.combined(lstm, features, selected.indices), true),
            after=Reliability.of(combined, true),
        ),
        confusion=confusion,
        by_class=confusion.by_class(),
        videos=_results(selected, dict(zip(measured, combined, strict=True)), classes),
        overfitting=find_overfitting(run.folder),
    )
    _write_files(result, options)
    return result


def _results(
    selected: SelectedVideos, probabilities: Mapping[int, NDArray[np.float64]], classes: list[str]
) -> list[VideoResult]:
    """Describe what predicts says of each source, {index of its first video: (K,)}."""
    rows, annotated = selected.features.videos, selected.annotated
    return [
        VideoResult(
            video=rows[video].source_key,
            path=source_path(rows[video]),
            group=annotated.groups[video],
            true=annotated.labels[video],
            predicted=classes[int(of_video.argmax())],
            probabilities=dict(zip(classes, of_video.tolist(), strict=True)),
        )
        for video, of_video in probabilities.items()
    ]


def _write_files(result: ClassificationEvaluation, options: EvaluationOptions) -> None:
    if options.errors is not None:
        write_table(options.errors, result.mistakes, result.classes)
    if options.predictions is not None:
        write_table(options.predictions, result.videos, result.classes)
    if options.reliability is not None:
        write_reliability(options.reliability, result.calibration)
