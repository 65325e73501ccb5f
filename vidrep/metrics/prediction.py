"""How well a pretrained model reconstructs and predicts windows, with trivial predictions beside it.

Shapes: T frames of context, F frames that follow, N frames that an objective emits, B batch, D values of a frame, P
predictors.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.inputs import InputTransforms, to_original_units
from ..models.objectives.frame_objective import FrameObjective
from ..models.objectives.objective import Encoded
from ..models.output_projection import output_to_frames
from ..models.pretraining import PretrainingNetwork
from ..models.saved import TrainedModel
from ..progress import Progress, ProgressListener, ignore_progress
from ..sequences.batches import BatchSet
from ..sequences.windows import WindowSet, batches_of
from ..viewing.filmstrip import FilmRow
from .frame_metrics import absolute_error, bernoulli_nats, entropy_floor, squared_error
from .image_metrics import has_ssim, psnr, ssim
from .paired import PairedDifference
from .window_errors import MEAN_FRAME, MODEL, PERSISTENCE, WindowErrors, prediction_verdict

# Windows that are decoded at once, and values of their frames at most.
_MAX_WINDOWS, _MAX_VALUES = 64, 1 << 24

TEACHER_FORCED = f"{MODEL}, teacher-forced"
ENTROPY_FLOOR = "entropy floor"

# Values of a predictor's frames that are measured at once: few enough for the processor's cache. With whole batches,
# 64 x 64 pixels took two and a half times as long on one core. A GPU has to be started and waited for each time, so
# there a time step of a whole batch is measured at once.
_VALUES_AT_ONCE, _VALUES_AT_ONCE_ON_CUDA = 1 << 16, 1 << 22


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A metric of a frame, averaged over all windows.

    mean: over all time steps. per_time_step: of each of the N frames that are emitted, in natural order of time.
    """

    mean: float
    per_time_step: list[float] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PredictionMetrics:
    """How well reconstructed and predicted frames agree with the true ones.

    num_windows: that were measured. num_context, num_reconstructed, num_future: frames of each.
    by_objective: objective ("reconstruction", "future") -> metric -> predictor -> values. Metrics, in original units
        (uint8 pixels divided by 255), are
        "squared_error" and "absolute_error", summed over a frame's values (in the literature of Moving MNIST, MSE and
        MAE);
        "squared_error_standardized", in units of the training split's standard deviation, for "gaussian" frames;
        "nats", Bernoulli cross-entropy summed over a frame's values, for "bernoulli" ones: see `bernoulli_nats`;
        "ssim" and "psnr" with a data range of 1, of which more is better, for images: uint8 frames (H, W) or (H, W, C).
        Behind transforms without an inverse there is "squared_error_transformed" alone, in the model's own units.
    Predictors are "model", free running; "model, teacher-forced", whose decoder reads the true frame before each that
        it emits, for conditional decoders; "mean frame" (of the training split); "persistence" (the last frame of the
        context); "zeros"; and for nats "entropy floor", below which no prediction of such frames can go.
    objective_losses: the validation loss of each objective that emits no frames, per frame where it counts frames.
    saved_errors: objective -> "persistence" or "mean frame" -> the share of its squared error that the model saves, 1
        for all of it and less than 0 for a model that is worse, with an interval over groups; of the squared error in
        the model's own units: standardized, transformed or, for "bernoulli" frames, original ones.
    """

    num_windows: int
    num_context: int
    num_reconstructed: int
    num_future: int
    by_objective: dict[str, dict[str, dict[str, Curve]]]
    objective_losses: dict[str, float] = field(default_factory=dict)
    saved_errors: dict[str, dict[str, PairedDifference]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One sentence on what the frames that are emitted are worth, the future if there is one."""
        return prediction_verdict(self.saved_errors)


def prediction_metrics(
    model: TrainedModel,
    batches: BatchSet,
    *,
    num_context: int,
    num_future: int,
    frame_shape: tuple[int, ...],
    device: torch.device,
    views: BatchSet | None = None,
    on_progress: ProgressListener = ignore_progress,
) -> PredictionMetrics:
    """Measure a pretrained model on windows of `num_context + num_future` frames, whose batches are on `device`.

    num_future: may be another number than in training. views: what objectives that emit no frames are measured on, the
    same windows if None.
    """
    prediction = _Prediction.of(model, batches.windows, num_context, num_future, device)
    sums, errors = _measure(prediction, batches, _measures(prediction, frame_shape), on_progress)
    by_objective: defaultdict[str, dict[str, dict[str, Curve]]] = defaultdict(dict)
    for (objective, metric, predictor), total in sums.items():
        steps = total / len(batches)
        curve = Curve(mean=float(steps.mean()), per_time_step=steps.tolist())
        by_objective[objective].setdefault(metric, {})[predictor] = curve
    return PredictionMetrics(
        num_windows=len(batches),
        num_context=num_context,
        num_reconstructed=prediction.num_reconstructed,
        num_future=num_future,
        by_objective=dict(by_objective),
        objective_losses=prediction.other_losses(batches if views is None else views),
        saved_errors=errors.paired(),
    )


def window_errors(
    model: TrainedModel, batches: BatchSet, *, num_context: int, num_future: int, device: torch.device
) -> WindowErrors:
    """Return the squared error of each window by each predictor; see `prediction_metrics`."""
    prediction = _Prediction.of(model, batches.windows, num_context, num_future, device)
    name, measure = _squared_error(prediction)
    return _measure(prediction, batches, {name: measure}, ignore_progress)[1]


def _measure(
    prediction: "_Prediction", batches: BatchSet, measures: "dict[str, _Measure]", on_progress: ProgressListener
) -> "tuple[dict[_Key, NDArray[np.float64]], WindowErrors]":
    """Return the sum of each metric over all windows, by time step, (N,), and the squared error of each window."""
    sums: dict[_Key, NDArray[np.float64]] = {}
    errors: defaultdict[str, defaultdict[str, list[NDArray[np.float64]]]] = defaultdict(lambda: defaultdict(list))
    groups = []
    squared_error_name, _ = _squared_error(prediction)
    for indices in batches_of(batches, windows_at_once(batches.num_frames, prediction.inputs.mean.numel())):
        batch = batches.batch(indices)
        groups.append(indices if batch.group is None else batch.group.cpu().numpy())
        for predicted in prediction.emit(batch.frames):
            for key, values in _measured(predicted, measures).items():
                objective, metric, predictor = key
                total = values.sum(axis=1)
                sums[key] = sums[key] + total if key in sums else total
                if metric == squared_error_name:
                    errors[objective][predictor].append(values.mean(axis=0))
        on_progress(Progress(done=int(indices[-1]) + 1, total=len(batches), unit="windows"))
    of_windows = {
        objective: {name: np.concatenate(parts) for name, parts in by_predictor.items()}
        for objective, by_predictor in errors.items()
    }
    return sums, WindowErrors(np.concatenate(groups), of_windows)


def windows_at_once(length: int, frame_size: int) -> int:
    """Return how many windows are decoded at once where nothing is learned: fewer if they or their frames are large."""
    return max(1, min(_MAX_WINDOWS, _MAX_VALUES // (max(1, length) * frame_size)))


def filmstrip_rows(
    model: TrainedModel,
    windows: WindowSet,
    *,
    num_context: int,
    num_future: int,
    frame_shape: tuple[int, ...],
    device: torch.device,
    num_windows: int = 4,
) -> list[list[FilmRow]]:
    """Return a strip for each of a few windows, evenly spread: the true frames, and below them the model's.

    The model's are the reconstruction, then the prediction, free running; values outside [0, 1] are clipped. There is
    no strip if no objective emits frames, or if they cannot be turned back into pixels.
    For uint8 frames of a shape that `write_filmstrip` shows.
    """
    chosen = np.linspace(0, len(windows) - 1, min(num_windows, len(windows))).astype(np.int64)
    prediction = _Prediction.of(model, windows, num_context, num_future, device)
    if not model.inputs.is_invertible:
        return []
    stored = windows.gather(chosen)
    predicted = sorted(prediction.emit(torch.from_numpy(stored).to(device)), key=lambda one: one.start)
    if not predicted:
        return []
    target = stored.astype(np.uint8, copy=False)
    made = np.concatenate([_pixels(one.guesses[MODEL]) for one in predicted])
    return [
        [
            FilmRow(target[:, window].reshape(-1, *frame_shape)),
            FilmRow(made[:, window].reshape(-1, *frame_shape), start=predicted[0].start),
        ]
        for window in range(len(chosen))
    ]


def _pixels(frames: Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = (frames.clamp(0, 1) * 255).round().byte().cpu().numpy()
    return pixels


class _Predicted(NamedTuple):
    """What an objective should emit, target (N, B, D), and each predictor's guess of it, (N, B, D).

    start: the position of the first of these frames in their window.
    """

    objective: str
    start: int
    target: Tensor
    guesses: dict[str, Tensor]


@dataclass(frozen=True)
class _Prediction:
    """A pretrained model, and windows of `num_context + num_future` frames."""

    inputs: InputTransforms
    network: PretrainingNetwork
    windows: WindowSet
    num_context: int
    num_future: int

    @classmethod
    def of(
        cls, model: TrainedModel, windows: WindowSet, num_context: int, num_future: int, device: torch.device
    ) -> "_Prediction":
        if not isinstance(model.network, PretrainingNetwork):
            raise TypeError(f"a {type(model.network).__name__} makes no predictions")
        if windows.length != num_context + num_future:
            raise ValueError(
                f"windows of {windows.length} frames, expected {num_context} of context and {num_future} that follow"
            )
        model.to(device).eval()
        return cls(model.inputs, model.network, windows, num_context, num_future)

    @property
    def num_reconstructed(self) -> int:
        """Frames of the context that are emitted again, 0 if none are."""
        spans = [one.span(self.num_context, self.num_future) for one in self.network.frame_objectives.values()]
        return sum(stop - start for start, stop in spans if stop <= self.num_context)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of stored frames."""
        return self.windows.gather(np.zeros(1, np.int64)).dtype

    @torch.inference_mode()
    def emit(self, stored: Tensor) -> list[_Predicted]:
        """Return what each objective emits for some windows of stored frames, (T + F, B, D)."""
        frames = self.network.transformed(self.inputs, stored, self.num_context)
        true = to_original_units(stored) if self.inputs.is_invertible else frames
        encoded = self.network.encode(frames[: self.num_context])
        predicted = []
        for name, objective in self.network.frame_objectives.items():
            start, stop = objective.span(self.num_context, self.num_future)
            if stop > start:
                guesses = self._model_guesses(objective, encoded, frames[start:stop])
                guesses |= self._trivial_guesses(true, start, stop)
                predicted.append(_Predicted(name, start, true[start:stop], guesses))
        return predicted

    def _model_guesses(self, objective: FrameObjective, encoded: Encoded, target: Tensor) -> dict[str, Tensor]:
        """Run the decoder free and, if it is conditional, teacher-forced."""
        guesses = {MODEL: self._frames(objective.predict(encoded, len(target)))}
        if objective.decoder.conditional:
            guesses[TEACHER_FORCED] = self._frames(objective.predict(encoded, len(target), target=target))
        return guesses

    def _frames(self, output: Tensor) -> Tensor:
        frames = output_to_frames(output, self.network.likelihood)
        return self.inputs.inverse(frames) if self.inputs.is_invertible else frames

    def _trivial_guesses(self, true: Tensor, start: int, stop: int) -> dict[str, Tensor]:
        """Return the guesses that need no model, of windows (T + F, B, D)."""
        trivial = {MEAN_FRAME: self.inputs.mean} if self.inputs.is_invertible else {}
        trivial |= {PERSISTENCE: true[self.num_context - 1], "zeros": true.new_zeros(())}
        return {name: frame.expand_as(true[start:stop]) for name, frame in trivial.items()}

    @torch.inference_mode()
    def other_losses(self, batches: BatchSet) -> dict[str, float]:
        """Return the losses per frame, averaged over the windows, of the objectives that emit no frames."""
        names = sorted(self.network.objectives.keys() - self.network.frame_objectives.keys())
        if not names:
            return {}
        totals = dict.fromkeys(names, 0.0)
        size = windows_at_once(batches.num_frames, self.inputs.mean.numel())
        chosen = list(batches_of(batches, size, equal=bool(self.network.needs_whole_batch)))
        for indices in chosen:
            losses, _ = self.network.validation(self.inputs, batches.batch(indices))
            for name in names:
                totals[name] += float(losses.by_name[name].total) / float(losses.by_name[name].num_frames)
        return {name: total / sum(map(len, chosen)) for name, total in totals.items()}


_Key = tuple[str, str, str]
"""Objective, metric, predictor."""

_Measure = Callable[[Tensor, Tensor], Tensor]
"""From predicted and true frames, (P, B, D) twice, to a metric of each, (P, B)."""


def _measures(prediction: _Prediction, frame_shape: tuple[int, ...]) -> dict[str, _Measure]:
    """Return the measures that such frames have."""
    if not prediction.inputs.is_invertible:
        return dict([_squared_error(prediction)])
    measures: dict[str, _Measure] = {"squared_error": squared_error, "absolute_error": absolute_error}
    if prediction.network.likelihood == "bernoulli":
        measures = {"nats": bernoulli_nats} | measures
    else:
        measures |= dict([_squared_error(prediction)])
    if prediction.dtype == np.uint8 and len(frame_shape) in (2, 3):
        if has_ssim(frame_shape):
            measures["ssim"] = partial(ssim, frame_shape=frame_shape)
        measures["psnr"] = psnr
    return measures


def _squared_error(prediction: _Prediction) -> tuple[str, _Measure]:
    """Return the name and the measure of the squared error in a model's own units."""
    if not prediction.inputs.is_invertible:
        return "squared_error_transformed", squared_error
    if prediction.network.likelihood == "bernoulli":
        return "squared_error", squared_error
    std = prediction.inputs.std
    return "squared_error_standardized", lambda guess, target: squared_error(guess / std, target / std)


@torch.inference_mode()
def _measured(predicted: _Predicted, measures: dict[str, _Measure]) -> dict[_Key, NDArray[np.float64]]:
    """Return the metrics of each time step's frames, of the windows of a batch: (N, B) each."""
    names: Sequence[str] = list(predicted.guesses)
    num_steps, num_windows = predicted.target.shape[:2]
    values: defaultdict[_Key, NDArray[np.float64]] = defaultdict(lambda: np.empty((num_steps, num_windows)))
    values_at_once = _VALUES_AT_ONCE_ON_CUDA if predicted.target.is_cuda else _VALUES_AT_ONCE
    size = max(1, values_at_once // predicted.target.shape[-1])
    for step, frames in enumerate(predicted.target):
        for start in range(0, len(frames), size):
            some = slice(start, start + size)
            stacked = torch.stack([guess[step, some] for guess in predicted.guesses.values()])
            target = frames[None, some]
            for metric, measure in measures.items():
                measured = measure(stacked, target.expand_as(stacked)).cpu().numpy()
                for name, of_windows in zip(names, measured, strict=True):
                    values[predicted.objective, metric, name][step, some] = of_windows
            if "nats" in measures:
                floor = entropy_floor(target)[0].cpu().numpy()
                values[predicted.objective, "nats", ENTROPY_FLOOR][step, some] = floor
    return values
