"""Accuracy of a classifier on videos, with baselines beside it.

Shapes: K classes, S source videos.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConfigError, InputError, some_names
from ..metrics.baselines import load_baselines, standardized_frames
from ..metrics.classification import Accuracy, average_over_windows, classification_windows, classify_windows
from ..progress import Progress
from .request import EvaluationOptions, SelectedVideos, TrainedRun

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ClassificationEvaluation:
    """Metrics of a classifier. A video counts once, however many crops of it there are.

    per_window, per_video: of the LSTM. baselines: per video, of "majority class", "single frame" and "mean feature".
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
    baselines: dict[str, Accuracy]
    confusion: list[list[int]]


def check_classifier(run: TrainedRun, options: EvaluationOptions) -> None:
    """Raise ConfigError for options that are for a pretraining."""
    given = {
        "MNIST digits": options.mnist,
        "another number of predicted frames": options.num_future,
        "a filmstrip": options.filmstrip,
    }
    for what, value in given.items():
        if value is not None:
            raise ConfigError(f"{run.folder}: a classifier; {what}: for a pretraining, which predicts frames")


def select_labeled(run: TrainedRun, selected: SelectedVideos) -> SelectedVideos:
    """Leave out the videos without a label, and those whose label is not among the run's classes.

    Raises InputError if none is left.
    """
    labels, classes = selected.annotated.labels, run.description.classes
    unknown = sorted({labels[index] for index in selected.indices} - {*classes, ""})
    known = [index for index in selected.indices if labels[index] in classes]
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
    windows = classification_windows(features, selected.indices, run.description)
    shuffle_seed = 0 if options.shuffle_frames else None
    probabilities = classify_windows(run.model, windows, device=run.device, shuffle_seed=shuffle_seed)
    of_videos = average_over_windows(windows, probabilities)
    labels = selected.annotated.labels
    class_of_video = np.array([classes.index(label) if label in classes else -1 for label in labels])
    measured = list(of_videos)
    true, predicted = class_of_video[measured], np.array([one.argmax() for one in of_videos.values()])
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (true, predicted), 1)
    options.on_progress(Progress(done=len(windows), total=len(windows), unit="windows"))
    num_videos = len(measured)
    return ClassificationEvaluation(
        which=selected.which,
        classes=classes,
        num_videos=num_videos,
        num_windows=len(windows),
        num_left_out=selected.num_left_out,
        shuffled=options.shuffle_frames,
        per_window=Accuracy.of(
            class_of_video[windows.videos], probabilities.argmax(axis=1), num_independent=num_videos
        ),
        per_video=Accuracy.of(true, predicted),
        baselines={name: Accuracy.of(true, predicted) for name, predicted in _baselines(run, selected, measured)},
        confusion=confusion.tolist(),
    )


def _baselines(
    run: TrainedRun, selected: SelectedVideos, measured: Sequence[int]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each baseline's name and the class that it predicts for each source video, (S,)."""
    yield "majority class", np.full(len(measured), int(np.argmax(run.description.class_counts)))
    features, sources = selected.features, selected.features.source_videos
    baselines, inputs = load_baselines(run.folder), run.model.inputs.cpu()
    by_source: dict[int, list[dict[str, torch.Tensor]]] = {int(sources[video]): [] for video in measured}
    for video in selected.indices:
        if features.videos[video].length:
            frames = standardized_frames(features, video, inputs)
            by_source[int(sources[video])].append(baselines.video_probabilities(frames))
    for name in ("single frame", "mean feature"):
        of_sources = [torch.stack([crop[name] for crop in crops]).mean(dim=0) for crops in by_source.values()]
        yield name, np.array([int(one.argmax()) for one in of_sources])
