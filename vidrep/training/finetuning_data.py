"""What fine-tuning learns from: windows of labelled videos, and who is in which part.

Shapes: V videos of the features, labelled or not.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import FinetuneConfig
from ..errors import LabelError, some_names
from ..features.annotations import AnnotatedVideos, Annotation, annotate
from ..features.store import Features
from ..sequences.split import VideoSplit, split_videos
from ..sequences.windows import Windows, sliding_windows
from .preparation import choose_batch_size, require_sound, require_windows, subsample
from .run import RunVideos

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinetuneData:
    """Everything that fine-tuning takes from features.

    classes: names, sorted. video_classes: (V,) the number of each video's class, -1 for none. windows: what to learn
    from, `batch_size` a step. validation: what chooses the weights. videos: for videos.csv.
    """

    features: Features
    parts: VideoSplit
    classes: list[str]
    video_classes: NDArray[np.int64]
    windows: Windows
    batch_size: int
    validation: Windows
    videos: RunVideos


def data_of_labelled(
    features: Features, config: FinetuneConfig, *, annotations: Mapping[str, Annotation] | None
) -> FinetuneData:
    """Divide the labelled videos of features into parts and cut them into windows; raises as `finetune`."""
    videos = annotate(features, annotations)
    labelled = [index for index, label in enumerate(videos.labels) if label]
    if not labelled:
        raise LabelError(f"{features.path}: no video has a label; give --labels FILE.csv or --splits FILE")
    parts = _split_labeled(features, videos, labelled, config)
    classes = sorted({videos.labels[index] for index in parts.train})
    _check_classes(features, videos.labels, parts, classes)
    class_of = {name: number for number, name in enumerate(classes)}
    windows, validation = (
        sliding_windows(features, part, length=config.windows.length, stride=config.windows.stride, keep_short=True)
        for part in (parts.train, parts.validation)
    )
    require_windows(windows, name="training", advice="use other videos")
    if len(validation) == 0:
        _log.warning("no video can be held out: the weights are chosen by the loss on the training videos")
        validation = windows
    batch_size = choose_batch_size(len(windows), config.training.batch_size)
    require_sound(features, parts.train + parts.validation)
    return FinetuneData(
        features=features,
        parts=parts,
        classes=classes,
        video_classes=np.array([class_of.get(label, -1) for label in videos.labels], dtype=np.int64),
        windows=windows,
        batch_size=batch_size,
        validation=subsample(validation),
        videos=RunVideos(features.videos, videos.labels, parts),
    )


def _split_labeled(
    features: Features, videos: AnnotatedVideos, labelled: Sequence[int], config: FinetuneConfig
) -> VideoSplit:
    """Divide the videos that have a label; the others take no part."""
    chosen = split_videos(
        [features.videos[index].path for index in labelled],
        [videos.labels[index] for index in labelled],
        [videos.splits[index] for index in labelled],
        groups=[videos.groups[index] for index in labelled],
        validation_fraction=config.training.validation_fraction,
        test_fraction=config.test_fraction,
        seed=config.training.seed,
    )
    return VideoSplit(
        **{part: [labelled[position] for position in getattr(chosen, part)] for part in ("train", "validation", "test")}
    )


def _check_classes(features: Features, labels: Sequence[str], parts: VideoSplit, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise LabelError(
            f"{features.path}: the training videos have one label only, {classes[0]!r}; a classifier needs two or more"
        )
    counts = {name: sum(labels[index] == name for index in parts.train + parts.validation) for name in classes}
    single = [name for name, count in counts.items() if count == 1]
    if single:
        _log.warning("classes with one training video only: %s", some_names(single))
    unknown = sorted({labels[index] for index in parts.validation} - set(classes))
    if unknown:
        raise LabelError(
            f"{features.path}: validation videos have labels that no training video has: {some_names(unknown)}"
        )
