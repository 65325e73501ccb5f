"""Metrics of a pretraining: on windows of videos, or on Moving MNIST sequences that are made on demand."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config.doors import make_settings
from ..config.settings import ViewSettings
from ..errors import ConfigError, InputError
from ..metrics.prediction import PredictionMetrics, filmstrip_rows, prediction_metrics
from ..models.members import member_folder
from ..registry import OBJECTIVES
from ..sequences.batches import BatchSet, FeatureBatchSet, GeneratedBatchSet, VideoNumbers
from ..sequences.crops import ViewBatchSet, ViewMaker
from ..sequences.windows import Windows, WindowSet, empty_windows, sliding_windows
from ..synthetic.mnist import DIGIT_SIDE, load_digits
from ..synthetic.moving_mnist import MovingMnist, MovingMnistConfig, stream_rng
from ..synthetic.rendering import GeneratedWindows
from ..training.overfitting import Overfitting, find_overfitting
from ..training.preparation import MAX_VALIDATION_WINDOWS, report_windows, require_several, require_windows
from ..viewing.filmstrip import can_be_shown, require_picture_name, write_filmstrip
from .probe import ProbeResult, probe_representations
from .request import EvaluationOptions, SelectedVideos, TrainedRun


@dataclass(frozen=True, kw_only=True)
class PredictionEvaluation:
    """Metrics of a pretraining: on what, how many videos of it (or generated sequences), and the metrics per frame.

    probe: what classifiers make of its representations, if that was asked for. overfitting: of the training, None for
    none.
    """

    which: str
    num_videos: int
    num_left_out: int
    metrics: PredictionMetrics
    probe: ProbeResult | None = None
    overfitting: Overfitting | None = None

    @property
    def verdict(self) -> str:
        """One sentence on what the frames that are emitted are worth."""
        return self.metrics.verdict

    def to_json(self) -> dict[str, Any]:
        """Return everything, and the verdict, JSON-like."""
        return asdict(self) | {"verdict": self.verdict}


def check_pretraining(run: TrainedRun, options: EvaluationOptions) -> None:
    """Raise ConfigError or OutputError for options that do not go with the run."""
    if len(run.models) > 1:
        raise ConfigError(
            f"{run.folder}: {len(run.models)} encoders; measure one of them, such as {member_folder(run.folder, 1)}"
        )
    if any(one is not None for one in (options.errors, options.predictions, options.reliability)):
        raise ConfigError(
            f"{run.folder}: a pretraining; files of mistakes, predictions and reliability are for classifiers"
        )
    description, num_future = run.description, options.num_future
    if options.shuffle_frames:
        raise ConfigError(f"{run.folder}: a pretraining; shuffled frames are for classifiers")
    if num_future is not None and num_future < 1:
        raise ConfigError(f"num_future {num_future}: give at least 1 frame")
    if num_future is not None and not any(OBJECTIVES[name].needs_future for name in description.objectives):
        raise ConfigError(f"{run.folder}: no objective of it predicts the future; leave num_future {num_future} out")
    if options.filmstrip is not None:
        require_picture_name(options.filmstrip)
        shape, dtype = tuple(description.frame_shape), description.dtype
        if not can_be_shown(shape, dtype):
            raise ConfigError(
                f"{run.folder}: trained on frames of {shape} {dtype}, which a filmstrip cannot show; it shows uint8 of "
                "(height, width) or (height, width, 3)"
            )


def evaluate_on_windows(run: TrainedRun, selected: SelectedVideos, options: EvaluationOptions) -> PredictionEvaluation:
    """Measure a pretraining on the windows of the selected videos; raises InputError if there are none."""
    length = _num_context(run) + _num_future(run, options)
    windows = (
        sliding_windows(selected.features, selected.indices, length=length, stride=run.description.windows["stride"])
        if length
        else empty_windows(selected.features, selected.indices)
    )
    otherwise = "train with shorter windows" if options.num_future is None else "predict fewer frames"
    numbers = VideoNumbers.of(selected.annotated.groups)
    require_windows(windows, name="selected", advice=f"give longer videos, or {otherwise}")
    report_windows(selected.features, selected.indices, max(1, length))
    return PredictionEvaluation(
        which=selected.which,
        num_videos=len(np.unique(selected.features.source_videos[windows.videos])),
        num_left_out=selected.num_left_out,
        metrics=_measure(run, FeatureBatchSet(windows, numbers, run.device), options, _views_of(run, windows, numbers)),
        probe=probe_representations(run, selected) if options.probe else None,
        overfitting=find_overfitting(run.folder),
    )


def _views_of(run: TrainedRun, windows: Windows, numbers: VideoNumbers) -> BatchSet | None:
    """Return views of the videos, for a model that compares such."""
    if not run.description.clips:
        return None
    maker = ViewMaker.of(windows, numbers, run.device, make_settings(ViewSettings, run.description.clips, "clips"))
    require_several(maker, name="selected")
    return ViewBatchSet(maker, seed=0, most=MAX_VALIDATION_WINDOWS)


def evaluate_on_sequences(run: TrainedRun, options: EvaluationOptions) -> PredictionEvaluation:
    """Measure a pretraining on Moving MNIST of the test digits, made as they are gathered.

    Raises InputError if the run was not trained on frames like theirs, or the digits cannot be had.
    """
    if options.num_sequences < 1:
        raise ConfigError(f"sequences {options.num_sequences}: give at least 1")
    if options.seed < 0:
        raise ConfigError(f"seed {options.seed}: give 0 or more")
    assert options.mnist is not None
    config = _sequence_config(run, options.num_digits, num_frames=_num_context(run) + _num_future(run, options))
    generator = MovingMnist(load_digits(options.mnist, "test"), config)
    digits = "1 digit" if config.num_digits == 1 else f"{config.num_digits} digits"
    windows = GeneratedWindows(generator, options.num_sequences, stream_rng("test", options.seed))
    return PredictionEvaluation(
        which=f"Moving MNIST sequences of test digits, {digits}, seed {options.seed}",
        num_videos=options.num_sequences,
        num_left_out=0,
        metrics=_measure(run, GeneratedBatchSet(windows, run.device), options),
        overfitting=find_overfitting(run.folder),
    )


def _sequence_config(run: TrainedRun, num_digits: int | None, *, num_frames: int) -> MovingMnistConfig:
    """Return the settings of sequences like those that a run was trained on, as far as they are recorded."""
    description, usual = run.description, MovingMnistConfig()
    shape, dtype = tuple(description.frame_shape), description.dtype
    if dtype != "uint8" or len(shape) != 2 or shape[0] != shape[1] or shape[0] < DIGIT_SIDE:
        raise InputError(
            f"{run.folder}: trained on frames of {shape} {dtype}, which Moving MNIST cannot have; those are uint8 and "
            f"square, of at least {DIGIT_SIDE} pixels a side; give features instead"
        )
    own = description.extractor if description.extractor.get("kind") == "moving-mnist" else {}
    try:
        return MovingMnistConfig(
            num_digits=own.get("num_digits", usual.num_digits) if num_digits is None else num_digits,
            canvas=shape[0],
            num_frames=num_frames,
            displacement=own.get("displacement", usual.displacement),
        )
    except TypeError as error:
        raise InputError(f"{run.folder}: its model.json has Moving MNIST settings that are no numbers") from error


def _num_context(run: TrainedRun) -> int:
    return run.description.windows["context"]


def _num_future(run: TrainedRun, options: EvaluationOptions) -> int:
    return run.description.windows["num_future"] if options.num_future is None else options.num_future


def _measure(
    run: TrainedRun, batches: BatchSet, options: EvaluationOptions, views: BatchSet | None = None
) -> PredictionMetrics:
    """Measure on windows, and on views if there are some; draw a filmstrip if there is a path for it."""
    num_context = _num_context(run)
    lengths: dict[str, Any] = {
        "num_context": num_context,
        "num_future": batches.windows.length - num_context,
        "frame_shape": tuple(run.description.frame_shape),
        "device": run.device,
    }
    metrics = prediction_metrics(run.model, batches, views=views, **lengths, on_progress=options.on_progress)
    if options.filmstrip is not None:
        _draw(options.filmstrip, run, batches.windows, lengths)
    return metrics


def _draw(path: Path, run: TrainedRun, windows: WindowSet, lengths: dict[str, Any]) -> None:
    strips = filmstrip_rows(run.model, windows, **lengths)
    if not strips:
        raise ConfigError(f"{run.folder}: no objective of it emits frames that a filmstrip could show")
    write_filmstrip(path, strips, num_context=lengths["num_context"])
