"""What a training from segments learns from: windows of annotated videos with a target at every frame.

Shapes: T time, K labels.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..config.segmentation import SegmentationConfig, SegmentWindows
from ..errors import ConfigError, LabelError, some_names
from ..features.annotations import SPLITS, AnnotatedVideos, Annotation, annotate
from ..features.groups import NO_RULE, GroupRule
from ..features.store import Features
from ..metrics.segmentation.truth import Truth, read_truth
from ..segments.segment import Annotations
from ..sequences.batches import BatchMaker, FeatureBatchSet, ShuffledBatches, VideoNumbers
from ..sequences.frame_targets import UNKNOWN, FrameTargets
from ..sequences.resident import windows_on
from ..sequences.samplers import InfiniteSampler
from ..sequences.split import VideoSplit, split_videos
from ..sequences.windows import Windows, sliding_windows
from .preparation import choose_batch_size, report_windows, require_sound, subsample
from .run_videos import RunVideos
from .session import SessionContext
from .task import TaskData

_log = logging.getLogger(__name__)

# Frames of a window and of its margin.
_LENGTH, _MARGIN, _BATCH_SIZE = 96, 16, 32


@dataclass(frozen=True, kw_only=True)
class SegmentedVideos:
    """The annotated videos of features, and which split each is in.

    truth: what is known of them. numbers: of each video's group.
    """

    features: Features
    truth: Truth
    annotated: AnnotatedVideos
    split: VideoSplit
    numbers: VideoNumbers
    group_rule: GroupRule = NO_RULE

    @property
    def of_run(self) -> RunVideos:
        """What a run's videos.csv holds of them: no labels, which are of frames."""
        labels = [""] * len(self.features)
        groups, path = self.annotated.groups, str(self.features.path)
        return RunVideos(self.features.videos, labels, self.split, groups, self.group_rule, path)

    def seconds(self, split: str) -> float:
        """Return how much of a split's videos is annotated."""
        return sum(self.truth.videos[video].seconds for video in getattr(self.split, split))

    @property
    def with_all_in_training(self) -> "SegmentedVideos":
        """The same with the validation videos in split "train"."""
        split = self.split
        return replace(
            self, split=VideoSplit(train=sorted(split.train + split.validation), validation=[], test=split.test)
        )

    @property
    def targets_sha256(self) -> str:
        """A hash of the labels and of all targets that are learned from or validated on."""
        digest = hashlib.sha256("\n".join(self.truth.labels).encode())
        for video in sorted(self.split.train + self.split.validation):
            digest.update(self.truth.targets(video).tobytes())
        return digest.hexdigest()

    def num_frames(self, split: str) -> NDArray[np.int64]:
        """Return in how many frames of a split each label holds, (K,)."""
        return self._count(split, lambda holds, known: holds)

    def num_known(self, split: str) -> NDArray[np.int64]:
        """Return of how many frames of a split it is known whether each label holds, (K,)."""
        return self._count(split, lambda holds, known: known)

    def _count(
        self, split: str, which: Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.bool_]]
    ) -> NDArray[np.int64]:
        labels = np.arange(len(self.truth.labels))
        counts = np.zeros(len(labels), dtype=np.int64)
        for video in getattr(self.split, split):
            targets = self.truth.targets(video)
            if targets.ndim == 1:
                known = np.broadcast_to((targets != UNKNOWN)[:, None], (len(targets), len(labels)))
                counts += which(targets[:, None] == labels, known).sum(axis=0)
            else:
                counts += which(targets == 1, targets != UNKNOWN).sum(axis=0)
        return counts


def segmented_videos(
    features: Features,
    annotations: Annotations,
    config: SegmentationConfig,
    *,
    group_rule: GroupRule = NO_RULE,
) -> SegmentedVideos:
    """Match annotations to the videos of features, and split these; raises as `finetune_segments`."""
    segmenter = config.segmenter
    truth = read_truth(features, annotations, background=segmenter.background, several_labels=segmenter.several_labels)
    named = {
        row.path: Annotation(None, truth.splits.get(index), truth.groups.get(index))
        for index, row in enumerate(features.videos)
    }
    annotated = annotate(features, named, group_rule)
    split = _split(features, annotated, sorted(truth.videos), config)
    videos = SegmentedVideos(
        features=features,
        truth=truth,
        annotated=annotated,
        split=split,
        numbers=VideoNumbers.of(annotated.groups),
        group_rule=group_rule,
    )
    videos = _of_learned_labels(videos, annotations, config)
    used = split.train + split.validation
    report_windows(features, used, 1)
    require_sound(features, used)
    return videos


def _split(
    features: Features, annotated: AnnotatedVideos, videos: Sequence[int], config: SegmentationConfig
) -> VideoSplit:
    chosen = split_videos(
        [features.videos[index].path for index in videos],
        [""] * len(videos),
        [annotated.splits[index] for index in videos],
        groups=[annotated.groups[index] for index in videos],
        validation_fraction=config.training.validation_fraction,
        test_fraction=config.test_fraction,
        seed=config.training.seed,
    )
    return VideoSplit(**{name: [videos[position] for position in getattr(chosen, name)] for name in SPLITS})


