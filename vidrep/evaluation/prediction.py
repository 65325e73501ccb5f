"""Figures of a pretrained run: on windows of videos, or on Moving MNIST sequences that are made on demand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError
from ..features.store import Features
from ..metrics.prediction import PredictionMetrics, filmstrip_rows, prediction_metrics
from ..progress import ProgressListener
from ..sequences.windows import WindowSet, sliding_windows
from ..synthetic.mnist import DIGIT_SIDE
from ..synthetic.moving_mnist import MovingMnist, MovingMnistConfig
from ..synthetic.rendering import GeneratedWindows
from ..training.preparation import require_windows
from ..viewing.filmstrip import write_filmstrip
from .trained import Chosen, TrainedRun


@dataclass(frozen=True, kw_only=True)
class PredictionEvaluation:
    """Figures of a pretrained model: on what, how many videos of it (or generated sequences), and costs per frame."""

    which: str
    num_videos: int
    num_left_out: int
    metrics: PredictionMetrics


@dataclass(frozen=True)
class MeasuredWindows:
    """Windows to measure a pretrained model on; what they are of, how many videos, and how many were left out."""

    windows: WindowSet
    which: str
    num_videos: int
    num_left_out: int = 0


def generated_sequences(
    run: TrainedRun,
    digits: NDArray[np.uint8],
    *,
    num_digits: int | None,
    num_sequences: int,
    seed: int,
    predicted: int | None,
) -> MeasuredWindows:
    """Return Moving MNIST sequences of test digits, (N, 28, 28), made when they are gathered.

    Raises InputError if the run was not trained on frames like theirs.
    """
    if num_sequences < 1:
        raise ConfigError(f"sequences {num_sequences}: give at least 1")
    if seed < 0:
        raise ConfigError(f"seed {seed}: give 0 or more")
    config = _sequence_config(run, num_digits, num_frames=run.seen + run.num_predicted(predicted))
    in_words = "1 digit" if config.num_digits == 1 else f"{config.num_digits} digits"
    return MeasuredWindows(
        windows=GeneratedWindows(MovingMnist(digits, config), num_sequences, seed),
        which=f"Moving MNIST sequences of test digits, {in_words}, seed {seed}",
        num_videos=num_sequences,
    )


def _sequence_config(run: TrainedRun, num_digits: int | None, *, num_frames: int) -> MovingMnistConfig:
    """Return the settings of sequences like those that a run was trained on, as far as it says."""
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


def extracted_windows(run: TrainedRun, features: Features, chosen: Chosen, *, predicted: int | None) -> MeasuredWindows:
    """Return the windows of the chosen videos; raises InputError if there are none."""
    length = run.seen + run.num_predicted(predicted)
    windows = sliding_windows(features, chosen.indices, length=length, stride=run.description.windows["stride"])
    otherwise = "train with shorter windows" if predicted is None else "predict fewer frames"
    require_windows(windows, name="such", advice=f"give longer videos, or {otherwise}")
    return MeasuredWindows(windows, chosen.which, len(np.unique(windows.videos)), chosen.num_left_out)


def evaluate_prediction(
    run: TrainedRun, measured: MeasuredWindows, *, filmstrip: Path | None, on_progress: ProgressListener
) -> PredictionEvaluation:
    """Measure a pretrained model on windows, and draw a filmstrip of some if there is a path for it."""
    spans: dict[str, Any] = {
        "seen": run.seen,
        "predicted": measured.windows.length - run.seen,
        "reconstructed": run.description.windows.get("reconstructed") or None,
        "frame_shape": tuple(run.description.frame_shape),
        "device": run.device,
    }
    metrics = prediction_metrics(run.model, measured.windows, **spans, on_progress=on_progress)
    if filmstrip is not None:
        write_filmstrip(filmstrip, filmstrip_rows(run.model, measured.windows, **spans), num_seen=run.seen)
    return PredictionEvaluation(
        which=measured.which,
        num_videos=measured.num_videos,
        num_left_out=measured.num_left_out,
        metrics=metrics,
    )
