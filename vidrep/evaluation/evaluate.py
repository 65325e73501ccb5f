"""Figures of a trained run on features that it did not train on, with baselines beside them."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..devices import choose_device, set_threads
from ..errors import ConfigError, InputError, some_names
from ..features.labels import SPLITS, Labelling
from ..features.store import Features
from ..models.saved import ModelDescription, ScaledModel, load_model, require_fitting_features
from ..sequences.windows import cut_windows
from ..training.baselines import load_baselines
from ..training.classification import average_over_windows, classification_windows, classify_windows
from ..training.finetune import standardised_frames
from ..training.prediction import PredictionFigures, prediction_figures
from ..training.preparation import LabelledVideos, lay_over, require_sound, require_windows
from ..training.run import read_content_used

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

    A video is known as one that the run was trained on by its content: its rows of features or its source file.

    Raises InputError if no video is left, FeatureFileError if the features do not fit the run, are damaged or are not
    finite, ConfigError for an unknown split.
    """
    if split is not None and split not in SPLITS:
        raise ConfigError(f"split {split!r}: allowed are {', '.join(SPLITS)}")
    set_threads(threads)
    torch_device = choose_device(device)
    model, description = load_model(Path(run))
    if shuffle_frames and description.kind != "classifier":
        raise ConfigError(f"{run}: a pretraining; shuffled frames are for classifiers")
    require_fitting_features(
        description,
        where=str(features.path),
        frame_shape=features.frame_shape,
        dtype=features.dtype,
        settings=features.settings,
    )
    trained = _TrainedRun(Path(run), model, description, torch_device)
    videos = lay_over(features, listed)
    chosen = _choose_videos(trained.folder, features, videos, split)
    if description.kind == "classifier":
        chosen = _with_known_label(features, chosen, videos, description)
    require_sound(features, chosen.indices)
    if description.kind == "classifier":
        return _evaluate_classifier(trained, features, chosen, videos.labels, shuffle_frames=shuffle_frames)
    return _evaluate_prediction(trained, features, chosen)


@dataclass(frozen=True)
class _TrainedRun:
    """A run folder, what it holds, and where to compute."""

    folder: Path
    model: ScaledModel
    description: ModelDescription
    device: torch.device


@dataclass(frozen=True)
class _Chosen:
    """Indices of the videos to measure on, a name for them, and how many are left out because they were trained on."""

    indices: list[int]
    which: str
    num_left_out: int


def _choose_videos(run: Path, features: Features, videos: LabelledVideos, split: str | None) -> _Chosen:
    content = read_content_used(run)
    used = {
        index
        for index, row in enumerate(features.videos)
        if row.checksum in content or (row.source_sha256 and row.source_sha256 in content)
    }
    if split is not None:
        chosen = [index for index, name in enumerate(videos.splits) if name == split]
        if not chosen:
            raise InputError(f"{features.path}: no video has the split {split!r}; give --labels or --splits")
        if used.intersection(chosen):
            _log.warning("the run was trained on %d of these %d videos", len(used.intersection(chosen)), len(chosen))
        return _Chosen(chosen, f"videos of split {split!r}", 0)
    has_test = "test" in videos.splits
    candidates = [index for index in range(len(features)) if not has_test or videos.splits[index] == "test"]
    chosen = [index for index in candidates if index not in used]
    if not chosen:
        raise InputError(
            f"{features.path}: the run was trained on, or chosen by, all of its videos; give features of others"
        )
    which = "videos of split 'test'" if has_test else "videos that the run was not trained on"
    return _Chosen(chosen, which, len(candidates) - len(chosen))


def _with_known_label(
    features: Features, chosen: _Chosen, videos: LabelledVideos, description: ModelDescription
) -> _Chosen:
    """Leave out the videos without a label, and those whose label the run does not know."""
    unknown = sorted({videos.labels[index] for index in chosen.indices} - {*description.classes, ""})
    known = [index for index in chosen.indices if videos.labels[index] in description.classes]
    if not known:
        there = f"they are {some_names(unknown)}; " if unknown else ""
        raise InputError(
            f"{features.path}: {chosen.which} have no label that the run knows; {there}"
            f"it knows {some_names(description.classes)}; give --labels or --splits"
        )
    if unknown:
        _log.warning("videos with labels that the run does not know are left out: %s", some_names(unknown))
    return replace(chosen, indices=known)


def _evaluate_prediction(run: _TrainedRun, features: Features, chosen: _Chosen) -> PredictionEvaluation:
    seen, predicted, stride = (run.description.windows[name] for name in ("seen", "predicted", "stride"))
    windows = cut_windows(features, chosen.indices, length=seen + predicted, stride=stride)
    require_windows(windows, name="such", advice="give longer videos, or train with shorter windows")
    return PredictionEvaluation(
        which=chosen.which,
        num_videos=len(np.unique(windows.videos)),
        num_left_out=chosen.num_left_out,
        figures=prediction_figures(run.model, windows, seen=seen, predicted=predicted, device=run.device),
    )


def _evaluate_classifier(
    run: _TrainedRun, features: Features, chosen: _Chosen, labels: Sequence[str], *, shuffle_frames: bool
) -> ClassificationEvaluation:
    windows = classification_windows(features, chosen.indices, run.description)
    probabilities = classify_windows(run.model, windows, device=run.device, shuffle_seed=0 if shuffle_frames else None)
    of_videos = average_over_windows(windows, probabilities)
    classes = run.description.classes
    class_of_video = np.array([classes.index(label) if label in classes else -1 for label in labels])
    measured = list(of_videos)
    true, answers = class_of_video[measured], np.array([one.argmax() for one in of_videos.values()])
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (true, answers), 1)
    return ClassificationEvaluation(
        which=chosen.which,
        classes=classes,
        num_videos=len(measured),
        num_windows=len(windows),
        num_left_out=chosen.num_left_out,
        shuffled=shuffle_frames,
        per_window=Accuracy.of(class_of_video[windows.videos], probabilities.argmax(axis=1)),
        per_video=Accuracy.of(true, answers),
        baselines={name: Accuracy.of(true, chosen) for name, chosen in _baseline_answers(run, features, measured)},
        confusion=confusion.tolist(),
    )


def _baseline_answers(
    run: _TrainedRun, features: Features, videos: Sequence[int]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each baseline's name and the class that it chooses for each of some videos, (V,)."""
    yield "majority class", np.full(len(videos), int(np.argmax(run.description.class_counts)))
    baselines, scaler = load_baselines(run.folder), run.model.scaler.cpu()
    said = [baselines.video_probabilities(standardised_frames(features, video, scaler)) for video in videos]
    for name in said[0]:
        yield name, np.array([int(one[name].argmax()) for one in said])