def _of_learned_labels(
    videos: SegmentedVideos, annotations: Annotations, config: SegmentationConfig
) -> SegmentedVideos:
    """Return the videos with the labels alone that training frames have; raises LabelError for too few of them."""
    truth, features = videos.truth, videos.features
    counts, known = videos.num_frames("train"), videos.num_known("train")
    learned = [name for name, count in zip(truth.labels, counts.tolist(), strict=True) if count]
    without = [name for name in truth.labels if name not in learned]
    if truth.several_labels:
        always = [name for name, on, all_ in zip(truth.labels, counts, known, strict=True) if on and on == all_]
        if always:
            raise LabelError(
                f"{features.path}: nothing says when these labels do not hold: {some_names(always)}; say what was "
                "watched, or give --background NAME where all that was done is annotated"
            )
    if len(learned) < (1 if truth.several_labels else 2):
        rest = "time without a label is unknown: give --background NAME if nothing happens in it"
        raise LabelError(
            f"{features.path}: frames of training videos have {some_names(learned) if learned else 'no label'} alone; "
            + (rest if truth.background is None else "annotate more, or put other videos into split train")
            + _held_out(videos)
        )
    if not without:
        return videos
    _log.warning("no training video shows %s: not learned", some_names(without))
    truth = read_truth(
        features,
        annotations,
        background=config.segmenter.background,
        several_labels=truth.several_labels,
        labels=learned,
    )
    return replace(videos, truth=truth)


def _held_out(videos: SegmentedVideos) -> str:
    """Say how many videos are held out to evaluate on, if no list of splits did that."""
    if not videos.split.test or any(videos.annotated.splits):
        return ""
    return (
        f"; {len(videos.split.test)} of {len(videos.truth.videos)} annotated videos are held out to evaluate on: "
        "--set test_fraction=0 learns from all"
    )


def margins(config: SegmentationConfig, *, reads_ahead: bool) -> tuple[int, int]:
    """Return the frames at the beginning and the end of a window that are not classified.

    reads_ahead: whether what is read of a frame depends on later ones.
    """
    margin = config.windows.margin
    assert margin != "auto"
    return margin, margin if reads_ahead else 0


def fit_segment_windows(windows: SegmentWindows, num_frames: Sequence[int]) -> SegmentWindows:
    """Return windows without "auto": 96 frames with margins of 16, or, of shorter videos, the longest with none.

    Raises ConfigError for margins that leave nothing.
    """
    longest = max(num_frames)
    length = min(_LENGTH, longest) if windows.length == "auto" else windows.length
    usual = 0 if longest <= length else min(_MARGIN, (length - 1) // 4)
    margin = usual if windows.margin == "auto" else windows.margin
    if 2 * margin >= length:
        raise ConfigError(
            f"windows.margin is {margin}, but both margins leave nothing of windows.length {length}; give less than "
            "half"
        )
    stride = max(1, (length - 2 * margin) // 4) if windows.stride == "auto" else windows.stride
    return replace(windows, length=length, margin=margin, stride=stride)


def data_of_segments(
    videos: SegmentedVideos, config: SegmentationConfig, context: SessionContext, *, reads_ahead: bool
) -> TaskData:
    """Cut annotated videos into windows with targets; config: with no window "auto"."""
    before, after = margins(config, reads_ahead=reads_ahead)
    used = videos.split.train + videos.split.validation
    targets = FrameTargets({video: videos.truth.targets(video) for video in used}, before, after)
    windows, validation = (
        _windows_of(videos, some, config, targets) for some in (videos.split.train, videos.split.validation)
    )
    if not len(windows):
        raise LabelError(f"{videos.features.path}: no annotated frame in the training videos; annotate some")
    if not len(validation):
        if config.training.keep == "best":
            _log.warning("no video can be held out: the weights are chosen by the loss on the training videos")
        validation = windows
    length = windows.length
    batch_size = choose_batch_size(len(windows), config.training.batch_size or min(_BATCH_SIZE, len(windows)))
    maker = BatchMaker(windows, windows_on(windows, context.device), videos.numbers, context.device, targets)
    sampler = InfiniteSampler(len(windows), batch_size, config.training.draw_seed)
    return TaskData(
        batches=ShuffledBatches(maker, sampler, context.ranks.shard(batch_size)),
        batch_size=batch_size,
        window_length=length,
        validation=FeatureBatchSet(subsample(validation), videos.numbers, context.device, targets),
    )


def _windows_of(
    videos: SegmentedVideos, some: Sequence[int], config: SegmentationConfig, targets: FrameTargets
) -> Windows:
    """Return the windows that have a frame to learn from."""
    length, stride = config.windows.length, config.windows.stride
    assert length != "auto" and stride != "auto"
    every = sliding_windows(videos.features, some, length=length, stride=stride, keep_short=True)
    return every.chosen(np.flatnonzero(targets.num_known(every, np.arange(len(every)))))
