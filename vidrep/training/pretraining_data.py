"""What a pretraining learns from: windows of features, or Moving MNIST that is generated as it goes.

Shapes: T time, B batch, D values of a frame.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config.settings import AUTO_OBJECTIVES, COMPOSITE, Likelihood, PretrainConfig, PretrainWindows
from ..errors import ConfigError, InputError
from ..features.annotations import Annotation, annotate
from ..features.groups import NO_RULE, GroupRule
from ..features.store import Features
from ..metrics.prediction import windows_at_once
from ..models.inputs import InputTransforms
from ..registry import OBJECTIVES
from ..sequences.batches import (
    Batches,
    BatchMaker,
    ConsecutiveBatches,
    FeatureBatchSet,
    GeneratedBatches,
    GeneratedBatchSet,
    ShuffledBatches,
    VideoNumbers,
)
from ..sequences.crops import NUM_VIEWS, GroupedSampler, ViewBatches, ViewBatchSet, ViewMaker
from ..sequences.resident import windows_on
from ..sequences.samplers import ConsecutiveSampler, InfiniteSampler
from ..sequences.split import VideoSplit, split_videos
from ..sequences.window_lengths import fit_pretrain_windows
from ..sequences.windows import Windows, batches_of, empty_windows, sliding_windows
from ..synthetic.mnist import load_digits
from ..synthetic.moving_mnist import MovingMnist, MovingMnistConfig, stream_rng
from ..synthetic.rendering import GeneratedWindows
from .preparation import (
    DEFAULT_BATCH_SIZE,
    MAX_VALIDATION_WINDOWS,
    choose_batch_size,
    choose_likelihood,
    choose_transforms,
    frames_of,
    report_windows,
    require_several,
    require_sound,
    require_windows,
    subsample,
)
from .run_videos import RunVideos
from .session import SessionContext
from .task import TaskData

_log = logging.getLogger(__name__)

# Generated sequences that are validated on, and that the mean frame is taken from.
_NUM_VALIDATED, _NUM_MEASURED = 1024, 2048
_BLOCK = 64

NO_VIDEOS = RunVideos((), (), VideoSplit(train=[], validation=[], test=[]), ())
"""The videos of a pretraining on generated sequences."""


@dataclass(frozen=True, kw_only=True)
class PretrainData:
    """Everything that a pretraining takes from its data.

    config: with nothing left "auto". inputs: fitted to the training split. frame_shape, dtype, settings: of stored
    frames, and how they were made. videos: for videos.csv.
    """

    config: PretrainConfig
    likelihood: Likelihood
    task_data: TaskData
    inputs: InputTransforms
    frame_shape: tuple[int, ...]
    dtype: str
    settings: dict[str, Any]
    videos: RunVideos


def data_of_features(
    features: Features,
    config: PretrainConfig,
    context: SessionContext,
    *,
    annotations: Mapping[str, Annotation] | None = None,
    group_rule: GroupRule = NO_RULE,
    trained: frozenset[str] = frozenset(),
) -> PretrainData:
    """Split the videos of features and cut them into windows; raises as `train`.

    trained: see `videos_of_features`.
    Of a step's batch only this rank's shard is read.
    """
    videos = videos_of_features(features, config, annotations=annotations, group_rule=group_rule, trained=trained)
    split = videos.split
    likelihood = choose_likelihood(features, config.likelihood)
    used = split.train + split.validation
    fit = partial(
        _fitted,
        likelihood=likelihood,
        frame_size=features.frame_size,
        num_frames=[features.videos[video].length for video in used],
    )
    given, config = config, fit(replace(config, objectives=_objectives(config, likelihood, split)))
    windows, validation = (_windows_of(features, some, config) for some in (split.train, split.validation))
    advice = "lower windows.context or windows.num_future, or use more or longer videos"
    for some, name in ((windows, "training"), (validation, "validation")):
        require_windows(some, name=name, advice=advice)
    if given.objectives == "auto" and config.contrasts_views and _num_sources(windows, validation) < 2:
        _log.info("no contrast: fewer than 2 videos for training or for validation have a window")
        config = fit(replace(given, objectives=COMPOSITE))
    report_windows(features, used, windows.length)
    require_sound(features, used)
    inputs = InputTransforms(features.frame_size, config.transform)
    inputs.fit(frames_of(features, split.train))
    numbers = VideoNumbers.of(videos.groups)
    task_data = _views_of_clips if config.contrasts_views else _windows_alone
    return PretrainData(
        config=config,
        likelihood=likelihood,
        task_data=task_data(windows, validation, numbers, config, context),
        inputs=inputs,
        frame_shape=features.frame_shape,
        dtype=features.dtype,
        settings=features.settings,
        videos=videos,
    )


def videos_of_features(
    features: Features,
    config: PretrainConfig,
    *,
    annotations: Mapping[str, Annotation] | None = None,
    group_rule: GroupRule = NO_RULE,
    trained: frozenset[str] = frozenset(),
) -> RunVideos:
    """Split the videos of features; raises as `train`.

    trained: checksums of the videos that trained the weights to start from; those and their groups do not validate.
    """
    videos = annotate(features, annotations, group_rule)
    split = split_videos(
        [row.path for row in features.videos],
        ["" for _ in features.videos],  # which videos are held out must not depend on labels
        [name or "train" for name in videos.splits] if any(videos.splits) else videos.splits,
        groups=videos.groups,
        validation_fraction=config.training.validation_fraction,
        test_fraction=0.0,
        seed=config.training.seed,
    )
    if not split.validation:
        raise InputError(
            f"{features.path}: there is only one video, or one group of videos, to train on, and one more is needed to "
            "choose the weights by; use more videos"
        )
    split = _without_trained(features, split, videos.groups, trained)
    return RunVideos(features.videos, videos.labels, split, videos.groups, group_rule, str(features.path))


def _without_trained(
    features: Features, split: VideoSplit, groups: Sequence[str], trained: frozenset[str]
) -> VideoSplit:
    """Let videos train that are to validate, if they or others of their group trained the weights to start from."""
    rows = features.videos
    used = {groups[video] for video, row in enumerate(rows) if {row.checksum, row.source_sha256} & trained}
    moved = [video for video in split.validation if groups[video] in used]
    if not moved:
        return split
    if len(moved) == len(split.validation):
        raise InputError(
            f"{features.path}: all videos that could validate trained the run to start from; add videos, or give splits"
        )
    _log.info("%d videos that would validate trained the run to start from, and train again", len(moved))
    validation = sorted(set(split.validation) - set(moved))
    return VideoSplit(train=sorted(split.train + moved), validation=validation, test=split.test)


def _objectives(config: PretrainConfig, likelihood: Likelihood, split: VideoSplit) -> tuple[str, ...]:
    """Return the objectives; "auto" contrasts views beside the composite model where that makes sense."""
    if config.objectives != "auto":
        return config.objectives
    reasons = {
        "frames are pixels": likelihood == "bernoulli",
        "windows.stateful reads videos in order": config.windows.stateful,
        "there are fewer than 2 videos for training or for validation": min(len(split.train), len(split.validation))
        < 2,
    }
    against = [reason for reason, holds in reasons.items() if holds]
    chosen = COMPOSITE if against else AUTO_OBJECTIVES
    _log.info("objectives: %s%s", ", ".join(chosen), f" (no contrast: {'; '.join(against)})" if against else "")
    return chosen


def _num_sources(*every: Windows) -> int:
    """Return how many source videos have windows, the fewest of several sets of windows."""
    return min(len(np.unique(windows.features.source_videos[windows.videos])) for windows in every)


def _fitted(
    config: PretrainConfig, *, likelihood: Likelihood, frame_size: int, num_frames: Sequence[int] | None
) -> PretrainConfig:
    """Return the config with nothing left "auto"; num_frames: of each video, None for generated sequences.

    Raises ConfigError if objectives and windows contradict each other.
    """
    config = replace(config, likelihood=likelihood, windows=_fitted_windows(config, num_frames))
    transforms = choose_transforms(
        config.transforms, likelihood, frame_size=frame_size, centers_clips=config.contrasts_views
    )
    return replace(config, transforms=transforms)


def _fitted_windows(config: PretrainConfig, num_frames: Sequence[int] | None) -> PretrainWindows:
    names = ", ".join(config.objectives)
    needs_context = config.reads_windows
    needs_future = any(OBJECTIVES[name].needs_future for name in config.objectives)
    windows = fit_pretrain_windows(config.windows, num_frames, needs_context=needs_context, needs_future=needs_future)
    if needs_context and not windows.context:
        raise ConfigError(f"windows.context is 0, but an objective ({names}) reads windows; set it above 0")
    if windows.context and not needs_context:
        raise ConfigError(
            f"windows.context is {windows.context}, but no objective ({names}) reads windows; leave it out"
        )
    if needs_future and not windows.num_future:
        raise ConfigError("windows.num_future is 0, but an objective needs frames after the context; set it above 0")
    if windows.num_future and not needs_future:
        raise ConfigError(
            f"windows.num_future is {windows.num_future}, but no objective ({names}) needs frames after the context; "
            "set it to 0, or leave it out"
        )
    if windows.stateful and config.contrasts_views:
        raise ConfigError(f"windows.stateful reads videos in order, but an objective ({names}) draws clips; unset it")
    if windows != config.windows and needs_context:
        _log.info(
            "windows of %d frames of context and %d that follow, every %d frames",
            windows.context,
            windows.num_future,
            windows.stride,
        )
    return windows


def _windows_of(features: Features, videos: Sequence[int], config: PretrainConfig) -> Windows:
    """Cut videos into windows; without an objective that reads any, each video has an empty one."""
    windows = config.windows
    if not config.reads_windows:
        return empty_windows(features, videos)
    return sliding_windows(
        features,
        videos,
        length=windows.length,
        stride=int(windows.stride),
        to_the_end=not windows.stateful,
    )


def _windows_alone(
    windows: Windows, validation: Windows, numbers: VideoNumbers, config: PretrainConfig, context: SessionContext
) -> TaskData:
    features, device = windows.features, context.device
    batch_size = choose_batch_size(len(windows), config.training.batch_size)
    seed, shard = config.training.draw_seed, context.ranks.shard(batch_size)
    maker = BatchMaker(windows, windows_on(windows, device), numbers, device)
    batches: Batches
    if config.windows.stateful:
        batches = ConsecutiveBatches(maker, ConsecutiveSampler(windows.videos, batch_size, seed), device, shard)
    else:
        batches = ShuffledBatches(maker, InfiniteSampler(len(windows), batch_size, seed), shard)
    return TaskData(
        batches=batches,
        batch_size=batch_size,
        window_length=windows.length,
        validation=FeatureBatchSet(subsample(validation), numbers, device),
        max_validation_batch=windows_at_once(windows.length, features.frame_size),
    )


def _views_of_clips(
    windows: Windows, validation: Windows, numbers: VideoNumbers, config: PretrainConfig, context: SessionContext
) -> TaskData:
    """Return batches of a window and two views of each of their videos, from few groups."""
    views, seed = config.views, config.training.draw_seed
    maker, held_out = (ViewMaker.of(some, numbers, context.device, views) for some in (windows, validation))
    for some, name in ((maker, "training"), (held_out, "validation")):
        require_several(some, name=name)
    groups = maker.groups
    _require_groups(groups, config)
    batch_size = choose_batch_size(len(maker.videos), config.training.batch_size, what="videos")
    if batch_size < 2:
        raise ConfigError("training.batch_size is 1, but views of at least 2 clips are compared; give 2 or more")
    sampler = GroupedSampler(groups, batch_size, seed, least_groups=views.least_groups)
    return TaskData(
        batches=ViewBatches(maker, sampler, seed, context.ranks.shard(batch_size)),
        batch_size=batch_size,
        window_length=windows.length + NUM_VIEWS * views.num_frames,
        validation=ViewBatchSet(held_out, seed, most=MAX_VALIDATION_WINDOWS),
        max_validation_batch=windows_at_once(maker.num_frames, windows.features.frame_size),
    )


def _require_groups(groups: NDArray[np.int64], config: PretrainConfig) -> None:
    """Raise ConfigError if an objective compares clips within groups and every group is one clip."""
    needing = [name for name in config.objectives if OBJECTIVES[name].needs_groups]
    if needing and len(np.unique(groups)) == len(groups):
        raise ConfigError(
            f"objective {needing[0]} compares the clips of a group, but each of the {len(groups)} training videos is "
            "a group of its own; give --group REGEX or a group column in --labels"
        )


def data_of_mnist(mnist: Path | None, config: PretrainConfig, context: SessionContext) -> PretrainData:
    """Generate Moving MNIST from the training digits, some of which are held out to choose the weights by.

    mnist: a folder with the files of MNIST; None lets torchvision fetch them. Of a step's batch only this rank's shard
    is rendered.
    Raises InputError if the digits cannot be had, ConfigError for impossible settings.
    """
    if config.windows.stateful:
        raise ConfigError("windows.stateful is for videos; generated sequences have one window each, set it to false")
    likelihood: Likelihood = "gaussian" if config.likelihood == "gaussian" else "bernoulli"
    if config.objectives == "auto":
        config = replace(config, objectives=COMPOSITE)
    config = _fitted(config, likelihood=likelihood, frame_size=config.moving_mnist.canvas**2, num_frames=None)
    if config.contrasts_views:
        raise ConfigError(
            f"objectives {', '.join(config.objectives)}: generated sequences have no clips to take views of; leave out "
            "the objectives that compare views"
        )
    kind = MovingMnistConfig(num_frames=config.windows.length, **asdict(config.moving_mnist))
    digits, seed = load_digits(mnist, "train"), config.training.seed
    num_held_out = min(max(1, round(config.training.validation_fraction * len(digits))), len(digits) - 1)
    shuffled = digits[np.random.default_rng(seed).permutation(len(digits))]
    held_out, training = MovingMnist(shuffled[:num_held_out], kind), MovingMnist(shuffled[num_held_out:], kind)
    measured = GeneratedWindows(training, _NUM_MEASURED, stream_rng("train", seed))
    validation = GeneratedWindows(held_out, _NUM_VALIDATED, stream_rng("validation", seed))

    def frames() -> Iterator[Tensor]:
        for chosen in batches_of(measured, _BLOCK):
            yield torch.from_numpy(np.concatenate(measured.gather(chosen)))

    inputs = InputTransforms(kind.canvas**2, config.transform)
    inputs.fit(frames)
    batch_size = config.training.batch_size or DEFAULT_BATCH_SIZE
    shard = context.ranks.shard(batch_size)
    return PretrainData(
        config=config,
        likelihood=likelihood,
        task_data=TaskData(
            batches=GeneratedBatches(training, batch_size, config.training.draw_seed, context.device, shard),
            batch_size=batch_size,
            window_length=kind.num_frames,
            validation=GeneratedBatchSet(validation, context.device),
            max_validation_batch=windows_at_once(kind.num_frames, kind.canvas**2),
        ),
        inputs=inputs,
        frame_shape=(kind.canvas, kind.canvas),
        dtype="uint8",
        settings={
            "kind": "moving-mnist",
            "digits": "train",
            "digits_sha256": hashlib.sha256(digits.tobytes()).hexdigest(),
            **asdict(kind),
            "seed": seed,
        },
        videos=NO_VIDEOS,
    )
