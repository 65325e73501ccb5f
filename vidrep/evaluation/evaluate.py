"""Figures of a trained run on features that it did not train on, with baselines beside them."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..devices import choose_device, set_threads
from ..errors import InputError, some_names
from ..features.labels import SPLITS, Labelling
from ..features.store import Features
from ..models.saved import ModelDescription, ScaledModel, load_model, require_fitting_features
from ..sequences.windows import cut_windows
from ..training.baselines import load_baselines
from ..training.classification import average_over_windows, classification_windows, classify_windows
from ..training.finetune import standardised_frames
from ..training.prediction import PredictionFigures, prediction_figures
from ..training.preparation import LabelledVideos, lay_over, require_windows
from ..training.run import read_parts

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares of right answers, 0 to 1.

    accuracy: over all; standard_error: of it, binomial. balanced_accuracy: the mean over the true classes.
    """

    accuracy: float
    standard_error: float
    balanced_accuracy: float

    @classmethod
    def of(cls, true: NDArray[np.int64], chosen: NDArray[np.int64]) -> "Accuracy":
        """Compare the true classes with the chosen ones, both (N,)."""
        right = true == chosen
        accuracy = float(right.mean())
        balanced = float(np.mean([right[true == one].mean() for one in np.unique(true)]))
        return cls(
            accuracy=accuracy,
            standard_error=math.sqrt(accuracy * (1 - accuracy) / len(true)),
            balanced_accuracy=balanced,
        )


