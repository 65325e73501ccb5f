"""When things happen in long videos: bouts, from video files or from features.

Shapes: T frames of a video, K labels.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..devices import choose_device, torch_settings
from ..errors import ConfigError, InputError
from ..features.failures import Failure
from ..features.store import Features
from ..machine import tune_malloc
from ..metrics.predictor import ClassifierRun
from ..metrics.segmentation.bouts import Bouts
from ..models.description import NETWORK_KINDS, ModelDescription, read_description
from ..models.members import member_folders
from ..progress import Progress
from ..segments.segment import Span
from ..timelines.finder import find_bouts, find_unsure
from ..timelines.frame_files import FORMATS, FrameFiles, FrameFormat, writing_frames
from ..timelines.segmenter_run import SegmenterRun
from ..timelines.settings import BoutSettings
from ..timelines.timeline import Timeline
from .clip_timelines import clip_timeline
from .inputs import InputOptions, PredictedInputs, predicted_inputs

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BoutRules:
    """Changes to the rules by which a run finds bouts; None keeps what it has, see `BoutSettings`.

    threshold: of all labels, `enter`; `leave` keeps its share of it. top_k: the bouts of each label that are kept of a
    video, those with the highest confidence.
    """

    smoothing: float | None = None
    threshold: float | None = None
    minimum_duration: float | None = None
    largest_gap: float | None = None
    unsure: float | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k {self.top_k}: give 1 or more")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError(f"threshold {self.threshold}: give a probability above 0, at most 1")

    def changed(self, settings: BoutSettings) -> BoutSettings:
        """Return settings with the changes."""
        names = ("smoothing", "minimum_duration", "largest_gap", "unsure")
        changes = {name: value for name in names if (value := getattr(self, name)) is not None}
        changed: BoutSettings = replace(settings, **changes)
        if self.threshold is None:
            return changed
        shares = {label: settings.leave[label] / enter for label, enter in settings.enter.items()}
        return replace(
            changed,
            enter=dict.fromkeys(shares, self.threshold),
            leave={label: share * self.threshold for label, share in shares.items()},
        )


@dataclass(frozen=True, kw_only=True)
class VideoBouts:
    """What happens in one video.

    path: of the file, as it is reached from what was given; of a video of features, its key. key: its name among the
    videos that were read together. bouts: labels numbered as in `BoutPredictions.labels`; their scores are mean
    probabilities. unsure: where no label is likely enough. watched: the span that was read.
    """

    path: str
    key: str
    bouts: Bouts
    unsure: Bouts
    watched: Span


@dataclass(frozen=True, kw_only=True)
class BoutPredictions:
    """Bouts of videos in the order of their keys, and the videos that could not, or not wholly, be read.

    labels: K names, the background left out. rules: by which bouts were found. is_of_clips: whether a classifier of
    whole clips, by windows, labels the moments.
    """

    videos: list[VideoBouts]
    labels: tuple[str, ...]
    rules: BoutSettings
    failures: list[Failure]
    is_of_clips: bool = False


def predict_bouts(
    run: Path | str,
    inputs: Features | Path | str | Sequence[Path | str],
    *,
    rules: BoutRules | None = None,
    frames: Path | None = None,
    frame_format: str | None = None,
    overwrite: bool = False,
    options: InputOptions | None = None,
) -> BoutPredictions:
    """Find what happens when, in one pass over each video.

    run: of `finetune_segments`; or a classifier of whole clips, whose windows slide over the videos.
    inputs: files, folders and patterns as `find_videos` takes them, or one feature file, opened or not.
    frames: where the probabilities of every frame are written, see `writing_frames`; frame_format: None for that of the
        ending of `frames`.
    options: how videos are read. Memory does not grow with a video's length, but for 4 bytes a label and frame.

    Raises InputError if the run is a pretraining, and whatever `predicted_inputs` raises.
    """
    tune_malloc()
    options, rules = options or InputOptions(), rules or BoutRules()
    run = Path(run)
    description = read_description(member_folders(run)[0])
    if not description.classes:
        raise InputError(
            f"{run}: {NETWORK_KINDS[description.kind].noun}, which has no labels; `vidrep finetune` makes what has some"
        )
    with torch_settings(choose_device(options.device), threads=options.threads) as settings:
        labeler = _labeler(run, description, settings.device)
        chosen = rules.changed(labeler.rules)
        writing: AbstractContextManager[FrameFiles | None] = nullcontext()
        if frames is not None:
            writing = writing_frames(
                frames,
                _format_of(frames, frame_format),
                labels=description.classes,
                background=labeler.background,
                several_labels=labeler.several_labels,
                overwrite=overwrite,
            )
        with predicted_inputs(run, description, inputs, options) as given, writing as files:
            found = {}
            for video in range(len(given.features)):
                of_video = _video_bouts(_timeline(labeler, given, video, options), given, chosen, rules.top_k, files)
                found[of_video.key] = of_video
                options.on_progress(Progress(done=video + 1, total=len(given.features), unit="videos"))
        copies = [
            replace(found[first], key=copy, path=given.paths.get(copy, copy))
            for copy, first in given.copies.items()
            if first in found
        ]
    return BoutPredictions(
        videos=sorted([*found.values(), *copies], key=lambda one: one.key),
        labels=tuple(name for name in description.classes if name != labeler.background),
        rules=chosen,
        failures=list(given.failures),
        is_of_clips=description.kind != "segmentation",
    )


@dataclass(frozen=True, kw_only=True)
class _Labeler:
    """What says how likely each label is at each frame of a video, and by which rules bouts are found in that."""

    timeline: Callable[[Features, int], Timeline]
    rules: BoutSettings
    background: str | None = None
    several_labels: bool = False


def _labeler(run: Path, description: ModelDescription, device: torch.device) -> _Labeler:
    if description.kind == "segmentation":
        segmenter = SegmenterRun.load(run, device)
        return _Labeler(
            timeline=segmenter.timeline,
            rules=segmenter.rules,
            background=segmenter.network.background,
            several_labels=segmenter.network.several_labels,
        )
    _log.warning(
        "%s was trained on whole clips: windows slide over the videos, boundaries are as coarse as these, and no "
        "moment is without a label; finetune --annotations learns when things happen",
        run,
    )
    return _Labeler(
        timeline=partial(clip_timeline, ClassifierRun.load(run), device=device),
        rules=BoutSettings.default(description.classes),
    )


def _timeline(labeler: _Labeler, given: PredictedInputs, video: int, options: InputOptions) -> Timeline:
    """Return the timeline of a video, of features that of the span alone: of videos no more was read."""
    timeline = labeler.timeline(given.features, video)
    return timeline if given.paths else _between(timeline, options.start, options.end)


def _video_bouts(
    timeline: Timeline, given: PredictedInputs, chosen: BoutSettings, top_k: int | None, files: FrameFiles | None
) -> VideoBouts:
    """Find the bouts of one video, and write its frames; nothing of the timeline is kept."""
    bouts = find_bouts(timeline, chosen)
    if files is not None:
        with files.video(timeline.video) as store:
            store.append(timeline.edges, timeline.probabilities)
    return VideoBouts(
        path=given.paths.get(timeline.video, timeline.video),
        key=timeline.video,
        bouts=bouts if top_k is None else most_certain(bouts, top_k),
        unsure=find_unsure(timeline, chosen, bouts),
        watched=timeline.span,
    )


def most_certain(bouts: Bouts, count: int) -> Bouts:
    """Return so many bouts of each label, those with the highest scores; of equal ones the first."""
    order = np.lexsort((bouts.starts, -bouts.scores))
    kept = np.zeros(len(bouts), dtype=bool)
    for label in np.unique(bouts.labels):
        kept[order[bouts.labels[order] == label][:count]] = True
    return bouts.chosen(kept)


def _between(timeline: Timeline, start: float | None, end: float | None) -> Timeline:
    """Return the frames of a timeline that begin from `start` on and before `end`, seconds."""
    if start is None and end is None:
        return timeline
    times = timeline.edges[:-1]
    first = 0 if start is None else int(np.searchsorted(times, start))
    last = len(times) if end is None else int(np.searchsorted(times, end))
    last = max(first, last)
    return replace(timeline, edges=timeline.edges[first : last + 1], probabilities=timeline.probabilities[first:last])


def _format_of(frames: Path, name: str | None) -> FrameFormat:
    wanted = f".{name.removeprefix('.')}" if name else frames.suffix
    for one in FORMATS:
        if one == wanted:
            return one
    allowed = ", ".join(one.removeprefix(".") for one in FORMATS)
    raise ConfigError(f"{frames}: its ending names no format of frames; give --frames-format, one of {allowed}")
