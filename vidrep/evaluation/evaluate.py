"""Figures of a trained run on videos that it did not train on, with baselines beside them."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..devices import choose_device, torch_settings
from ..errors import ConfigError, InputError, some_names
from ..features.annotations import SPLITS, AnnotatedVideos, Annotation, annotate
from ..extraction.compatibility import require_same_features
from ..features.store import Features
from ..metrics.baselines import load_baselines
from ..metrics.classification import average_over_windows, classification_windows, classify_windows
from ..models.saved import ModelDescription, load_model
from ..progress import Progress, ProgressListener, ignore_progress
from ..synthetic.mnist import load_digits
from ..training.finetune import standardized_frames
from ..training.preparation import require_sound
from ..training.run import read_content_used
from ..viewing.filmstrip import can_be_shown, require_picture_name
from .prediction import PredictionEvaluation, evaluate_prediction, extracted_windows, generated_sequences
from .trained import Chosen, TrainedRun

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


def evaluate(
    run: Path | str,
    features: Features | None = None,
    *,
    mnist: Path | str | None = None,
    num_digits: int | None = None,
    num_sequences: int = 10_000,
    seed: int = 1,
    predicted: int | None = None,
    split: str | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    shuffle_frames: bool = False,
    filmstrip: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_progress: ProgressListener = ignore_progress,
) -> ClassificationEvaluation | PredictionEvaluation:
    """Measure a run on the videos of `features` that it did not train on, or on Moving MNIST of the test digits.

    mnist: a folder with the IDX files of MNIST, in place of features: a pretrained model is measured on
        `num_sequences` sequences, those that `generate_moving_mnist` writes for the same digits and seed, with the
        run's own canvas and displacement and `num_digits` digits; None takes the run's own number, or 2.
    predicted: frames that a pretrained model predicts, if not as many as in training.
    split: measure on the videos of this split, whatever the run was trained on. None takes those of split "test" if
        there are any, else all; videos that the run was trained on, or whose figures chose its weights, are left out.
    shuffle_frames: classify windows whose frames are in random order (seed 0), to see what their order tells.
    filmstrip: a PNG of a few windows, the true frames above those that a pretrained model makes.

    A video is known as one that the run was trained on by its content: its rows of features or its source file.

    Raises InputError if no video is left or the run is not one for such sequences, FeatureFileError if the features do
    not fit the run, are damaged or are not finite, ConfigError for what is unknown or contradicts itself.
    """
    if (features is None) == (mnist is None):
        raise ConfigError("give a run either features or a folder of MNIST digits to be measured on, one of the two")
    if mnist is not None and (split is not None or annotations or shuffle_frames):
        raise ConfigError("MNIST digits make sequences without splits and labels; those are for features")
    if split is not None and split not in SPLITS:
        raise ConfigError(f"split {split!r}: allowed are {', '.join(SPLITS)}")
    with torch_settings(choose_device(device), threads=threads) as settings:
        trained = TrainedRun(Path(run), *load_model(Path(run)), settings.device)
        film = None if filmstrip is None else Path(filmstrip)
        _require_possible(trained, mnist=mnist, predicted=predicted, shuffle_frames=shuffle_frames, filmstrip=film)
        if features is not None:
            return _evaluate_on_features(
                trained,
                features,
                predicted=predicted,
                split=split,
                annotations=annotations,
                shuffle_frames=shuffle_frames,
                filmstrip=film,
                on_progress=on_progress,
            )
        assert mnist is not None  # one of the two is there
        digits = load_digits(Path(mnist), "test")
        measured = generated_sequences(
            trained, digits, num_digits=num_digits, num_sequences=num_sequences, seed=seed, predicted=predicted
        )
        return evaluate_prediction(trained, measured, filmstrip=film, on_progress=on_progress)


def _evaluate_on_features(
    run: TrainedRun,
    features: Features,
    *,
    predicted: int | None,
    split: str | None,
    annotations: Mapping[str, Annotation] | None,
    shuffle_frames: bool,
    filmstrip: Path | None,
    on_progress: ProgressListener,
) -> ClassificationEvaluation | PredictionEvaluation:
    require_same_features(
        features,
        settings=run.description.extractor,
        frame_shape=tuple(run.description.frame_shape),
        dtype=run.description.dtype,
    )
    videos = annotate(features, annotations)
    chosen = _choose_videos(run.folder, features, videos, split)
    if run.description.kind == "classifier":
        chosen = _with_known_label(features, chosen, videos, run.description)
        require_sound(features, chosen.indices)
        result = _evaluate_classifier(run, features, chosen, videos.labels, shuffle_frames=shuffle_frames)
        on_progress(Progress(done=result.num_windows, total=result.num_windows, unit="windows"))
        return result
    require_sound(features, chosen.indices)
    measured = extracted_windows(run, features, chosen, predicted=predicted)
    return evaluate_prediction(run, measured, filmstrip=filmstrip, on_progress=on_progress)


def _require_possible(
    run: TrainedRun, *, mnist: Path | str | None, predicted: int | None, shuffle_frames: bool, filmstrip: Path | None
) -> None:
    """Raise ConfigError, OutputError or InputError for what does not go with such a run."""
    description = run.description
    if description.kind == "classifier":
        asked = {"MNIST digits": mnist, "another number of predicted frames": predicted, "a filmstrip": filmstrip}
        for what, value in asked.items():
            if value is not None:
                raise ConfigError(f"{run.folder}: a classifier; {what}: for a pretraining, which predicts frames")
    elif shuffle_frames:
        raise ConfigError(f"{run.folder}: a pretraining; shuffled frames are for classifiers")
    if predicted is not None and predicted < 1:
        raise ConfigError(f"predicted {predicted}: give at least 1 frame")
    if predicted is not None and not description.arguments.get("future", True):
        raise ConfigError(f"{run.folder}: it has no future decoder; predicted {predicted}: leave that out")
    if filmstrip is not None:
        require_picture_name(filmstrip)
        shape, dtype = tuple(description.frame_shape), description.dtype
        if not can_be_shown(shape, dtype):
            raise ConfigError(
                f"{run.folder}: trained on frames of {shape} {dtype}, which a filmstrip cannot show; it shows uint8 of "
                "(height, width) or (height, width, 3)"
            )


def _choose_videos(run: Path, features: Features, videos: AnnotatedVideos, split: str | None) -> Chosen:
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
        return Chosen(chosen, f"videos of split {split!r}", 0)
    has_test = "test" in videos.splits
    candidates = [index for index in range(len(features)) if not has_test or videos.splits[index] == "test"]
    chosen = [index for index in candidates if index not in used]
    if not chosen:
        raise InputError(
            f"{features.path}: the run was trained on, or chosen by, all of its videos; give features of others"
        )
    which = "videos of split 'test'" if has_test else "videos that the run was not trained on"
    return Chosen(chosen, which, len(candidates) - len(chosen))


def _with_known_label(
    features: Features, chosen: Chosen, videos: AnnotatedVideos, description: ModelDescription
) -> Chosen:
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


def _evaluate_classifier(
    run: TrainedRun, features: Features, chosen: Chosen, labels: Sequence[str], *, shuffle_frames: bool
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
    run: TrainedRun, features: Features, videos: Sequence[int]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each baseline's name and the class that it chooses for each of some videos, (V,)."""
    yield "majority class", np.full(len(videos), int(np.argmax(run.description.class_counts)))
    baselines, scaler = load_baselines(run.folder), run.model.scaler.cpu()
    said = [baselines.video_probabilities(standardized_frames(features, video, scaler)) for video in videos]
    for name in said[0]:
        yield name, np.array([int(one[name].argmax()) for one in said])
