"""What fine-tuning learns from: windows of labeled videos, and which split each video is in.

Shapes: V videos of the features, labeled or not.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..config.settings import FinetuneConfig
from ..errors import ConfigError, LabelError, some_names
from ..features.annotations import SPLITS, AnnotatedVideos, Annotation, annotate, require_distinct_classes
from ..features.groups import NO_RULE, GroupRule
from ..features.store import Features
from ..metrics.intervals import LEAST_TEST_VIDEOS
from ..registry import HEADS
from ..sequences.batches import Batches, BatchMaker, FeatureBatchSet, ShuffledBatches, VideoNumbers
from ..sequences.clips import Clips, clips_of
from ..sequences.crops import CropBatches
from ..sequences.resident import windows_on
from ..sequences.samplers import InfiniteSampler
from ..sequences.split import VideoSplit, split_videos
from ..sequences.window_lengths import fit_finetune_windows
from ..sequences.windows import VideoWindows, sliding_windows
from .preparation import choose_batch_size, report_windows, require_sound, require_windows, subsample
from .run_videos import RunVideos
from .session import SessionContext
from .task import TaskData

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinetuneData:
    """What a training of a classifier reads of labeled videos.

    config: with no window "auto". training: all training windows, each once.
    """

    config: FinetuneConfig
    videos: "FinetuneVideos"
    task_data: TaskData
    training: FeatureBatchSet


@dataclass(frozen=True, kw_only=True)
class FinetuneVideos:
    """The videos of features with labels, and which split each is in.

    split: of the labeled videos, by index. classes: names, sorted. numbers: of each video's group and class, -1 for
    none.
    """

    features: Features
    annotated: AnnotatedVideos
    split: VideoSplit
    classes: list[str]
    numbers: VideoNumbers
    group_rule: GroupRule = NO_RULE

    def with_split(self, split: VideoSplit) -> "FinetuneVideos":
        """Return the same videos in other splits; the classes stay, though a split may lack one."""
        return replace(self, split=split)

    @property
    def rarely_tested(self) -> dict[str, int]:
        """Classes with fewer than LEAST_TEST_VIDEOS source videos in split "test", and how many; none without one."""
        sources = self.features.source_videos
        labels = [*{int(sources[video]): self.annotated.labels[video] for video in self.split.test}.values()]
        counts = {name: labels.count(name) for name in self.classes} if labels else {}
        return {name: count for name, count in counts.items() if count < LEAST_TEST_VIDEOS}

    @property
    def least_groups(self) -> int:
        """Of the classes, the least number of groups that one has in all splits."""
        pairs = {
            (self.annotated.labels[video], self.annotated.groups[video])
            for video in [*self.split.train, *self.split.validation, *self.split.test]
        }
        return min(sum(label == name for label, _ in pairs) for name in self.classes)

    @property
    def of_run(self) -> RunVideos:
        """What a run's videos.csv holds of them."""
        annotated = self.annotated
        return RunVideos(
            self.features.videos,
            annotated.labels,
            self.split,
            annotated.groups,
            self.group_rule,
            str(self.features.path),
        )


def labeled_videos(
    features: Features,
    config: FinetuneConfig,
    *,
    annotations: Mapping[str, Annotation] | None = None,
    group_rule: GroupRule = NO_RULE,
) -> FinetuneVideos:
    """Split the labeled videos of features; raises as `finetune`."""
    videos = annotate(features, annotations, group_rule)
    if config.test_folds:
        videos = _without_splits(videos)
    labeled = [index for index, label in enumerate(videos.labels) if label]
    if not labeled:
        raise LabelError(f"{features.path}: no video has a label; give --labels FILE.csv or --splits FILE")
    require_distinct_classes(videos.labels)
    split = _split_labeled(features, videos, labeled, config)
    classes = sorted({videos.labels[index] for index in split.train})
    _check_classes(features, videos.labels, split, classes)
    class_of = {name: number for number, name in enumerate(classes)}
    class_numbers = np.array([class_of.get(label, -1) for label in videos.labels], dtype=np.int64)
    numbers = VideoNumbers.of(videos.groups, class_numbers)
    report_windows(features, split.train + split.validation, 1)
    # Once, though many trainings may follow: all rows are read for it.
    require_sound(features, split.train + split.validation)
    return FinetuneVideos(
        features=features,
        annotated=videos,
        split=split,
        classes=classes,
        numbers=numbers,
        group_rule=group_rule,
    )


def _without_splits(videos: AnnotatedVideos) -> AnnotatedVideos:
    """Return the videos without their splits, for a run whose folds test all of them."""
    if num_named := sum(map(bool, videos.splits)):
        _log.warning("the splits of %d videos are not used: folds test every labeled video once", num_named)
    return replace(videos, splits=[""] * len(videos.splits))


def with_test_videos(
    videos: FinetuneVideos, train: Sequence[int], test: Sequence[int], config: FinetuneConfig
) -> FinetuneVideos:
    """Return the videos with some in split "test"; of the others, some validate if the settings need that."""
    splits = [""] * len(videos.features)
    for name, some in (("train", train), ("test", test)):
        for video in some:
            splits[video] = name
    annotated = replace(videos.annotated, splits=splits)
    return videos.with_split(_split_labeled(videos.features, annotated, sorted([*train, *test]), config))


