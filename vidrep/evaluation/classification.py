"""Accuracy of a classifier on videos, with baselines beside it.

Shapes: K classes, S source videos.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ConfigError, InputError, some_names
from ..metrics.classification import Accuracy, average_over_windows
from ..metrics.paired import PairedDifference, paired_difference
from ..metrics.predictor import ClassifierRun, Predictor
from ..progress import Progress
from .request import EvaluationOptions, SelectedVideos, TrainedRun

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ClassificationEvaluation:
    """Metrics of a classifier. A video counts once, however many crops of it there are.

    per_window, per_video: of the LSTM, or of an ensemble of such. predictor, predicted: what the run predicts with, and
    its accuracy per video. baselines: per video, of "majority class" and of all that the run was measured against when
    it was trained. differences: the accuracy per video of what predicts minus each baseline's, with an interval over
    groups.
    confusion: (K, K) videos, rows true, columns predicted, in the order of `classes`.
    num_left_out: videos left out because the run was trained on them.
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
    confusion: list[list[int]]


def check_classifier(run: TrainedRun, options: EvaluationOptions) -> None:
    """Raise ConfigError for options that are for a pretraining."""
    given = {
        "MNIST digits": options.mnist,
        "another number of predicted frames": options.num_future,
        "a filmstrip": options.filmstrip,
        "a probe": options.probe or None,
    }
    for what, value in given.items():
        if value is not None:
            raise ConfigError(f"{run.folder}: a classifier; {what}: for a pretraining, which predicts frames")


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
    classifier = ClassifierRun(run.folder, run.models, run.description, Predictor.load(run.folder))
    windows = classifier.windows(features, selected.indices)
    shuffle_seed = 0 if options.shuffle_frames else None
    probabilities = classifier.classify(
        windows, device=run.device, shuffle_seed=shuffle_seed, groups=selected.annotated.groups
    )
    of_videos = average_over_windows(windows, probabilities)
    labels = selected.annotated.labels
    class_of_video = np.array([classes.index(label) if label in classes else -1 for label in labels])
    measured = list(of_videos)
    true, predicted = class_of_video[measured], np.array([one.argmax() for one in of_videos.values()])
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (true, predicted), 1)
    options.on_progress(Progress(done=len(windows), total=len(windows), unit="windows"))
    num_videos = len(measured)
    found = classifier.baselines(features, selected.indices, device=run.device)
    combined = classifier.predictor.combined(np.stack(list(of_videos.values())), features, selected.indices)
    chosen = combined.argmax(axis=1)
    majority = np.full(num_videos, int(np.argmax(run.description.class_counts)))
    of_baselines = {"majority class": majority, **{name: one.argmax(axis=1) for name, one in found.items()}}
    groups_of = selected.annotated.groups
    groups = [groups_of[video] for video in measured]
    return ClassificationEvaluation(
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
        per_video=Accuracy.of(true, predicted, groups),
        predictor=str(classifier.predictor),
        predicted=Accuracy.of(true, chosen, groups),
        baselines={name: Accuracy.of(true, of_baseline, groups) for name, of_baseline in of_baselines.items()},
        differences={
            name: paired_difference(chosen == true, of_baseline == true, groups)
            for name, of_baseline in of_baselines.items()
        },
        confusion=confusion.tolist(),
    )