@dataclass(frozen=True, kw_only=True)
class ClassificationEvaluation:
    """Figures of a classifier.

    per_window, per_video: of the LSTM. baselines: per video, of "majority class", "single frame" and "mean feature".
    confusion: (K, K) videos, rows true, columns chosen, in the order of `classes`.
    num_left_out: labelled videos left out because the run was trained on them.
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


@dataclass(frozen=True, kw_only=True)
class PredictionEvaluation:
    """Figures of a pretrained model: which videos, how many of them, and the costs per frame."""

    which: str
    num_videos: int
    num_left_out: int
    figures: PredictionFigures


def evaluate(
    run: Path | str,
    features: Features,
    *,
    split: str | None = None,
    listed: Mapping[str, Labelling] | None = None,
    shuffle_frames: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> ClassificationEvaluation | PredictionEvaluation:
    """Measure a run on the videos of `features` that it did not train on.

    split: measure on the videos of this split, whatever the run was trained on. None takes those of split "test" if
        there are any, else all; videos that the run was trained on, or whose figures chose its weights, are left out.
    shuffle_frames: classify windows whose frames are in random order (seed 0), to see what their order tells.

    Raises InputError if no video is left, FeatureFileError if the features do not fit the run.
    """
    set_threads(threads)
    torch_device = choose_device(device)
    folder = Path(run)
    model, description = load_model(folder)
    require_fitting_features(
        description,
        where=str(features.path),
        frame_shape=features.frame_shape,
        dtype=features.dtype,
        settings=features.settings,
    )
    videos = lay_over(features, listed)
    chosen, which, num_left_out = _choose_videos(folder, features, videos, split)
    if description.kind == "classifier":
        chosen = _with_known_label(chosen, videos, description)
        if not chosen:
            raise InputError(f"{features.path}: {which} have no label that the run knows; give --labels or --splits")
        return _evaluate_classifier(
            folder, model, description, features, videos, chosen, which, num_left_out, shuffle_frames, torch_device
        )
    if shuffle_frames:
        raise InputError("shuffled frames are for classifiers; this run is a pretraining")
    seen, predicted = description.windows["seen"], description.windows["predicted"]
    windows = cut_windows(features, chosen, length=seen + predicted, stride=description.windows["stride"])
    require_windows(windows, name="such", settings="windows.seen and windows.predicted of the training")
    figures = prediction_figures(model, windows, seen=seen, predicted=predicted, device=torch_device)
    return PredictionEvaluation(which=which, num_videos=len(chosen), num_left_out=num_left_out, figures=figures)


def _choose_videos(
    run: Path, features: Features, videos: LabelledVideos, split: str | None
) -> tuple[list[int], str, int]:
    """Return the indices of the videos to measure on, a name for them, and how many are left out as trained on."""
    parts = read_parts(run)
    used = {
        index
        for index, row in enumerate(features.videos)
        if parts.get(row.path, ("test", ""))[0] != "test" and parts[row.path][1] == row.checksum
    }
    if split is not None:
        if split not in SPLITS:
            raise InputError(f"split {split!r}: allowed are {', '.join(SPLITS)}")
        chosen = [index for index, name in enumerate(videos.splits) if name == split]
        if not chosen:
            raise InputError(f"{features.path}: no video has the split {split!r}; give --labels or --splits")
        if used.intersection(chosen):
            _log.warning("%d of these videos are ones that the run was trained on", len(used.intersection(chosen)))
        return chosen, f"videos of split {split!r}", 0
    has_test = "test" in videos.splits
    candidates = [index for index in range(len(features)) if not has_test or videos.splits[index] == "test"]
    chosen = [index for index in candidates if index not in used]
    if not chosen:
        raise InputError(
            f"{features.path}: the run was trained on all of its videos; give features of others, or --split"
        )
    which = "videos of split 'test'" if has_test else "videos that the run was not trained on"
    return chosen, which, len(candidates) - len(chosen)


def _with_known_label(chosen: Sequence[int], videos: LabelledVideos, description: ModelDescription) -> list[int]:
    unknown = sorted({videos.labels[index] for index in chosen} - {*description.classes, ""})
    if unknown:
        _log.warning("videos with labels that the run does not know are left out: %s", some_names(unknown))
    return [index for index in chosen if videos.labels[index] in description.classes]


def _evaluate_classifier(
    folder: Path,
    model: ScaledModel,
    description: ModelDescription,
    features: Features,
    videos: LabelledVideos,
    chosen: Sequence[int],
    which: str,
    num_left_out: int,
    shuffle_frames: bool,
    device: torch.device,
) -> ClassificationEvaluation:
    windows = classification_windows(features, chosen, description)
    probabilities = classify_windows(model, windows, device=device, shuffle_seed=0 if shuffle_frames else None)
    by_video = average_over_windows(windows, probabilities)
    class_of = {name: number for number, name in enumerate(description.classes)}
    measured = sorted(by_video)
    true = np.array([class_of[videos.labels[index]] for index in measured])
    answers = np.array([by_video[index].argmax() for index in measured])
    true_of = dict(zip(measured, true, strict=True))
    true_of_windows = np.array([true_of[int(index)] for index in windows.videos])
    confusion = np.zeros((len(class_of), len(class_of)), dtype=int)
    np.add.at(confusion, (true, answers), 1)
    return ClassificationEvaluation(
        which=which,
        classes=description.classes,
        num_videos=len(measured),
        num_windows=len(windows),
        num_left_out=num_left_out,
        shuffled=shuffle_frames,
        per_window=Accuracy.of(true_of_windows, probabilities.argmax(axis=1)),
        per_video=Accuracy.of(true, answers),
        baselines=_baseline_accuracies(folder, model, description, features, measured, true),
        confusion=confusion.tolist(),
    )


def _baseline_accuracies(
    folder: Path,
    model: ScaledModel,
    description: ModelDescription,
    features: Features,
    measured: Sequence[int],
    true: NDArray[np.int64],
) -> dict[str, Accuracy]:
    baselines, scaler = load_baselines(folder), model.scaler.cpu()
    answers: dict[str, list[int]] = {}
    for index in measured:
        for name, probabilities in baselines.video_probabilities(standardised_frames(features, index, scaler)).items():
            answers.setdefault(name, []).append(int(probabilities.argmax()))
    majority = np.full(len(true), int(np.argmax(description.class_counts)))
    return {
        "majority class": Accuracy.of(true, majority),
        **{name: Accuracy.of(true, np.array(chosen)) for name, chosen in answers.items()},
    }