def data_of_labeled(videos: FinetuneVideos, config: FinetuneConfig, context: SessionContext) -> FinetuneData:
    """Cut labeled videos into windows; raises as `finetune`."""
    features, split, numbers = videos.features, videos.split, videos.numbers
    config = _fitted(config, [features.videos[video].length for video in split.train + split.validation])
    windows, validation = (_windows_of(features, some, config) for some in (split.train, split.validation))
    require_windows(windows, name="training", advice="use other videos")
    if len(validation) == 0:
        if not _keeps_last(config):
            _log.warning("no video can be held out: the weights are chosen by the loss on the training videos")
        validation = windows
    if config.objectives:
        _require_whole_windows(windows, validation)
    batch_size = choose_batch_size(len(windows), config.training.batch_size)
    return FinetuneData(
        config=config,
        videos=videos,
        task_data=TaskData(
            batches=_batches_of(windows, numbers, batch_size, config, context),
            batch_size=batch_size,
            window_length=windows.length,
            validation=FeatureBatchSet(subsample(validation), numbers, context.device),
        ),
        training=FeatureBatchSet(windows, numbers, context.device),
    )


def num_training_windows(features: Features, videos: Sequence[int], config: FinetuneConfig) -> int:
    """Return how many windows videos give."""
    fitted = fit_finetune_windows(config.windows, [features.videos[video].length for video in videos])
    return len(_windows_of(features, videos, replace(config, windows=fitted)))


def _batches_of(
    windows: VideoWindows, numbers: VideoNumbers, batch_size: int, config: FinetuneConfig, context: SessionContext
) -> Batches:
    seed, shard = config.training.draw_seed, context.ranks.shard(batch_size)
    maker = BatchMaker(windows, windows_on(windows, context.device), numbers, context.device)
    sampler = InfiniteSampler(len(windows), batch_size, seed)
    least_share, jitter = config.windows.least_share, config.windows.jitter
    if isinstance(windows, Clips) and (least_share < 1 or jitter):
        return CropBatches(windows, maker, sampler, seed=seed, least_share=least_share, jitter=jitter, shard=shard)
    return ShuffledBatches(maker, sampler, shard)


def _fitted(config: FinetuneConfig, num_frames: Sequence[int]) -> FinetuneConfig:
    windows = fit_finetune_windows(config.windows, num_frames)
    if windows.resample:
        _log.info("windows are clips of %g s at most, resampled to %d frames", windows.clip_seconds, windows.length)
    elif windows != config.windows:
        _log.info("windows of %d frames, every %d frames", windows.length, windows.stride)
    return replace(config, windows=windows)


def _windows_of(features: Features, videos: Sequence[int], config: FinetuneConfig) -> VideoWindows:
    windows = config.windows
    if windows.resample:
        return clips_of(features, videos, length=int(windows.length), clip_seconds=windows.clip_seconds)
    return sliding_windows(
        features,
        videos,
        length=int(windows.length),
        stride=int(windows.stride),
        keep_short=True,
        to_the_end=windows.to_the_end,
    )


def _require_whole_windows(*some: VideoWindows) -> None:
    """Raise ConfigError if there is padding, which objectives would learn as if it were frames."""
    shortest = min(int(windows.lengths.min()) for windows in some)
    if shortest < some[0].length:
        raise ConfigError(
            f"windows.length is {some[0].length}, but a video has {shortest} frames, and objectives read no padding; "
            f"set windows.length to {shortest} at most, or leave objectives out"
        )


def _split_labeled(
    features: Features, videos: AnnotatedVideos, labeled: Sequence[int], config: FinetuneConfig
) -> VideoSplit:
    """Split the videos that have a label; the others are not used."""
    chosen = split_videos(
        [features.videos[index].path for index in labeled],
        [videos.labels[index] for index in labeled],
        [videos.splits[index] for index in labeled],
        groups=[videos.groups[index] for index in labeled],
        validation_fraction=0.0 if _needs_no_validation(config) else config.training.validation_fraction,
        test_fraction=0.0 if config.test_folds else config.test_fraction,
        seed=config.training.seed,
    )
    return VideoSplit(**{name: [labeled[position] for position in getattr(chosen, name)] for name in SPLITS})


def _needs_no_validation(config: FinetuneConfig) -> bool:
    """Return whether no videos are to be held out to choose the weights: folds choose, or nothing does."""
    return config.selection.enabled or _keeps_last(config)


def _keeps_last(config: FinetuneConfig) -> bool:
    """Return whether no weights are chosen by validation, so that no labels should be spent on it."""
    return HEADS[config.classifier.head].is_fitted or config.training.keep == "last"


def _check_classes(features: Features, labels: Sequence[str], split: VideoSplit, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise LabelError(
            f"{features.path}: the training videos have one label only, {classes[0]!r}; a classifier needs two or more"
        )
    counts = {name: sum(labels[index] == name for index in split.train + split.validation) for name in classes}
    single = [name for name, count in counts.items() if count == 1]
    if single:
        _log.warning("classes with one training video only: %s", some_names(single))
    unknown = sorted({labels[index] for index in split.validation} - set(classes))
    if unknown:
        raise LabelError(
            f"{features.path}: validation videos have labels that no training video has: {some_names(unknown)}"
        )
