"""Fine-tuning from segments: a label, or several, at every frame of long videos.

Shapes: K labels.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.kinds import with_precision
from ..config.segmentation import SegmentationConfig
from ..errors import ConfigError
from ..features.groups import GroupRule
from ..features.store import Features, opened
from ..metrics.segmentation.fitted_baselines import refit_baselines
from ..metrics.segmentation.frame_network import FrameNetwork
from ..models.members import member_folder
from ..models.pretrained import PretrainedEncoders
from ..progress import ProgressListener, ignore_progress
from ..segments.segment import Annotations
from ..timelines.segmenter_run import SegmenterRun
from ..timelines.settings import BoutSettings
from .ensemble import finish_members, run_of_several, train_members
from .history import Origin
from .loop import TrainingOutcome, never
from .pretrained_start import keep_start, read_start, with_architecture
from .ranks import joined_ranks
from .resuming import settings_of
from .run import RunFolder
from .segment_trials import Chosen, choose, train_trials, weights_to_try, with_weights
from .segmentation_data import (
    SegmentedVideos,
    fit_segment_windows,
    segmented_videos,
)
from .segmenter_training import SegmenterTraining
from .session import SessionOptions
from .trials import SELECTION_FOLDER, write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SegmentationResult:
    """A finished training from segments: its run folder, how it went, its labels, and what it learned from.

    background: the label of time in which nothing happens, "" for none. seconds, num_videos: annotated, by split.
    delay: frames after one that its labels depend on, at most, 0 for a causal run. predictor: what labels frames, the
    LSTM, a baseline, or the average of both; verdict: why. bouts: the rules by which bouts are found in that.
    learned_from_validation: whether the network and the baselines that are kept learned from the validation videos too.
    """

    folder: Path
    outcome: TrainingOutcome
    from_scratch: bool
    labels: tuple[str, ...]
    background: str
    seconds: dict[str, float]
    num_videos: dict[str, int]
    delay: int
    predictor: str
    verdict: str
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
    on no later frame. What labels frames in the end, the network, a baseline or the average of both, and the rules by
    which bouts are found in that, are chosen on validation videos, of which neither has learned; what is kept learns
    from them too. With `training.keep` "best" nothing does, and they choose the network's weights before.

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
                trials = train_trials(run, training, options, ranks)
                chosen = ranks.call_on_rank_zero(lambda: choose(run, trials, training, options))
                training = with_weights(training, chosen.class_weights)
                outcomes = train_members(
                    run,
                    config.training,
                    options,
                    ranks,
                    replace(training, videos=videos.with_all_in_training).train_member,
                )
            else:
                training = with_weights(training, weights_to_try(config)[0])
                outcomes = train_members(run, config.training, options, ranks, training.train_member)
                trials = {weights_to_try(config)[0]: member_folder(run.path, 1)}
                chosen = ranks.call_on_rank_zero(lambda: choose(run, trials, training, options))
            delay = ranks.call_on_rank_zero(lambda: _save(run, chosen, videos, refits=refits))
            finish_members(run, 1, ranks)
    selection, splits = chosen.selection, ("train", "validation", "test")
    return SegmentationResult(
        folder=run.path,
        outcome=outcomes[0],
        from_scratch=start is None,
        labels=videos.truth.labels,
        background=videos.truth.background or "",
        seconds={split: videos.seconds(split) for split in splits},
        num_videos={split: len(getattr(videos.split, split)) for split in splits},
        delay=delay,
        predictor=str(selection.predictor),
        verdict=selection.verdict,
        bouts=selection.rules,
        learned_from_validation=refits,
    )


def _checked(config: SegmentationConfig, start: PretrainedEncoders | None) -> SegmentationConfig:
    """Return the settings with those that a pretrained run brings; raises ConfigError if they do not go together."""
    if start is not None:
        labeled = [str(one.folder) for one in start.parts if one.description.kind in ("segmentation", "classifier")]
        if labeled:
            _log.warning(
                "%s learned labels: where it saw the videos that validate or test here, what they choose and what "
                "evaluate finds is too good; a pretraining has no labels",
                ", ".join(labeled),
            )
        return with_architecture(config, start.description, str(start.parts[0].folder))
    if config.segmenter.transfer != "init":
        raise ConfigError(
            f"segmenter.transfer is {config.segmenter.transfer!r}, but there is no pretrained run to transfer from; "
            "give --from RUN"
        )
    return config


def _save(run: RunFolder, chosen: Chosen, videos: SegmentedVideos, *, refits: bool) -> int:
    """Write what is beside the network that is kept, and return the delay of what predicts.

    refits: let the baselines learn from all videos, as the network did.
    """
    _, baselines, selection = chosen
    if refits:
        every, groups = videos.with_all_in_training.split.train, videos.annotated.groups
        baselines = refit_baselines(baselines, videos.features, videos.truth, every, groups=groups)
    network = FrameNetwork.of_folder(member_folder(run.path, 1))
    finished = SegmenterRun(network, baselines, selection.rules_of, selection.predictor)
    finished.save(run.path)
    if selection.tried:
        write_json(run.path / SELECTION_FOLDER / "results.json", selection.to_json())
    return finished.delay
