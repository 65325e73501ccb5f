"""What classifiers make of a pretraining's frozen encoder, beside an untrained one and features without an encoder.

They are fitted to the labels of other videos than they are measured on; folds of whole groups choose what with.

Shapes: V videos, S source videos, K classes.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError, some_names
from ..features.store import Features
from ..metrics.baselines import FROZEN, RANDOM
from ..metrics.classification import Accuracy
from ..metrics.cross_validation import VideoRows
from ..metrics.representations import FrozenEncoder, represent
from ..metrics.row_classifiers import CLASSIFIER_KINDS, LabeledVideos, fit_best
from ..metrics.video_features import source_numbers, video_rows
from ..training.preparation import require_sound
from .request import SelectedVideos, TrainedRun

_log = logging.getLogger(__name__)
_FEATURES = ("mean feature", "ordered bins")
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """A classifier of a kind on what one encoder, "" for none, makes of videos.

    reads: the feature or representation. setting: what the folds chose, of the name setting_name. validation_accuracy:
    in the folds, None if there were none. accuracy: of source videos.
    """

    encoder: str
    reads: str
    kind: str
    setting_name: str | None
    setting: float
    validation_accuracy: float | None
    accuracy: Accuracy


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a probe found: how many source videos it was fitted to and measured on, and a row for each classifier."""

    classes: list[str]
    num_train_videos: int
    num_videos: int
    rows: list[ProbeRow]


def probe_representations(run: TrainedRun, selected: SelectedVideos) -> ProbeResult:
    """Fit classifiers to labeled videos that are not selected, and measure them on the selected ones.

    They are fitted to videos of the splits train and validation, or if none has a split to all others.

    Raises LabelError if there are fewer than two labels to learn, or none of them among the selected videos.
    """
    labels, features = selected.annotated.labels, selected.features
    train = _training_videos(selected)
    classes = sorted({labels[video] for video in train})
    if len(classes) < 2:
        raise LabelError(
            f"{features.path}: a probe is fitted to two or more labels of split 'train' (without splits, of videos "
            f"that are not measured), which are {some_names(classes) or 'none'}; give --labels FILE.csv"
        )
    test = _test_videos(selected, classes)
    require_sound(features, train)
    class_of = {name: number for number, name in enumerate(classes)}
    first, numbers = source_numbers(features, train)
    labeled = LabeledVideos.of(
        np.array([class_of[labels[train[one]]] for one in first], dtype=np.int64),
        [selected.annotated.groups[train[one]] for one in first],
        len(classes),
        seed=_SEED,
    )
    first_of_test, test_numbers = source_numbers(features, test)
    true = np.array([class_of[labels[test[one]]] for one in first_of_test], dtype=np.int64)
    rows: list[ProbeRow] = []
    groups = [selected.annotated.groups[test[one]] for one in first_of_test]
    for encoder, fitted_on, measured_on in _representations(run, features, train, test):
        for reads, samples in fitted_on.items():
            of_sources = {reads: samples.renumbered(numbers, len(first))}
            of_test = measured_on[reads].renumbered(test_numbers, len(true))
            rows += _measured(encoder, of_sources, of_test, labeled, true, groups)
    return ProbeResult(classes=classes, num_train_videos=len(first), num_videos=len(true), rows=rows)


def _training_videos(selected: SelectedVideos) -> list[int]:
    labels, splits = selected.annotated.labels, selected.annotated.splits
    measured, allowed = set(selected.indices), ("train", "validation") if any(splits) else ("",)
    return [
        video
        for video, row in enumerate(selected.features.videos)
        if labels[video] and splits[video] in allowed and video not in measured and row.length
    ]


def _test_videos(selected: SelectedVideos, classes: Sequence[str]) -> list[int]:
    labels, features = selected.annotated.labels, selected.features
    labeled = [video for video in selected.indices if labels[video] and features.videos[video].length]
    unknown = sorted({labels[video] for video in labeled} - set(classes))
    if unknown:
        _log.warning("a probe leaves out videos with labels that it is not fitted to: %s", some_names(unknown))
    test = [video for video in labeled if labels[video] in classes]
    if not test:
        raise LabelError(
            f"{features.path}: {selected.which} have no label that a probe is fitted to, which are "
            f"{some_names(classes)}; give --labels or --splits"
        )
    return test


def _representations(
    run: TrainedRun, features: Features, train: Sequence[int], test: Sequence[int]
) -> Iterator[tuple[str, Mapping[str, VideoRows], Mapping[str, VideoRows]]]:
    """Yield the name of each encoder with its rows of the training and of the test videos."""
    yield (
        "",
        {name: video_rows(features, train, name) for name in _FEATURES},
        {name: video_rows(features, test, name, most=len(test)) for name in _FEATURES},
    )
    inputs, network = run.model.inputs, run.model.network
    encoders = {
        FROZEN: FrozenEncoder.of(run.description, inputs, network.encoder),
        RANDOM: FrozenEncoder.random(run.description, inputs),
    }
    for name, frozen in encoders.items():
        encoded = [represent(frozen, features, videos, device=run.device) for videos in (train, test)]
        yield name, encoded[0], encoded[1]


def _measured(
    encoder: str,
    of_sources: Mapping[str, VideoRows],
    test: VideoRows,
    labeled: LabeledVideos,
    true: NDArray[np.int64],
    groups: Sequence[str],
) -> Iterator[ProbeRow]:
    """Yield a row for each kind of classifier on one representation."""
    for kind, of_kind in CLASSIFIER_KINDS.items():
        fitted = fit_best(kind, of_sources, labeled)
        probabilities = test.mean(fitted.classifier.probabilities(test.rows))
        is_read = np.flatnonzero(~np.isnan(probabilities[:, 0]))
        yield ProbeRow(
            encoder=encoder,
            reads=fitted.reads,
            kind=kind,
            setting_name=of_kind.setting_name,
            setting=fitted.setting,
            validation_accuracy=fitted.validation_accuracy,
            accuracy=Accuracy.of(
                true[is_read], probabilities[is_read].argmax(axis=1), [groups[one] for one in is_read.tolist()]
            ),
        )
