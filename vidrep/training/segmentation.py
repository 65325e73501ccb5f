"""Fine-tuning from segments: a label, or several, at every frame of long videos.

Shapes: K labels.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..config.kinds import with_precision
from ..config.segmentation import SegmentationConfig
from ..devices import choose_device
from ..errors import ConfigError
from ..features.groups import GroupRule
from ..features.store import Features, opened
from ..metrics.segmentation.fitted_baselines import fit_baselines, save_frame_baselines
from ..metrics.segmentation.segmenter_run import SegmenterRun, save_bout_settings
from ..models.members import member_folder
from ..models.pretrained import PretrainedEncoders
from ..progress import ProgressListener, ignore_progress
from ..segments.segment import Annotations
from ..timelines.calibration import ValidationVideo, calibrate
from ..timelines.settings import BoutSettings
from .ensemble import finish_members, run_of_several, train_members
from .history import Origin
from .loop import TrainingOutcome, never
from .pretrained_start import keep_start, read_start, with_architecture
from .ranks import joined_ranks
from .resuming import settings_of
from .run import RunFolder
from .segmentation_data import (
    SegmentedVideos,
    fit_segment_windows,
    segmented_videos,
)
from .segmenter_training import SegmenterTraining
from .session import SessionOptions
from .trials import SELECTION_FOLDER

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SegmentationResult:
    """A finished training from segments: its run folder, how it went, its labels, and what it learned from.

    background: the label of time in which nothing happens, "" for none. seconds, num_videos: annotated, by split.
    delay: frames after one that its labels depend on, at most, 0 for a causal run. bouts: the rules by which bouts are
    found.
    learned_from_validation: whether the network that is kept learned from the validation videos too.
    """

    folder: Path
    outcome: TrainingOutcome
    from_scratch: bool
    labels: tuple[str, ...]
    background: str
    seconds: dict[str, float]
    num_videos: dict[str, int]
    delay: int
    bouts: BoutSettings
    learned_from_validation: bool


def finetune_segments(
    features: Features | Path | str,
    output: Path | str,
    annotations: Annotations,
    config: SegmentationConfig | None = None,
    *,
    pretrained: Path | str | Sequence[Path | str] | None = None,
    group_pattern: str | None = None,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
    origin: Origin | None = None,
) -> SegmentationResult:
    """Train what labels every frame, from annotations with time, into the run `output`.

    A softmax at every time step is trained on the label of that moment, or, of several labels that may hold at once,
    sigmoids; see `SegmenterSettings` for time that nobody annotated. Windows are read with a margin on both sides. From
    scratch the encoder is bidirectional, unless `encoder.bidirectional` is set to false: then a frame's labels depend
    on no later frame. The rules by which bouts are found are chosen on
    validation videos, by a network that did not learn from them; the one that is kept does, see `SegmentationConfig`.

    annotations: of `vidrep.read_segments`; splits that they name win over those of the features. Without any split,
        groups of videos are held out for `evaluate`, and some more for validation.
    pretrained: see `finetune`.

    Raises LabelError, naming the file and the row, for annotations that do not fit the videos, overlap or have too few
    labels, and whatever `finetune` raises.
    """
    config = with_precision(settings_of(config, SegmentationConfig, Path(output) if resume else None), precision)
    features = opened(features)
    run = RunFolder(Path(output))
    options = SessionOptions(
        device=device,
        threads=threads,
        resume=resume,
        overwrite=overwrite,
        should_stop=should_stop,
        on_progress=on_progress,
        origin=origin or Origin(),
    )
    with joined_ranks() as ranks:
        start = read_start(run, pretrained, resume=resume)
        config = _checked(config, start)
        videos = segmented_videos(features, annotations, config, group_rule=GroupRule(group_pattern))
        lengths = [features.videos[video].length for video in videos.split.train + videos.split.validation]
        config = replace(config, windows=fit_segment_windows(config.windows, lengths))
        training = SegmenterTraining(videos, config, start)
        refits = config.training.keep == "last" and bool(videos.split.validation)
        with run_of_several(run, config, videos.of_run, options, ranks, recorded=training.recorded):
            if start is not None:
                ranks.call_on_rank_zero(lambda: keep_start(start, run))
            if refits:
                trial = RunFolder(run.path / SELECTION_FOLDER)
                _log.info("first without the validation videos, which choose the rules for bouts; then with them")
                training.train(
                    trial, replace(options, resume=ranks.call_on_rank_zero(trial.has_begun), overwrite=False)
                )
                training = replace(training, videos=videos.with_all_in_training)
            outcomes = train_members(run, config.training, options, ranks, training.train_member)
            first = run.path / SELECTION_FOLDER if refits else member_folder(run.path, 1)
            bouts = ranks.call_on_rank_zero(lambda: _finish(run, first, videos, choose_device(options.device)))
            finish_members(run, 1, ranks)
            delay = ranks.call_on_rank_zero(lambda: SegmenterRun.load(run.path).delay)
    splits = ("train", "validation", "test")
    return SegmentationResult(
        folder=run.path,
        outcome=outcomes[0],
        from_scratch=start is None,
        labels=videos.truth.labels,
        background=videos.truth.background or "",
        seconds={split: videos.seconds(split) for split in splits},
        num_videos={split: len(getattr(videos.split, split)) for split in splits},
        delay=delay,
        bouts=bouts,
        learned_from_validation=refits,
    )


def _checked(config: SegmentationConfig, start: PretrainedEncoders | None) -> SegmentationConfig:
    """Return the settings with those that a pretrained run brings; raises ConfigError if they do not go together."""
    if start is not None:
        return with_architecture(config, start.description, str(start.parts[0].folder))
    if config.segmenter.transfer != "init":
        raise ConfigError(
            f"segmenter.transfer is {config.segmenter.transfer!r}, but there is no pretrained run to transfer from; "
            "give --from RUN"
        )
    return config


def _finish(run: RunFolder, first: Path, videos: SegmentedVideos, device: torch.device) -> BoutSettings:
    """Fit the baselines, choose on validation videos by which rules bouts are found, and save both.

    first: the folder of a network that did not learn from these.
    """
    segmenter = SegmenterRun.of_folder(first)
    truth = videos.truth
    baselines = fit_baselines(
        videos.features, truth, videos.split.train, videos.split.validation, groups=videos.annotated.groups
    )
    save_frame_baselines(run.path, baselines)
    validated = [
        ValidationVideo(
            segmenter.timeline(videos.features, video, device=device),
            truth.videos[video].bouts,
            truth.videos[video].known,
        )
        for video in videos.split.validation
    ]
    without_background = [name for name in truth.labels if name != truth.background]
    if validated:
        settings = calibrate(validated, name="LSTM")
    else:
        _log.warning("no video can be held out to choose rules for bouts: the default rules find them")
        settings = BoutSettings.default(without_background)
    save_bout_settings(run.path, settings)
    return settings
